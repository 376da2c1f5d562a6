//! Which errors count for which policy.

use corten_core::clock::nanos_from_seconds;
use corten_core::pipeline::{Failure, Kind, Outcome, Within};
use pyo3::exceptions::{PyException, PyOSError, PyTimeoutError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

use super::refusals;

/// The rule of one policy.
pub(super) struct Filter {
    /// A retry asks what may pass, a breaker what is a failure.
    pub(super) retries: bool,
    /// These types and no others; empty: the defaults.
    pub(super) on: Py<PyTuple>,
    /// Never these.
    pub(super) ignore: Py<PyTuple>,
}

/// The rules of a pipeline's policies, and the pipeline's name, by which it knows its own refusals.
pub(super) struct Filters {
    pub(super) name: Py<PyString>,
    pub(super) filters: Vec<(usize, Filter)>,
}

impl Filters {
    /// How a call went that raised: cancellation and exits are no errors.
    pub(super) fn outcome(&self, error: &Bound<'_, PyAny>) -> PyResult<Outcome> {
        if error.is_instance_of::<PyException>() {
            self.failure(error).map(Outcome::Failed)
        } else {
            Ok(Outcome::Cancelled)
        }
    }

    fn failure(&self, error: &Bound<'_, PyAny>) -> PyResult<Failure> {
        let py = error.py();
        let refused = error.is_instance(refusals::refused_type(py)?)?;
        let retry_after = match error.getattr_opt(intern!(py, "retry_after")).unwrap_or(None) {
            Some(value) => value.extract::<f64>().ok().filter(|seconds| seconds.is_finite()).map(nanos_from_seconds),
            None => None,
        };
        let mut counts = 0;
        for (index, filter) in &self.filters {
            if filter.counts(error, refused, retry_after.is_some())? {
                counts |= 1 << index;
            }
        }
        Ok(Failure { counts, retry_after, within: self.within(error, refused)? })
    }

    /// For which policies the passing of a deadline counts.
    pub(super) fn timeout_counts(&self, py: Python<'_>) -> PyResult<u32> {
        let error = refusals::deadline_exceeded(py, &self.name, 0);
        Ok(self.failure(error.value(py))?.counts)
    }

    /// A refusal by a part of this pipeline further inside.
    fn within(&self, error: &Bound<'_, PyAny>, refused: bool) -> PyResult<Option<Within>> {
        let py = error.py();
        // A subclass of the user's may have left our attributes out.
        let text = |name| match error.getattr_opt(name)?.map(Bound::cast_into::<PyString>) {
            Some(Ok(text)) => Ok::<_, PyErr>(Some(text)),
            _ => Ok(None),
        };
        let ours = |text: Option<Bound<'_, PyString>>| text.map_or(Ok(false), |text| text.as_any().eq(&self.name));
        if refused && ours(text(intern!(py, "pipeline"))?)? {
            let policy = text(intern!(py, "policy"))?;
            let word = policy.as_ref().map(|policy| policy.to_string_lossy());
            let kind = Kind::ALL.into_iter().find(|kind| word.as_deref() == Some(kind.word()));
            return Ok(kind.map(Within::Refused));
        }
        if error.is_instance(refusals::deadline_type(py)?)? && ours(text(intern!(py, "what"))?)? {
            return Ok(Some(Within::TimedOut));
        }
        Ok(None)
    }
}

impl Filter {
    fn counts(&self, error: &Bound<'_, PyAny>, refused: bool, says_when: bool) -> PyResult<bool> {
        let py = error.py();
        if error.is_instance(self.ignore.bind(py))? {
            return Ok(false);
        }
        if !self.on.bind(py).is_empty() {
            return error.is_instance(self.on.bind(py));
        }
        if !self.retries {
            return Ok(!refused);
        }
        if refused {
            return Ok(says_when);
        }
        match error.getattr_opt(intern!(py, "retryable"))? {
            Some(marked) => marked.is_truthy(),
            None => Ok(error.is_instance_of::<PyOSError>() || error.is_instance_of::<PyTimeoutError>()),
        }
    }
}
