//! Filters: which errors count for which policy.

use corten_core::clock::nanos_from_seconds;
use corten_core::pipeline::{Failure, Kind, Outcome, OwnEndings, Reason, Refusal, Within};
use pyo3::exceptions::{PyException, PyOSError, PyTimeoutError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyString, PyTuple};

use super::to_python::{deadline_exceeded, deadline_type, refused, refused_type};

/// The question of a policy about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asks {
    /// Of a breaker: whether it is a failure.
    Failure,
    /// Of a retry: whether it may pass.
    MayPass,
    /// Of a fallback: whether to replace it.
    Fallback,
    /// Of a retry around a function that is not idempotent: no error of the function is repeated.
    Nothing,
    /// Of an adaptive limit: whether overload may cause it.
    Overload,
}

/// The rule of one policy.
pub(super) struct Filter {
    pub(super) asks: Asks,
    /// Types that count; empty, and without a predicate: the defaults.
    pub(super) on: Py<PyTuple>,
    /// Types that never count.
    pub(super) ignore: Py<PyTuple>,
    /// A function, true for further errors that count.
    pub(super) predicate: Option<Py<PyAny>>,
    /// A function, true for unwanted results.
    pub(super) on_result: Option<Py<PyAny>>,
}

/// The rules of a pipeline's policies, and the pipeline's name, which marks its own refusals.
pub(super) struct Filters {
    pub(super) name: Py<PyString>,
    pub(super) filters: Vec<(usize, Filter)>,
}

impl Filters {
    /// The outcome of a call that raised: cancellation and exits are no errors.
    pub(super) fn outcome(&self, error: &Bound<'_, PyAny>) -> PyResult<Outcome> {
        if error.is_instance_of::<PyException>() {
            self.failure(error).map(Outcome::Failed)
        } else {
            Ok(Outcome::Cancelled)
        }
    }

    fn failure(&self, error: &Bound<'_, PyAny>) -> PyResult<Failure> {
        let py = error.py();
        let refused = error.is_instance(refused_type(py)?)?;
        let retry_after = match error.getattr_opt(intern!(py, "retry_after")).unwrap_or(None) {
            Some(value) => value.extract::<f64>().ok().filter(|seconds| seconds.is_finite()).map(nanos_from_seconds),
            None => None,
        };
        let mut counts = 0;
        for (index, filter) in &self.filters {
            if filter.counts(error, refused, retry_after.is_some(), true)? {
                counts |= 1 << index;
            }
        }
        Ok(Failure { counts, retry_after, within: self.within(error, refused)? })
    }

    /// The policies to which a result is unwanted.
    pub(super) fn unwanted(&self, result: &Bound<'_, PyAny>) -> PyResult<u32> {
        let mut bits = 0;
        for (index, filter) in &self.filters {
            if let Some(on_result) = &filter.on_result
                && filter.asks != Asks::Nothing
                && on_result.bind(result.py()).call1((result,))?.is_truthy()?
            {
                bits |= 1 << index;
            }
        }
        Ok(bits)
    }

    /// Whether any policy judges the results of calls.
    pub(super) fn judge_results(&self) -> bool {
        self.filters.iter().any(|(_, filter)| filter.on_result.is_some() && filter.asks != Asks::Nothing)
    }

    /// The policies for which the core's own errors count, found by examples. A predicate that can't judge
    /// an example, because it expects errors of another type, says no.
    pub(super) fn own_endings(&self, py: Python<'_>) -> OwnEndings {
        let counts = |error: PyErr, says_when| {
            let error = error.value(py);
            let refused = refused_type(py).and_then(|kind| error.is_instance(kind)).unwrap_or(false);
            // A refused call has not begun, so it may be repeated even if it is not idempotent.
            let begun = !refused;
            let counting = |filter: &Filter| filter.counts(error, refused, says_when, begun).unwrap_or(false);
            let counting = self.filters.iter().filter(|(_, filter)| counting(filter));
            counting.fold(0, |bits, (index, _)| bits | 1 << index)
        };
        let mut own =
            OwnEndings { timeouts: counts(deadline_exceeded(py, &self.name, 0), false), ..OwnEndings::default() };
        for policy in Kind::ALL {
            for (says_when, retry_after) in [(false, None), (true, Some(1_000_000_000))] {
                let example = Refusal { policy, index: 0, reason: Reason::Full, retry_after };
                own.refusals[policy as usize][usize::from(says_when)] =
                    counts(refused(py, &self.name, example, None), says_when);
            }
        }
        own
    }

    /// A refusal by an inner part of this pipeline.
    fn within(&self, error: &Bound<'_, PyAny>, refused: bool) -> PyResult<Option<Within>> {
        let py = error.py();
        // A user's subclass may lack the attributes.
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
        if error.is_instance(deadline_type(py)?)? && ours(text(intern!(py, "pipeline"))?)? {
            return Ok(Some(Within::TimedOut));
        }
        Ok(None)
    }
}

impl Filter {
    pub(super) fn clone_ref(&self, py: Python<'_>) -> Self {
        Self {
            asks: self.asks,
            on: self.on.clone_ref(py),
            ignore: self.ignore.clone_ref(py),
            predicate: self.predicate.as_ref().map(|predicate| predicate.clone_ref(py)),
            on_result: self.on_result.as_ref().map(|on_result| on_result.clone_ref(py)),
        }
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.on)?;
        visit.call(&self.ignore)?;
        visit.call(&self.predicate)?;
        visit.call(&self.on_result)
    }

    fn counts(&self, error: &Bound<'_, PyAny>, refused: bool, says_when: bool, begun: bool) -> PyResult<bool> {
        let py = error.py();
        if begun && self.asks == Asks::Nothing {
            return Ok(false);
        }
        if error.is_instance(self.ignore.bind(py))? {
            return Ok(false);
        }
        let marked = match self.asks {
            Asks::MayPass | Asks::Nothing | Asks::Overload => error.getattr_opt(intern!(py, "retryable"))?,
            Asks::Failure | Asks::Fallback => None,
        };
        if marked.as_ref().is_some_and(|marked| marked.is(PyBool::new(py, false))) {
            return Ok(false);
        }
        if self.predicate.is_some() || !self.on.bind(py).is_empty() {
            let named = error.is_instance(self.on.bind(py))?;
            return match &self.predicate {
                // A refusal is no failure to a breaker, unless it is named.
                Some(_) if refused && self.asks == Asks::Failure => Ok(named),
                Some(predicate) if !named => predicate.bind(py).call1((error,))?.is_truthy(),
                _ => Ok(named),
            };
        }
        match self.asks {
            Asks::Failure => Ok(!refused),
            Asks::Fallback => Ok(true),
            Asks::MayPass | Asks::Nothing if refused => Ok(says_when),
            Asks::Overload if refused => Ok(true),
            Asks::MayPass | Asks::Nothing | Asks::Overload => match marked {
                Some(marked) => marked.is_truthy(),
                None => Ok(error.is_instance_of::<PyOSError>() || error.is_instance_of::<PyTimeoutError>()),
            },
        }
    }
}

/// An error's type and text, at most a page; only the type if it has no readable text.
pub(super) fn described(error: &Bound<'_, PyAny>) -> String {
    const LONGEST: usize = 2_000;
    let kind = error.get_type();
    let mut text = kind.name().map_or_else(|_| "an error".to_owned(), |name| name.to_string());
    let words = error.str();
    let words = words.as_ref().map(|words| words.to_string_lossy()).unwrap_or_default();
    if !words.is_empty() {
        text.push_str(": ");
        text.extend(words.chars().take(LONGEST));
    }
    text
}
