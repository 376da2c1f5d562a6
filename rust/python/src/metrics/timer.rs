//! Timers: `with` blocks that record their seconds in a histogram.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use corten_core::clock::{AnyClock, Clock as _, Nanos, seconds_from_nanos};
use corten_core::metrics::HistogramSeries;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// Measures one `with` block, even if the block raises.
#[pyclass(frozen, module = "corten._core")]
pub(crate) struct Timer {
    series: Arc<HistogramSeries>,
    clock: AnyClock,
    /// Zero before the block.
    started: AtomicU64,
    /// Zero until the block ends.
    ended: AtomicU64,
}

impl Timer {
    pub(super) fn new(series: Arc<HistogramSeries>, clock: AnyClock) -> Self {
        Self { series, clock, started: AtomicU64::new(0), ended: AtomicU64::new(0) }
    }

    fn elapsed(&self) -> Nanos {
        match (self.started.load(Relaxed), self.ended.load(Relaxed)) {
            (0, _) => 0,
            (started, 0) => self.clock.now().saturating_sub(started),
            (started, ended) => ended.saturating_sub(started),
        }
    }
}

#[pymethods]
impl Timer {
    fn __enter__(this: PyRef<'_, Self>) -> PyResult<PyRef<'_, Self>> {
        if this.started.swap(this.clock.now(), Relaxed) != 0 {
            return Err(PyRuntimeError::new_err("a timer measures one block: call time() again for another"));
        }
        Ok(this)
    }

    #[pyo3(signature = (*_error))]
    fn __exit__(&self, _error: &Bound<'_, PyTuple>) {
        self.ended.store(self.clock.now(), Relaxed);
        self.series.record(seconds_from_nanos(self.elapsed()));
    }

    /// Seconds since the block began, until it ended.
    #[getter]
    fn seconds(&self) -> f64 {
        seconds_from_nanos(self.elapsed())
    }
}
