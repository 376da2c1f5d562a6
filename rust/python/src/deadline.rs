//! The deadline around the code that runs: what pipelines further inside, and plugins, see.
//!
//! A pipeline drives its coroutine step by step, so the deadline is a thread's: set for the length of a step, and put
//! back after it. That costs two stores where a context variable would cost a tenth of a microsecond.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use corten_core::clock::{AnyClock, Clock as _, FakeClock, Nanos, SystemClock, seconds_from_nanos};
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

thread_local! {
    /// On the machine's clock; zero: none.
    static SYSTEM: Cell<Nanos> = const { Cell::new(0) };
    /// On a clock of a test.
    static FAKE: RefCell<Option<(Arc<FakeClock>, Nanos)>> = const { RefCell::new(None) };
}

/// The context variable of `corten.deadline`, from when somebody first set a deadline by it: only then it is looked at.
static BY_CONTEXT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// The thread's deadline on the machine's clock. Finding what is a thread's own is a call into the dynamic linker, so a
/// crossing does it once.
pub(crate) type Here = Cell<Nanos>;

/// Does something with the thread's deadline at hand.
#[inline]
pub(crate) fn here<R>(act: impl FnOnce(&Here) -> R) -> R {
    SYSTEM.with(act)
}

/// Puts back what was there before.
pub(crate) enum Around<'a> {
    Nothing,
    System(&'a Here, Nanos),
    Fake(Option<(Arc<FakeClock>, Nanos)>),
}

/// Makes `deadline` the one around what runs until the guard is dropped; an earlier one stays.
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

/// The deadline around the caller, as far as it is known without asking Python and is of this clock.
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

/// Whether a context variable holds something else than None. What goes wrong here goes wrong again, with words, where
/// its value is asked for.
fn is_set(variable: &Bound<'_, PyAny>) -> bool {
    let mut value: *mut ffi::PyObject = std::ptr::null_mut();
    // SAFETY: the variable is alive and borrowed for the call, no default is given, and `value` is a valid place for a
    // pointer, which is left null or owns a reference.
    let found = unsafe { ffi::PyContextVar_Get(variable.as_ptr(), std::ptr::null_mut(), &raw mut value) };
    // SAFETY: as said, null or a new reference.
    let value = unsafe { Bound::from_owned_ptr_or_opt(variable.py(), value) };
    if found < 0 {
        drop(PyErr::take(variable.py()));
        return true;
    }
    value.is_some_and(|value| !value.is_none())
}

/// Seconds until the deadline of the pipelines around the caller; None where there is none.
#[pyfunction]
pub(crate) fn pipeline_time_left() -> Option<f64> {
    let left = |deadline: Nanos, now: Nanos| seconds_from_nanos(deadline.saturating_sub(now));
    let fake = FAKE.with_borrow(|fake| fake.as_ref().map(|(clock, deadline)| left(*deadline, clock.now())));
    let system = Some(SYSTEM.get()).filter(|deadline| *deadline != 0).map(|deadline| left(deadline, SystemClock.now()));
    fake.into_iter().chain(system).reduce(f64::min)
}

/// From now on pipelines ask `corten.deadline` for deadlines that context variables hold.
#[pyfunction]
pub(crate) fn deadlines_by_context(variable: Bound<'_, PyAny>) -> PyResult<()> {
    let py = variable.py();
    if !variable.is_instance(&py.import("contextvars")?.getattr("ContextVar")?)? {
        return Err(PyTypeError::new_err("deadlines are held by a ContextVar"));
    }
    BY_CONTEXT.get_or_init(py, || variable.unbind());
    Ok(())
}
