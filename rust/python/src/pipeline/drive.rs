//! Driving a coroutine from one suspension to the next.

use pyo3::exceptions::PyStopIteration;
use pyo3::prelude::*;
use pyo3::{ffi, intern};

/// The result of a step of a coroutine.
pub(super) enum Sent {
    Returned(Py<PyAny>),
    Yielded(Py<PyAny>),
    Raised(PyErr),
}

/// The result of the first step of a coroutine; its error stays set on the thread.
pub(super) enum First<'py> {
    Returned(Bound<'py, PyAny>),
    Yielded(Bound<'py, PyAny>),
    Raised,
}

/// Begins a coroutine.
#[inline(always)]
pub(super) fn first_step<'py>(coroutine: &Bound<'py, PyAny>) -> First<'py> {
    let mut result: *mut ffi::PyObject = std::ptr::null_mut();
    // SAFETY: the coroutine is alive and borrowed for the call as None always is, `result` is a valid place for a
    // pointer, and the thread is attached to the interpreter.
    let status = unsafe { ffi::PyIter_Send(coroutine.as_ptr(), ffi::Py_None(), &raw mut result) };
    // SAFETY: PyIter_Send leaves a new reference in `result`, or null with an exception set.
    match (status, unsafe { Bound::from_owned_ptr_or_opt(coroutine.py(), result) }) {
        (ffi::PySendResult::PYGEN_RETURN, Some(value)) => First::Returned(value),
        (ffi::PySendResult::PYGEN_NEXT, Some(value)) => First::Yielded(value),
        _ => First::Raised,
    }
}

/// Sends a value into a coroutine (None to begin it, and on asyncio always).
#[inline]
pub(super) fn send(coroutine: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> Sent {
    let py = coroutine.py();
    let mut result: *mut ffi::PyObject = std::ptr::null_mut();
    // SAFETY: both arguments are alive and borrowed for the call, `result` is a valid place for a pointer, and the
    // thread is attached to the interpreter as `py` proves.
    let status = unsafe { ffi::PyIter_Send(coroutine.as_ptr(), value.as_ptr(), &raw mut result) };
    // SAFETY: PyIter_Send leaves a new reference in `result`, or null with an exception set.
    let result = unsafe { Bound::from_owned_ptr_or_opt(py, result) };
    match (status, result) {
        (ffi::PySendResult::PYGEN_RETURN, Some(value)) => Sent::Returned(value.unbind()),
        (ffi::PySendResult::PYGEN_NEXT, Some(value)) => Sent::Yielded(value.unbind()),
        _ => Sent::Raised(PyErr::fetch(py)),
    }
}

/// Throws an exception into a suspended coroutine, which may continue, suspend again, or end.
pub(super) fn throw(coroutine: &Bound<'_, PyAny>, error: PyErr) -> Sent {
    let py = coroutine.py();
    match coroutine.call_method1(intern!(py, "throw"), (error.into_value(py),)) {
        Ok(yielded) => Sent::Yielded(yielded.unbind()),
        // A coroutine's own StopIteration becomes a RuntimeError inside it, so this one is the return.
        Err(error) if error.is_instance_of::<PyStopIteration>(py) => {
            match error.value(py).getattr(intern!(py, "value")) {
                Ok(value) => Sent::Returned(value.unbind()),
                Err(error) => Sent::Raised(error),
            }
        }
        Err(error) => Sent::Raised(error),
    }
}

/// Closes a coroutine, so that one that never began raises no "never awaited" warning.
pub(super) fn close(coroutine: &Bound<'_, PyAny>) -> PyResult<()> {
    coroutine.call_method0(intern!(coroutine.py(), "close")).map(drop)
}
