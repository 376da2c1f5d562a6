//! Every order in which threads can meet in a bucket, tried by loom; `make test-rust` runs it.

use loom::sync::Arc;

use super::{Decision, KeyedTokenBucket, LeakyBucket, Limit, Limiter, Rate, Reservation, TokenBucket};

fn limit(rate: f64, burst: u64) -> Limit {
    Limit::new(Rate::per_second(rate).unwrap(), burst)
}

#[test]
fn loom_two_threads_share_one_token() {
    loom::model(|| {
        let bucket = Arc::new(TokenBucket::new(limit(1.0, 1)));
        let other = Arc::clone(&bucket);
        let thread = loom::thread::spawn(move || other.try_acquire(1, 5) == Decision::Admitted);
        let here = bucket.try_acquire(1, 5) == Decision::Admitted;
        assert!(here ^ thread.join().unwrap());
    });
}

#[test]
fn loom_replacing_the_limit_neither_mixes_two_nor_loses_an_acquire() {
    loom::model(|| {
        let (old, new) = (limit(1.0, 4), limit(1_000.0, 8));
        let bucket = Arc::new(TokenBucket::new(old));
        let other = Arc::clone(&bucket);
        let thread = loom::thread::spawn(move || {
            let seen = other.limit();
            assert!(seen == old || seen == new);
            assert_eq!(other.try_acquire(3, 5), Decision::Admitted);
        });
        bucket.set_limit(new, 5);
        thread.join().unwrap();
        // Four tokens less three, whichever limit they were taken under.
        assert!((bucket.tokens(0, 5) - 1.0).abs() < 1e-6, "{}", bucket.tokens(0, 5));
    });
}

/// Nanoseconds that a reservation has to wait, and its claim.
fn later(reservation: Reservation) -> (u64, u64) {
    match reservation {
        Reservation::Later(wait, claim) => (wait, claim),
        other => panic!("{other:?}"),
    }
}

#[test]
fn loom_two_that_wait_in_a_queue_never_get_the_same_time() {
    loom::model(|| {
        let bucket = Arc::new(LeakyBucket::new(limit(1.0, 3)));
        assert_eq!(bucket.try_acquire(1, 5), Decision::Admitted);
        let other = Arc::clone(&bucket);
        let thread = loom::thread::spawn(move || later(other.reserve(0, 1, u64::MAX, 5)).0);
        let here = later(bucket.reserve(0, 1, u64::MAX, 5)).0;
        let mut waits = [here, thread.join().unwrap()];
        waits.sort_unstable();
        assert_eq!(waits, [1_000_000_000, 2_000_000_000]);
    });
}

#[test]
fn loom_giving_up_a_wait_gives_nobody_the_time_of_another() {
    loom::model(|| {
        let bucket = Arc::new(LeakyBucket::new(limit(1.0, 5)));
        assert_eq!(bucket.try_acquire(1, 5), Decision::Admitted);
        let (_, claim) = later(bucket.reserve(0, 1, u64::MAX, 5));
        let other = Arc::clone(&bucket);
        let thread = loom::thread::spawn(move || later(other.reserve(0, 1, u64::MAX, 5)).0);
        bucket.cancel(0, claim, 1);
        let there = thread.join().unwrap();
        let here = later(bucket.reserve(0, 1, u64::MAX, 5)).0;
        // Either the place was given back before the other came, or it stays empty.
        assert!((there, here) == (1_000_000_000, 2_000_000_000) || (there, here) == (2_000_000_000, 3_000_000_000));
    });
}

#[test]
fn loom_two_threads_share_the_one_token_of_a_new_key() {
    loom::model(|| {
        let bucket = Arc::new(KeyedTokenBucket::new(limit(1.0, 1), 1));
        assert!(bucket.tokens(7, 5) > 0.5); // makes the slots, by a lock that loom does not know
        let other = Arc::clone(&bucket);
        let thread = loom::thread::spawn(move || other.try_acquire(7, 1, 5) == Decision::Admitted);
        let here = bucket.try_acquire(7, 1, 5) == Decision::Admitted;
        assert!(here ^ thread.join().unwrap());
    });
}

#[test]
fn loom_a_key_that_crowds_out_another_is_not_charged_for_it() {
    loom::model(|| {
        let bucket = Arc::new(KeyedTokenBucket::new(limit(1.0, 10), 1)); // one set of four
        for (hash, taken) in [(1, 2), (2, 9), (3, 9), (4, 9)] {
            assert_eq!(bucket.try_acquire(hash, taken, 5), Decision::Admitted);
        }
        let other = Arc::clone(&bucket);
        let thread = loom::thread::spawn(move || other.try_acquire(1, 1, 5)); // the fullest, which goes
        assert_eq!(bucket.try_acquire(5, 4, 5), Decision::Admitted);
        assert_eq!(thread.join().unwrap(), Decision::Admitted);
        // Whoever of the two came last may have taken the other's place, but never the other's tokens.
        let (one, five) = (bucket.tokens(1, 5), bucket.tokens(5, 5));
        let whole = |tokens: f64, all: &[f64]| all.iter().any(|each| (tokens - each).abs() < 1e-6);
        assert!(whole(one, &[7.0, 9.0, 10.0]) && whole(five, &[6.0, 10.0]), "{one} {five}");
    });
}

#[test]
fn loom_replacing_the_limit_of_keys_keeps_their_tokens() {
    loom::model(|| {
        let bucket = Arc::new(KeyedTokenBucket::new(limit(1.0, 4), 1));
        assert_eq!(bucket.try_acquire(7, 1, 5), Decision::Admitted);
        let other = Arc::clone(&bucket);
        let thread = loom::thread::spawn(move || assert_eq!(other.try_acquire(7, 2, 5), Decision::Admitted));
        bucket.set_limit(limit(1_000.0, 8), 5);
        thread.join().unwrap();
        assert!((bucket.tokens(7, 5) - 1.0).abs() < 1e-6, "{}", bucket.tokens(7, 5));
    });
}
