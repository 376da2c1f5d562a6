//! How long to wait before the next attempt, if nothing else is asked for.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::Nanos;
use crate::random::{STEP, uniform};

/// By how much the end of the range of a decorrelated wait exceeds the wait before (Brooker, 2015).
const DECORRELATION: f64 = 3.0;

/// A rule for waits. Brooker, *Exponential Backoff and Jitter*, AWS Architecture Blog, 2015, compares them.
#[derive(Debug, Clone, PartialEq)]
pub enum Waits {
    /// Growing by a factor, with a random part.
    Growing {
        /// Before the second attempt.
        wait: Nanos,
        /// Each further wait is so many times the one before.
        backoff: f64,
        /// The random part of a wait, from 0 to 1 (1: "full jitter").
        jitter: f64,
    },
    /// These, and the last one for all attempts beyond, with a random part.
    Listed {
        /// In their order; none: no wait at all.
        waits: Box<[Nanos]>,
        /// The random part of a wait, from 0 to 1.
        jitter: f64,
    },
    /// Random from the first wait up to three times the one before ("decorrelated jitter").
    Decorrelated {
        /// The least, and where it begins.
        wait: Nanos,
    },
}

impl Waits {
    /// How long before attempt number `attempt + 1`, where the wait before it was `last`; never more than `most`.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "waits need no nanosecond, and `as` saturates"
    )]
    pub(super) fn next(&self, attempt: u32, last: Nanos, most: Nanos, random: &Random) -> Nanos {
        let past = attempt.saturating_sub(1);
        let wait = match self {
            Self::Growing { wait, backoff, jitter } => {
                let exponent = i32::try_from(past).unwrap_or(i32::MAX);
                // However often nothing is multiplied, it stays nothing.
                let factor = backoff.powi(exponent).min(f64::MAX);
                let full = (*wait as f64 * factor).min(most as f64);
                full * (1.0 - jitter + jitter * random.uniform())
            }
            Self::Listed { waits, jitter } => {
                let place = usize::try_from(past).unwrap_or(usize::MAX).min(waits.len().saturating_sub(1));
                let full = waits.get(place).copied().unwrap_or(0).min(most) as f64;
                full * (1.0 - jitter + jitter * random.uniform())
            }
            Self::Decorrelated { wait } => {
                let least = *wait as f64;
                let end = (last.max(*wait) as f64 * DECORRELATION).min(most as f64).max(least);
                least + (end - least) * random.uniform()
            }
        };
        (wait as Nanos).min(most)
    }
}

/// Random numbers of one policy, for any thread.
#[derive(Debug)]
pub(super) struct Random(AtomicU64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    fn uniform(&self) -> f64 {
        uniform(self.0.fetch_add(STEP, Ordering::Relaxed))
    }
}
