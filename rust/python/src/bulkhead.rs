//! Binding of [`corten_core::bulkhead`].

use std::sync::Arc;

use corten_core::bulkhead::Bulkhead as Core;
use corten_core::clock::{nanos_from_seconds, seconds_from_nanos};
use pyo3::prelude::*;

/// Counts and times, in the order of `corten.pipeline.BulkheadStatistics`.
type Statistics = (u32, u32, u32, u32, u32, u32, u64, u64, u64, u64, f64, f64);

/// The places of one bulkhead, kept when the pipeline around it is compiled again.
#[pyclass(frozen, weakref, module = "corten._core")]
pub(crate) struct Bulkhead {
    pub(crate) inner: Arc<Core>,
}

#[pymethods]
impl Bulkhead {
    #[new]
    #[pyo3(signature = (max_concurrent, max_waiting, ageing=None))]
    fn new(max_concurrent: u32, max_waiting: u32, ageing: Option<f64>) -> Self {
        let inner = Core::new(max_concurrent, max_waiting);
        inner.set_ageing(ageing.map(nanos_from_seconds));
        Self { inner: Arc::new(inner) }
    }

    /// Another size from now on; who waits and has room now is woken.
    fn resize(&self, max_concurrent: u32, max_waiting: u32) {
        self.inner.resize(max_concurrent, max_waiting);
    }

    /// So many seconds of waiting are worth a step of priority; None: no wait is.
    fn set_ageing(&self, ageing: Option<f64>) {
        self.inner.set_ageing(ageing.map(nanos_from_seconds));
    }

    /// The fields of `corten.pipeline.BulkheadStatistics`.
    fn statistics(&self) -> Statistics {
        let seen = self.inner.statistics();
        (
            seen.running,
            seen.waiting,
            seen.max_concurrent,
            seen.max_waiting,
            seen.most_running,
            seen.most_waiting,
            seen.refused,
            seen.displaced,
            seen.gave_up,
            seen.waited,
            seconds_from_nanos(seen.wait_time),
            seconds_from_nanos(seen.longest_wait),
        )
    }
}
