//! The deadline of the running code, for inner pipelines and for plugins.
//!
//! A pipeline drives its coroutine step by step, so the deadline belongs to the thread: set for each step, and put
//! back after it. That costs two stores; a context variable would cost a tenth of a microsecond.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use corten_core::clock::{AnyClock, Clock as _, FakeClock, Nanos, SystemClock, seconds_from_nanos};
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

thread_local! {
    /// The deadline on the machine's clock; zero: none.
    static SYSTEM: Cell<Nanos> = const { Cell::new(0) };
    /// The deadline on a test's clock.
    static FAKE: RefCell<Option<(Arc<FakeClock>, Nanos)>> = const { RefCell::new(None) };
}

/// The context variable of `corten.deadline`, once it was first set; before that it is not read.
static BY_CONTEXT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// The thread's deadline on the machine's clock. Finding a thread-local is a call into the dynamic linker, so a
/// crossing does it once.
pub(crate) type Here = Cell<Nanos>;

/// Calls a function with the thread's deadline.
#[inline]
pub(crate) fn here<R>(act: impl FnOnce(&Here) -> R) -> R {
    SYSTEM.with(act)
}

/// Puts back the deadline before.
pub(crate) enum Around<'a> {
    Nothing,
    System(&'a Here, Nanos),
    Fake(Option<(Arc<FakeClock>, Nanos)>),
}

/// Sets a deadline until the guard is dropped; an earlier one stays in force.
#[inline]
pub(crate) fn around<'a>(here: &'a Here, clock: &AnyClock, deadline: Option<Nanos>) -> Around<'a> {
    let Some(deadline) = deadline else { return Around::Nothing };
    match clock {
        AnyClock::System(_) => match here.get() {
            before if before != 0 && before <= deadline => Around::Nothing,
            _ => Around::System(here, here.replace(deadline)),
        },
        AnyClock::Fake(fake) => around_fake(fake, deadline),
    }
}

#[cold]
fn around_fake(clock: &Arc<FakeClock>, deadline: Nanos) -> Around<'static> {
    FAKE.with_borrow_mut(|fake| match fake {
        Some((known, before)) if Arc::ptr_eq(known, clock) && *before <= deadline => Around::Nothing,
        _ => Around::Fake(fake.replace((Arc::clone(clock), deadline))),
    })
}

impl Drop for Around<'_> {
    #[inline]
    fn drop(&mut self) {
        match self {
            Self::Nothing => {}
            Self::System(here, before) => here.set(*before),
            Self::Fake(before) => FAKE.set(before.take()),
        }
    }
}

/// The caller's deadline on this clock, as far as it is known without calling Python.
#[inline]
pub(crate) fn horizon(here: &Here, clock: &AnyClock) -> Option<Nanos> {
    match clock {
        AnyClock::System(_) => Some(here.get()).filter(|deadline| *deadline != 0),
        AnyClock::Fake(clock) => horizon_fake(clock),
    }
}

#[cold]
fn horizon_fake(clock: &Arc<FakeClock>) -> Option<Nanos> {
    FAKE.with_borrow(|fake| fake.as_ref().and_then(|(known, deadline)| Arc::ptr_eq(known, clock).then_some(*deadline)))
}

/// Whether the context variable holds a deadline for the caller.
#[inline]
pub(crate) fn by_context(py: Python<'_>) -> bool {
    BY_CONTEXT.get(py).is_some_and(|variable| is_set(variable.bind(py)))
}

/// Whether a context variable holds a value other than None. An error here is raised again, with a text, where
/// its value is read.
fn is_set(variable: &Bound<'_, PyAny>) -> bool {
    let mut value: *mut ffi::PyObject = std::ptr::null_mut();
    // SAFETY: the variable is alive and borrowed for the call, no default is given, and `value` is a valid place for a
    // pointer, which is left null or owns a reference.
    let found = unsafe { ffi::PyContextVar_Get(variable.as_ptr(), std::ptr::null_mut(), &raw mut value) };
    // SAFETY: as above, null or a new reference.
    let value = unsafe { Bound::from_owned_ptr_or_opt(variable.py(), value) };
    if found < 0 {
        drop(PyErr::take(variable.py()));
        return true;
    }
    value.is_some_and(|value| !value.is_none())
}

/// Return the seconds until the deadline of the pipelines around the caller; None: there is none.
#[pyfunction]
pub(crate) fn pipeline_time_left() -> Option<f64> {
    let left = |deadline: Nanos, now: Nanos| seconds_from_nanos(deadline.saturating_sub(now));
    let fake = FAKE.with_borrow(|fake| fake.as_ref().map(|(clock, deadline)| left(*deadline, clock.now())));
    let system = Some(SYSTEM.get()).filter(|deadline| *deadline != 0).map(|deadline| left(deadline, SystemClock.now()));
    fake.into_iter().chain(system).reduce(f64::min)
}

/// Have pipelines read deadlines from the context variable from now on.
#[pyfunction]
pub(crate) fn deadlines_by_context(variable: Bound<'_, PyAny>) -> PyResult<()> {
    let py = variable.py();
    if !variable.is_instance(&py.import("contextvars")?.getattr("ContextVar")?)? {
        return Err(PyTypeError::new_err("deadlines are held by a ContextVar"));
    }
    BY_CONTEXT.get_or_init(py, || variable.unbind());
    Ok(())
}
