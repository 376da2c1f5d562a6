//! Decisions of the core and their errors, as Python objects.

use corten_core::clock::{Clock as _, Nanos, seconds_from_nanos};
use corten_core::pipeline::{self as core, Cause, Decision, Failure, Kind, Outcome, Refusal};
use pyo3::exceptions::{PyException, PyRuntimeError, PyTimeoutError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyList, PyString, PyType};

use super::call::Raised;
use super::error_filters::described;
use super::segment::Segment;

const ERRORS: &str = "corten.errors";

/// What the end of an attempt comes to.
pub(super) enum Answer {
    /// The call returns this.
    Result(Py<PyAny>),
    /// The call goes on as decided, because of the error if there is one.
    Decided(Decision, Option<Raised>),
}

/// Raises what the core refused, and adds the error that a fallback replaces to the other decisions.
pub(super) fn entering(
    py: Python<'_>,
    segment: &Segment,
    call: &core::Call,
    decision: Decision,
) -> PyResult<(Decision, Option<Raised>)> {
    let (error, cause) = match &decision {
        Decision::Refuse(refusal) => (refused_by(py, segment, *refusal), Cause::Refused(*refusal)),
        Decision::FallBack(_, Cause::Refused(refusal)) => (refused_by(py, segment, *refusal), Cause::Refused(*refusal)),
        Decision::DeadlineExceeded(limit) | Decision::FallBack(_, Cause::DeadlineExceeded(limit)) => {
            (deadline_exceeded(py, &segment.filters.name, *limit), Cause::DeadlineExceeded(*limit))
        }
        Decision::Retry(nanos) => {
            emit(py, segment, "retried", Kind::Retry.word(), None, call.attempt(), Some(*nanos));
            return Ok((decision, None));
        }
        Decision::Proceed | Decision::Wait(_) | Decision::Queue(..) => return Ok((decision, None)),
        Decision::Return | Decision::Raise | Decision::FallBack(_, Cause::Raised) => {
            return Err(PyRuntimeError::new_err("a call that has not begun can neither return nor raise"));
        }
    };
    let falls_back = matches!(decision, Decision::FallBack(..));
    if !falls_back {
        note_attempts(py, &segment.filters.name, call, segment.clock.now(), &error);
    }
    match cause {
        Cause::Refused(refusal) => {
            emit(py, segment, "refused", refusal.policy.word(), Some(&error), 0, refusal.retry_after);
        }
        Cause::DeadlineExceeded(limit) => {
            emit(py, segment, "timed_out", Kind::Timeout.word(), Some(&error), 0, Some(limit));
        }
        Cause::Raised => {}
    }
    if falls_back { Ok((decision, Some(error.into_value(py)))) } else { Err(error) }
}

/// The call returned: its result, unless a policy calls the result unwanted and tries again.
#[inline]
pub(super) fn returned(py: Python<'_>, segment: &Segment, call: &mut core::Call, value: Py<PyAny>) -> PyResult<Answer> {
    if segment.judges_results {
        match segment.filters.unwanted(value.bind(py)) {
            Ok(bits) => call.set_unwanted(bits),
            Err(wrong) => {
                leave_with_error(py, segment, call, &wrong);
                return Err(wrong);
            }
        }
    }
    match segment.inner.leave(call, Outcome::Success, segment.clock.now()) {
        Decision::Retry(nanos) => {
            let unwanted = PyValueError::new_err("what it returned is not what was wanted");
            emit(py, segment, "retried", Kind::Retry.word(), Some(&unwanted), call.attempt(), Some(nanos));
            Ok(Answer::Decided(Decision::Retry(nanos), None))
        }
        _ => Ok(Answer::Result(value)),
    }
}

/// The call raised; `overdue` where its deadline had passed by then.
pub(super) fn raised(
    py: Python<'_>,
    segment: &Segment,
    call: &mut core::Call,
    error: PyErr,
    overdue: bool,
) -> PyResult<Answer> {
    let outcome = if overdue && error.matches(py, cancelled_type(py)?)? {
        Ok(Outcome::TimedOut)
    } else {
        segment.filters.outcome(error.value(py))
    };
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(wrong) => {
            // An `isinstance`, a property or a predicate of the user's failed.
            leave_with_error(py, segment, call, &wrong);
            wrong.value(py).setattr(intern!(py, "__context__"), error.value(py))?;
            return Err(wrong);
        }
    };
    let now = segment.clock.now();
    let name = &segment.filters.name;
    let words = words_of(segment, error.value(py), outcome);
    let decision = segment.inner.leave_saying(call, outcome, words.as_deref(), now);
    match decision {
        Decision::Retry(nanos) => {
            let late = || PyTimeoutError::new_err("the attempt took too long");
            let cause = if outcome == Outcome::TimedOut { late() } else { error.clone_ref(py) };
            emit(py, segment, "retried", Kind::Retry.word(), Some(&cause), call.attempt(), Some(nanos));
            Ok(Answer::Decided(decision, Some(error.into_value(py))))
        }
        Decision::FallBack(_, Cause::DeadlineExceeded(limit)) => {
            let exceeded = timed_out(py, segment, call, error, limit, now);
            Ok(Answer::Decided(decision, Some(exceeded.into_value(py))))
        }
        Decision::FallBack(..) => {
            note_attempts(py, name, call, now, &error);
            Ok(Answer::Decided(decision, Some(error.into_value(py))))
        }
        Decision::DeadlineExceeded(limit) => Err(timed_out(py, segment, call, error, limit, now)),
        _ => {
            note_attempts(py, name, call, now, &error);
            // An error of a segment further inside was reported there.
            if segment.inner.counts_calls() && matches!(outcome, Outcome::Failed(Failure { within: None, .. })) {
                emit(py, segment, "failed", "", Some(&error), 0, None);
            }
            Err(error)
        }
    }
}

