//! What the core decided, in Python's words: what is to be done, what comes out, which error is raised.

use corten_core::clock::{Clock as _, seconds_from_nanos};
use corten_core::pipeline::{self as core, Failure, Kind, Next, Outcome, Refusal, Step, Why};
use pyo3::exceptions::{PyException, PyTimeoutError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyType};

use super::call::{Raised, Todo};
use super::compiled::Pipeline;
use super::failures::described;
use super::notes::note_attempts;
use super::refusals;
use crate::timeout::Armed;

/// How a call ended for Python, other than by an error.
pub(super) enum Settled {
    Value(Py<PyAny>),
    /// Something is to be done first; to be tried again, for that error where there was one.
    Again(Todo, Option<Raised>),
}

impl Pipeline {
    /// What a breaker says for its refusal; None for the other policies.
    fn reason(&self, py: Python<'_>, refusal: Refusal) -> Option<PyResult<Py<PyString>>> {
        let (_, breaker) = self.breakers.iter().find(|(index, _)| *index == refusal.index)?;
        Some(breaker.get().reason(py))
    }

    /// The words of a failure that a breaker of the pipeline counts, and so remembers.
    fn words(&self, error: &Bound<'_, PyAny>, outcome: Outcome) -> Option<String> {
        let Outcome::Failed(Failure { counts, .. }) = outcome else { return None };
        let counted = self.breakers.iter().any(|(index, _)| counts >> index & 1 == 1);
        counted.then(|| described(error))
    }

    /// Tells what was decided; what goes wrong there is nothing to the call.
    #[cold]
    pub(super) fn tell(
        &self,
        py: Python<'_>,
        kind: &'static str,
        policy: &'static str,
        error: Option<&PyErr>,
        attempt: u32,
        nanos: Option<u64>,
    ) {
        let Some(tell) = &self.tell else { return };
        let error = error.map(|error| error.value(py));
        let told = tell.bind(py).call1((kind, policy, error, attempt, nanos.map(seconds_from_nanos)));
        if let Err(wrong) = told {
            wrong.write_unraisable(py, Some(tell.bind(py)));
        }
    }

    /// What a step leaves to be done; nothing where the call may proceed.
    pub(super) fn todo(&self, py: Python<'_>, call: &core::Call, step: Step) -> PyResult<Option<Todo>> {
        match step {
            Step::Proceed => Ok(None),
            Step::Wait(nanos) => Ok(Some(Todo::Wait(nanos))),
            Step::Again(nanos) => {
                self.tell(py, "retried", Kind::Retry.word(), None, call.attempt(), Some(nanos));
                Ok(Some(Todo::Wait(nanos)))
            }
            Step::Queue(ticket, until) => Ok(Some(Todo::Queue(ticket, until))),
            Step::FallBack(index, Why::Refused(refusal)) => {
                let error = refusals::refused(py, &self.filters.name, refusal, self.reason(py, refusal));
                self.tell(py, "refused", refusal.policy.word(), Some(&error), 0, refusal.retry_after);
                Ok(Some(Todo::FallBack(index, error.into_value(py))))
            }
            Step::FallBack(index, why) => {
                let limit = if let Why::DeadlineExceeded(limit) = why { limit } else { 0 };
                let error = refusals::deadline_exceeded(py, &self.filters.name, limit);
                self.tell(py, "timed_out", Kind::Timeout.word(), Some(&error), 0, Some(limit));
                Ok(Some(Todo::FallBack(index, error.into_value(py))))
            }
            Step::Refuse(refusal) => {
                let error = refusals::refused(py, &self.filters.name, refusal, self.reason(py, refusal));
                note_attempts(py, &self.filters.name, call, self.clock.now(), &error);
                self.tell(py, "refused", refusal.policy.word(), Some(&error), 0, refusal.retry_after);
                Err(error)
            }
            Step::DeadlineExceeded(limit) => {
                let error = refusals::deadline_exceeded(py, &self.filters.name, limit);
                note_attempts(py, &self.filters.name, call, self.clock.now(), &error);
                self.tell(py, "timed_out", Kind::Timeout.word(), Some(&error), 0, Some(limit));
                Err(error)
            }
        }
    }

    /// The coroutine ended; `armed` is the deadline it ran under.
    pub(super) fn ended(
        &self,
        py: Python<'_>,
        call: &mut core::Call,
        sent: Result<Py<PyAny>, PyErr>,
        armed: Option<Armed>,
    ) -> PyResult<Settled> {
        let overdue = armed.map_or(Ok(false), |armed| armed.disarm(py));
        match (sent, overdue) {
            (Ok(value), Ok(_)) => self.returned(py, call, value),
            (Err(error), Ok(overdue)) => self.raised(py, call, error, overdue),
            (_, Err(error)) => self.raised(py, call, error, false),
        }
    }

