//! Setting the deadline of a call that suspended, on the loop that runs it.

use corten_core::clock::Clock as _;
use corten_core::pipeline as core;
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyWeakrefMethods, PyWeakrefReference};

use super::compiled::Pipeline;
use super::drive::close;
use crate::timeout::{Armed, Timers};

impl Pipeline {
    /// Sets the deadline of a call whose coroutine has just suspended; where that can't be done the call is over.
    pub(super) fn arm(
        slf: &Bound<'_, Self>,
        call: &mut core::Call,
        coroutine: &Bound<'_, PyAny>,
        yielded: &Bound<'_, PyAny>,
    ) -> PyResult<Option<Armed>> {
        let Some(deadline) = call.deadline() else { return Ok(None) };
        match slf.get().arm_at(deadline, yielded) {
            Ok(armed) => Ok(Some(armed)),
            Err(error) => Python::attach(|_| {
                let closed = close(coroutine);
                slf.get().inner.abandon(call, slf.get().clock.now());
                closed?;
                Err(error)
            }),
        }
    }

    #[inline]
    fn arm_at(&self, deadline: u64, yielded: &Bound<'_, PyAny>) -> PyResult<Armed> {
        let py = yielded.py();
        // A future knows its loop; asking asyncio for the running one costs a system call on 3.11.
        let known = if yielded.is_none() { None } else { yielded.call_method0(intern!(py, "get_loop")).ok() };
        let event_loop = known.map_or_else(|| running_loop(py), Ok)?;
        let task = current_task(&event_loop)?;
        Timers::arm(&self.timers(&event_loop)?, deadline, &task)
    }

    /// The deadlines of a loop.
    #[inline]
    fn timers<'py>(&self, event_loop: &Bound<'py, PyAny>) -> PyResult<Bound<'py, Timers>> {
        let py = event_loop.py();
        let seen = {
            let seen = self.timers.lock();
            seen.as_ref().map(|(weak, timers)| (weak.bind(py).upgrade(), timers.bind(py).clone()))
        };
        match seen {
            Some((Some(known), timers)) if known.is(event_loop) => Ok(timers),
            _ => self.find_timers(event_loop),
        }
    }

    #[cold]
    fn find_timers<'py>(&self, event_loop: &Bound<'py, PyAny>) -> PyResult<Bound<'py, Timers>> {
        Python::attach(|_| {
            let py = event_loop.py();
            static TIMERS_OF: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
            let timers_of = TIMERS_OF.import(py, "corten.pipeline.segments.timers", "timers_of")?;
            let timers = timers_of.call1((event_loop, &self.face))?.cast_into::<Timers>()?;
            let weak = PyWeakrefReference::new(event_loop)?.unbind();
            let previous = self.timers.lock().replace((weak, timers.clone().unbind()));
            drop(previous); // outside the lock
            Ok(timers)
        })
    }
}

fn running_loop(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    static FUNCTION: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    FUNCTION.import(py, "asyncio", "get_running_loop")?.call0()
}

/// The task that runs now.
#[inline]
fn current_task<'py>(event_loop: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = event_loop.py();
    static FUNCTION: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let task = match running_tasks(py) {
        Some(tasks) => tasks.get_item(event_loop)?,
        None => Some(FUNCTION.import(py, "asyncio", "current_task")?.call1((event_loop,))?),
    };
    task.filter(|task| !task.is_none()).ok_or_else(no_task)
}

/// Up to 3.11 `asyncio.current_task` is a function of Python's that looks into this table, at three times the price. As
/// that version changes no more the table can be looked into; where it is missing the function is asked.
#[inline]
fn running_tasks(py: Python<'_>) -> Option<&Bound<'_, PyDict>> {
    static TASKS: PyOnceLock<Option<Py<PyDict>>> = PyOnceLock::new();
    let find = || {
        let tasks = py.import("asyncio.tasks").ok()?.getattr("_current_tasks").ok()?;
        tasks.cast_into::<PyDict>().ok().filter(|_| py.version_info() < (3, 12)).map(Bound::unbind)
    };
    TASKS.get_or_init(py, find).as_ref().map(|tasks| tasks.bind(py))
}

#[cold]
fn no_task() -> PyErr {
    PyRuntimeError::new_err("a time limit needs a task: this coroutine is not run by one")
}
