//! Binding of [`corten_core::retry`]: what a policy says, and the budget that a pipeline's further attempts share.

use std::sync::Arc;

use corten_core::clock::{AnyClock, Clock as _, nanos_from_seconds};
use corten_core::retry::{self, Budget, Settings, Waits, budget};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::clock::Clock;
use crate::pipeline::PipelineCounts;

/// One retry policy with its source of randomness.
#[pyclass(frozen, module = "corten._core")]
pub(crate) struct Retry {
    pub(crate) inner: Arc<retry::Retry>,
}

#[pymethods]
impl Retry {
    /// `waits` is `("growing", wait, backoff, jitter)`, `("listed", waits, jitter)` or `("decorrelated", wait)`.
    #[new]
    #[pyo3(signature = (max_attempts, waits, max_wait, max_time=None))]
    fn new(
        py: Python<'_>,
        max_attempts: u32,
        waits: &Bound<'_, PyTuple>,
        max_wait: f64,
        max_time: Option<f64>,
    ) -> PyResult<Self> {
        let settings = Settings {
            max_attempts,
            waits: waits_of(waits)?,
            max_wait: nanos_from_seconds(max_wait),
            max_time: max_time.map(nanos_from_seconds),
        };
        Ok(Self { inner: Arc::new(retry::Retry::new(settings, seed(py)?)) })
    }
}

fn waits_of(waits: &Bound<'_, PyTuple>) -> PyResult<Waits> {
    let word: String = waits.get_item(0)?.extract()?;
    match word.as_str() {
        "growing" => {
            let (_, wait, backoff, jitter): (String, f64, f64, f64) = waits.extract()?;
            Ok(Waits::Growing { wait: nanos_from_seconds(wait), backoff, jitter })
        }
        "listed" => {
            let (_, waits, jitter): (String, Vec<f64>, f64) = waits.extract()?;
            Ok(Waits::Listed { waits: waits.into_iter().map(nanos_from_seconds).collect(), jitter })
        }
        "decorrelated" => {
            let (_, wait): (String, f64) = waits.extract()?;
            Ok(Waits::Decorrelated { wait: nanos_from_seconds(wait) })
        }
        other => Err(PyValueError::new_err(format!("there are no {other:?} waits"))),
    }
}

/// Where jitter begins: from the operating system, so that no two processes wait in step.
fn seed(py: Python<'_>) -> PyResult<u64> {
    let bytes: [u8; 8] = py.import("os")?.call_method1("urandom", (8,))?.extract()?;
    Ok(u64::from_le_bytes(bytes))
}

/// The further attempts that a pipeline may make, by all its retries and hedges together.
#[pyclass(frozen, module = "corten._core")]
pub(crate) struct RetryBudget {
    pub(crate) inner: Arc<Budget>,
    clock: AnyClock,
}

#[pymethods]
impl RetryBudget {
    /// Full at first; what is left of `previous` stays.
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

    /// Takes one further attempt from it; False where there is none.
    fn withdraw(&self, counts: &PipelineCounts) -> bool {
        self.inner.withdraw(counts.inner.worked(), self.clock.now())
    }

    /// What is left, how many were allowed and how many were not.
    fn statistics(&self, counts: &PipelineCounts) -> (f64, u64, u64) {
        let seen = self.inner.statistics(counts.inner.worked(), self.clock.now());
        (seen.balance, seen.granted, seen.refused)
    }
}
