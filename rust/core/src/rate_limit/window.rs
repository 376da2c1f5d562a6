//! The arithmetic of windows, without storage: a fixed one, and one that slides by weighing two counters.

use std::fmt::Debug;

use super::{Claim, LimitError, Rate};
use crate::clock::Nanos;

/// A number of calls in each period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    pub(super) count: u32,
    pub(super) period: Nanos,
}

/// Tokens used in the window of `last` and in the window before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Used {
    /// The last time for which tokens were taken; ahead of now while a request waits.
    pub(super) last: Nanos,
    pub(super) current: u32,
    pub(super) previous: u32,
}

impl Quota {
    /// Checks a user's rate and burst.
    ///
    /// # Errors
    /// The number is not whole or too large, or there is a burst, which windows do not have.
    pub fn checked(rate: Rate, burst: Option<u64>) -> Result<Self, LimitError> {
        let count = rate.count();
        if burst.is_some() {
            return Err(LimitError::Burst);
        }
        if count.fract() != 0.0 || !(1.0..=f64::from(u32::MAX)).contains(&count) {
            return Err(LimitError::Count(count));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number that fits")]
        Ok(Self { count: count as u32, period: rate.period_nanos() })
    }

    /// Tokens a second.
    #[expect(clippy::cast_precision_loss, reason = "a period is at most 1e17")]
    pub fn per_second(&self) -> f64 {
        f64::from(self.count) * 1e9 / self.period as f64
    }

    /// Tokens in each window.
    pub fn count(&self) -> u64 {
        u64::from(self.count)
    }

    /// Returns when the window of a time began. Windows begin at whole multiples of the period, on the clock's own scale.
    fn start(&self, time: Nanos) -> Nanos {
        time - time % self.period
    }

    /// Returns the number of windows between two times.
    fn windows(&self, from: Nanos, to: Nanos) -> u64 {
        (to / self.period).saturating_sub(from / self.period)
    }

    /// Returns the use as counted at a time in this window or a later one.
    fn seen_from(&self, used: Used, time: Nanos) -> Used {
        let (current, previous) = match self.windows(used.last, time) {
            0 => (used.current, used.previous),
            1 => (0, used.current),
            _ => (0, 0),
        };
        Used { last: time, current, previous }
    }

    /// Returns the tokens of `claim`, if the counters still include its window.
    pub(super) fn cancelled(&self, mut used: Used, claim: Claim, n: u64) -> Used {
        let n = u32::try_from(n).unwrap_or(u32::MAX);
        match self.windows(claim, used.last) {
            0 => used.current = used.current.saturating_sub(n),
            1 => used.previous = used.previous.saturating_sub(n),
            _ => {}
        }
        used
    }

    /// Returns the use less `n` tokens; no count goes below zero.
    pub(super) fn with_less(&self, used: Used, n: u64, now: Nanos) -> Used {
        let mut used = self.seen_from(used, now.max(used.last));
        let n = u32::try_from(n).unwrap_or(u32::MAX);
        let rest = n.saturating_sub(used.current);
        used.current = used.current.saturating_sub(n);
        used.previous = used.previous.saturating_sub(rest);
        used
    }

    /// Returns the use for a new quota, whose windows begin at other times.
    pub(super) fn handed_on(&self, used: Used, now: Nanos) -> Used {
        self.seen_from(used, now.max(used.last))
    }
}

/// The rule by which windows count their use.
pub trait Counting: Debug + Send + Sync + 'static {
    /// Returns the use after taking `n` tokens, at most the quota, and the wait until that is allowed (zero: now).
    fn take(quota: &Quota, used: Used, n: u32, now: Nanos) -> (Used, Nanos);

    /// Returns the tokens left now; zero where tokens were taken ahead.
    fn left(quota: &Quota, used: Used, now: Nanos) -> f64;

    /// Returns whether the use no longer affects any answer.
    fn passed(quota: &Quota, used: Used, now: Nanos) -> bool;
}

/// Each window has its own count, from zero.
#[derive(Debug)]
pub struct Fixed;

/// The count of this window, and of the one before as much as still overlaps the period that ends now, as if its calls
/// had come evenly (Cloudflare, "How we built rate limiting capable of scaling to millions of domains", 2017).
#[derive(Debug)]
pub struct Sliding;

