//! A call that is not over, as Python sees it.

mod advance;

use std::ffi::CStr;
use std::sync::Arc;
use std::task::{Wake, Waker};

use corten_core::clock::{Clock as _, seconds_from_nanos};
use corten_core::pipeline::{self as core, Decision, Outcome};
use pyo3::exceptions::{PyBaseException, PyRuntimeError, PyStopIteration};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::drive::{close, send, throw};
use super::segment::Segment;
use super::to_python;
use crate::fastcall::Nullary;
use crate::spin::Mutex;
use crate::timeout::Armed;
use advance::running_already;

/// An error that a call keeps: an object that the collector sees, which a `PyErr` is not.
pub(super) type Raised = Py<PyBaseException>;

/// What the holder of a call does next.
#[derive(Debug)]
pub(super) enum Action {
    /// Do as the core decided; `Proceed` means: make the call, then report its outcome.
    Decided(Decision),
    /// Await the call: its coroutine is suspended.
    Resume,
    /// Enter cancel scopes, then begin anew: the call has entered nothing yet.
    EnterScopes,
    /// Nothing: the call is over.
    Done,
}

pub(super) struct State {
    call: core::Call,
    action: Action,
    /// Not begun, or suspended; None while it runs and when it is over.
    coroutine: Option<Py<PyAny>>,
    /// What the first step yielded, until the awaiter gets it.
    yielded: Option<Py<PyAny>>,
    armed: Option<Armed>,
    result: Option<Py<PyAny>>,
    /// The error of the last attempt, or the error that a fallback replaces.
    error: Option<Raised>,
}

