//! Entering and leaving a pipeline: all that a guarded call costs before and after the user's code, but for the clock.

use std::hint::black_box;
use std::sync::Arc;

use corten_core::bulkhead::Bulkhead;
use corten_core::circuit_breaker::{self, CircuitBreaker};
use corten_core::clock::{Clock as _, SystemClock};
use corten_core::metrics::{DEFAULT_SECONDS, MetricsError, Registry};
use corten_core::pipeline::{Call, Cost, Counts, Metrics, Outcome, OwnEndings, Pipeline, Policy, Priority};
use corten_core::rate_limit::{AnyLimiter, Limit, Rate, TokenBucket};
use corten_core::retry::{Backoffs, Retry, Settings};
use criterion::{Criterion, criterion_group, criterion_main};

const SECOND: u64 = 1_000_000_000;

fn limit() -> Option<Policy> {
    let limit = Limit::new(Rate::per_second(1e9).ok()?, 1_000_000_000);
    let limiter = AnyLimiter::TokenBucket(Arc::new(TokenBucket::new(limit)));
    Some(Policy::RateLimit { limiter, cost: Cost::Fixed(1), max_wait: 0 })
}

fn breaker() -> Policy {
    let settings = circuit_breaker::Settings::default();
    Policy::CircuitBreaker { breaker: Arc::new(CircuitBreaker::new(settings)), timed: false }
}

fn places() -> Policy {
    Policy::Bulkhead { bulkhead: Arc::new(Bulkhead::new(1_000, 0)), max_wait: None, priority: Priority::Same(0) }
}

fn retry() -> Policy {
    let backoffs = Backoffs::Growing { initial: SECOND, multiplier: 2.0, jitter: 0.0 };
    let settings = Settings { max_attempts: 3, backoffs, max_backoff: 30 * SECOND, max_time: None };
    Policy::Retry(Arc::new(Retry::new(settings, 1)))
}

fn metrics() -> Result<Metrics, MetricsError> {
    let registry = Registry::default();
    let calls = registry.counter("calls", "", "")?;
    let series = |outcome| calls.series(&[("outcome", outcome)]);
    Ok(Metrics {
        success: series("success")?,
        error: series("error")?,
        refused: series("refused")?,
        timeout: series("timeout")?,
        cancelled: series("cancelled")?,
        duration: registry.histogram("duration", "", "seconds", &DEFAULT_SECONDS)?.series(&[])?,
    })
}

fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pipeline: enter and leave");
    let alone = [
        ("nothing but counts", Some(Vec::new())),
        ("rate_limit", limit().map(|limit| vec![limit])),
        ("circuit_breaker", Some(vec![breaker()])),
        ("bulkhead", Some(vec![places()])),
        ("retry", Some(vec![retry()])),
        ("timeout", Some(vec![Policy::Timeout(SECOND)])),
        ("all of them", limit().map(|limit| vec![retry(), breaker(), limit, places(), Policy::Timeout(SECOND)])),
    ];
    for (name, policies) in alone {
        let counts = Arc::new(Counts::new(metrics().ok()));
        let made =
            policies.and_then(|policies| Pipeline::new(policies, OwnEndings::default(), counts, true, None).ok());
        let Some(pipeline) = made else { continue };
        group.bench_function(name, |bench| {
            bench.iter(|| {
                let mut call = Call::new(black_box(SECOND));
                black_box(pipeline.enter(&mut call, SECOND));
                black_box(pipeline.leave(&mut call, Outcome::Success, SECOND + 100))
            });
        });
    }
    group.bench_function("reading the clock once", |bench| bench.iter(|| SystemClock.now()));
    group.finish();
}

criterion_group!(pipeline, benches);
criterion_main!(pipeline);
