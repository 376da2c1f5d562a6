//! The wheel of deadlines: each suspended call with a time limit puts one in and takes it out.

use std::hint::black_box;

use corten_core::timeout::Wheel;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

const MILLISECOND: u64 = 1_000_000;

fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("timeout");
    for others in [0_u64, 1_000, 100_000] {
        let mut wheel = Wheel::new(5 * MILLISECOND);
        for number in 0..others {
            wheel.insert(30_000 * MILLISECOND + number * 10_000, number);
        }
        let mut now = MILLISECOND;
        group.bench_function(BenchmarkId::new("insert and remove, others", others), |bench| {
            bench.iter(|| {
                now += 1_000;
                let key = wheel.insert(black_box(now + 30_000 * MILLISECOND), 0);
                key.and_then(|key| wheel.remove(key))
            });
        });
    }
    group.finish();
}

criterion_group!(timeout, benches);
criterion_main!(timeout);
