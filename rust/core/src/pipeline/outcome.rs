//! Outcomes of calls, as callers report them and as they pass outwards.

use super::{Kind, Refusal};
use crate::clock::Nanos;

/// The outcome of a call, as its caller reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The call returned.
    Success,
    /// The call raised an error.
    Failed(Failure),
    /// The call was cancelled from outside.
    Cancelled,
    /// The call was ended because its deadline passed.
    TimedOut,
}

/// The properties of an error that policies use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Failure {
    /// Bit n: the policy at n counts the error as a failure (a retry: as one that may pass).
    pub counts: u32,
    /// The time to wait before another attempt, where the error states one.
    pub retry_after: Option<Nanos>,
    /// How an inner part of the same pipeline ended the call.
    pub within: Option<Within>,
}

/// The policies that count the core's own errors: bit n for the policy at n, as in a [`Failure`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnEndings {
    /// Deadlines that passed in inner code.
    pub timeouts: u32,
    /// Refusals by kind of policy, without and with a `retry_after`.
    pub refusals: [[u32; 2]; Kind::ALL.len()],
}

impl Default for OwnEndings {
    /// Timeouts, and refusals that state when a call may succeed.
    fn default() -> Self {
        Self { timeouts: u32::MAX, refusals: [[0, u32::MAX]; Kind::ALL.len()] }
    }
}

/// How an inner part of the same pipeline ended a call, which it has counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Within {
    /// A policy of this kind refused the call.
    Refused(Kind),
    /// A time limit passed.
    TimedOut,
}

/// How a call ended, as it passes outwards from policy to policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Success,
    Failed(Failure),
    Cancelled,
    /// The time limit at this index passed.
    TimedOut(usize),
    Refused(Refusal),
}
