//! Binding of [`corten_core::bulkhead`].

use std::sync::Arc;

use corten_core::bulkhead::Bulkhead as Core;
use pyo3::prelude::*;

/// The places of one bulkhead, kept when the pipeline around it is compiled again.
#[pyclass(frozen, module = "corten._core")]
pub(crate) struct Bulkhead {
    pub(crate) inner: Arc<Core>,
}

#[pymethods]
impl Bulkhead {
    #[new]
    fn new(max_concurrent: u32, max_waiting: u32) -> Self {
        Self { inner: Arc::new(Core::new(max_concurrent, max_waiting)) }
    }

    /// Another size from now on; who waits and has room now is woken.
    fn resize(&self, max_concurrent: u32, max_waiting: u32) {
        self.inner.resize(max_concurrent, max_waiting);
    }

    /// Running, waiting, places.
    fn statistics(&self) -> (u32, u32, u32) {
        let seen = self.inner.statistics();
        (seen.running, seen.waiting, seen.max_concurrent)
    }
}
