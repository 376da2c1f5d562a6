//! What callers and the pipeline say to each other.

use std::sync::Arc;

use super::Kind;
use crate::bulkhead::Ticket;
use crate::clock::Nanos;

/// How a call went, seen from inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It returned.
    Success,
    /// It raised an error.
    Failed(Failure),
    /// It was cancelled from outside.
    Cancelled,
    /// It was ended because its deadline passed.
    TimedOut,
}

/// An error, as far as policies care.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Failure {
    /// Bit n: to the policy at n this is a failure (and to a retry: one that may pass).
    pub counts: u32,
    /// How long to wait before another attempt, where the error says so.
    pub retry_after: Option<Nanos>,
    /// A part of the same pipeline, further inside, ended the call: it is counted as what it was there.
    pub within: Option<Within>,
}

/// For which policies the core's own endings count: bit n for the policy at n, as in a [`Failure`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnEndings {
    /// A deadline that passed inside.
    pub timeouts: u32,
    /// Refusals by kind, and by whether they say after how long a call may succeed.
    pub refusals: [[u32; 2]; Kind::ALL.len()],
}

impl Default for OwnEndings {
    /// All that may pass.
    fn default() -> Self {
        Self { timeouts: u32::MAX, refusals: [[0, u32::MAX]; Kind::ALL.len()] }
    }
}

/// How another part of the same pipeline ended a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Within {
    /// Refused by that policy.
    Refused(Kind),
    /// By a time limit.
    TimedOut,
}

/// What is to be done before a call proceeds.
#[derive(Debug)]
pub enum Step {
    /// Make the call now, and leave with its outcome.
    Proceed,
    /// Wait so long, then enter again.
    Wait(Nanos),
    /// Wait for the ticket, then go on by `enter_granted`; where it was displaced, or at that time if one is given, by
    /// `give_up`.
    Queue(Arc<Ticket>, Option<Nanos>),
    /// A retry takes the refusal or expiry for one that may pass: wait so long, then enter again.
    Again(Nanos),
    /// The fallback at that place gives what the caller gets; leave with how that goes.
    FallBack(usize, Why),
    /// The call is not made.
    Refuse(Refusal),
    /// A time limit passed before the call was made: the limit.
    DeadlineExceeded(Nanos),
}

/// What is to be done after a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Return its result.
    Return,
    /// Raise its error.
    Raise,
    /// Raise that a time limit passed: the limit.
    DeadlineExceeded(Nanos),
    /// Wait so long, then enter again and make the call again.
    RetryAfter(Nanos),
    /// The fallback at that place gives what the caller gets; leave with how that goes.
    FallBack(usize, Why),
}

/// For what a fallback is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The call raised an error.
    Raised,
    /// A policy inside refused it.
    Refused(Refusal),
    /// A time limit inside passed: the limit.
    DeadlineExceeded(Nanos),
}

/// Why a call is not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// Which policy refused.
    pub policy: Kind,
    /// Its place, counted from the outermost.
    pub index: usize,
    /// Why.
    pub reason: Reason,
    /// After how long a call may succeed, where that is known.
    pub retry_after: Option<Nanos>,
}

/// Reasons for a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The rate limit has no token in time.
    NoToken,
    /// The call costs more than the rate limit ever holds.
    TooCostly,
    /// The breaker is open, or all its trials are under way.
    Open,
    /// Places and queue are full.
    Full,
    /// No place came free in time.
    WaitedTooLong,
    /// A call of higher priority took its place in the queue.
    Displaced,
    /// All places are held by calls that it is made from.
    WaitsForItself,
}

impl Reason {
    /// In words.
    #[must_use]
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

/// What keeps a call from passing further outwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Halt {
    /// A retry enters again, after so long.
    Again(Nanos),
    /// The fallback at that place.
    FallBack(usize),
}

/// How a call ended, as it passes outwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Success,
    Failed(Failure),
    Cancelled,
    /// By the time limit at that place.
    TimedOut(usize),
    Refused(Kind, Option<Nanos>),
}
