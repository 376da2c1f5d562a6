//! Adding to series, finding them by their attributes, and the text of a scrape.

use std::hint::black_box;

use corten_core::metrics::{DEFAULT_SECONDS, MetricsError, Registry, render};
use criterion::{Criterion, criterion_group, criterion_main};

fn benches(criterion: &mut Criterion) -> Result<(), MetricsError> {
    let registry = Registry::default();
    let calls = registry.counter("calls", "", "")?;
    let bound = calls.series(&[("path", "/"), ("outcome", "success")])?;
    let durations = registry.histogram("duration", "", "seconds", &DEFAULT_SECONDS)?.series(&[])?;
    let mut group = criterion.benchmark_group("metrics");
    group.bench_function("counter, bound", |bench| bench.iter(|| bound.add(black_box(1))));
    group.bench_function("counter, two attributes looked up", |bench| {
        bench.iter(|| calls.with(black_box(&["/", "success"]), |series| series.add(1)));
    });
    group.bench_function("histogram, bound", |bench| bench.iter(|| durations.record(black_box(0.3))));
    for number in 0..1_000 {
        calls.series(&[("path", &number.to_string()), ("outcome", "success")])?.add(1);
    }
    group.bench_function("snapshot of a thousand series", |bench| bench.iter(|| registry.snapshot()));
    let snapshot = registry.snapshot();
    group.bench_function("text of a thousand series", |bench| bench.iter(|| render(black_box(&snapshot))));
    group.finish();
    Ok(())
}

fn all(criterion: &mut Criterion) {
    if let Err(error) = benches(criterion) {
        eprintln!("{error}");
    }
}

criterion_group!(metrics, all);
criterion_main!(metrics);
