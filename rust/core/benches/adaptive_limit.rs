//! What learning from a call adds to a place.

use std::hint::black_box;

use corten_core::adaptive_limit::{AdaptiveLimit, Algorithm, Settings, Signal};
use corten_core::bulkhead::Admission;
use criterion::{Criterion, criterion_group, criterion_main};

fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("adaptive_limit");
    for (name, algorithm) in [("gradient", Algorithm::Gradient), ("aimd", Algorithm::Aimd)] {
        let limit = AdaptiveLimit::new(Settings { algorithm, ..Settings::default() });
        let mut now = 1;
        group.bench_function(name, |bench| {
            bench.iter(|| {
                if let Admission::Entered = limit.enter(black_box(now)) {
                    limit.leave(Signal::Completed, now, now + 1_000_000);
                }
                now += 10_000;
            });
        });
    }
    group.finish();
}

criterion_group!(adaptive_limit, benches);
criterion_main!(adaptive_limit);
