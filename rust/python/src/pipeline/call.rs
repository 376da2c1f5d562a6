//! A call that is not over: suspended, or with something to be done before it goes on.

use std::ffi::CStr;
use std::sync::Arc;
use std::task::{Wake, Waker};

use corten_core::bulkhead::Ticket;
use corten_core::clock::{Clock as _, Nanos, seconds_from_nanos};
use corten_core::pipeline::{self as core, Outcome};
use pyo3::exceptions::{PyBaseException, PyRuntimeError, PyStopIteration};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::carrying::{Given, driven, instead_of, running_already};
use super::compiled::Pipeline;
use super::drive::{close, send, throw};
use super::settle::Settled;
use crate::fastcall::Nullary;
use crate::spin::Mutex;
use crate::timeout::Armed;

/// An error that a call keeps: an object that the collector sees, which a `PyErr` is not.
pub(super) type Raised = Py<PyBaseException>;

/// What is to be done, by whoever holds the call.
#[derive(Debug)]
pub(super) enum Todo {
    /// Await it: its coroutine is suspended.
    Resume,
    /// Wait so long, then go on.
    Wait(Nanos),
    /// Wait until the ticket is granted or that time has come, then go on.
    Queue(Arc<Ticket>, Option<Nanos>),
    /// Ask the fallback of that stage for something in place of the error, then go on with it.
    FallBack(usize, Raised),
    /// Enter cancel scopes, then begin anew: nothing was entered yet.
    Scope,
    /// Make the call, then say how it went.
    Admitted,
    /// Nothing: it is over.
    Done,
}

pub(super) struct State {
    pub(super) call: core::Call,
    pub(super) todo: Todo,
    /// Not begun, or suspended; None while it runs and when it is over.
    pub(super) coroutine: Option<Py<PyAny>>,
    /// What the first step yielded and nobody has handed on yet.
    pub(super) yielded: Option<Py<PyAny>>,
    pub(super) armed: Option<Armed>,
    pub(super) result: Option<Py<PyAny>>,
    /// The error for which it is tried again.
    pub(super) last: Option<Raised>,
    /// The error for which a fallback was asked, whose coroutine this is.
    pub(super) instead_of: Option<Raised>,
}

/// One call through a pipeline. Awaiting it carries its coroutine on; then `result()` is what came out, or the call
/// itself where `todo` says what comes next. Dropped or abandoned it gives back all it holds.
#[pyclass(frozen, weakref, module = "corten._core")]
pub(crate) struct Call {
    pub(super) pipeline: Py<Pipeline>,
    pub(super) state: Mutex<State>,
}

