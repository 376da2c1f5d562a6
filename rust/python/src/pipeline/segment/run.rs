//! A call that does not suspend, and the cold paths that leave it.

use std::ffi::CStr;

use corten_core::clock::{Clock as _, Nanos, nanos_from_seconds};
use corten_core::pipeline::{self as core, Decision, Outcome};
use pyo3::IntoPyObjectExt;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

use super::super::call::{Action, Call, Raised};
use super::super::drive::{First, close, first_step};
use super::super::to_python::{self, Answer};
use super::{Segment, arm};
use crate::deadline;
use crate::fastcall::Unary;

/// `Segment.run`: admits a coroutine, takes its first step and accounts.
pub(in crate::pipeline) struct Run;

impl Unary for Run {
    type Class = Segment;
    const NAME: &'static CStr = c"run";
    const DOC: &'static CStr =
        c"run($self, coroutine, /)\n--\n\nAdmits a coroutine that has not begun, takes its first \
        step and accounts. Gives its result, or a `Call` where something is left to be done; closes it where it is \
        refused.";

    #[inline]
    fn call<'py>(this: &Bound<'py, Segment>, coroutine: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let now = this.get().clock.now();
        deadline::here(|here| {
            let mut call = core::Call::new(now);
            if let Err(error) = this.get().set_horizon(here, this.py(), &mut call) {
                return Segment::not_begun(coroutine, error);
            }
            Segment::begin(this, here, &mut call, coroutine, now)
        })
    }
}

