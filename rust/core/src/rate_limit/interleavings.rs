//! Every order in which threads can meet in a token bucket, tried by loom.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p corten-core --lib --release loom`

use loom::sync::Arc;

use super::{Decision, Limit, Rate, TokenBucket};

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
        bucket.replace(new, 5);
        thread.join().unwrap();
        // Four tokens less three, whichever limit they were taken under.
        assert!((bucket.tokens(5) - 1.0).abs() < 1e-6, "{}", bucket.tokens(5));
    });
}
