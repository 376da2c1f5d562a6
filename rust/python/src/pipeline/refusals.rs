//! The errors of `corten.errors` that a pipeline raises.

use corten_core::clock::{Nanos, seconds_from_nanos};
use corten_core::pipeline::{Kind, Refusal};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyType};

const ERRORS: &str = "corten.errors";

pub(super) fn refused_type(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static TYPE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    TYPE.import(py, ERRORS, "Refused")
}

pub(super) fn deadline_type(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static TYPE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    TYPE.import(py, ERRORS, "DeadlineExceeded")
}

/// The typed refusal, with the policy's own reason where it has one; what goes wrong while it is made is raised in its
/// place.
pub(super) fn refused(
    py: Python<'_>,
    pipeline: &Py<PyString>,
    refusal: Refusal,
    reason: Option<PyResult<Py<PyString>>>,
) -> PyErr {
    static TYPES: [PyOnceLock<Py<PyType>>; 4] = [const { PyOnceLock::new() }; 4];
    let kind = match refusal.policy {
        Kind::RateLimit => TYPES[0].import(py, ERRORS, "RateLimited"),
        Kind::CircuitBreaker => TYPES[1].import(py, ERRORS, "CircuitOpen"),
        Kind::Bulkhead => TYPES[2].import(py, ERRORS, "BulkheadFull"),
        Kind::AdaptiveLimit => TYPES[3].import(py, ERRORS, "ConcurrencyLimited"),
        Kind::Retry | Kind::Timeout | Kind::Fallback => refused_type(py),
    };
    let retry_after = refusal.retry_after.map(seconds_from_nanos);
    let reason = reason.unwrap_or_else(|| Ok(PyString::new(py, refusal.reason.text()).unbind()));
    let made = kind.and_then(|kind| kind.call1((pipeline, refusal.policy.word(), reason?, retry_after)));
    match made {
        Ok(error) => PyErr::from_value(error),
        Err(error) => error,
    }
}

/// The error of a time limit that has passed.
pub(super) fn deadline_exceeded(py: Python<'_>, pipeline: &Py<PyString>, limit: Nanos) -> PyErr {
    match deadline_type(py).and_then(|kind| kind.call1((pipeline, seconds_from_nanos(limit), pipeline))) {
        Ok(error) => PyErr::from_value(error),
        Err(error) => error,
    }
}