impl Counting for Fixed {
    fn take(quota: &Quota, used: Used, n: u32, now: Nanos) -> (Used, Nanos) {
        let time = now.max(used.last);
        let mut used = quota.seen_from(used, time);
        if u64::from(used.current) + u64::from(n) > quota.count() {
            used = quota.seen_from(used, quota.start(time).saturating_add(quota.period));
        }
        used.current = used.current.saturating_add(n);
        (used, used.last - now)
    }

    fn left(quota: &Quota, used: Used, now: Nanos) -> f64 {
        if quota.windows(now, used.last) > 0 {
            return 0.0;
        }
        f64::from(quota.count.saturating_sub(quota.seen_from(used, now.max(used.last)).current))
    }

    fn passed(quota: &Quota, used: Used, now: Nanos) -> bool {
        quota.windows(used.last, now) > 0
    }
}

impl Counting for Sliding {
    fn take(quota: &Quota, used: Used, n: u32, now: Nanos) -> (Used, Nanos) {
        let mut time = now.max(used.last);
        let mut used = quota.seen_from(used, time);
        // At most three rounds: this window, the next, in which this one's calls still weigh, and the one after that.
        while let Some(later) = fits_at(quota, used, n, time) {
            if later <= time {
                break; // the end of time
            }
            time = later;
            used = quota.seen_from(used, time);
        }
        used.current = used.current.saturating_add(n);
        (used, time - now)
    }

    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    fn left(quota: &Quota, used: Used, now: Nanos) -> f64 {
        if used.last > now {
            return 0.0;
        }
        let used = quota.seen_from(used, now);
        let overlap = (quota.period - now % quota.period) as f64 / quota.period as f64;
        (f64::from(quota.count) - f64::from(used.current) - f64::from(used.previous) * overlap).max(0.0)
    }

    fn passed(quota: &Quota, used: Used, now: Nanos) -> bool {
        quota.windows(used.last, now) > 1
    }
}