impl Segment {
    /// The common path, which owns no `Py`; everything else is in functions of its own, to keep this one small.
    #[inline(always)]
    pub(in crate::pipeline) fn begin<'py>(
        slf: &Bound<'py, Self>,
        here: &deadline::Here,
        call: &mut core::Call,
        coroutine: &Bound<'py, PyAny>,
        now: u64,
    ) -> PyResult<Bound<'py, PyAny>> {
        let this = slf.get();
        if this.has_timeout && trio_is_imported(slf.py())? && Self::on_trio(slf.py())? {
            // A cancel scope must be entered before the first step; this form has taken none yet.
            return Self::pending(slf, call, Action::EnterScopes, Some(coroutine), None);
        }
        match this.inner.enter(call, now) {
            Decision::Proceed => {}
            decision => return Self::stopped(slf, call, decision, coroutine),
        }
        match this.step_here(here, call.around(), || first_step(coroutine)) {
            First::Returned(value) => {
                if this.judges_results {
                    return Self::judge(slf, call, value);
                }
                this.inner.leave(call, Outcome::Success, this.clock.now());
                Ok(value)
            }
            First::Yielded(yielded) => Self::suspended(slf, call, coroutine, yielded),
            First::Raised => Self::failed(slf, call),
        }
    }

    #[cold]
    fn on_trio(py: Python<'_>) -> PyResult<bool> {
        Python::attach(|_| on_trio(py))
    }

    /// The call moves into an object that says what comes next.
    #[cold]
    fn pending<'py>(
        slf: &Bound<'py, Self>,
        call: &mut core::Call,
        action: Action,
        coroutine: Option<&Bound<'py, PyAny>>,
        error: Option<Raised>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Python::attach(|_| {
            let coroutine = coroutine.map(|coroutine| coroutine.clone().unbind());
            Call::new(slf, take(call), action, coroutine, error).into_bound_py_any(slf.py())
        })
    }

    /// The call was not admitted, or not yet.
    #[cold]
    fn stopped<'py>(
        slf: &Bound<'py, Self>,
        call: &mut core::Call,
        decision: Decision,
        coroutine: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Python::attach(|_| match to_python::entering(slf.py(), slf.get(), call, decision) {
            Ok((decision, error)) => Self::pending(slf, call, Action::Decided(decision), Some(coroutine), error),
            Err(error) => {
                close(coroutine)?;
                Err(error)
            }
        })
    }

    #[inline(never)]
    fn suspended<'py>(
        slf: &Bound<'py, Self>,
        call: &mut core::Call,
        coroutine: &Bound<'py, PyAny>,
        yielded: Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let armed = arm(slf.get(), call, coroutine, &yielded)?;
        Call::suspended(slf, take(call), coroutine.clone().unbind(), yielded.unbind(), armed)
            .into_bound_py_any(slf.py())
    }

    /// The coroutine raised at its first step; the error is the thread's.
    #[cold]
    fn failed<'py>(slf: &Bound<'py, Self>, call: &mut core::Call) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        Python::attach(|_| {
            let answer = to_python::raised(py, slf.get(), call, PyErr::fetch(py), false)?;
            Self::answer(slf, call, answer)
        })
    }

    /// Closes what was not begun for an error.
    #[cold]
    fn not_begun<'py>(coroutine: &Bound<'py, PyAny>, error: PyErr) -> PyResult<Bound<'py, PyAny>> {
        Python::attach(|_| close(coroutine).and(Err(error)))
    }

    /// Runs a step of the user's code with that deadline around it.
    #[inline]
    pub(in crate::pipeline) fn step<R>(&self, deadline: Option<Nanos>, step: impl FnOnce() -> R) -> R {
        if deadline.is_none() { step() } else { deadline::here(|here| self.step_here(here, deadline, step)) }
    }

    #[inline]
    fn step_here<R>(&self, here: &deadline::Here, deadline: Option<Nanos>, step: impl FnOnce() -> R) -> R {
        let _around = deadline::around(here, &self.clock, deadline);
        step()
    }

    /// Tells a call that begins of the deadline around it.
    #[inline]
    pub(in crate::pipeline) fn set_horizon(
        &self,
        here: &deadline::Here,
        py: Python<'_>,
        call: &mut core::Call,
    ) -> PyResult<()> {
        if let Some(horizon) = deadline::horizon(here, &self.clock) {
            call.set_horizon(horizon);
        }
        if deadline::by_context(py) { self.set_context_horizon(py, call) } else { Ok(()) }
    }

    #[cold]
    fn set_context_horizon(&self, py: Python<'_>, call: &mut core::Call) -> PyResult<()> {
        Python::attach(|_| {
            static ON: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
            let on = ON.import(py, "corten.deadline", "context_deadline")?;
            let by_context: Option<f64> = on.call1((&self.clock_object,))?.extract()?;
            let earlier = by_context.map(nanos_from_seconds).into_iter().chain(call.horizon()).min();
            if let Some(deadline) = earlier {
                call.set_horizon(deadline);
            }
            Ok(())
        })
    }

    /// The coroutine returned at its first step, and a policy judges the result.
    #[cold]
    fn judge<'py>(
        slf: &Bound<'py, Self>,
        call: &mut core::Call,
        value: Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        Python::attach(|_| {
            let answer = to_python::returned(py, slf.get(), call, value.unbind())?;
            Self::answer(slf, call, answer)
        })
    }

    fn answer<'py>(slf: &Bound<'py, Self>, call: &mut core::Call, answer: Answer) -> PyResult<Bound<'py, PyAny>> {
        match answer {
            Answer::Result(value) => Ok(value.into_bound(slf.py())),
            Answer::Decided(decision, error) => Self::pending(slf, call, Action::Decided(decision), None, error),
        }
    }
}

/// The call moves into an object; what stays behind has entered nothing.
fn take(call: &mut core::Call) -> core::Call {
    std::mem::replace(call, core::Call::new(0))
}

/// While nobody has imported trio it does not run this call: one look into a dictionary.
#[inline]
fn trio_is_imported(py: Python<'_>) -> PyResult<bool> {
    static MODULES: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
    MODULES.import(py, "sys", "modules")?.contains(intern!(py, "trio"))
}

/// Whether trio runs this call.
fn on_trio(py: Python<'_>) -> PyResult<bool> {
    static FUNCTION: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    FUNCTION.import(py, "corten.event_loop", "on_trio")?.call0()?.is_truthy()
}
