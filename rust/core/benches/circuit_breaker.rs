//! Asking a breaker and telling it: closed, and open.

use std::hint::black_box;

use corten_core::circuit_breaker::{Admission, CircuitBreaker, Report, Settings, State, Verdict};
use criterion::{Criterion, criterion_group, criterion_main};

const SECOND: u64 = 1_000_000_000;

fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("circuit_breaker");
    let breaker = CircuitBreaker::new(Settings::default());
    for (name, verdict) in [("a success", Verdict::Success), ("an error that does not count", Verdict::Nothing)] {
        group.bench_function(name, |bench| {
            bench.iter(|| {
                if let Admission::Admitted(permit) = breaker.admit(black_box(SECOND)) {
                    breaker.record(permit, verdict, Report::default(), SECOND);
                }
            });
        });
    }
    breaker.set(State::ForcedOpen, SECOND);
    group.bench_function("refused", |bench| bench.iter(|| breaker.admit(black_box(SECOND))));
    group.finish();
}

criterion_group!(circuit_breaker, benches);
criterion_main!(circuit_breaker);
