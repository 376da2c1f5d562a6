//! Durations of the calls of a pipeline: whole nanoseconds in the buckets of its histogram.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;

use crate::clock::{Nanos, seconds_from_nanos};
use crate::metrics::{CountSource, DEFAULT_SECONDS, DistributionSource};

/// One more than there are bounds.
const BUCKETS: usize = DEFAULT_SECONDS.len() + 1;

/// The bounds of [`DEFAULT_SECONDS`].
const BOUNDS: [Nanos; BUCKETS - 1] = {
    let mut bounds = [0; BUCKETS - 1];
    let mut index = 0;
    while index < bounds.len() {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds from 0.005 to 10")]
        let nanos = (DEFAULT_SECONDS[index] * 1e9 + 0.5) as Nanos;
        bounds[index] = nanos;
        index += 1;
    }
    bounds
};

/// A sum of nanoseconds that is carried over to whole seconds long before it is full: a thousand calls at once fill it
/// in half a year.
const CARRY: Nanos = 1 << 62;

/// A distribution of durations, successes apart, so that their number needs no counter.
///
/// A call adds to one bucket and to the sum: two atomic additions, of integers.
#[derive(Debug, Default)]
pub(super) struct Durations {
    successes: [AtomicU64; BUCKETS],
    others: [AtomicU64; BUCKETS],
    nanos: AtomicU64,
    /// Seconds carried over; locked also while the sum is read.
    carried: Mutex<f64>,
}

impl Durations {
    #[inline]
    pub(super) fn record(&self, success: bool, took: Nanos) {
        let counts = if success { &self.successes } else { &self.others };
        counts[bucket(took)].fetch_add(1, Relaxed);
        if self.nanos.fetch_add(took.min(CARRY), Relaxed) >= CARRY {
            self.carry();
        }
    }

    #[cold]
    fn carry(&self) {
        let mut carried = self.carried.lock();
        if self.nanos.fetch_update(Relaxed, Relaxed, |nanos| nanos.checked_sub(CARRY)).is_ok() {
            *carried += seconds_from_nanos(CARRY);
        }
    }
}

/// The number of bounds below a duration. Most fast calls end below the first.
#[inline]
fn bucket(took: Nanos) -> usize {
    if took <= BOUNDS[0] { 0 } else { BOUNDS.iter().map(|bound| usize::from(*bound < took)).sum() }
}

impl CountSource for Durations {
    /// The number of successes.
    fn count(&self) -> u64 {
        self.successes.iter().map(|count| count.load(Relaxed)).sum()
    }
}

impl DistributionSource for Durations {
    fn bounds(&self) -> &[f64] {
        &DEFAULT_SECONDS
    }

    fn add_to(&self, counts: &mut [u64]) -> f64 {
        for (count, (success, other)) in counts.iter_mut().zip(self.successes.iter().zip(&self.others)) {
            *count += success.load(Relaxed) + other.load(Relaxed);
        }
        let carried = self.carried.lock();
        *carried + seconds_from_nanos(self.nanos.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn point(durations: &Durations) -> ([u64; BUCKETS], f64) {
        let mut counts = [0; BUCKETS];
        let sum = durations.add_to(&mut counts);
        (counts, sum)
    }

    #[test]
    fn successes_are_told_from_the_rest() {
        let durations = Durations::default();
        durations.record(true, 1_000);
        durations.record(false, 20_000_000_000);
        let (counts, sum) = point(&durations);
        assert_eq!((durations.count(), counts[0], counts[BUCKETS - 1]), (1, 1, 1));
        assert!((sum - 20.000_001).abs() < 1e-9);
    }

    #[test]
    fn the_sum_does_not_overflow() {
        let durations = Durations::default();
        for _ in 0..9 {
            durations.record(true, Nanos::MAX);
        }
        let expected = 9.0 * seconds_from_nanos(CARRY);
        assert!((point(&durations).1 - expected).abs() < expected * 1e-12);
    }

    proptest! {
        /// A bound belongs to its bucket, as in the histograms of the registry.
        #[test]
        fn falls_into_the_bucket_that_its_seconds_say(took in prop_oneof![
            0..20_000_000_000_u64,
            prop::sample::select(BOUNDS.to_vec()),
            prop::sample::select(BOUNDS.map(|bound| bound + 1).to_vec()),
        ]) {
            let below = DEFAULT_SECONDS.iter().filter(|bound| **bound < seconds_from_nanos(took)).count();
            prop_assert_eq!(bucket(took), below);
        }
    }
}
