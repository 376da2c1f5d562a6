//! The core's one answer: what the caller does next, before a call is made and after it.

use std::sync::Arc;

use super::Kind;
use crate::bulkhead::Ticket;
use crate::clock::Nanos;

/// What the caller of the core does next.
///
/// [`Pipeline::enter`](super::Pipeline::enter) answers `Proceed`, or what has to happen first;
/// [`Pipeline::leave`](super::Pipeline::leave) answers `Return` or `Raise`, or what happens in their place.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Make the call, then leave with its outcome.
    Proceed,
    /// Return the result of the call.
    Return,
    /// Raise the error of the call.
    Raise,
    /// Wait this long, then enter again.
    Wait(Nanos),
    /// Wait for the ticket, until the given time if there is one; then call `enter_from_queue` or `stop_waiting`.
    Queue(Arc<Ticket>, Option<Nanos>),
    /// Wait this long, then enter again for another attempt.
    Retry(Nanos),
    /// Ask the fallback of the stage at this index for a result, then leave with the fallback's outcome.
    FallBack(usize, Cause),
    /// Raise the refusal; the call is not made.
    Refuse(Refusal),
    /// Raise that this time limit passed.
    DeadlineExceeded(Nanos),
}

impl Decision {
    /// The decision's name in Python.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Proceed => "proceed",
            Self::Return => "return",
            Self::Raise => "raise",
            Self::Wait(_) => "wait",
            Self::Queue(..) => "queue",
            Self::Retry(_) => "retry",
            Self::FallBack(..) => "fall_back",
            Self::Refuse(_) => "refuse",
            Self::DeadlineExceeded(_) => "deadline_exceeded",
        }
    }
}

/// Why a fallback is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The call raised an error, or returned an unwanted result.
    Raised,
    /// A policy further inside refused the call.
    Refused(Refusal),
    /// This time limit further inside passed.
    DeadlineExceeded(Nanos),
}

/// A call that a policy did not let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The policy that refused.
    pub policy: Kind,
    /// The index of that policy, counted from the outermost.
    pub index: usize,
    /// Why the policy refused.
    pub reason: Reason,
    /// The time after which a call may succeed, where the policy knows it.
    pub retry_after: Option<Nanos>,
}

/// Reasons for a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The rate limit has no token in time.
    NoToken,
    /// The call costs more tokens than the rate limit ever holds.
    TooCostly,
    /// The breaker is open, or all its half-open calls are under way.
    Open,
    /// All places and the whole queue are taken.
    Full,
    /// No place came free in time.
    WaitedTooLong,
    /// A call of higher priority took the place in the queue.
    Displaced,
    /// All places are held by calls that wait for this one.
    WaitsForItself,
}

impl Reason {
    /// The reason in words, for the error.
    pub fn text(self) -> &'static str {
        match self {
            Self::NoToken => "no token is left",
            Self::TooCostly => "the call costs more tokens than the limit ever holds",
            Self::Open => "the circuit is open",
            Self::Full => "as many calls as are allowed are running and waiting",
            Self::WaitedTooLong => "no place came free in the time a call may wait",
            Self::Displaced => "a call of higher priority took its place in the full queue",
            Self::WaitsForItself => {
                "all places are held by calls that this one is made from, so that it would wait for itself"
            }
        }
    }
}
