//! One bucket for all calls, in one atomic arrival time.

use std::hash::RandomState;
use std::marker::PhantomData;
use std::sync::atomic::Ordering;

use super::gcra::{Pacing, Queue, Tokens};
use super::sync::{AtomicU64, Mutex, fence};
use super::{Claim, Decision, Limit, LimitError, Limiter, Rate, Reservation, Statistics};
use crate::clock::Nanos;

/// A token bucket: starts full, refills at its rate, never blocks.
pub type TokenBucket = Bucket<Tokens>;

/// A leaky bucket: a queue of bounded length with a steady outflow; never blocks itself.
pub type LeakyBucket = Bucket<Queue>;

/// A bucket that never blocks.
///
/// The arrival time is one `AtomicU64` moved by compare-and-swap. The limit may be replaced while others acquire: it is
/// read between two looks at a version (a sequence lock over atomics), and replacing moves the arrival time after the
/// limit, so that an acquire that read the old limit fails its swap and reads again.
#[derive(Debug)]
pub struct Bucket<P> {
    arrival: AtomicU64,
    interval: AtomicU64,
    burst: AtomicU64,
    version: AtomicU64,
    replacing: Mutex<()>,
    admitted: AtomicU64,
    refused: AtomicU64,
    waited: AtomicU64,
    pacing: PhantomData<P>,
}

impl<P: Pacing> Bucket<P> {
    /// A full bucket.
    pub fn new(limit: Limit) -> Self {
        Self {
            arrival: AtomicU64::new(0),
            interval: AtomicU64::new(limit.interval),
            burst: AtomicU64::new(limit.burst),
            version: AtomicU64::new(0),
            replacing: Mutex::new(()),
            admitted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            waited: AtomicU64::new(0),
            pacing: PhantomData,
        }
    }

    /// The limit now.
    #[inline]
    pub fn limit(&self) -> Limit {
        loop {
            let before = self.version.load(Ordering::Acquire);
            let limit =
                Limit { interval: self.interval.load(Ordering::Relaxed), burst: self.burst.load(Ordering::Relaxed) };
            fence(Ordering::Acquire);
            if before.is_multiple_of(2) && self.version.load(Ordering::Relaxed) == before {
                return limit;
            }
            pause();
        }
    }

    /// Takes `n` tokens if they are there.
    #[inline]
    pub fn try_acquire(&self, n: u64, now: Nanos) -> Decision {
        self.reserve(0, n, 0, now).into()
    }

    /// Reserves where the tokens are not there; kept out of the common path.
    #[cold]
    fn reserve_ahead(&self, n: u64, max_wait: Nanos, now: Nanos) -> Reservation {
        loop {
            let arrival = self.arrival.load(Ordering::Acquire);
            let limit = self.limit();
            if n > limit.burst {
                self.refused.fetch_add(1, Ordering::Relaxed);
                return Reservation::TooMany;
            }
            let (next, wait) = match P::take(&limit, arrival, n, now) {
                Ok((next, wait)) if wait <= max_wait => (next, wait),
                Ok((_, wait)) | Err(wait) => {
                    self.refused.fetch_add(1, Ordering::Relaxed);
                    return Reservation::Refused(wait);
                }
            };
            if self.arrival.compare_exchange_weak(arrival, next, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                self.admitted.fetch_add(1, Ordering::Relaxed);
                if wait == 0 {
                    return Reservation::Granted;
                }
                self.waited.fetch_add(1, Ordering::Relaxed);
                return Reservation::Later(wait, next);
            }
        }
    }

    /// Replaces the limit. A bucket keeps its tokens, up to the new burst; requests in a queue keep their times.
    pub fn set_limit(&self, limit: Limit, now: Nanos) {
        let _one_at_a_time = self.replacing.lock();
        let old = self.limit();
        self.version.fetch_add(1, Ordering::AcqRel);
        fence(Ordering::Release);
        self.interval.store(limit.interval, Ordering::Relaxed);
        self.burst.store(limit.burst, Ordering::Relaxed);
        // Always moves, also for a full bucket: an acquire that read the old limit must fail its swap.
        let mut arrival = self.arrival.load(Ordering::Acquire);
        loop {
            let mut next = P::handed_on(&old, &limit, arrival, now);
            if next == arrival {
                // Earlier rather than later, so that a full bucket stays one.
                next = arrival.checked_sub(1).unwrap_or(1);
            }
            match self.arrival.compare_exchange(arrival, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => break,
                Err(moved) => arrival = moved,
            }
        }
        self.version.fetch_add(1, Ordering::Release);
    }
}

impl<P: Pacing> Limiter for Bucket<P> {
    fn hasher(&self) -> Option<&RandomState> {
        None
    }

