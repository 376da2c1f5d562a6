//! Binding of [`corten_core::adaptive_limit`].

use std::sync::Arc;

use corten_core::adaptive_limit::{AdaptiveLimit as Core, Algorithm, Settings};
use corten_core::clock::nanos_from_seconds;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// The places of an adaptive limit and its learned values, kept when its pipeline is compiled again.
#[pyclass(frozen, module = "corten._core")]
pub(crate) struct AdaptiveLimit {
    pub(crate) inner: Arc<Core>,
}

/// In the order of `corten.pipeline.AdaptiveLimitStatistics`.
type Statistics = (f64, u32, u32, Option<f64>, Option<f64>, bool, u64, u64, u64, u32, u64);

/// The policy's numbers: algorithm; initial, least, greatest, waiting; tolerance, smoothing, backoff, tolerated drops;
/// seconds of a slow call and between probes.
type Numbers = (String, (u32, u32, u32, u32), (f64, f64, f64, f64), (Option<f64>, f64));

#[pymethods]
impl AdaptiveLimit {
    #[new]
    fn new(numbers: Numbers) -> PyResult<Self> {
        Ok(Self { inner: Arc::new(Core::new(settings(numbers)?)) })
    }

    /// Apply other settings; the limit and learned values stay as far as they allow.
    fn replace(&self, numbers: Numbers) -> PyResult<()> {
        self.inner.replace(settings(numbers)?);
        Ok(())
    }

    /// Set the limit.
    fn set_limit(&self, limit: f64) {
        self.inner.set_limit(limit);
    }

    /// Forget limit and latencies.
    fn reset(&self) {
        self.inner.reset();
    }

    /// The fields of `corten.pipeline.AdaptiveLimitStatistics`.
    fn statistics(&self) -> Statistics {
        let seen = self.inner.statistics();
        let seconds = |nanos: f64| (nanos > 0.0).then_some(nanos / 1e9);
        (
            seen.limit,
            seen.running,
            seen.waiting,
            seconds(seen.latency),
            seconds(seen.idle_latency),
            seen.probing,
            seen.dropped,
            seen.refused,
            seen.gave_up,
            seen.most_running,
            seen.changes,
        )
    }
}

fn settings(numbers: Numbers) -> PyResult<Settings> {
    let (algorithm, (initial, min, max, max_waiting), parts, (slow_call, probe_every)) = numbers;
    let (tolerance, smoothing, backoff, tolerated_drops) = parts;
    let algorithm = match algorithm.as_str() {
        "gradient" => Algorithm::Gradient,
        "aimd" => Algorithm::Aimd,
        other => return Err(PyValueError::new_err(format!("there is no algorithm {other:?}"))),
    };
    Ok(Settings {
        algorithm,
        initial,
        min,
        max,
        max_waiting,
        tolerance,
        smoothing,
        backoff,
        tolerated_drops,
        slow_call: slow_call.map(nanos_from_seconds),
        probe_every: nanos_from_seconds(probe_every),
    })
}
