//! Asking a cache before anything else happens.

use std::sync::Arc;

use pyo3::exceptions::PyTypeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use super::counts::{Hits, PipelineCounts};
use crate::cache::MemoryCache;

/// A cache in front of a function: one crossing for a hit.
#[pyclass(frozen, module = "corten._core")]
pub(crate) struct CacheLookup {
    cache: Py<MemoryCache>,
    hits: Option<Arc<Hits>>,
    miss: Py<PyAny>,
    /// Says what is wrong with a key, as the exception to raise.
    explain: Py<PyAny>,
}

#[pymethods]
impl CacheLookup {
    /// `counts` only where the cache is the outermost policy: further inside a hit is a success of what is outside.
    #[new]
    fn new(cache: Py<MemoryCache>, counts: Option<&PipelineCounts>, miss: Py<PyAny>, explain: Py<PyAny>) -> Self {
        Self { cache, hits: counts.map(|counts| Arc::clone(&counts.hits)), miss, explain }
    }

    /// The value for a key, or the object that stands for a miss.
    #[pyo3(signature = (key, /))]
    fn lookup(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        match self.cache.get().lookup::<true>(py, key) {
            Ok(Some(value)) => {
                if let Some(hits) = &self.hits {
                    hits.add();
                }
                Ok(value)
            }
            Ok(None) => Ok(self.miss.clone_ref(py)),
            Err(error) if error.is_instance_of::<PyTypeError>(py) => {
                Err(PyErr::from_value(self.explain.bind(py).call1((key, error.value(py)))?))
            }
            Err(error) => Err(error),
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.cache)?;
        visit.call(&self.miss)?;
        visit.call(&self.explain)
    }
}
