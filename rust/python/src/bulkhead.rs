//! Binding of [`corten_core::bulkhead`].

use std::sync::Arc;

use corten_core::bulkhead::Bulkhead as Core;
use corten_core::clock::{nanos_from_seconds, seconds_from_nanos};
use pyo3::prelude::*;

/// The fields of `corten.pipeline.BulkheadStatistics`, in their order.
type Statistics = (u32, u32, u32, u32, u32, u32, u64, u64, u64, u64, f64, f64);

/// The places of one bulkhead, kept when its pipeline is compiled again.
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

    /// Apply another size; waiters with a place now are woken.
    fn resize(&self, max_concurrent: u32, max_waiting: u32) {
        self.inner.resize(max_concurrent, max_waiting);
    }

    /// Set the seconds of waiting that raise the priority by one; None: none do.
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