    #[inline]
    fn reserve(&self, _: u64, n: u64, max_wait: Nanos, now: Nanos) -> Reservation {
        loop {
            let arrival = self.arrival.load(Ordering::Acquire);
            let limit = self.limit();
            if n <= limit.burst
                && let Ok((next, 0)) = P::take(&limit, arrival, n, now)
            {
                if self.arrival.compare_exchange_weak(arrival, next, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                    self.admitted.fetch_add(1, Ordering::Relaxed);
                    return Reservation::Granted;
                }
            } else {
                return self.reserve_ahead(n, max_wait, now);
            }
        }
    }

    fn cancel(&self, _: u64, claim: Claim, n: u64) {
        let back = claim.saturating_sub(self.limit().interval.saturating_mul(n));
        let _ = self.arrival.compare_exchange(claim, back, Ordering::AcqRel, Ordering::Relaxed);
    }

    fn estimate(&self, _: u64, n: u64, now: Nanos) -> Decision {
        let arrival = self.arrival.load(Ordering::Acquire);
        let limit = self.limit();
        if n > limit.burst {
            return Decision::TooMany;
        }
        match P::take(&limit, arrival, n, now) {
            Ok((_, 0)) => Decision::Admitted,
            Ok((_, wait)) | Err(wait) => Decision::Wait(wait),
        }
    }

    fn tokens(&self, _: u64, now: Nanos) -> f64 {
        let arrival = self.arrival.load(Ordering::Acquire);
        self.limit().tokens(arrival, now)
    }

    fn add_tokens(&self, _: u64, n: u64, _: Nanos) {
        loop {
            let arrival = self.arrival.load(Ordering::Acquire);
            let next = arrival.saturating_sub(self.limit().interval.saturating_mul(n));
            if self.arrival.compare_exchange_weak(arrival, next, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                return;
            }
        }
    }

    fn replace(&self, rate: Rate, burst: Option<u64>, now: Nanos) -> Result<(), LimitError> {
        self.set_limit(Limit::checked(rate, burst)?, now);
        Ok(())
    }

    fn per_second(&self) -> f64 {
        self.limit().per_second()
    }

    fn burst(&self) -> u64 {
        self.limit().burst()
    }

    fn capacity(&self) -> usize {
        0
    }

    fn statistics(&self, _: Nanos, _: bool) -> Statistics {
        Statistics {
            admitted: self.admitted.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            waited: self.waited.load(Ordering::Relaxed),
            ..Statistics::default()
        }
    }
}

/// Waits briefly for the thread that replaces the limit.
#[cfg(not(loom))]
fn pause() {
    std::hint::spin_loop();
}