#[pymethods]
impl Call {
    fn __await__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    #[inline]
    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let (coroutine, around) = {
            let mut state = self.state.lock();
            if !matches!(state.todo, Todo::Resume) {
                return Ok(None);
            }
            if let Some(yielded) = state.yielded.take() {
                return Ok(Some(yielded));
            }
            (state.coroutine.take(), state.call.around())
        };
        let coroutine = coroutine.ok_or_else(running_already)?.into_bound(py);
        let sent = self.pipeline.get().step(around, || send(&coroutine, &py.None().into_bound(py)));
        self.sent(coroutine, sent)
    }

    fn send(&self, value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let (coroutine, around) = self.take_coroutine(value.py())?;
        let sent = self.pipeline.get().step(around, || send(&coroutine, value));
        self.sent(coroutine, sent)?.ok_or_else(|| PyStopIteration::new_err(()))
    }

    #[pyo3(signature = (kind, value=None, traceback=None))]
    fn throw(
        &self,
        py: Python<'_>,
        kind: Bound<'_, PyAny>,
        value: Option<Bound<'_, PyAny>>,
        traceback: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let error = match value {
            Some(value) if value.is_instance_of::<pyo3::exceptions::PyBaseException>() => PyErr::from_value(value),
            Some(value) => PyErr::from_value(kind.call1((value,))?),
            None => PyErr::from_value(kind),
        };
        if let Some(traceback) = traceback {
            error.value(py).call_method1("with_traceback", (traceback,))?;
        }
        let (coroutine, around) = self.take_coroutine(py)?;
        let sent = self.pipeline.get().step(around, || throw(&coroutine, error));
        self.sent(coroutine, sent)?.ok_or_else(|| PyStopIteration::new_err(()))
    }

    /// Ends the coroutine and gives back what the call holds.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.abandon(py)
    }

    /// `resume`, `wait`, `queue`, `fall_back`, `scope`, `admitted` or `done`.
    #[getter]
    fn todo(&self) -> &'static str {
        match self.state.lock().todo {
            Todo::Resume => "resume",
            Todo::Wait(_) => "wait",
            Todo::Queue(..) => "queue",
            Todo::FallBack(..) => "fall_back",
            Todo::Scope => "scope",
            Todo::Admitted => "admitted",
            Todo::Done => "done",
        }
    }

    /// How many seconds to wait.
    #[getter]
    fn seconds(&self) -> f64 {
        match self.state.lock().todo {
            Todo::Wait(nanos) => seconds_from_nanos(nanos),
            _ => 0.0,
        }
    }

    /// Until when to wait in the queue; None: as long as it takes.
    #[getter]
    fn until(&self) -> Option<f64> {
        match self.state.lock().todo {
            Todo::Queue(_, until) => until.map(seconds_from_nanos),
            _ => None,
        }
    }

    /// Which stage's fallback is asked, or whose queue it is in; None where neither is.
    #[getter]
    fn stage(&self) -> Option<usize> {
        let state = self.state.lock();
        match state.todo {
            Todo::FallBack(index, _) => Some(index),
            Todo::Queue(..) => Some(state.call.position()),
            _ => None,
        }
    }

    /// The error for which a fallback is asked.
    #[getter]
    fn error(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        match &self.state.lock().todo {
            Todo::FallBack(_, error) => Some(error.clone_ref(py).into_any()),
            _ => None,
        }
    }

    /// Has `wake` called when the place in the queue is granted or lost, from whatever thread; True where it is already.
    fn on_grant(&self, wake: Py<PyAny>) -> bool {
        let ticket = match &self.state.lock().todo {
            Todo::Queue(ticket, _) => Arc::clone(ticket),
            _ => return true,
        };
        ticket.wake_with(Waker::from(Arc::new(Callback(wake))))
    }

    /// Goes on after the wait. Where the coroutine is used up `make(*args, **kwargs)` makes another, once the call is
    /// admitted. Gives the result, or the call itself again.
    fn go_on(
        slf: &Bound<'_, Self>,
        make: &Bound<'_, PyAny>,
        args: &Bound<'_, PyTuple>,
        kwargs: &Bound<'_, PyDict>,
    ) -> PyResult<Py<PyAny>> {
        let (py, this) = (slf.py(), slf.get());
        let (mut call, todo, coroutine, last) = this.take();
        if let Todo::FallBack(_, error) = todo {
            // What was refused has a coroutine that never began.
            coroutine.map_or(Ok(()), |unused| close(unused.bind(py)))?;
            // Whatever goes wrong here is what the fallback raises: the call must be left.
            return match make.call(args, Some(kwargs)).and_then(driven) {
                Ok(Given::Awaitable(made)) => Self::begin(slf, call, Ok(made), Some(error)),
                Ok(Given::Value(made)) => Self::end(slf, call, Ok(made), Some(error)),
                Err(wrong) => Self::end(slf, call, Err(wrong), Some(error)),
            };
        }
        match this.entered(py, &mut call, &todo) {
            Err(error) => {
                if let Some(coroutine) = coroutine {
                    close(coroutine.bind(py))?;
                }
                if let Some(last) = last {
                    error.value(py).setattr("__context__", last)?;
                }
                Err(error)
            }
            Ok(Some(todo)) => {
                this.put(call, todo, coroutine, last);
                Ok(slf.clone().into_any().unbind())
            }
            Ok(None) => {
                let coroutine = match coroutine {
                    Some(coroutine) => Ok(coroutine.into_bound(py)),
                    None => make.call(args, Some(kwargs)),
                };
                Self::begin(slf, call, coroutine, None)
            }
        }
    }

    /// What the fallback gives. Gives that, or the call again where it is to be tried again.
    fn give(slf: &Bound<'_, Self>, value: Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let (call, todo, coroutine, _) = slf.get().take();
        let Some(error) = instead_of(todo) else { return Err(running_already()) };
        coroutine.map_or(Ok(()), |unused| close(unused.bind(slf.py())))?;
        Self::end(slf, call, Ok(value.unbind()), Some(error))
    }

    /// The fallback has nothing to give: the error goes on outwards. Gives the call again where it is to be tried again.
    fn decline(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let (call, todo, coroutine, _) = slf.get().take();
        let Some(error) = instead_of(todo) else { return Err(running_already()) };
        coroutine.map_or(Ok(()), |unused| close(unused.bind(py)))?;
        Self::end(slf, call, Err(PyErr::from_value(error.bind(py).clone().into_any())), Some(error))
    }

    /// Refuses a call in the queue, raising the refusal, where all places are held by the calls that it is made from;
    /// there are `holders` of those. Where a policy further outside does something about that, `todo` says what.
    fn refuse_itself(&self, py: Python<'_>, holders: u32) -> PyResult<()> {
        let pipeline = self.pipeline.get();
        let (mut call, coroutine) = {
            let mut state = self.state.lock();
            if !matches!(state.todo, Todo::Queue(..)) || !pipeline.inner.waits_for_itself(&state.call, holders) {
                return Ok(());
            }
            state.todo = Todo::Done;
            (std::mem::replace(&mut state.call, core::Call::new(0)), state.coroutine.take())
        };
        let step = pipeline.inner.give_up_on_itself(&mut call, pipeline.clock.now());
        match pipeline.todo(py, &call, step) {
            Ok(todo) => {
                self.put(call, todo.unwrap_or(Todo::Done), coroutine, None);
                Ok(())
            }
            Err(refusal) => coroutine.map_or(Ok(()), |coroutine| close(coroutine.bind(py))).and(Err(refusal)),
        }
    }

    /// Goes on after the wait with what is no coroutine: admitted, or still something to be done.
    fn enter(&self, py: Python<'_>) -> PyResult<()> {
        let (mut call, todo, _, last) = self.take();
        match self.entered(py, &mut call, &todo) {
            Ok(todo) => self.put(call, todo.unwrap_or(Todo::Admitted), None, last),
            Err(error) => {
                if let Some(last) = last {
                    error.value(py).setattr("__context__", last)?;
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// The admitted call returned.
    fn succeeded(&self) {
        let (mut call, ..) = self.take();
        let pipeline = self.pipeline.get();
        pipeline.inner.leave(&mut call, Outcome::Success, pipeline.clock.now());
    }

    /// The admitted call returned: True where it is to be tried again, as that is not what was wanted.
    fn returned(&self, value: Bound<'_, PyAny>) -> PyResult<bool> {
        let py = value.py();
        let (mut call, todo, ..) = self.take();
        match self.concluded(py, &mut call, Ok(value.unbind()), None, instead_of(todo))? {
            Settled::Again(todo, error) => {
                self.put(call, todo, None, error);
                Ok(true)
            }
            Settled::Value(_) => Ok(false),
        }
    }

    /// The admitted call raised: True where it is to be tried again, after what `todo` says.
    fn failed(&self, error: Bound<'_, PyAny>) -> PyResult<bool> {
        let py = error.py();
        let (mut call, todo, ..) = self.take();
        let raised = PyErr::from_value(error.clone());
        match self.concluded(py, &mut call, Err(raised), None, instead_of(todo)) {
            Ok(Settled::Again(todo, error)) => {
                self.put(call, todo, None, error);
                Ok(true)
            }
            Ok(Settled::Value(_)) => Ok(false),
            Err(raised) if raised.value(py).is(&error) => Ok(false),
            Err(raised) => Err(raised),
        }
    }

    /// Gives back what the call holds, and ends its coroutine; nothing where the call is over.
    fn abandon(&self, py: Python<'_>) -> PyResult<()> {
        let (call, todo, coroutine, armed, unused) = {
            let mut state = self.state.lock();
            let todo = std::mem::replace(&mut state.todo, Todo::Done);
            let call = std::mem::replace(&mut state.call, core::Call::new(0));
            (call, todo, state.coroutine.take(), state.armed.take(), (state.yielded.take(), state.last.take()))
        };
        drop(unused);
        let closed = coroutine.map_or(Ok(()), |coroutine| close(coroutine.bind(py)));
        let disarmed = armed.map_or(Ok(false), |armed| armed.disarm(py));
        self.give_back(call, &todo);
        closed.and(disarmed.map(drop))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.pipeline)?;
        if let Some(state) = self.state.try_lock() {
            visit.call(&state.coroutine)?;
            visit.call(&state.yielded)?;
            visit.call(&state.result)?;
            visit.call(&state.last)?;
            visit.call(&state.instead_of)?;
            if let Todo::FallBack(_, error) = &state.todo {
                visit.call(error)?;
            }
            if let Some(armed) = &state.armed {
                armed.traverse(&visit)?;
            }
        }
        Ok(())
    }

    fn __clear__(&self) {
        let cleared = {
            let mut state = self.state.lock();
            (
                state.coroutine.take(),
                state.yielded.take(),
                state.result.take(),
                state.last.take(),
                state.instead_of.take(),
            )
        };
        drop(cleared);
    }
}

/// What came out of a call.
pub(crate) struct CallResult;

impl Nullary for CallResult {
    type Class = Call;
    const NAME: &'static CStr = c"result";
    const DOC: &'static CStr =
        c"result($self)\n--\n\nWhat came out of it, or the call itself where there is something to \
        be done.";

    #[inline]
    fn call<'py>(this: &Bound<'py, Call>) -> PyResult<Bound<'py, PyAny>> {
        let result = {
            let mut state = this.get().state.lock();
            match state.todo {
                Todo::Done => Some(state.result.take()),
                _ => None,
            }
        };
        match result {
            Some(Some(value)) => Ok(value.into_bound(this.py())),
            Some(None) => Err(PyRuntimeError::new_err("the call is over and its result was taken")),
            None => Ok(this.clone().into_any()),
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let done = matches!(self.state.get_mut().todo, Todo::Done);
        if !done {
            Python::attach(|py| {
                // It may go while an exception is on its way, which closing the coroutine would lose.
                let pending = PyErr::take(py);
                if let Err(error) = self.abandon(py) {
                    error.write_unraisable(py, None);
                }
                if let Some(pending) = pending {
                    pending.restore(py);
                }
            });
        }
    }
}

/// A Python callable as a waker.
struct Callback(Py<PyAny>);

impl Wake for Callback {
    fn wake(self: Arc<Self>) {
        Python::attach(|py| {
            if let Err(error) = self.0.call0(py) {
                error.write_unraisable(py, Some(self.0.bind(py)));
            }
        });
    }
}
