//! The way of a call that does not suspend, and where it leaves that.

use std::ffi::CStr;

use corten_core::clock::{Clock as _, Nanos, nanos_from_seconds};
use corten_core::pipeline::{self as core, Outcome, Step};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

use super::call::{Call, Todo};
use super::compiled::Pipeline;
use super::drive::{First, close, first_step};
use super::settle::Settled;
use crate::deadline;
use crate::fastcall::Unary;

/// Admits a coroutine that has not begun, takes its first step and accounts.
pub(crate) struct Run;

impl Unary for Run {
    type Class = Pipeline;
    const NAME: &'static CStr = c"run";
    const DOC: &'static CStr =
        c"run($self, coroutine, /)\n--\n\nAdmits a coroutine that has not begun, takes its first \
        step and accounts. Gives its result, or a `Call` where something is left to be done; closes it where it is \
        refused.";

    #[inline]
    fn call<'py>(this: &Bound<'py, Pipeline>, coroutine: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let now = this.get().clock.now();
        deadline::here(|here| {
            let mut call = core::Call::new(now);
            if let Err(error) = this.get().set_horizon(here, this.py(), &mut call) {
                return Pipeline::not_begun(coroutine, error);
            }
            Pipeline::begin(this, here, &mut call, coroutine, now)
        })
    }
}

impl Pipeline {
    /// Everything of the common way is here, and owns no `Py`; the rest is not, to keep this small.
    #[inline(always)]
    pub(super) fn begin<'py>(
        slf: &Bound<'py, Self>,
        here: &deadline::Here,
        call: &mut core::Call,
        coroutine: &Bound<'py, PyAny>,
        now: u64,
    ) -> PyResult<Bound<'py, PyAny>> {
        let this = slf.get();
        if this.has_timeout && trio_is_imported(slf.py())? && Self::on_trio(slf.py())? {
            // A cancel scope must be entered before the first step; this form has taken none yet.
            return Self::left_to_do(slf, call, Todo::Scope, coroutine);
        }
        match this.inner.enter(call, now) {
            Step::Proceed => {}
            step => return Self::stopped(slf, call, step, coroutine),
        }
        match this.step_here(here, call.around(), || first_step(coroutine)) {
            First::Returned(value) => {
                if this.asks_results {
                    return Self::ask(slf, call, value);
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

    #[cold]
    fn left_to_do<'py>(
        slf: &Bound<'py, Self>,
        call: &mut core::Call,
        todo: Todo,
        coroutine: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Python::attach(|_| {
            Call::new(slf, take(call), todo, Some(coroutine.clone().unbind())).into_bound_py_any(slf.py())
        })
    }

    /// It was not admitted, or not yet.
    #[cold]
    fn stopped<'py>(
        slf: &Bound<'py, Self>,
        call: &mut core::Call,
        step: Step,
        coroutine: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Python::attach(|_| match slf.get().todo(slf.py(), call, step) {
            Ok(Some(todo)) => Self::left_to_do(slf, call, todo, coroutine),
            Ok(None) => Err(PyRuntimeError::new_err("a call can't proceed twice")),
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
        let armed = Self::arm(slf, call, coroutine, &yielded)?;
        Call::suspended(slf, take(call), coroutine.clone().unbind(), yielded.unbind(), armed)
            .into_bound_py_any(slf.py())
    }

    /// The coroutine raised at its first step; the error is the thread's.
    #[cold]
    fn failed<'py>(slf: &Bound<'py, Self>, call: &mut core::Call) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        Python::attach(|_| {
            let settled = slf.get().raised(py, call, PyErr::fetch(py), false)?;
            Self::settled(slf, call, settled)
        })
    }

    /// Closes what was not begun for an error.
    #[cold]
    fn not_begun<'py>(coroutine: &Bound<'py, PyAny>, error: PyErr) -> PyResult<Bound<'py, PyAny>> {
        Python::attach(|_| close(coroutine).and(Err(error)))
    }

    /// Runs a step of the user's code with that deadline around it.
    #[inline]
    pub(super) fn step<R>(&self, deadline: Option<Nanos>, step: impl FnOnce() -> R) -> R {
        if deadline.is_none() { step() } else { deadline::here(|here| self.step_here(here, deadline, step)) }
    }

    #[inline]
    fn step_here<R>(&self, here: &deadline::Here, deadline: Option<Nanos>, step: impl FnOnce() -> R) -> R {
        let _around = deadline::around(here, &self.clock, deadline);
        step()
    }

    /// Tells a call that begins of the deadline around it.
    #[inline]
    pub(super) fn set_horizon(&self, here: &deadline::Here, py: Python<'_>, call: &mut core::Call) -> PyResult<()> {
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
            let by_context: Option<f64> = on.call1((&self.face,))?.extract()?;
            let earlier = by_context.map(nanos_from_seconds).into_iter().chain(call.horizon()).min();
            if let Some(deadline) = earlier {
                call.set_horizon(deadline);
            }
            Ok(())
        })
    }

    /// The coroutine returned at its first step, and a policy asks what.
    #[cold]
    fn ask<'py>(
        slf: &Bound<'py, Self>,
        call: &mut core::Call,
        value: Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        Python::attach(|_| {
            let settled = slf.get().returned(py, call, value.unbind())?;
            Self::settled(slf, call, settled)
        })
    }

    fn settled<'py>(slf: &Bound<'py, Self>, call: &mut core::Call, settled: Settled) -> PyResult<Bound<'py, PyAny>> {
        match settled {
            Settled::Value(value) => Ok(value.into_bound(slf.py())),
            Settled::Again(todo, error) => Call::again(slf, take(call), todo, error).into_bound_py_any(slf.py()),
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
