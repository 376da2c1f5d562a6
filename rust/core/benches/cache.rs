//! Looking up and putting in, by both evictions.

use std::hint::black_box;

use corten_core::cache::{EntryOptions, Eviction, MemoryCache, Removed};
use criterion::{Criterion, criterion_group, criterion_main};

const ENTRIES: u64 = 10_000;
const SECOND: u64 = 1_000_000_000;

/// A full one, with the keys from 0.
fn full(eviction: Eviction) -> MemoryCache<u64, u64> {
    let mut cache = MemoryCache::new(ENTRIES as usize, None, eviction);
    for key in 0..ENTRIES {
        put(&mut cache, key);
    }
    cache
}

fn put(cache: &mut MemoryCache<u64, u64>, key: u64) {
    let hash = cache.spread(key);
    let position = cache.position(hash, |other| *other == key);
    let mut removed = Removed::none();
    cache.insert(position, hash, (key, key), EntryOptions::until(0, 3_600 * SECOND), SECOND, &mut removed);
}

fn get(cache: &mut MemoryCache<u64, u64>, key: u64) {
    let hash = cache.spread(key);
    let position = cache.position(hash, |other| *other == key);
    black_box(cache.hit(position, || SECOND));
}

fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cache");
    for (name, eviction) in [("s3fifo", Eviction::S3Fifo), ("lru", Eviction::Lru)] {
        let mut cache = full(eviction);
        let mut key = 0;
        group.bench_function(format!("{name}: hit"), |bench| {
            bench.iter(|| {
                key = (key + 7) % 100;
                get(&mut cache, ENTRIES - 1 - key);
            });
        });
        group.bench_function(format!("{name}: miss"), |bench| bench.iter(|| get(&mut cache, black_box(u64::MAX))));
        let mut fresh = ENTRIES;
        group.bench_function(format!("{name}: insert into a full one"), |bench| {
            bench.iter(|| {
                fresh += 1;
                put(&mut cache, fresh);
            });
        });
    }
    group.finish();
}

criterion_group!(cache, benches);
criterion_main!(cache);