    /// The call returned: that is what it gives, unless a policy wants something else.
    #[inline]
    pub(super) fn returned(&self, py: Python<'_>, call: &mut core::Call, value: Py<PyAny>) -> PyResult<Settled> {
        if self.asks_results {
            match self.filters.unwanted(value.bind(py)) {
                Ok(bits) => call.set_unwanted(bits),
                Err(wrong) => {
                    self.gone_wrong(py, call, &wrong);
                    return Err(wrong);
                }
            }
        }
        match self.inner.leave(call, Outcome::Success, self.clock.now()) {
            Next::RetryAfter(nanos) => {
                let unwanted = PyValueError::new_err("what it returned is not what was wanted");
                self.tell(py, "retried", Kind::Retry.word(), Some(&unwanted), call.attempt(), Some(nanos));
                Ok(Settled::Again(Todo::Wait(nanos), None))
            }
            _ => Ok(Settled::Value(value)),
        }
    }

    /// A function that a policy asks raised: the call is over, and that error is what it raises.
    fn gone_wrong(&self, py: Python<'_>, call: &mut core::Call, wrong: &PyErr) {
        let error = wrong.is_instance_of::<PyException>(py);
        let outcome = if error { Outcome::Failed(Failure::default()) } else { Outcome::Cancelled };
        call.set_unwanted(0);
        self.inner.leave(call, outcome, self.clock.now());
    }

    pub(super) fn raised(
        &self,
        py: Python<'_>,
        call: &mut core::Call,
        error: PyErr,
        overdue: bool,
    ) -> PyResult<Settled> {
        let outcome = if overdue && error.matches(py, cancelled_type(py)?)? {
            Ok(Outcome::TimedOut)
        } else {
            self.filters.outcome(error.value(py))
        };
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(wrong) => {
                // An `isinstance`, a property or a predicate of the user's failed.
                self.gone_wrong(py, call, &wrong);
                wrong.value(py).setattr(intern!(py, "__context__"), error.value(py))?;
                return Err(wrong);
            }
        };
        let now = self.clock.now();
        let words = self.words(error.value(py), outcome);
        match self.inner.leave_saying(call, outcome, words.as_deref(), now) {
            Next::Return | Next::Raise => {
                note_attempts(py, &self.filters.name, call, now, &error);
                // What a part further inside ended was told there.
                if self.inner.counts_calls() && matches!(outcome, Outcome::Failed(Failure { within: None, .. })) {
                    self.tell(py, "failed", "", Some(&error), 0, None);
                }
                Err(error)
            }
            Next::RetryAfter(nanos) => {
                let late = || PyTimeoutError::new_err("the attempt took too long");
                let cause = if outcome == Outcome::TimedOut { late() } else { error.clone_ref(py) };
                self.tell(py, "retried", Kind::Retry.word(), Some(&cause), call.attempt(), Some(nanos));
                Ok(Settled::Again(Todo::Wait(nanos), Some(error.into_value(py))))
            }
            Next::FallBack(index, Why::DeadlineExceeded(limit)) => {
                let exceeded = refusals::deadline_exceeded(py, &self.filters.name, limit);
                exceeded.set_cause(py, Some(error));
                note_attempts(py, &self.filters.name, call, now, &exceeded);
                self.tell(py, "timed_out", Kind::Timeout.word(), Some(&exceeded), 0, Some(limit));
                Ok(Settled::Again(Todo::FallBack(index, exceeded.into_value(py)), None))
            }
            Next::FallBack(index, _) => {
                note_attempts(py, &self.filters.name, call, now, &error);
                Ok(Settled::Again(Todo::FallBack(index, error.into_value(py)), None))
            }
            Next::DeadlineExceeded(limit) => {
                let exceeded = refusals::deadline_exceeded(py, &self.filters.name, limit);
                exceeded.set_cause(py, Some(error));
                note_attempts(py, &self.filters.name, call, now, &exceeded);
                self.tell(py, "timed_out", Kind::Timeout.word(), Some(&exceeded), 0, Some(limit));
                Err(exceeded)
            }
        }
    }
}

fn cancelled_type(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static TYPE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    TYPE.import(py, "asyncio", "CancelledError")
}
