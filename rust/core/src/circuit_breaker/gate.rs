//! The lock-free path of calls: one word, read on the way in and, where calls are counted, raised on the way out.

#[cfg(loom)]
use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicU64, Ordering};

use super::Permit;
use crate::clock::Nanos;

const SUCCESSES: u64 = 0xffff_ffff;

/// A period during which calls pass without the lock: its generation, whether successes are counted, and
/// whether a success has to be told at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket(u32);

impl Ticket {
    /// Calls need the lock.
    pub(super) const ASK: Self = Self(0);

    pub(super) fn new(permit: Permit, at_once: bool) -> Self {
        Self(permit.number() | u32::from(at_once))
    }

    fn of(word: u64) -> Self {
        Self((word >> 32) as u32)
    }

    fn word(self) -> u64 {
        u64::from(self.0) << 32
    }

    fn same_period(self, other: Self) -> bool {
        self.0 | 1 == other.0 | 1
    }
}

/// The upper half of the word is the [`Ticket`], the lower half how many successes have not been told to the window.
///
/// The ticket changes only under the breaker's lock; any thread adds successes. Both are in one word, so
/// that no success of a period is added to another period, and none is lost.
#[derive(Debug)]
pub(super) struct Gate {
    word: AtomicU64,
    /// The time until which successes may be added together; see `Window::until`.
    until: AtomicU64,
}

impl Gate {
    pub(super) fn new(ticket: Ticket, until: Nanos) -> Self {
        Self { word: AtomicU64::new(ticket.word()), until: AtomicU64::new(until) }
    }

    /// A permit, unless the call needs the lock.
    #[inline]
    pub(super) fn admit(&self) -> Option<Permit> {
        match Ticket::of(self.word.load(Ordering::Acquire)) {
            Ticket::ASK => None,
            Ticket(number) => Some(Permit::of_number(number & !1)),
        }
    }

    /// Adds a success that was not slow; false where it needs the lock.
    #[inline]
    pub(super) fn succeeded(&self, permit: Permit, now: Nanos) -> bool {
        let mut seen = self.word.load(Ordering::Acquire);
        loop {
            if Ticket::of(seen).0 != permit.number() {
                return false;
            }
            if !permit.is_counted() {
                return true;
            }
            if seen & SUCCESSES == SUCCESSES || now >= self.until.load(Ordering::Relaxed) {
                return false;
            }
            match self.word.compare_exchange_weak(seen, seen + 1, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return true,
                Err(other) => seen = other,
            }
        }
    }

    /// Takes the successes added since the last time; under the breaker's lock.
    pub(super) fn take(&self) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "the lower half of the word")]
        let successes = self.word.fetch_and(!SUCCESSES, Ordering::AcqRel) as u32;
        successes
    }

    /// Begins another period, and forgets additions to earlier ones; under the breaker's lock.
    pub(super) fn publish(&self, ticket: Ticket, until: Nanos) {
        self.until.store(until, Ordering::Relaxed);
        let before = Ticket::of(self.word.load(Ordering::Relaxed));
        if before == ticket {
            return;
        }
        if before.same_period(ticket) {
            self.word.fetch_xor(Ticket(before.0 ^ ticket.0).word(), Ordering::AcqRel);
        } else {
            self.word.swap(ticket.word(), Ordering::AcqRel);
        }
    }
}
