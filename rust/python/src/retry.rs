//! Binding of [`corten_core::retry`]: one policy, and the budget that all retries of a pipeline share.

use std::sync::Arc;

use corten_core::clock::{AnyClock, Clock as _, nanos_from_seconds};
use corten_core::retry::{self, Backoffs, Budget, Settings, budget};
use pyo3::prelude::*;

use crate::clock::Clock;
use crate::pipeline::PipelineCounts;

/// One retry policy with its source of randomness.
#[pyclass(frozen, module = "corten._core")]
pub(crate) struct Retry {
    pub(crate) inner: Arc<retry::Retry>,
}

#[pymethods]
impl Retry {
    /// Repeat with backoffs that grow by a factor.
    #[staticmethod]
    fn growing(
        py: Python<'_>,
        max_attempts: u32,
        limits: Limits,
        initial: f64,
        multiplier: f64,
        jitter: f64,
    ) -> PyResult<Self> {
        Self::new(
            py,
            max_attempts,
            limits,
            Backoffs::Growing { initial: nanos_from_seconds(initial), multiplier, jitter },
        )
    }

    /// Repeat with listed backoffs, of which the last one repeats.
    #[staticmethod]
    fn listed(py: Python<'_>, max_attempts: u32, limits: Limits, backoffs: Vec<f64>, jitter: f64) -> PyResult<Self> {
        let backoffs = backoffs.into_iter().map(nanos_from_seconds).collect();
        Self::new(py, max_attempts, limits, Backoffs::Listed { backoffs, jitter })
    }

    /// Repeat with backoffs between the initial one and three times the last.
    #[staticmethod]
    fn decorrelated(py: Python<'_>, max_attempts: u32, limits: Limits, initial: f64) -> PyResult<Self> {
        Self::new(py, max_attempts, limits, Backoffs::Decorrelated { initial: nanos_from_seconds(initial) })
    }
}

/// The longest backoff, and the time after which no attempt begins, in seconds.
type Limits = (f64, Option<f64>);

impl Retry {
    fn new(py: Python<'_>, max_attempts: u32, (max_backoff, max_time): Limits, backoffs: Backoffs) -> PyResult<Self> {
        let max_time = max_time.map(nanos_from_seconds);
        let settings = Settings { max_attempts, backoffs, max_backoff: nanos_from_seconds(max_backoff), max_time };
        Ok(Self { inner: Arc::new(retry::Retry::new(settings, seed(py)?)) })
    }
}

/// The seed of the jitter, from the operating system, so that no two processes wait in step.
fn seed(py: Python<'_>) -> PyResult<u64> {
    let bytes: [u8; 8] = py.import("os")?.call_method1("urandom", (8,))?.extract()?;
    Ok(u64::from_le_bytes(bytes))
}

/// Caps the further attempts of all retries and hedges of a pipeline.
#[pyclass(frozen, module = "corten._core")]
pub(crate) struct RetryBudget {
    pub(crate) inner: Arc<Budget>,
    clock: AnyClock,
}

#[pymethods]
impl RetryBudget {
    /// A full budget, or one that continues `previous`.
    #[new]
    #[pyo3(signature = (ratio, min_per_second, burst, clock, counts, previous=None))]
    fn new(
        ratio: f64,
        min_per_second: f64,
        burst: u32,
        clock: &Clock,
        counts: &PipelineCounts,
        previous: Option<&Self>,
    ) -> Self {
        let (clock, calls) = (clock.inner.clone(), counts.inner.worked());
        let (settings, now) = (budget::Settings { ratio, min_per_second, burst }, clock.now());
        let budget = match previous {
            Some(previous) if previous.inner.settings() == settings => Arc::clone(&previous.inner),
            Some(previous) => Arc::new(previous.inner.replaced(settings, calls, now)),
            None => Arc::new(Budget::new(settings, calls, now)),
        };
        Self { inner: budget, clock }
    }

    /// Take one further attempt; False where none is left.
    fn withdraw(&self, counts: &PipelineCounts) -> bool {
        self.inner.withdraw(counts.inner.worked(), self.clock.now())
    }

    /// The balance, the attempts allowed, and the attempts refused.
    fn statistics(&self, counts: &PipelineCounts) -> (f64, u64, u64) {
        let seen = self.inner.statistics(counts.inner.worked(), self.clock.now());
        (seen.balance, seen.granted, seen.refused)
    }
}
