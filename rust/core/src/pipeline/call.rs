//! The state of one call, on its caller's stack.

use std::sync::Arc;

use super::{Cost, Decision};
use crate::bulkhead::Ticket;
use crate::clock::Nanos;
use crate::rate_limit::{AnyLimiter, Claim};

/// Numbers that the policies of a call may keep together.
pub(super) const SLOTS: usize = 16;

/// Code outside ends waits at its own deadline, with its own error; so a call waits for a place
/// this much longer.
const GRACE: Nanos = 20_000_000;

/// The position of a call in a pipeline, and what it holds there. Dropping a call that has entered loses places:
/// every call is left or abandoned.
#[derive(Debug)]
pub struct Call {
    /// The next stage inwards: all before it have been entered.
    pub(super) position: usize,
    /// The tokens taken ahead from the limit before `position`, which the call waits for; zero: none.
    pub(super) claim: Claim,
    /// The last attempt that a retry gave up; zero: none.
    pub(super) attempt: u32,
    /// The number of further attempts, of all retries.
    pub(super) repeats: u32,
    /// Whether the budget refused another attempt.
    pub(super) overdrawn: bool,
    /// Bit n: the result is unwanted by the retry at n.
    pub(super) unwanted: u32,
    /// The time when it began.
    pub(super) started: Nanos,
    /// The earliest deadline of the time limits entered; zero: none.
    deadline: Nanos,
    /// A deadline kept outside, beyond which the call does not wait; zero: none.
    horizon: Nanos,
    /// The ticket in the queue of the stage at `position`.
    pub(super) ticket: Option<Arc<Ticket>>,
    pub(super) slots: [u64; SLOTS],
}

impl Call {
    /// A call that begins now, outside of all stages.
    #[inline]
    pub fn new(now: Nanos) -> Self {
        Self {
            position: 0,
            claim: 0,
            attempt: 0,
            repeats: 0,
            overdrawn: false,
            unwanted: 0,
            started: now,
            deadline: 0,
            horizon: 0,
            ticket: None,
            slots: [0; SLOTS],
        }
    }

    /// The time when it began.
    pub fn started(&self) -> Nanos {
        self.started
    }

    /// The next stage inwards; of a queued call, the stage of the queue.
    pub fn position(&self) -> usize {
        self.position
    }

    /// The number of the attempt to repeat; the first is 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The number of attempts so far.
    pub fn attempts(&self) -> u32 {
        self.repeats.saturating_add(1)
    }

    /// Whether only the budget refused another attempt.
    pub fn is_overdrawn(&self) -> bool {
        self.overdrawn
    }

    /// Marks its result as unwanted before it is left as a success: bit n, by the retry at n.
    pub fn set_unwanted(&mut self, bits: u32) {
        self.unwanted = bits;
    }

    /// The earliest deadline of the time limits around it.
    #[inline]
    pub fn deadline(&self) -> Option<Nanos> {
        (self.deadline != 0).then_some(self.deadline)
    }

    /// Sets a deadline kept outside, beyond which the call does not wait.
    pub fn set_horizon(&mut self, deadline: Nanos) {
        self.horizon = deadline.max(1); // before time began it has passed as well; zero would be none
    }

    /// The deadline kept outside.
    pub fn horizon(&self) -> Option<Nanos> {
        (self.horizon != 0).then_some(self.horizon)
    }

    /// The earliest deadline for inner code, kept here or outside.
    #[inline]
    pub fn around(&self) -> Option<Nanos> {
        self.deadline().into_iter().chain(self.horizon()).min()
    }

    /// Nanoseconds until the earliest deadline, kept here or outside.
    #[inline]
    pub(super) fn time_left(&self, now: Nanos) -> Option<Nanos> {
        self.around().map(|deadline| deadline.saturating_sub(now))
    }

    /// Joins a queue, for at most a time and never beyond its deadline.
    pub(super) fn queue(&mut self, ticket: Arc<Ticket>, max_wait: Option<Nanos>, now: Nanos) -> Decision {
        self.ticket = Some(Arc::clone(&ticket));
        let limit = max_wait.map(|wait| now.saturating_add(wait));
        let horizon = self.horizon().map(|horizon| horizon.saturating_add(GRACE));
        Decision::Queue(ticket, limit.into_iter().chain(self.deadline()).chain(horizon).min())
    }

    /// Enters a time limit: stores its deadline, and the earliest deadline before.
    #[inline]
    pub(super) fn set_deadline(&mut self, slot: usize, deadline: Nanos) {
        self.slots[slot] = deadline;
        self.slots[slot + 1] = self.deadline;
        if self.deadline == 0 || deadline < self.deadline {
            self.deadline = deadline;
        }
    }

    /// Leaves a time limit.
    #[inline]
    pub(super) fn restore_deadline(&mut self, slot: usize) {
        self.deadline = self.slots[slot + 1];
    }

    /// The number of tokens it takes from the limit at `slot`.
    #[inline]
    pub(super) fn cost(&self, cost: Cost, limiter: &AnyLimiter, slot: usize) -> u64 {
        match cost {
            Cost::Fixed(n) => n,
            Cost::Told => self.slots[slot + usize::from(limiter.is_keyed())],
        }
    }
}
