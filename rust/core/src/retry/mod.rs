//! Retry: how long to wait before another attempt, and whether there is one.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::Nanos;

/// How often, and after which waits. Waits grow by a factor up to a cap; jitter makes a part of each random
/// ("full jitter" where it is the whole: Brooker, *Exponential Backoff and Jitter*, AWS Architecture Blog, 2015).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Calls in all; the first one counts.
    pub max_attempts: u32,
    /// Before the second attempt.
    pub wait: Nanos,
    /// Each further wait is so many times the one before.
    pub backoff: f64,
    /// No wait is longer, and no `retry_after` beyond it is waited for.
    pub max_wait: Nanos,
    /// The random part of a wait, from 0 to 1.
    pub jitter: f64,
    /// Since the first attempt; no attempt begins after it.
    pub max_time: Option<Nanos>,
}

/// The arithmetic of one retry policy, with its source of randomness.
#[derive(Debug)]
pub struct Retry {
    settings: Settings,
    random: AtomicU64,
}

impl Retry {
    /// With a seed for the jitter.
    #[must_use]
    pub fn new(settings: Settings, seed: u64) -> Self {
        Self { settings, random: AtomicU64::new(seed) }
    }

    /// How long to wait after failed attempt number `attempt` (the first is 1), or None where it was the last one.
    ///
    /// `retry_after` is what the failure asked for; `elapsed` is since the first attempt began; `budget` is how much
    /// time a limit further outside leaves.
    #[must_use]
    pub fn delay(
        &self,
        attempt: u32,
        retry_after: Option<Nanos>,
        elapsed: Nanos,
        budget: Option<Nanos>,
    ) -> Option<Nanos> {
        let settings = &self.settings;
        let asked = retry_after.unwrap_or(0);
        if attempt >= settings.max_attempts || asked > settings.max_wait {
            return None;
        }
        let delay = self.backoff(attempt).max(asked);
        let in_time = settings.max_time.is_none_or(|max_time| elapsed.saturating_add(delay) <= max_time);
        (in_time && budget.is_none_or(|budget| delay < budget)).then_some(delay)
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "waits need no nanosecond, and `as` saturates"
    )]
    fn backoff(&self, attempt: u32) -> Nanos {
        let settings = &self.settings;
        let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let full = (settings.wait as f64 * settings.backoff.powi(exponent)).min(settings.max_wait as f64);
        let fixed = 1.0 - settings.jitter;
        (full * (fixed + settings.jitter * self.uniform())) as Nanos
    }

    /// A number from 0 to 1: SplitMix64 (Steele, Lea and Flood, 2014), whose state any thread can step.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    fn uniform(&self) -> f64 {
        let mut bits = self.random.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ bits >> 31) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SETTINGS: Settings =
        Settings { max_attempts: 4, wait: 100, backoff: 3.0, max_wait: 500, jitter: 0.0, max_time: None };

    #[test]
    fn waits_grow_up_to_the_cap_and_end_with_the_attempts() {
        let retry = Retry::new(SETTINGS, 0);
        let waits: Vec<_> = (1..=4).map(|attempt| retry.delay(attempt, None, 0, None)).collect();
        assert_eq!(waits, [Some(100), Some(300), Some(500), None]);
    }

    #[test]
    fn a_retry_after_is_waited_for_up_to_the_cap() {
        let retry = Retry::new(SETTINGS, 0);
        assert_eq!(retry.delay(1, Some(400), 0, None), Some(400));
        assert_eq!(retry.delay(1, Some(501), 0, None), None);
    }

    #[test]
    fn no_attempt_begins_after_the_time_is_over() {
        let retry = Retry::new(Settings { max_time: Some(150), ..SETTINGS }, 0);
        assert_eq!(retry.delay(1, None, 50, None), Some(100));
        assert_eq!(retry.delay(1, None, 51, None), None);
        assert_eq!(retry.delay(1, None, 0, Some(100)), None);
    }

    proptest! {
        #[test]
        fn jitter_stays_within_its_part(seed: u64, jitter in 0.0..=1.0, attempt in 1_u32..4) {
            let retry = Retry::new(Settings { jitter, ..SETTINGS }, seed);
            let full = [100.0, 300.0, 500.0][attempt as usize - 1];
            let wait = retry.delay(attempt, None, 0, None).unwrap() as f64;
            prop_assert!(wait <= full && wait >= (full * (1.0 - jitter)).floor());
        }
    }
}
