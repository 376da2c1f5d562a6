//! Backoffs: the time to wait before the next attempt.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::Nanos;
use crate::random::{STEP, uniform};

/// The factor by which a decorrelated backoff may exceed the last one (Brooker, 2015).
const DECORRELATION: f64 = 3.0;

/// A rule for backoffs. Brooker, *Exponential Backoff and Jitter*, AWS Architecture Blog, 2015, compares them.
#[derive(Debug, Clone, PartialEq)]
pub enum Backoffs {
    /// Backoffs that grow by a factor, with a random share.
    Growing {
        /// The backoff before the second attempt.
        initial: Nanos,
        /// The factor between one backoff and the next.
        multiplier: f64,
        /// The random share of a backoff, from 0 to 1 (1: "full jitter").
        jitter: f64,
    },
    /// Listed backoffs, of which the last one repeats, with a random share.
    Listed {
        /// The backoffs in order; an empty list means no wait.
        backoffs: Box<[Nanos]>,
        /// The random share of a backoff, from 0 to 1.
        jitter: f64,
    },
    /// Random from the initial backoff to three times the last one ("decorrelated jitter").
    Decorrelated {
        /// The least backoff, and the first.
        initial: Nanos,
    },
}

impl Backoffs {
    /// The backoff before attempt number `attempt + 1`, given the `last` one; at most `most`.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "backoffs need no nanosecond, and `as` saturates"
    )]
    pub(super) fn next(&self, attempt: u32, last: Nanos, most: Nanos, random: &Random) -> Nanos {
        let past = attempt.saturating_sub(1);
        let backoff = match self {
            Self::Growing { initial, multiplier, jitter } => {
                let exponent = i32::try_from(past).unwrap_or(i32::MAX);
                // The product stays 0 for an initial backoff of 0, also where the factor overflows.
                let factor = multiplier.powi(exponent).min(f64::MAX);
                let full = (*initial as f64 * factor).min(most as f64);
                full * (1.0 - jitter + jitter * random.uniform())
            }
            Self::Listed { backoffs, jitter } => {
                let index = usize::try_from(past).unwrap_or(usize::MAX).min(backoffs.len().saturating_sub(1));
                let full = backoffs.get(index).copied().unwrap_or(0).min(most) as f64;
                full * (1.0 - jitter + jitter * random.uniform())
            }
            Self::Decorrelated { initial } => {
                let least = *initial as f64;
                let end = (last.max(*initial) as f64 * DECORRELATION).min(most as f64).max(least);
                least + (end - least) * random.uniform()
            }
        };
        (backoff as Nanos).min(most)
    }
}

/// The random numbers of one policy, for any thread.
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
