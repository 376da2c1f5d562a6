//! A budget of further attempts, as a share of calls, so that retries do not bury a failing server.
//!
//! As Finagle's `RetryBudget` (Twitter): a share of the calls, and a few a second for rare callers. Unlike
//! there, a call deposits nothing when it begins: the budget is computed from the count of calls when an attempt
//! spends it, so that a call which succeeds at once pays nothing. Savings are bounded as in gRPC's
//! `retryThrottling` (proposal A6).

#[cfg(loom)]
use loom::sync::atomic::AtomicU64;
#[cfg(not(loom))]
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use crate::clock::Nanos;

/// Tokens are counted in millionths, so that a share of a call is a whole number.
const TOKEN: u64 = 1_000_000;

/// The settings of a budget.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Further attempts for each call that ended.
    pub ratio: f64,
    /// Further attempts a second besides.
    pub min_per_second: f64,
    /// The most that are saved; it begins with them.
    pub burst: u32,
}

/// The statistics of a budget.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Statistics {
    /// Further attempts left now.
    pub balance: f64,
    /// Further attempts that it allowed.
    pub granted: u64,
    /// Further attempts that it refused.
    pub refused: u64,
}

/// One budget, shared by retries and hedges: one atomic number, moved by compare-and-swap.
#[derive(Debug)]
pub struct Budget {
    settings: Settings,
    per_call: u64,
    per_second: u64,
    burst: u64,
    /// The number of calls and the time at which it began to earn.
    origin: (u64, Nanos),
    /// The part of all earnings that was spent; earnings beyond the burst count as spent.
    spent: AtomicU64,
    granted: AtomicU64,
    refused: AtomicU64,
}

