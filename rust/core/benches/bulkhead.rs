//! Places taken and given back: free, by a queue, and refused.

use std::hint::black_box;

use corten_core::bulkhead::{Admission, Bulkhead, Fate};
use criterion::{Criterion, criterion_group, criterion_main};

fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("bulkhead");
    let free = Bulkhead::new(10, 10);
    group.bench_function("a free place", |bench| {
        bench.iter(|| {
            if let Admission::Entered = free.enter(black_box(0), 1) {
                free.leave();
            }
        });
    });
    let full = Bulkhead::new(1, 0);
    full.enter(0, 1);
    group.bench_function("refused", |bench| bench.iter(|| full.enter(black_box(0), 1)));
    for waiting in [10_u32, 10_000] {
        let busy = Bulkhead::new(1, waiting + 1);
        for number in 0..=waiting {
            busy.enter((number % 7).cast_signed(), 1);
        }
        group.bench_function(format!("into a queue of {waiting} and out of it"), |bench| {
            bench.iter(|| match busy.enter(black_box(3), 1) {
                Admission::Queued(ticket) => busy.cancel(&ticket),
                _ => Fate::Granted,
            });
        });
    }
    group.finish();
}

criterion_group!(bulkhead, benches);
criterion_main!(bulkhead);
