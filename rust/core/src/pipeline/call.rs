//! What one call has to remember, on its caller's stack.

use std::sync::Arc;

use super::{Cost, Decision};
use crate::bulkhead::Ticket;
use crate::clock::Nanos;
use crate::rate_limit::{AnyLimiter, Claim};

/// Numbers that the policies of a call may keep together.
pub(super) const SLOTS: usize = 16;

/// Whoever keeps a deadline outside ends the wait by it, and says so in his own words; where it is only told, a place is
/// waited for this much longer.
const GRACE: Nanos = 20_000_000;

/// Where a call is in a pipeline, and what it holds there. Who drops one that has entered loses places and permits:
/// every call is left or abandoned.
#[derive(Debug)]
pub struct Call {
    /// The next stage inwards: all before it have been entered.
    pub(super) position: usize,
    /// What of the limit before `position` was taken ahead and is still being waited for; zero: nothing.
    pub(super) claim: Claim,
    /// The attempt that a retry gave up last; zero: none.
    pub(super) attempt: u32,
    /// How often it was made again, for whichever retry.
    pub(super) repeats: u32,
    /// The budget did not allow to make it again.
    pub(super) overdrawn: bool,
    /// Bit n: to the retry at n, what it returned is not what was wanted.
    pub(super) unwanted: u32,
    /// When it began.
    pub(super) started: Nanos,
    /// The earliest deadline of the time limits entered; zero: none.
    deadline: Nanos,
    /// A deadline that somebody else keeps, so that nothing is waited for beyond it; zero: none.
    horizon: Nanos,
    /// The place in the queue of the stage at `position`.
    pub(super) ticket: Option<Arc<Ticket>>,
    pub(super) slots: [u64; SLOTS],
}

impl Call {
    /// A call that begins now, outside of everything.
    #[inline]
    #[must_use]
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

    /// When it began.
    #[must_use]
    pub fn started(&self) -> Nanos {
        self.started
    }

    /// The next stage inwards; of a call in a queue the one whose it is.
    #[must_use]
    pub fn position(&self) -> usize {
        self.position
    }

    /// The number of the attempt that is to be repeated; the first is 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// How often it was tried, repetitions included.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.repeats.saturating_add(1)
    }

    /// Whether it would have been tried again, had the budget allowed it.
    #[must_use]
    pub fn is_overdrawn(&self) -> bool {
        self.overdrawn
    }

    /// Tells it before it is left as a success that what it returned is not what was wanted: bit n, to the retry at n.
    pub fn set_unwanted(&mut self, bits: u32) {
        self.unwanted = bits;
    }

    /// The earliest deadline of the time limits around it.
    #[inline]
    #[must_use]
    pub fn deadline(&self) -> Option<Nanos> {
        (self.deadline != 0).then_some(self.deadline)
    }

    /// Tells it of a deadline that somebody outside keeps: nothing is waited for beyond it.
    pub fn set_horizon(&mut self, deadline: Nanos) {
        self.horizon = deadline.max(1); // before time began it has passed as well; zero would be none
    }

    /// The deadline that somebody outside keeps.
    #[must_use]
    pub fn horizon(&self) -> Option<Nanos> {
        (self.horizon != 0).then_some(self.horizon)
    }

    /// The earliest deadline for what is further inside, whoever keeps it.
    #[inline]
    #[must_use]
    pub fn around(&self) -> Option<Nanos> {
        self.deadline().into_iter().chain(self.horizon()).min()
    }

    /// Nanoseconds until the earliest deadline, kept here or outside.
    #[inline]
    pub(super) fn time_left(&self, now: Nanos) -> Option<Nanos> {
        self.around().map(|deadline| deadline.saturating_sub(now))
    }

    /// Joins a queue, at most so long and never beyond a deadline around it.
    pub(super) fn queue(&mut self, ticket: Arc<Ticket>, max_wait: Option<Nanos>, now: Nanos) -> Decision {
        self.ticket = Some(Arc::clone(&ticket));
        let limit = max_wait.map(|wait| now.saturating_add(wait));
        let horizon = self.horizon().map(|horizon| horizon.saturating_add(GRACE));
        Decision::Queue(ticket, limit.into_iter().chain(self.deadline()).chain(horizon).min())
    }

    /// Enters a time limit: its deadline, and behind it the one that was the earliest so far.
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

    /// How many tokens it takes from the limit whose numbers are at `slot`.
    #[inline]
    pub(super) fn cost(&self, cost: Cost, limiter: &AnyLimiter, slot: usize) -> u64 {
        match cost {
            Cost::Fixed(n) => n,
            Cost::Told => self.slots[slot + usize::from(limiter.is_keyed())],
        }
    }
}