impl Budget {
    /// A full budget that earns from now on, at this number of ended calls.
    pub fn new(settings: Settings, calls: u64, now: Nanos) -> Self {
        let burst = u64::from(settings.burst) * TOKEN;
        Self {
            settings,
            per_call: in_millionths(settings.ratio),
            per_second: in_millionths(settings.min_per_second),
            burst,
            origin: (calls, now),
            spent: AtomicU64::new(0),
            granted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// This budget with other settings; its rest, up to the new burst, and its counts stay.
    pub fn replaced(&self, settings: Settings, calls: u64, now: Nanos) -> Self {
        let next = Self::new(settings, calls, now);
        let left = self.left(self.earned(calls, now)).min(next.burst);
        next.spent.store(next.burst - left, Ordering::Relaxed);
        next.granted.store(self.granted.load(Ordering::Relaxed), Ordering::Relaxed);
        next.refused.store(self.refused.load(Ordering::Relaxed), Ordering::Relaxed);
        next
    }

    /// Its settings.
    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// Takes a further attempt, if there is one; `calls` is the number of calls ended so far.
    pub fn withdraw(&self, calls: u64, now: Nanos) -> bool {
        let earned = self.earned(calls, now);
        let least = earned.saturating_sub(self.burst);
        let withdrawn = self.spent.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |spent| {
            let next = spent.max(least).saturating_add(TOKEN);
            (next <= earned).then_some(next)
        });
        let counter = if withdrawn.is_ok() { &self.granted } else { &self.refused };
        counter.fetch_add(1, Ordering::Relaxed);
        withdrawn.is_ok()
    }

    /// Its statistics now.
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    pub fn statistics(&self, calls: u64, now: Nanos) -> Statistics {
        Statistics {
            balance: self.left(self.earned(calls, now)) as f64 / TOKEN as f64,
            granted: self.granted.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }

    /// All earnings so far.
    fn earned(&self, calls: u64, now: Nanos) -> u64 {
        let (calls, elapsed) = (calls.saturating_sub(self.origin.0), now.saturating_sub(self.origin.1));
        let in_time = u128::from(elapsed) * u128::from(self.per_second) / 1_000_000_000;
        self.burst
            .saturating_add(calls.saturating_mul(self.per_call))
            .saturating_add(u64::try_from(in_time).unwrap_or(u64::MAX))
    }

    fn left(&self, earned: u64) -> u64 {
        let spent = self.spent.load(Ordering::Relaxed).max(earned.saturating_sub(self.burst));
        earned.saturating_sub(spent)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
fn in_millionths(number: f64) -> u64 {
    (number * 1e6).round() as u64
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Nanos = 1_000_000_000;

    #[test]
    fn it_begins_full_and_earns_by_calls_and_by_time() {
        let budget = Budget::new(Settings { ratio: 0.2, min_per_second: 1.0, burst: 2 }, 100, 7);
        let spend = |calls, now| budget.withdraw(calls, now);
        assert_eq!([spend(100, 7), spend(100, 7), spend(100, 7)], [true, true, false]);
        assert!(!spend(104, 7) && spend(105, 7), "five calls earn one");
        assert!(!spend(105, 7 + SECOND - 1000) && spend(105, 7 + SECOND), "so does a second");
        assert_eq!(budget.statistics(105, 7 + SECOND), Statistics { balance: 0.0, granted: 4, refused: 3 });
    }

    #[test]
    fn no_more_is_saved_up_than_the_burst() {
        let budget = Budget::new(Settings { ratio: 1.0, min_per_second: 10.0, burst: 3 }, 0, 0);
        assert_eq!((0..9).filter(|_| budget.withdraw(1_000_000, 1_000 * SECOND)).count(), 3);
    }

    #[test]
    fn a_budget_of_nothing_allows_nothing_and_an_endless_one_everything() {
        let none = Budget::new(Settings { ratio: 0.0, min_per_second: 0.0, burst: 0 }, 0, 0);
        assert!(!none.withdraw(u64::MAX, u64::MAX));
        let endless = Budget::new(Settings { ratio: 1e300, min_per_second: 1e300, burst: u32::MAX }, 0, 0);
        assert!((0..100).all(|_| endless.withdraw(1, 1)));
    }

    #[test]
    fn other_settings_keep_what_is_left() {
        let first = Budget::new(Settings { ratio: 0.1, min_per_second: 0.0, burst: 10 }, 0, 0);
        assert!((0..7).all(|_| first.withdraw(0, 0)));
        let second = first.replaced(Settings { ratio: 0.5, min_per_second: 0.0, burst: 5 }, 1_000_000, 0);
        assert_eq!(second.statistics(1_000_000, 0), Statistics { balance: 5.0, granted: 7, refused: 0 });
        let first = Budget::new(Settings { ratio: 0.1, min_per_second: 0.0, burst: 10 }, 0, 0);
        assert!((0..7).all(|_| first.withdraw(0, 0)));
        let second = first.replaced(Settings { ratio: 0.5, min_per_second: 0.0, burst: 50 }, 10, 0);
        assert_eq!(second.statistics(10, 0).balance, 4.0);
        assert_eq!(second.statistics(12, 0).balance, 5.0);
    }

    proptest! {
        /// A bucket that is filled at each call and each step of time, and never holds more than the burst.
        #[test]
        fn it_behaves_like_a_bucket_filled_by_hand(
            ratio in 0_u32..30, per_second in 0_u32..30, burst in 0_u32..6,
            steps in prop::collection::vec((0_u64..4, 0_u64..3, any::<bool>()), 1..100),
        ) {
            let settings = Settings {
                ratio: f64::from(ratio) / 10.0, min_per_second: f64::from(per_second) / 10.0, burst,
            };
            let budget = Budget::new(settings, 0, 0);
            let (mut calls, mut now, mut tenths) = (0, 0, u64::from(burst) * 10);
            for (more_calls, seconds, spend) in steps {
                calls += more_calls;
                now += seconds * SECOND;
                tenths = (tenths + more_calls * u64::from(ratio) + seconds * u64::from(per_second))
                    .min(u64::from(burst) * 10);
                if spend {
                    prop_assert_eq!(budget.withdraw(calls, now), tenths >= 10);
                    tenths -= if tenths >= 10 { 10 } else { 0 };
                }
                prop_assert_eq!(budget.statistics(calls, now).balance, tenths as f64 / 10.0);
            }
        }

        #[test]
        fn numbers_of_any_size_do_no_harm(calls: u64, now: u64, ratio in 0.0..1e300, per_second in 0.0..1e300, burst: u32) {
            let budget = Budget::new(Settings { ratio, min_per_second: per_second, burst }, 0, 0);
            budget.withdraw(calls, now);
            budget.replaced(budget.settings(), calls, now).withdraw(now, calls);
        }
    }
}

#[cfg(all(test, loom))]
mod interleavings {
    use loom::sync::Arc;

    use super::*;

    #[test]
    fn loom_two_threads_share_the_last_token_and_one_earned_meanwhile() {
        loom::model(|| {
            let budget = Arc::new(Budget::new(Settings { ratio: 1.0, min_per_second: 0.0, burst: 1 }, 0, 0));
            let other = Arc::clone(&budget);
            let thread = loom::thread::spawn(move || other.withdraw(0, 0));
            let here = budget.withdraw(0, 0);
            assert!(here ^ thread.join().unwrap());
            assert!(budget.withdraw(1, 0) && !budget.withdraw(1, 0));
        });
    }
}
