//! The arithmetic of the generic cell rate algorithm, without storage: as a bucket of tokens, and as a queue.

use std::fmt::Debug;

use super::{LimitError, Rate};
use crate::clock::Nanos;

/// A rate and a burst, in the units of the arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Nanoseconds a token takes to come back.
    pub(super) interval: Nanos,
    /// Tokens in a full bucket.
    pub(super) burst: u64,
}

impl Limit {
    /// Tokens per second, and at most `burst` at once; a burst of zero counts as one.
    pub fn new(rate: Rate, burst: u64) -> Self {
        Self { interval: rate.interval_nanos(), burst: burst.max(1) }
    }

    /// Checks a user's rate and burst; the default burst is the number before the slash.
    ///
    /// # Errors
    /// A burst of zero.
    pub fn checked(rate: Rate, burst: Option<u64>) -> Result<Self, LimitError> {
        match burst {
            Some(0) => Err(LimitError::NoBurst),
            burst => Ok(Self::new(rate, burst.unwrap_or_else(|| rate.default_burst()))),
        }
    }

    /// Tokens a second, as they come out of whole nanoseconds.
    #[expect(clippy::cast_precision_loss, reason = "an interval is at most 1e17")]
    pub fn per_second(&self) -> f64 {
        1e9 / self.interval as f64
    }

    /// Tokens a full bucket holds.
    pub fn burst(&self) -> u64 {
        self.burst
    }

    /// Returns how far ahead of now the arrival time of an empty bucket lies.
    pub(super) fn depth(&self) -> Nanos {
        self.interval.saturating_mul(self.burst)
    }

    /// The tokens in a bucket; negative where tokens were taken ahead.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    pub(super) fn tokens(&self, arrival: Nanos, now: Nanos) -> f64 {
        self.burst as f64 - arrival.saturating_sub(now) as f64 / self.interval as f64
    }

    /// The arrival time of a bucket that holds `tokens` now.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "saturates"
    )]
    pub(super) fn arrival_of(&self, tokens: f64, now: Nanos) -> Nanos {
        now.saturating_add(((self.burst as f64 - tokens).max(0.0) * self.interval as f64).round() as u64)
    }
}

/// The rule that says when a request that takes tokens may go.
pub trait Pacing: Debug + Send + Sync + 'static {
    /// Returns the arrival time after taking `n` tokens, and the wait until that is allowed (zero: now). As an error, the
    /// time until the request fits at all.
    fn take(limit: &Limit, arrival: Nanos, n: u64, now: Nanos) -> Result<(Nanos, Nanos), Nanos>;

    /// Returns the arrival time under a new limit.
    fn handed_on(old: &Limit, new: &Limit, arrival: Nanos, now: Nanos) -> Nanos;
}

/// A bucket of tokens: a request goes at once if there are tokens for it.
#[derive(Debug)]
pub struct Tokens;

/// The leaky bucket as a queue: one interval between any two requests, and at most `burst` in the queue.
#[derive(Debug)]
pub struct Queue;

impl Pacing for Tokens {
    #[inline]
    fn take(limit: &Limit, arrival: Nanos, n: u64, now: Nanos) -> Result<(Nanos, Nanos), Nanos> {
        let next = arrival.max(now).saturating_add(limit.interval.saturating_mul(n));
        Ok((next, next.saturating_sub(now.saturating_add(limit.depth()))))
    }

    /// The tokens stay, as far as the new burst holds them.
    fn handed_on(old: &Limit, new: &Limit, arrival: Nanos, now: Nanos) -> Nanos {
        new.arrival_of(old.tokens(arrival, now), now)
    }
}

impl Pacing for Queue {
    #[inline]
    fn take(limit: &Limit, arrival: Nanos, n: u64, now: Nanos) -> Result<(Nanos, Nanos), Nanos> {
        let start = arrival.max(now);
        let next = start.saturating_add(limit.interval.saturating_mul(n));
        if next > now.saturating_add(limit.depth()) { Err(start - now) } else { Ok((next, start - now)) }
    }

    /// Waiting requests keep their times, and later ones come after them.
    fn handed_on(_: &Limit, _: &Limit, arrival: Nanos, _: Nanos) -> Nanos {
        arrival
    }
}