/// Emits a pipeline event; an error of a listener does not reach the call.
#[cold]
pub(super) fn emit(
    py: Python<'_>,
    segment: &Segment,
    event: &'static str,
    policy: &'static str,
    error: Option<&PyErr>,
    attempt: u32,
    nanos: Option<Nanos>,
) {
    let Some(emit) = &segment.emit else { return };
    let error = error.map(|error| error.value(py));
    let emitted = emit.bind(py).call1((event, policy, error, attempt, nanos.map(seconds_from_nanos)));
    if let Err(wrong) = emitted {
        wrong.write_unraisable(py, Some(emit.bind(py)));
    }
}

/// A function that a policy asks raised: the call is over, and raises that error.
fn leave_with_error(py: Python<'_>, segment: &Segment, call: &mut core::Call, wrong: &PyErr) {
    let error = wrong.is_instance_of::<PyException>(py);
    let outcome = if error { Outcome::Failed(Failure::default()) } else { Outcome::Cancelled };
    call.set_unwanted(0);
    segment.inner.leave(call, outcome, segment.clock.now());
}

/// The words of a failure that a breaker of the segment counts, and so remembers.
fn words_of(segment: &Segment, error: &Bound<'_, PyAny>, outcome: Outcome) -> Option<String> {
    let Outcome::Failed(Failure { counts, .. }) = outcome else { return None };
    let counted = segment.breakers.iter().any(|(index, _)| counts >> index & 1 == 1);
    counted.then(|| described(error))
}

fn timed_out(py: Python<'_>, segment: &Segment, call: &core::Call, error: PyErr, limit: Nanos, now: Nanos) -> PyErr {
    let exceeded = deadline_exceeded(py, &segment.filters.name, limit);
    exceeded.set_cause(py, Some(error));
    note_attempts(py, &segment.filters.name, call, now, &exceeded);
    emit(py, segment, "timed_out", Kind::Timeout.word(), Some(&exceeded), 0, Some(limit));
    exceeded
}

fn cancelled_type(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static TYPE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    TYPE.import(py, "asyncio", "CancelledError")
}

/// The refusal of a segment's policy; a breaker states its own reason.
fn refused_by(py: Python<'_>, segment: &Segment, refusal: Refusal) -> PyErr {
    let breaker = segment.breakers.iter().find(|(index, _)| *index == refusal.index);
    refused(py, &segment.filters.name, refusal, breaker.map(|(_, breaker)| breaker.get().reason(py)))
}

pub(super) fn refused_type(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static TYPE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    TYPE.import(py, ERRORS, "Refused")
}

pub(super) fn deadline_type(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static TYPE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    TYPE.import(py, ERRORS, "DeadlineExceeded")
}

/// The typed refusal, with the reason of its policy; an error while making it takes its place.
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

/// Adds a note to an error: how many attempts were made, and in how much time.
///
/// An error that takes no notes stays as it is.
fn note_attempts(py: Python<'_>, pipeline: &Py<PyString>, call: &core::Call, now: Nanos, error: &PyErr) {
    let attempts = call.attempts();
    if attempts < 2 && !call.is_overdrawn() || !error.is_instance_of::<PyException>(py) {
        return;
    }
    let took = seconds_from_nanos(now.saturating_sub(call.started()));
    let begin = format!("pipeline '{}': ", pipeline.bind(py).to_string_lossy());
    let tried = match attempts {
        1 => "not repeated".to_owned(),
        _ => format!("given up after {attempts} attempts in {took:.3} s"),
    };
    let why = if call.is_overdrawn() { ", as the retry budget is spent" } else { "" };
    let written = write(error.value(py), &begin, &format!("{begin}{tried}{why}"));
    if let Err(wrong) = written {
        wrong.write_unraisable(py, Some(error.value(py)));
    }
}

/// Writes a note in place of an earlier one of the same pipeline: an error raised many times must not grow.
fn write(error: &Bound<'_, PyAny>, begin: &str, note: &str) -> PyResult<()> {
    let py = error.py();
    let notes = error.getattr_opt(intern!(py, "__notes__"))?.and_then(|notes| notes.cast_into::<PyList>().ok());
    if let Some(notes) = notes {
        for (place, each) in notes.iter().enumerate() {
            if each.cast::<PyString>().is_ok_and(|text| text.to_string_lossy().starts_with(begin)) {
                return notes.set_item(place, note);
            }
        }
    }
    error.call_method1(intern!(py, "add_note"), (note,)).map(drop)
}
