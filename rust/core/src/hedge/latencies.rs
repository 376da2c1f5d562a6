//! A running quantile of latencies, in bounded memory, that follows changes.
//!
//! DDSketch (Masson, Rim and Lee, *DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees*,
//! VLDB 2019): counts in buckets with bounds that grow by a constant factor, which bounds the relative error of a
//! quantile. The range is fixed (a microsecond to five hours), and so is the memory. When as many samples
//! as the window holds have come, all counts are halved: the past fades away.

use parking_lot::Mutex;

use crate::clock::Nanos;

/// The factor between the bounds of a bucket: a quantile is off by 5 % at most.
const GROWTH: f64 = 1.1;
/// The least latency; shorter ones count as this long.
const SHORTEST: f64 = 1_000.0;
/// Up to `SHORTEST * GROWTH^BUCKETS`: about five hours.
const BUCKETS: usize = 248;

/// The quantile, and the number of samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// The quantile, from 0 to 1.
    pub quantile: f64,
    /// The number of samples before which there is no quantile.
    pub min_samples: u32,
    /// The number of samples after which earlier ones count half.
    pub window: u32,
}

#[derive(Debug)]
struct Counts {
    buckets: [u32; BUCKETS],
    total: u32,
    /// Samples since counts were halved.
    fresh: u32,
    /// The last result, and the number of samples since.
    quantile: Option<(Nanos, u32)>,
}

/// The latencies of one policy's calls.
#[derive(Debug)]
pub struct Latencies {
    settings: Settings,
    growth: f64,
    counts: Mutex<Counts>,
}

impl Latencies {
    /// Latencies without a sample.
    pub fn new(settings: Settings) -> Self {
        let counts = Counts { buckets: [0; BUCKETS], total: 0, fresh: 0, quantile: None };
        Self { settings, growth: GROWTH.ln(), counts: Mutex::new(counts) }
    }

    /// Records the latency of a call.
    pub fn record(&self, took: Nanos) {
        let bucket = self.bucket(took);
        let mut counts = self.counts.lock();
        counts.buckets[bucket] += 1;
        counts.total += 1;
        counts.fresh += 1;
        if counts.fresh >= self.settings.window {
            counts.fresh = 0;
            let mut total = 0;
            for count in &mut counts.buckets {
                *count /= 2;
                total += *count;
            }
            counts.total = total;
        }
        if let Some((_, age)) = &mut counts.quantile {
            *age += 1;
        }
    }

    /// The quantile, or None before enough samples; computed anew each sixty-fourth of the window.
    pub fn quantile(&self) -> Option<Nanos> {
        let mut counts = self.counts.lock();
        if counts.total < self.settings.min_samples || counts.total == 0 {
            return None;
        }
        match counts.quantile {
            Some((quantile, age)) if age <= self.settings.window / 64 => Some(quantile),
            _ => {
                let quantile = self.reckon(&counts);
                counts.quantile = Some((quantile, 0));
                Some(quantile)
            }
        }
    }

    /// The number of samples that count now.
    pub fn samples(&self) -> u32 {
        self.counts.lock().total
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "buckets are wider than what is lost, and `as` saturates"
    )]
    fn bucket(&self, took: Nanos) -> usize {
        let place = ((took as f64).max(SHORTEST) / SHORTEST).ln() / self.growth;
        (place as usize).min(BUCKETS - 1)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        reason = "there are fewer buckets, and `as` saturates"
    )]
    fn reckon(&self, counts: &Counts) -> Nanos {
        let rank = self.settings.quantile * f64::from(counts.total - 1);
        let (mut below, mut place) = (0, 0);
        for (index, count) in counts.buckets.iter().enumerate() {
            below += count;
            if f64::from(below) > rank {
                place = index;
                break;
            }
        }
        // The middle of the bucket, off by an equal factor from either bound.
        (SHORTEST * GROWTH.powi(place as i32) * 2.0 * GROWTH / (1.0 + GROWTH)) as Nanos
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MILLISECOND: Nanos = 1_000_000;

    fn latencies(quantile: f64, window: u32) -> Latencies {
        Latencies::new(Settings { quantile, min_samples: 10, window })
    }

    #[test]
    fn there_is_none_before_enough_samples() {
        let latencies = latencies(0.5, 1_000);
        for _ in 0..9 {
            latencies.record(MILLISECOND);
            assert_eq!(latencies.quantile(), None);
        }
        latencies.record(MILLISECOND);
        assert!(latencies.quantile().unwrap().abs_diff(MILLISECOND) <= MILLISECOND / 20);
    }

    #[test]
    fn it_follows_a_server_that_became_slower() {
        let latencies = latencies(0.95, 200);
        for _ in 0..10_000 {
            latencies.record(MILLISECOND);
        }
        for _ in 0..200 {
            latencies.record(50 * MILLISECOND);
        }
        let seen = latencies.quantile().unwrap();
        assert!(seen.abs_diff(50 * MILLISECOND) <= 5 * MILLISECOND / 2, "{seen}");
    }

    #[test]
    fn what_is_shorter_or_longer_than_its_range_is_put_at_its_ends() {
        let latencies = latencies(0.0, 1_000);
        for _ in 0..10 {
            latencies.record(0);
        }
        assert!(latencies.quantile().unwrap() < 1_100);
        let latencies = super::tests::latencies(1.0, 1_000);
        for _ in 0..10 {
            latencies.record(u64::MAX);
        }
        assert!(latencies.quantile().unwrap() > 3_600 * 1_000 * MILLISECOND);
    }

    proptest! {
        /// Within the window nothing fades: then it is the sorted samples' own quantile, give or take 5 %.
        #[test]
        fn it_is_near_the_quantile_of_the_sorted_samples(
            samples in prop::collection::vec(2_000_u64..3_600_000_000_000, 10..300),
            quantile in 0.0..=1.0,
        ) {
            let latencies = Latencies::new(Settings { quantile, min_samples: 10, window: 1_000 });
            for took in &samples {
                latencies.record(*took);
            }
            let mut sorted = samples.clone();
            sorted.sort_unstable();
            let exact = sorted[(quantile * (sorted.len() - 1) as f64) as usize] as f64;
            let seen = latencies.quantile().unwrap() as f64;
            prop_assert!((seen - exact).abs() <= exact * 0.0501, "{seen} for {exact}");
        }

        #[test]
        fn memory_and_counts_stay_bounded(samples in prop::collection::vec(any::<u64>(), 1..500), window in 1_u32..50) {
            let latencies = Latencies::new(Settings { quantile: 0.9, min_samples: 1, window });
            for took in &samples {
                latencies.record(*took);
                prop_assert!(latencies.samples() <= 2 * window);
            }
        }
    }
}
