//! Looking into a cache, before a call begins.

use std::ffi::CStr;
use std::sync::Arc;

use corten_core::pipeline::{CacheHits, Hits};
use pyo3::exceptions::PyTypeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use super::counts::PipelineCounts;
use crate::cache::MemoryCache;
use crate::fastcall::Unary;

/// A cache in front of a function: one crossing for a hit.
#[pyclass(frozen, module = "corten._core")]
pub(crate) struct CacheLookup {
    cache: Py<MemoryCache>,
    hits: Option<(Arc<Hits>, Arc<CacheHits>)>,
    miss: Py<PyAny>,
    /// Makes the exception for a wrong key.
    explain: Py<PyAny>,
}

#[pymethods]
impl CacheLookup {
    /// `counts` only if the cache is the outermost policy: an inner hit is a success of the outer policies.
    #[new]
    fn new(cache: Py<MemoryCache>, counts: Option<&PipelineCounts>, miss: Py<PyAny>, explain: Py<PyAny>) -> Self {
        let hits = counts.map(|counts| (Arc::clone(&counts.hits), counts.hits.of_cache()));
        Self { cache, hits, miss, explain }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.cache)?;
        visit.call(&self.miss)?;
        visit.call(&self.explain)
    }
}

/// The value for a key, or the object for a miss.
pub(crate) struct Ask;

impl Unary for Ask {
    type Class = CacheLookup;
    const NAME: &'static CStr = c"lookup";
    const DOC: &'static CStr =
        c"lookup($self, key, /)\n--\n\nThe value for a key, or the object that stands for a miss.";

    #[inline]
    fn call<'py>(this: &Bound<'py, CacheLookup>, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let (py, this) = (this.py(), this.get());
        let count = || {
            if let Some((_, hits)) = &this.hits {
                hits.add_locked();
            }
        };
        match this.cache.get().lookup::<true>(key, count) {
            Ok(Some(value)) => Ok(value),
            Ok(None) => Ok(this.miss.bind(py).clone()),
            Err(error) => Err(this.explained(key, error)),
        }
    }
}

impl Drop for CacheLookup {
    fn drop(&mut self) {
        if let Some((all, hits)) = &self.hits {
            all.take_over(hits);
        }
    }
}

impl CacheLookup {
    #[cold]
    fn explained(&self, key: &Bound<'_, PyAny>, error: PyErr) -> PyErr {
        Python::attach(|py| {
            if !error.is_instance_of::<PyTypeError>(py) {
                return error;
            }
            self.explain.bind(py).call1((key, error.value(py))).map_or_else(|failed| failed, PyErr::from_value)
        })
    }
}