/// Returns when `n` more fit, by the counts of this window; none: now.
fn fits_at(quota: &Quota, used: Used, n: u32, time: Nanos) -> Option<Nanos> {
    let start = quota.start(time);
    let taken = u64::from(used.current) + u64::from(n);
    let Some(room) = quota.count().checked_sub(taken) else {
        return Some(start.saturating_add(quota.period));
    };
    let (room, period, previous) = (u128::from(room), u128::from(quota.period), u128::from(used.previous));
    if previous * (period - u128::from(time - start)) <= room * period {
        return None;
    }
    // The previous window's share shrinks evenly until it leaves the room that is needed.
    let behind = u64::try_from(room * period / previous).unwrap_or(0);
    Some(start.saturating_add(quota.period.saturating_sub(behind)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NONE: Used = Used { last: 0, current: 0, previous: 0 };

    fn quota(text: &str) -> Quota {
        Quota::checked(text.parse().unwrap(), None).unwrap()
    }

    #[test]
    fn counts_whole_calls_and_has_no_burst() {
        assert_eq!(quota("5/min"), Quota { count: 5, period: 60_000_000_000 });
        assert_eq!(quota("1/2s"), Quota { count: 1, period: 2_000_000_000 });
        let wrong = |text: &str, burst| Quota::checked(text.parse().unwrap(), burst).unwrap_err().to_string();
        assert!(wrong("0.5/s", None).contains("write \"1/2s\" instead"));
        assert!(wrong("5000000000/h", None).contains("from 1 to 4294967295"));
        assert!(wrong("5/s", Some(3)).contains("leave burst out"));
    }

    #[test]
    fn a_fixed_window_begins_anew_at_each_multiple_of_its_period() {
        let quota = Quota { count: 2, period: 100 };
        let (used, wait) = Fixed::take(&quota, NONE, 2, 190);
        assert_eq!((wait, Fixed::left(&quota, used, 199)), (0, 0.0));
        assert_eq!(Fixed::take(&quota, used, 1, 199).1, 1);
        assert_eq!(Fixed::take(&quota, used, 2, 200).1, 0);
        assert!(!Fixed::passed(&quota, used, 199) && Fixed::passed(&quota, used, 200));
    }

    #[test]
    fn a_sliding_window_weighs_the_previous_one_by_what_still_overlaps() {
        let quota = Quota { count: 10, period: 100 };
        let (used, _) = Sliding::take(&quota, NONE, 10, 150);
        assert_eq!(Sliding::take(&quota, used, 1, 150).1, 60); // a tenth of the next window has to pass
        assert_eq!(Sliding::take(&quota, used, 10, 150).1, 150);
        assert!((Sliding::left(&quota, used, 225) - 2.5).abs() < 1e-9);
        assert!(!Sliding::passed(&quota, used, 299) && Sliding::passed(&quota, used, 300));
    }

    #[test]
    fn nothing_is_lost_at_the_end_of_time() {
        let quota = Quota { count: 1, period: 10 };
        for take in [Fixed::take, Sliding::take] {
            let (used, _) = take(&quota, NONE, 1, Nanos::MAX - 1);
            assert!(take(&quota, used, 1, Nanos::MAX).0.current >= 1);
        }
    }

    /// What the two counters say was used up to a time, in hundredths of nothing: exact, with a list of all calls.
    fn weighed(calls: &[(Nanos, u32)], quota: &Quota, time: Nanos) -> u128 {
        let window = time / quota.period;
        let sum = |of: u64| calls.iter().filter(|(at, _)| at / quota.period == of).map(|(_, n)| u128::from(*n)).sum();
        let (current, previous): (u128, u128) = (sum(window), window.checked_sub(1).map_or(0, sum));
        let overlap = u128::from(quota.period - time % quota.period);
        current * u128::from(quota.period) + previous * overlap
    }

    proptest! {
        /// Against a list of all calls: never more in a window than it has, and refused only where that would be so.
        #[test]
        fn a_fixed_window_agrees_with_a_list_of_calls(
            count in 1..8_u32, period in 1..200_u64, steps in prop::collection::vec((1..5_u32, 0..150_u64, 0..3_u64), 1..200),
        ) {
            let quota = Quota { count, period };
            let (mut used, mut now, mut calls): (Used, Nanos, Vec<(Nanos, u32)>) = (NONE, 1, Vec::new());
            for (n, by, patience) in steps {
                now += by;
                let n = n.min(count);
                let (next, wait) = Fixed::take(&quota, used, n, now);
                let last = calls.last().map_or(0, |call| call.0);
                // The naive answer: the first time from now on, not before who came before, at which it fits.
                let in_window = |time: Nanos| -> u32 {
                    calls.iter().filter(|(at, _)| at / period == time / period).map(|(_, n)| n).sum()
                };
                let expected = (now.max(last)..).find(|time| in_window(*time) + n <= count).unwrap();
                prop_assert_eq!(now + wait, expected);
                if wait <= patience * period {
                    used = next;
                    calls.push((now + wait, n));
                }
            }
        }

        /// Against the weighted sum over a list of all calls, at every nanosecond.
        #[test]
        fn a_sliding_window_agrees_with_a_list_of_calls(
            count in 1..8_u32, period in 1..200_u64, steps in prop::collection::vec((1..5_u32, 0..150_u64, 0..3_u64), 1..150),
        ) {
            let quota = Quota { count, period };
            let (mut used, mut now, mut calls): (Used, Nanos, Vec<(Nanos, u32)>) = (NONE, 1, Vec::new());
            for (n, by, patience) in steps {
                now += by;
                let n = n.min(count);
                let (next, wait) = Sliding::take(&quota, used, n, now);
                let last = calls.last().map_or(0, |call| call.0);
                let most = u128::from(count) * u128::from(period);
                let asked = u128::from(n) * u128::from(period);
                let expected = (now.max(last)..).find(|time| weighed(&calls, &quota, *time) + asked <= most).unwrap();
                prop_assert_eq!(now + wait, expected);
                if last <= now {
                    let left = (most.saturating_sub(weighed(&calls, &quota, now))) as f64 / period as f64;
                    prop_assert!((Sliding::left(&quota, used, now) - left).abs() < 1e-9);
                }
                if wait <= patience * period {
                    used = next;
                    calls.push((now + wait, n));
                }
            }
        }

        /// Where nobody waits, a fixed window never lets through more than its count, nor a sliding one more than
        /// twice of it in any period: what the worst case of the estimate is.
        #[test]
        fn in_no_period_there_are_more_than_two_counts(
            count in 1..8_u32, period in 1..200_u64, steps in prop::collection::vec(0..60_u64, 1..200),
        ) {
            let quota = Quota { count, period };
            for take in [Fixed::take, Sliding::take] {
                let (mut used, mut now, mut calls): (Used, Nanos, Vec<Nanos>) = (NONE, 1, Vec::new());
                for by in &steps {
                    now += by;
                    if let (next, 0) = take(&quota, used, 1, now) {
                        used = next;
                        calls.push(now);
                    }
                }
                for from in &calls {
                    let within = calls.iter().filter(|at| (*from..from + period).contains(at)).count();
                    prop_assert!(within <= 2 * count as usize);
                }
            }
        }
    }
}