#[cfg(loom)]
fn pause() {
    loom::thread::yield_now();
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::super::Rate;
    use super::*;
    use crate::clock::NANOS_PER_SECOND;

    fn limit(rate: f64, burst: u64) -> Limit {
        Limit::new(Rate::per_second(rate).unwrap(), burst)
    }

    #[test]
    fn starts_full_and_says_how_long_to_wait() {
        let bucket = TokenBucket::new(limit(2.0, 3));
        let now = NANOS_PER_SECOND;
        assert_eq!((0..3).map(|_| bucket.try_acquire(1, now)).collect::<Vec<_>>(), [Decision::Admitted; 3]);
        assert_eq!(bucket.try_acquire(1, now), Decision::Wait(NANOS_PER_SECOND / 2));
        assert_eq!(bucket.estimate(0, 3, now), Decision::Wait(3 * NANOS_PER_SECOND / 2));
        assert_eq!(bucket.try_acquire(4, now), Decision::TooMany);
        assert_eq!(bucket.try_acquire(1, now + NANOS_PER_SECOND / 2), Decision::Admitted);
        assert_eq!(bucket.statistics(0, true), Statistics { admitted: 4, refused: 2, ..Statistics::default() });
    }

    #[test]
    fn tokens_given_back_can_be_taken_again_but_do_not_overfill() {
        let bucket = TokenBucket::new(limit(1.0, 2));
        let now = NANOS_PER_SECOND;
        assert_eq!(bucket.try_acquire(2, now), Decision::Admitted);
        bucket.add_tokens(0, 1, 0);
        assert_eq!(bucket.try_acquire(1, now), Decision::Admitted);
        bucket.add_tokens(0, 100, 0);
        assert!((bucket.tokens(0, now) - 2.0).abs() < 1e-9);
        assert_eq!(bucket.try_acquire(2, now), Decision::Admitted);
        assert_eq!(bucket.try_acquire(1, now), Decision::Wait(NANOS_PER_SECOND));
    }

    #[test]
    fn reservations_queue_up_in_their_order() {
        let bucket = TokenBucket::new(limit(1.0, 1));
        let now = NANOS_PER_SECOND;
        let second = NANOS_PER_SECOND;
        assert_eq!(bucket.reserve(0, 1, 2 * second, now), Reservation::Granted);
        assert!(matches!(bucket.reserve(0, 1, 2 * second, now), Reservation::Later(wait, _) if wait == second));
        assert!(matches!(bucket.reserve(0, 1, 2 * second, now), Reservation::Later(wait, _) if wait == 2 * second));
        assert_eq!(bucket.reserve(0, 1, 2 * second, now), Reservation::Refused(3 * second));
        assert_eq!((bucket.statistics(0, true).admitted, bucket.statistics(0, true).waited), (3, 2));
    }

    #[test]
    fn who_gives_up_waiting_leaves_no_two_calls_with_the_same_time() {
        let bucket = TokenBucket::new(limit(1.0, 1));
        let now = NANOS_PER_SECOND;
        let later = |bucket: &TokenBucket| match bucket.reserve(0, 1, Nanos::MAX, now) {
            Reservation::Later(wait, claim) => (wait / NANOS_PER_SECOND, claim),
            other => panic!("{other:?}"),
        };
        assert_eq!(bucket.try_acquire(1, now), Decision::Admitted);
        let (first, second, third) = (later(&bucket), later(&bucket), later(&bucket));
        assert_eq!((first.0, second.0, third.0), (1, 2, 3));
        bucket.cancel(0, second.1, 1);
        assert_eq!(later(&bucket).0, 4); // not 3, which is the third one's
        let last = later(&bucket);
        bucket.cancel(0, last.1, 1);
        assert_eq!(later(&bucket).0, last.0);
    }

    #[test]
    fn a_leaky_bucket_lets_calls_out_one_interval_apart_and_holds_so_many() {
        let bucket = LeakyBucket::new(limit(2.0, 3));
        let (now, half) = (NANOS_PER_SECOND, NANOS_PER_SECOND / 2);
        assert_eq!(bucket.reserve(0, 1, Nanos::MAX, now), Reservation::Granted);
        assert_eq!(bucket.try_acquire(1, now), Decision::Wait(half)); // after a quiet time as well: no burst
        assert!(matches!(bucket.reserve(0, 1, Nanos::MAX, now), Reservation::Later(wait, _) if wait == half));
        assert!(matches!(bucket.reserve(0, 1, Nanos::MAX, now), Reservation::Later(wait, _) if wait == 2 * half));
        assert_eq!(bucket.reserve(0, 1, Nanos::MAX, now), Reservation::Refused(3 * half)); // full
        assert!((bucket.tokens(0, now)).abs() < 1e-9);
        let later = now + half;
        assert_eq!(bucket.reserve(0, 1, half, later), Reservation::Refused(2 * half)); // there is room, but not in time
        assert_eq!(bucket.estimate(0, 1, later), Decision::Wait(2 * half));
        assert_eq!(bucket.try_acquire(4, later), Decision::TooMany);
    }

    #[test]
    fn replacing_the_limit_keeps_the_tokens() {
        let bucket = TokenBucket::new(limit(1.0, 10));
        let now = NANOS_PER_SECOND;
        assert_eq!(bucket.try_acquire(6, now), Decision::Admitted);
        bucket.set_limit(limit(100.0, 20), now);
        assert!((bucket.tokens(0, now) - 4.0).abs() < 1e-6);
        bucket.set_limit(limit(5.0, 3), now);
        assert!((bucket.tokens(0, now) - 3.0).abs() < 1e-6);
        assert!((bucket.limit().per_second() - 5.0).abs() < 1e-9);
    }

    #[test]
    fn threads_never_get_more_than_the_bucket_holds() {
        let bucket = Arc::new(TokenBucket::new(limit(1.0, 1_000)));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let bucket = Arc::clone(&bucket);
                std::thread::spawn(move || {
                    (0..1_000).filter(|_| bucket.try_acquire(1, NANOS_PER_SECOND) == Decision::Admitted).count()
                })
            })
            .collect();
        let admitted: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert_eq!(admitted, 1_000);
    }

    #[test]
    fn replacing_while_others_acquire_never_mixes_two_limits() {
        let bucket = Arc::new(TokenBucket::new(limit(1.0, 1)));
        let (slow, fast) = (limit(1.0, 1), limit(1_000.0, 1_000));
        let replacer = {
            let bucket = Arc::clone(&bucket);
            std::thread::spawn(move || {
                (0..2_000).for_each(|i| bucket.set_limit(if i % 2 == 0 { fast } else { slow }, 5))
            })
        };
        while !replacer.is_finished() {
            let seen = bucket.limit();
            assert!(seen == slow || seen == fast, "{seen:?}");
            let _ = bucket.try_acquire(1, 5);
        }
        replacer.join().unwrap();
    }

    #[derive(Debug, Clone)]
    enum Step {
        Acquire(u64),
        Add(u64),
        Advance(u64),
        Replace(u32, u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        prop::collection::vec(
            prop_oneof![
                4 => (0..8u64).prop_map(Step::Acquire),
                1 => (0..4u64).prop_map(Step::Add),
                3 => (0..3 * NANOS_PER_SECOND).prop_map(Step::Advance),
                1 => (1..2_000u32, 1..20u64).prop_map(|(rate, burst)| Step::Replace(rate, burst)),
            ],
            1..200,
        )
    }

    proptest! {
        /// The textbook bucket, which refills a float: the two agree wherever rounding does not decide.
        #[test]
        fn agrees_with_a_bucket_of_float_tokens(rate in 1..2_000u32, burst in 1..20u64, steps in steps()) {
            let mut model_limit = limit(f64::from(rate), burst);
            let bucket = TokenBucket::new(model_limit);
            let (mut tokens, mut now) = (burst as f64, NANOS_PER_SECOND);
            for step in steps {
                match step {
                    Step::Advance(by) => {
                        now += by;
                        tokens = (tokens + by as f64 / model_limit.interval as f64).min(model_limit.burst as f64);
                    }
                    Step::Add(n) => {
                        bucket.add_tokens(0, n, 0);
                        tokens = (tokens + n as f64).min(model_limit.burst as f64);
                    }
                    Step::Replace(rate, burst) => {
                        model_limit = limit(f64::from(rate), burst);
                        bucket.set_limit(model_limit, now);
                        tokens = tokens.min(burst as f64);
                    }
                    Step::Acquire(n) => {
                        let estimate = bucket.estimate(0, n, now);
                        let decision = bucket.try_acquire(n, now);
                        prop_assert_eq!(estimate, decision);
                        match decision {
                            Decision::TooMany => prop_assert!(n > model_limit.burst),
                            Decision::Admitted => {
                                prop_assert!(n as f64 <= tokens + 1e-3, "{} of {}", n, tokens);
                                tokens -= n as f64;
                            }
                            Decision::Wait(wait) => {
                                prop_assert!(n as f64 > tokens - 1e-3, "{} of {}", n, tokens);
                                let expected = (n as f64 - tokens) * model_limit.interval as f64;
                                prop_assert!((wait as f64 - expected).abs() <= 1e-3 * model_limit.interval as f64 + 2.0);
                                prop_assert_eq!(bucket.estimate(0, n, now + wait), Decision::Admitted);
                                prop_assert!(matches!(bucket.estimate(0, n, now + wait - 1), Decision::Wait(1)));
                            }
                        }
                    }
                }
                prop_assert!((bucket.tokens(0, now) - tokens).abs() < 1e-3, "{} against {}", bucket.tokens(0, now), tokens);
                tokens = bucket.tokens(0, now);
            }
        }

        /// A queue as a list of when each call is let out: never two closer than the interval times their cost, first
        /// in first out, never more in it than it holds, and refused only for one of these reasons.
        #[test]
        fn a_leaky_bucket_agrees_with_a_list_of_calls(
            rate in 1..2_000u32, burst in 1..8u64,
            steps in prop::collection::vec((0..6u64, 0..NANOS_PER_SECOND / 100, 0..6u64), 1..200),
        ) {
            let limit = limit(f64::from(rate), burst);
            let bucket = LeakyBucket::new(limit);
            let (mut now, mut calls): (Nanos, Vec<(Nanos, u64)>) = (NANOS_PER_SECOND, Vec::new());
            for (n, by, patience) in steps {
                now += by;
                let free = calls.last().map_or(0, |(out, n)| out + n * limit.interval);
                let out = free.max(now);
                let fits = out + n * limit.interval <= now + burst * limit.interval;
                let expected = match bucket.estimate(0, n, now) {
                    Decision::TooMany => {
                        prop_assert!(n > burst);
                        prop_assert_eq!(bucket.reserve(0, n, Nanos::MAX, now), Reservation::TooMany);
                        continue;
                    }
                    Decision::Admitted => 0,
                    Decision::Wait(wait) => wait,
                };
                prop_assert_eq!(now + expected, out);
                match bucket.reserve(0, n, patience * limit.interval, now) {
                    Reservation::Granted => prop_assert_eq!(out, now),
                    Reservation::Later(wait, claim) => {
                        prop_assert!(fits && wait > 0 && wait <= patience * limit.interval);
                        prop_assert_eq!((now + wait, claim), (out, out + n * limit.interval));
                    }
                    Reservation::Refused(wait) => {
                        prop_assert_eq!(now + wait, out);
                        prop_assert!(!fits || wait > patience * limit.interval);
                        continue;
                    }
                    Reservation::TooMany => prop_assert!(false),
                }
                calls.push((out, n));
            }
        }
    }
}
