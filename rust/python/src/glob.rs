//! Binding of [`corten_core::cache::Glob`].

use corten_core::cache::Glob as Pattern;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// A pattern over texts, such as `user:*`.
#[pyclass(frozen, module = "corten._core")]
pub(crate) struct Glob(Pattern);

pub(crate) fn glob_of(pattern: &str) -> PyResult<Pattern> {
    Pattern::new(pattern)
        .map_err(|error| PyValueError::new_err(format!("the pattern {pattern:?} has no meaning: {error}")))
}

#[pymethods]
impl Glob {
    #[new]
    #[pyo3(signature = (pattern, /))]
    fn new(pattern: &str) -> PyResult<Self> {
        Ok(Self(glob_of(pattern)?))
    }

    #[pyo3(signature = (text, /))]
    fn matches(&self, text: &str) -> bool {
        self.0.matches(text)
    }
}
