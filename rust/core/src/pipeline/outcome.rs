//! How a call went: what callers report, and how it ended as it passes outwards.

use super::{Kind, Refusal};
use crate::clock::Nanos;

/// How a call went, as its caller saw it.
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

/// An error, as far as policies care.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Failure {
    /// Bit n: the policy at n counts the error as a failure (a retry: as one that may pass).
    pub counts: u32,
    /// The time to wait before another attempt, where the error states one.
    pub retry_after: Option<Nanos>,
    /// How another part of the same pipeline, further inside, ended the call.
    pub within: Option<Within>,
}

/// The policies that count the core's own endings: bit n for the policy at n, as in a [`Failure`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnEndings {
    /// Deadlines that passed further inside.
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

/// How another part of the same pipeline ended a call; that part counted it.
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
