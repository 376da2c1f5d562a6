//! The arithmetic of the generic cell rate algorithm, without storage.

use super::Rate;
use crate::clock::Nanos;

/// What a bucket says to a request for tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The tokens were taken.
    Admitted,
    /// Nothing was taken; as things stand, the tokens will be there after so many nanoseconds (never zero).
    Wait(Nanos),
    /// Nothing was taken, and never will be: more tokens than the bucket holds were asked for.
    TooMany,
}

/// What a bucket says to a request for tokens that may be taken ahead of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reservation {
    /// The tokens were taken and are good after so many nanoseconds (zero: now). Who gives up waiting gives them back.
    Granted(Nanos),
    /// Nothing was taken; as things stand, the tokens will be there after so many nanoseconds.
    Refused(Nanos),
    /// Nothing was taken, and never will be: more tokens than the bucket holds were asked for.
    TooMany,
}

/// A rate and a burst, in the units of the arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Nanoseconds a token takes to come back.
    pub(super) interval: Nanos,
    /// Tokens a full bucket holds.
    pub(super) burst: u64,
}

impl Limit {
    /// So many tokens a second, and at most `burst` at once; a burst of zero counts as one.
    #[must_use]
    pub fn new(rate: Rate, burst: u64) -> Self {
        Self { interval: rate.interval_nanos(), burst: burst.max(1) }
    }

    /// Tokens a second, as they come out of whole nanoseconds.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "an interval is at most 1e17")]
    pub fn per_second(&self) -> f64 {
        1e9 / self.interval as f64
    }

    /// Tokens a full bucket holds.
    #[must_use]
    pub fn burst(&self) -> u64 {
        self.burst
    }

    /// How far ahead of now the arrival time of an empty bucket lies.
    pub(super) fn depth(&self) -> Nanos {
        self.interval.saturating_mul(self.burst)
    }

    /// The arrival time after taking `n` tokens, and how long until that is allowed (zero: now).
    #[inline]
    pub(super) fn take(&self, arrival: Nanos, n: u64, now: Nanos) -> (Nanos, Nanos) {
        let next = arrival.max(now).saturating_add(self.interval.saturating_mul(n));
        (next, next.saturating_sub(now.saturating_add(self.depth())))
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