/// A call through a segment that is not over.
///
/// Awaiting it drives its coroutine; then `result()` is the result, or the call again if `action` says what comes next.
/// Dropped or abandoned it gives back all it holds.
#[pyclass(frozen, weakref, module = "corten._core")]
pub(crate) struct Call {
    segment: Py<Segment>,
    state: Mutex<State>,
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
            if !matches!(state.action, Action::Resume) {
                return Ok(None);
            }
            if let Some(yielded) = state.yielded.take() {
                return Ok(Some(yielded));
            }
            (state.coroutine.take(), state.call.around())
        };
        let coroutine = coroutine.ok_or_else(running_already)?.into_bound(py);
        let sent = self.segment.get().step(around, || send(&coroutine, &py.None().into_bound(py)));
        self.sent(coroutine, sent)
    }

    fn send(&self, value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let (coroutine, around) = self.take_coroutine(value.py())?;
        let sent = self.segment.get().step(around, || send(&coroutine, value));
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
        let sent = self.segment.get().step(around, || throw(&coroutine, error));
        self.sent(coroutine, sent)?.ok_or_else(|| PyStopIteration::new_err(()))
    }

    /// Ends the coroutine and gives back what the call holds.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.abandon(py)
    }

    /// What to do next: a decision of the core by its name, or `resume`, `enter_scopes`, `done`.
    #[getter]
    fn action(&self) -> &'static str {
        match &self.state.lock().action {
            Action::Decided(decision) => decision.name(),
            Action::Resume => "resume",
            Action::EnterScopes => "enter_scopes",
            Action::Done => "done",
        }
    }

    /// Seconds to wait before the call enters, or enters again.
    #[getter]
    fn seconds(&self) -> f64 {
        match self.state.lock().action {
            Action::Decided(Decision::Wait(nanos) | Decision::Retry(nanos)) => seconds_from_nanos(nanos),
            _ => 0.0,
        }
    }

    /// The time until which to wait in the queue; None: without limit.
    #[getter]
    fn until(&self) -> Option<f64> {
        match self.state.lock().action {
            Action::Decided(Decision::Queue(_, until)) => until.map(seconds_from_nanos),
            _ => None,
        }
    }

    /// The index of the stage whose fallback is asked, or whose queue the call is in.
    #[getter]
    fn stage(&self) -> Option<usize> {
        let state = self.state.lock();
        match state.action {
            Action::Decided(Decision::FallBack(index, _)) => Some(index),
            Action::Decided(Decision::Queue(..)) => Some(state.call.position()),
            _ => None,
        }
    }

    /// The error that a fallback replaces.
    #[getter]
    fn error(&self, py: Python<'_>) -> Option<Raised> {
        let state = self.state.lock();
        match state.action {
            Action::Decided(Decision::FallBack(..)) => state.error.as_ref().map(|error| error.clone_ref(py)),
            _ => None,
        }
    }

    /// Have `wake` called, from any thread, when the ticket is granted or lost; True where that has happened already.
    fn on_grant(&self, wake: Py<PyAny>) -> bool {
        let ticket = match &self.state.lock().action {
            Action::Decided(Decision::Queue(ticket, _)) => Arc::clone(ticket),
            _ => return true,
        };
        ticket.wake_with(Waker::from(Arc::new(Callback(wake))))
    }

    /// Continue after a wait, or with the function of a fallback. `make(*args, **kwargs)` makes another coroutine where
    /// the last one is used up, once the call is admitted. Return the result, or the call again.
    fn resume(
        slf: &Bound<'_, Self>,
        make: &Bound<'_, PyAny>,
        args: &Bound<'_, PyTuple>,
        kwargs: &Bound<'_, PyDict>,
    ) -> PyResult<Py<PyAny>> {
        Self::resume_with(slf, || make.call(args, Some(kwargs)))
    }

    /// End the call with the value of its fallback. Return the value, or the call again where it is tried again.
    fn use_fallback(slf: &Bound<'_, Self>, value: Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        Self::end_fallback(slf, Some(value))
    }

    /// End the call with the error that no fallback replaced: raise it, or return the call where it is tried again.
    fn no_fallback(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        Self::end_fallback(slf, None)
    }

    /// Raise the refusal of a queued call if all places are held by its callers, of which there are `holders`.
    ///
    /// If a policy further outside handles that refusal, `action` says how.
    fn refuse_itself(&self, py: Python<'_>, holders: u32) -> PyResult<()> {
        let segment = self.segment.get();
        let (mut call, coroutine) = {
            let mut state = self.state.lock();
            let queued = matches!(state.action, Action::Decided(Decision::Queue(..)));
            if !queued || !segment.inner.waits_for_itself(&state.call, holders) {
                return Ok(());
            }
            state.action = Action::Done;
            (std::mem::replace(&mut state.call, core::Call::new(0)), state.coroutine.take())
        };
        let decision = segment.inner.refuse_reentry(&mut call, segment.clock.now());
        match to_python::entering(py, segment, &call, decision) {
            Ok((decision, error)) => {
                self.put(call, Action::Decided(decision), coroutine, error);
                Ok(())
            }
            Err(refusal) => coroutine.map_or(Ok(()), |coroutine| close(coroutine.bind(py))).and(Err(refusal)),
        }
    }

    /// Continue after a wait without a coroutine; `action` is `proceed` once the call is admitted.
    fn enter(&self, py: Python<'_>) -> PyResult<()> {
        let (mut call, action, _, last) = self.take();
        let (decision, error) = self.enter_again(py, &mut call, &action, last)?;
        self.put(call, Action::Decided(decision), None, error);
        Ok(())
    }

    /// Report that the admitted call succeeded.
    fn succeeded(&self) {
        let (mut call, ..) = self.take();
        let segment = self.segment.get();
        segment.inner.leave(&mut call, Outcome::Success, segment.clock.now());
    }

    /// Report the result of the admitted call; True where it is tried again because the result is unwanted.
    fn returned(&self, value: Bound<'_, PyAny>) -> PyResult<bool> {
        self.report(value.py(), Ok(value.unbind()))
    }

    /// Report the error of the admitted call; True where it is tried again, after what `action` says.
    fn failed(&self, error: Bound<'_, PyAny>) -> PyResult<bool> {
        let py = error.py();
        match self.report(py, Err(PyErr::from_value(error.clone()))) {
            Err(raised) if raised.value(py).is(&error) => Ok(false),
            reported => reported,
        }
    }

    /// Give back what the call holds and end its coroutine; do nothing where the call is over.
    fn abandon(&self, py: Python<'_>) -> PyResult<()> {
        let (mut call, action, coroutine, unused) = self.take();
        let (armed, yielded) = {
            let mut state = self.state.lock();
            (state.armed.take(), state.yielded.take())
        };
        drop((unused, yielded));
        let closed = coroutine.map_or(Ok(()), |coroutine| close(coroutine.bind(py)));
        let disarmed = armed.map_or(Ok(false), |armed| armed.disarm(py));
        if !matches!(action, Action::Done | Action::EnterScopes) {
            let segment = self.segment.get();
            segment.inner.abandon(&mut call, segment.clock.now());
        }
        closed.and(disarmed.map(drop))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.segment)?;
        if let Some(state) = self.state.try_lock() {
            visit.call(&state.coroutine)?;
            visit.call(&state.yielded)?;
            visit.call(&state.result)?;
            visit.call(&state.error)?;
            if let Some(armed) = &state.armed {
                armed.traverse(&visit)?;
            }
        }
        Ok(())
    }

    fn __clear__(&self) {
        let cleared = {
            let mut state = self.state.lock();
            (state.coroutine.take(), state.yielded.take(), state.result.take(), state.error.take())
        };
        drop(cleared);
    }
}

/// `Call.result`: the result, or the call itself.
pub(super) struct CallResult;

impl Nullary for CallResult {
    type Class = Call;
    const NAME: &'static CStr = c"result";
    const DOC: &'static CStr =
        c"result($self)\n--\n\nReturn the result, or the call itself if `action` says what comes next.";

    #[inline]
    fn call<'py>(this: &Bound<'py, Call>) -> PyResult<Bound<'py, PyAny>> {
        let result = {
            let mut state = this.get().state.lock();
            match state.action {
                Action::Done => Some(state.result.take()),
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
        let done = matches!(self.state.get_mut().action, Action::Done);
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
