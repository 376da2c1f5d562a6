//! Binding of [`corten_core::timeout`]: the deadlines of one event loop behind one of its timers.

use corten_core::clock::{AnyClock, Clock as _, Nanos, seconds_from_nanos};
use corten_core::timeout::{Key, Wheel};
use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::{ffi, intern};

use crate::clock::Clock;
use crate::spin::Mutex;

/// Deadlines of one tick share a wake-up, so that a deadline is met at most one tick late. With a fake
/// clock each deadline is met exactly.
const TICK: Nanos = 5_000_000;

struct State {
    wheel: Wheel<Waiting>,
    /// The time of the loop's next timer; zero: there is none. Earlier timers for a later time stay and do
    /// nothing: to cancel them one would have to hold them, and they hold the loop.
    wakes_at: Nanos,
}

/// A task to cancel at its deadline. Not a strong reference, or a closed loop with a suspended call would never be
/// freed; nor a weak one, which is an object made for each call. The [`Armed`] that inserted it holds
/// the task, and removes this from the wheel before it releases the task: tasks in the wheel are alive.
struct Waiting(*mut ffi::PyObject);

// SAFETY: only an address; code that makes a reference of it is attached to the interpreter.
unsafe impl Send for Waiting {}

impl Waiting {
    /// A strong reference; call it under the lock of the wheel that has, or just had, this task.
    fn task<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        // SAFETY: the task is alive: releasing it needs the lock that the caller holds
        unsafe { Borrowed::from_ptr(py, self.0) }.to_owned()
    }
}

/// A deadline that is set.
pub(crate) struct Armed {
    timers: Py<Timers>,
    task: Py<PyAny>,
    key: Key,
    /// The number of cancellations requested of the task before.
    cancelling: i64,
}

/// All deadlines of one asyncio loop, of pipelines on one clock.
#[pyclass(frozen, module = "corten._core")]
pub(crate) struct Timers {
    clock: AnyClock,
    clock_object: Py<PyAny>,
    state: Mutex<State>,
}

#[pymethods]
impl Timers {
    /// `clock_object` is the `corten.clock.Clock`, whose `call_at` sets the loop's timer.
    #[new]
    fn new(core: &Clock, clock_object: Py<PyAny>) -> Self {
        let state = State { wheel: Wheel::new(TICK), wakes_at: 0 };
        Self { clock: core.inner.clone(), clock_object, state: Mutex::new(state) }
    }

    fn __len__(&self) -> usize {
        self.state.lock().wheel.len()
    }

    /// Visits the clock, for a test's clock holds its timers.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.clock_object)
    }

    /// Handles a timer of the loop: cancels tasks past their deadline, and sets the timer for
    /// the next deadline. The loop has a clock of its own, so the timer may go off before its time or after it.
    fn tick(slf: &Bound<'_, Self>, set_for: Nanos) -> PyResult<()> {
        let (mut due, this, py) = (Vec::new(), slf.get(), slf.py());
        let next = {
            let mut state = this.state.lock();
            let now = this.clock.now();
            state.wheel.expire(now, |waiting| due.push(waiting.task(py)));
            if state.wakes_at == set_for {
                state.wakes_at = 0; // else it is one that was set for a later time, and that one is still to come
            }
            state.wheel.earliest()
        };
        // An error of one task's `cancel` must not affect other deadlines, nor the next timer.
        let mut cancelled = Ok(());
        for task in due {
            cancelled = cancelled.and(task.call_method0(intern!(py, "cancel")).map(drop));
        }
        cancelled.and(next.map_or(Ok(()), |deadline| Self::wake_at(slf, deadline)))
    }
}

impl Timers {
    /// Cancels `task` at `deadline` unless it is disarmed before.
    #[inline]
    pub(crate) fn arm(slf: &Bound<'_, Self>, deadline: Nanos, task: &Bound<'_, PyAny>) -> PyResult<Armed> {
        let py = slf.py();
        let cancelling = task.call_method0(intern!(py, "cancelling"))?.extract()?;
        let (key, due_earlier) = {
            let mut state = slf.get().state.lock();
            let key = state.wheel.insert(deadline, Waiting(task.as_ptr()));
            (key, state.wakes_at != 0 && state.wakes_at <= deadline)
        };
        let key = key.ok_or_else(|| PyRuntimeError::new_err("more deadlines than can be counted"))?;
        let armed = Armed { timers: slf.clone().unbind(), task: task.clone().unbind(), key, cancelling };
        if !due_earlier {
            Self::wake_at(slf, deadline)?; // where that fails `armed` goes, and takes the deadline out
        }
        Ok(armed)
    }

    /// Sets the loop's timer for `deadline`, not before it.
    fn wake_at(slf: &Bound<'_, Self>, deadline: Nanos) -> PyResult<()> {
        let this = slf.get();
        let exact = matches!(this.clock, AnyClock::Fake(_));
        let wakes_at = if exact { deadline } else { (deadline / TICK + 1).saturating_mul(TICK) };
        {
            let mut state = this.state.lock();
            if state.wakes_at != 0 && state.wakes_at <= wakes_at {
                return Ok(());
            }
            state.wakes_at = wakes_at;
        }
        let set = Self::call_at(slf, wakes_at);
        if set.is_err() {
            this.state.lock().wakes_at = 0; // there is no timer, and the next deadline must set one
        }
        set
    }

    fn call_at(slf: &Bound<'_, Self>, wakes_at: Nanos) -> PyResult<()> {
        static PARTIAL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let (py, this) = (slf.py(), slf.get());
        let tick = PARTIAL.import(py, "functools", "partial")?.call1((slf.getattr(intern!(py, "tick"))?, wakes_at))?;
        let (now, mut seconds) = (this.clock.now(), seconds_from_nanos(wakes_at));
        if now < wakes_at {
            seconds = seconds.max(seconds_from_nanos(now).next_up()); // not now, however far the clock has gone
        }
        this.clock_object.call_method1(py, intern!(py, "call_at"), (seconds, tick)).map(drop)
    }
}

impl Armed {
    /// Takes out the deadline. True if it had passed and it alone cancelled the task: then a
    /// `CancelledError` that arrived is the timeout's. Counts as `asyncio.timeout` does, so that a cancellation from
    /// outside stays a cancellation.
    #[inline]
    pub(crate) fn disarm(self, py: Python<'_>) -> PyResult<bool> {
        // A task that is no longer in the wheel has been cancelled.
        if self.take_out() { Ok(false) } else { self.uncancel(py) }
    }

    #[cold]
    fn uncancel(&self, py: Python<'_>) -> PyResult<bool> {
        let left: i64 = self.task.call_method0(py, intern!(py, "uncancel"))?.extract(py)?;
        Ok(left <= self.cancelling)
    }

    #[inline]
    fn take_out(&self) -> bool {
        self.timers.get().state.lock().wheel.remove(self.key).is_some()
    }

    /// Visits its references, for the garbage collector.
    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.timers)?;
        visit.call(&self.task)
    }
}

impl Drop for Armed {
    fn drop(&mut self) {
        self.take_out(); // before the task is let go: the wheel has only its address
    }
}
