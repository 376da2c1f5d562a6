//! Taking tokens: from one bucket, and by keys of which there are few or a million.

use std::hint::black_box;

use corten_core::rate_limit::{Algorithm, AnyLimiter, KeyedTokenBucket, Limit, Limiter, Rate, TokenBucket};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

const SECOND: u64 = 1_000_000_000;

fn benches(criterion: &mut Criterion) {
    let Ok(rate) = Rate::per_second(1e6) else { return };
    let mut group = criterion.benchmark_group("rate_limit");
    let plain = TokenBucket::new(Limit::new(rate, 1_000_000));
    let mut now = SECOND;
    group.bench_function("granted", |bench| {
        bench.iter(|| {
            now += 10_000; // tokens come back as fast as they are taken
            plain.reserve(0, 1, 0, black_box(now))
        });
    });
    for (name, algorithm) in [
        ("token bucket", Algorithm::TokenBucket),
        ("leaky bucket", Algorithm::LeakyBucket),
        ("sliding window", Algorithm::SlidingWindow),
        ("fixed window", Algorithm::FixedWindow),
    ] {
        let Ok(any) = AnyLimiter::new(algorithm, rate, None, None) else { continue };
        group.bench_function(BenchmarkId::new("granted as a pipeline asks", name), |bench| {
            bench.iter(|| {
                now += 10_000;
                any.reserve(0, 1, 0, black_box(now))
            });
        });
    }
    let drained = TokenBucket::new(Limit::new(rate, 1));
    drained.reserve(0, 1, 0, SECOND);
    group.bench_function("refused", |bench| bench.iter(|| drained.reserve(0, 1, 0, black_box(SECOND))));
    for keys in [1_u64, 1_000, 1_000_000] {
        let keyed = KeyedTokenBucket::new(Limit::new(rate, 1_000_000), 1 << 20);
        let hashes: Vec<u64> = (0..keys).map(|key| keyed.hash(&key)).collect();
        let mut place = 0;
        group.bench_function(BenchmarkId::new("granted by key, keys", keys), |bench| {
            bench.iter(|| {
                place = (place + 7_919) % hashes.len(); // a prime: no order that a processor foresees
                keyed.reserve(black_box(hashes[place]), 1, 0, SECOND)
            });
        });
    }
    group.finish();
}

criterion_group!(rate_limit, benches);
criterion_main!(rate_limit);
