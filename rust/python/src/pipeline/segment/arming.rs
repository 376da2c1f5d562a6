//! Setting the deadline of a call that suspended, on the loop that runs it.

use corten_core::clock::Clock as _;
use corten_core::pipeline as core;
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyWeakrefMethods, PyWeakrefReference};

use super::super::drive::close;
use super::Segment;
use crate::timeout::{Armed, Timers};

/// Sets the deadline of a call whose coroutine has just suspended; if that fails the call is over.
pub(in crate::pipeline) fn arm(
    segment: &Segment,
    call: &mut core::Call,
    coroutine: &Bound<'_, PyAny>,
    yielded: &Bound<'_, PyAny>,
) -> PyResult<Option<Armed>> {
    let Some(deadline) = call.deadline() else { return Ok(None) };
    match arm_at(segment, deadline, yielded) {
        Ok(armed) => Ok(Some(armed)),
        Err(error) => Python::attach(|_| {
            let closed = close(coroutine);
            segment.inner.abandon(call, segment.clock.now());
            closed?;
            Err(error)
        }),
    }
}

#[inline]
fn arm_at(segment: &Segment, deadline: u64, yielded: &Bound<'_, PyAny>) -> PyResult<Armed> {
    let py = yielded.py();
    // A future knows its loop; asking asyncio for the running one costs a system call on 3.11.
    let known = if yielded.is_none() { None } else { yielded.call_method0(intern!(py, "get_loop")).ok() };
    let event_loop = known.map_or_else(|| running_loop(py), Ok)?;
    let task = current_task(&event_loop)?;
    Timers::arm(&timers_of(segment, &event_loop)?, deadline, &task)
}

/// The timers of a loop; the segment remembers those of the last loop.
#[inline]
fn timers_of<'py>(segment: &Segment, event_loop: &Bound<'py, PyAny>) -> PyResult<Bound<'py, Timers>> {
    let py = event_loop.py();
    let last = {
        let last = segment.timers.lock();
        last.as_ref().map(|(weak, timers)| (weak.bind(py).upgrade(), timers.bind(py).clone()))
    };
    match last {
        Some((Some(known), timers)) if known.is(event_loop) => Ok(timers),
        _ => find_timers(segment, event_loop),
    }
}

#[cold]
fn find_timers<'py>(segment: &Segment, event_loop: &Bound<'py, PyAny>) -> PyResult<Bound<'py, Timers>> {
    Python::attach(|_| {
        let py = event_loop.py();
        static TIMERS_OF: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let timers_of = TIMERS_OF.import(py, "corten.pipeline.segments.timers", "timers_of")?;
        let timers = timers_of.call1((event_loop, &segment.clock_object))?.cast_into::<Timers>()?;
        let weak = PyWeakrefReference::new(event_loop)?.unbind();
        let previous = segment.timers.lock().replace((weak, timers.clone().unbind()));
        drop(previous); // outside the lock
        Ok(timers)
    })
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

/// The table in which `asyncio.current_task` looks, up to Python 3.11.
///
/// There the function is written in Python and takes three times as long. 3.11 no longer changes, so the table is safe
/// to read; if it is missing, `current_task` is called.
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
