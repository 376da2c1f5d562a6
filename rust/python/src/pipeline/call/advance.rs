//! Driving a call: its coroutine takes steps, and the core hears how they went.

use corten_core::bulkhead::Fate;
use corten_core::clock::{Clock as _, Nanos};
use corten_core::pipeline::{self as core, Decision, Kind};
use pyo3::exceptions::{PyBaseException, PyRuntimeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use super::super::drive::{Sent, close, send};
use super::super::segment::{Segment, arm};
use super::super::to_python::{self, Answer};
use super::{Action, Call, Raised, State};
use crate::spin::Mutex;
use crate::timeout::Armed;

impl Call {
    /// A call that has not begun, or that is tried again.
    pub(in crate::pipeline) fn new(
        segment: &Bound<'_, Segment>,
        call: core::Call,
        action: Action,
        coroutine: Option<Py<PyAny>>,
        error: Option<Raised>,
    ) -> Self {
        let state = State { call, action, coroutine, yielded: None, armed: None, result: None, error };
        Self { segment: segment.clone().unbind(), state: Mutex::new(state) }
    }

    /// A call whose coroutine has taken its first step.
    pub(in crate::pipeline) fn suspended(
        segment: &Bound<'_, Segment>,
        call: core::Call,
        coroutine: Py<PyAny>,
        yielded: Py<PyAny>,
        armed: Option<Armed>,
    ) -> Self {
        let (coroutine, yielded) = (Some(coroutine), Some(yielded));
        let state = State { call, action: Action::Resume, coroutine, yielded, armed, result: None, error: None };
        Self { segment: segment.clone().unbind(), state: Mutex::new(state) }
    }

    /// Does as the action says: a fallback's coroutine runs in place of an error, or the call enters again.
    pub(super) fn resume_with<'py>(
        slf: &Bound<'py, Self>,
        make: impl FnOnce() -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let (py, this) = (slf.py(), slf.get());
        let (mut call, action, coroutine, error) = this.take();
        if let Some(replaced) = replaced_by_fallback(&action, &error, py) {
            // What was refused has a coroutine that never began.
            coroutine.map_or(Ok(()), |unused| close(unused.bind(py)))?;
            // Whatever goes wrong here is what the fallback raises: the call must be left.
            return match make().and_then(driven) {
                Ok(Given::Awaitable(made)) => Self::begin(slf, call, Ok(made), Some(replaced)),
                Ok(Given::Value(made)) => Self::end(slf, call, Ok(made), Some(replaced)),
                Err(wrong) => Self::end(slf, call, Err(wrong), Some(replaced)),
            };
        }
        match this.enter_again(py, &mut call, &action, error) {
            Err(error) => {
                coroutine.map_or(Ok(()), |coroutine| close(coroutine.bind(py)))?;
                Err(error)
            }
            Ok((Decision::Proceed, _)) => {
                let coroutine = coroutine.map_or_else(make, |coroutine| Ok(coroutine.into_bound(py)));
                Self::begin(slf, call, coroutine, None)
            }
            Ok((decision, error)) => {
                this.put(call, Action::Decided(decision), coroutine, error);
                Ok(slf.clone().into_any().unbind())
            }
        }
    }

    /// Ends a call with a fallback's value, or with the error that none replaced.
    pub(super) fn end_fallback(slf: &Bound<'_, Self>, value: Option<Bound<'_, PyAny>>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let (call, action, coroutine, error) = slf.get().take();
        let Some(replaced) = replaced_by_fallback(&action, &error, py) else { return Err(running_already()) };
        coroutine.map_or(Ok(()), |unused| close(unused.bind(py)))?;
        let ended = match value {
            Some(value) => Ok(value.unbind()),
            None => Err(PyErr::from_value(replaced.bind(py).clone().into_any())),
        };
        Self::end(slf, call, ended, Some(replaced))
    }

    /// Takes the first step of an admitted call's coroutine, or of a fallback's in place of an error.
    fn begin(
        slf: &Bound<'_, Self>,
        mut call: core::Call,
        coroutine: PyResult<Bound<'_, PyAny>>,
        replaced: Option<Raised>,
    ) -> PyResult<Py<PyAny>> {
        let (py, this) = (slf.py(), slf.get());
        let segment = this.segment.get();
        let sent = coroutine
            .map(|coroutine| (segment.step(call.around(), || send(&coroutine, &py.None().into_bound(py))), coroutine));
        let ended = match sent {
            Ok((Sent::Yielded(yielded), coroutine)) => {
                let armed = arm(segment, &mut call, &coroutine, yielded.bind(py))?;
                this.put(call, Action::Resume, Some(coroutine.unbind()), replaced);
                let mut state = this.state.lock();
                state.yielded = Some(yielded);
                state.armed = armed;
                return Ok(slf.clone().into_any().unbind());
            }
            Ok((Sent::Returned(value), _)) => Ok(value),
            Ok((Sent::Raised(error), _)) | Err(error) => Err(error),
        };
        Self::end(slf, call, ended, replaced)
    }

    fn end(
        slf: &Bound<'_, Self>,
        mut call: core::Call,
        ended: PyResult<Py<PyAny>>,
        replaced: Option<Raised>,
    ) -> PyResult<Py<PyAny>> {
        let (py, this) = (slf.py(), slf.get());
        match this.leave(py, &mut call, ended, None, replaced)? {
            Answer::Result(value) => Ok(value),
            Answer::Decided(decision, error) => {
                this.put(call, Action::Decided(decision), None, error);
                Ok(slf.clone().into_any().unbind())
            }
        }
    }

    /// Reports how an admitted call without a coroutine ended; True where it is tried again.
    pub(super) fn report(&self, py: Python<'_>, ended: PyResult<Py<PyAny>>) -> PyResult<bool> {
        let (mut call, action, _, error) = self.take();
        let replaced = replaced_by_fallback(&action, &error, py);
        match self.leave(py, &mut call, ended, None, replaced)? {
            Answer::Decided(decision, error) => {
                self.put(call, Action::Decided(decision), None, error);
                Ok(true)
            }
            Answer::Result(_) => Ok(false),
        }
    }

    /// Tells the core how the call ended, and observers if a fallback's function ended it.
    fn leave(
        &self,
        py: Python<'_>,
        call: &mut core::Call,
        ended: PyResult<Py<PyAny>>,
        armed: Option<Armed>,
        replaced: Option<Raised>,
    ) -> PyResult<Answer> {
        let segment = self.segment.get();
        match (replaced, &ended) {
            (None, _) => {}
            (Some(replaced), Ok(_)) => {
                let replaced = PyErr::from_value(replaced.into_bound(py).into_any());
                to_python::emit(py, segment, "degraded", Kind::Fallback.word(), Some(&replaced), 0, None);
            }
            (Some(replaced), Err(error)) => {
                // An error that cannot be written to stays as it is; the call must be left all the same.
                if let Err(wrong) = chain(py, error, replaced.bind(py)) {
                    wrong.write_unraisable(py, None);
                }
            }
        }
        let overdue = armed.map_or(Ok(false), |armed| armed.disarm(py));
        match (ended, overdue) {
            (Ok(value), Ok(_)) => to_python::returned(py, segment, call, value),
            (Err(error), Ok(overdue)) => to_python::raised(py, segment, call, error, overdue),
            (_, Err(error)) => to_python::raised(py, segment, call, error, false),
        }
    }

    /// The coroutine, and the deadline around its next step.
    pub(super) fn take_coroutine<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Option<Nanos>)> {
        let (coroutine, around, unused) = {
            let mut state = self.state.lock();
            (state.coroutine.take(), state.call.around(), state.yielded.take())
        };
        drop(unused);
        Ok((coroutine.ok_or_else(running_already)?.into_bound(py), around))
    }

    /// Handles a step of the coroutine: returns what it yielded, or None once it has ended.
    #[inline]
    pub(super) fn sent(&self, coroutine: Bound<'_, PyAny>, sent: Sent) -> PyResult<Option<Py<PyAny>>> {
        let py = coroutine.py();
        let ended = match sent {
            Sent::Yielded(yielded) => {
                self.state.lock().coroutine = Some(coroutine.unbind());
                return Ok(Some(yielded));
            }
            Sent::Returned(value) => Ok(value),
            Sent::Raised(error) => Err(error),
        };
        let (mut call, armed, replaced) = {
            let mut state = self.state.lock();
            state.action = Action::Done;
            let call = std::mem::replace(&mut state.call, core::Call::new(0));
            (call, state.armed.take(), state.error.take())
        };
        match self.leave(py, &mut call, ended, armed, replaced)? {
            Answer::Result(value) => self.state.lock().result = Some(value),
            Answer::Decided(decision, error) => self.put(call, Action::Decided(decision), None, error),
        }
        Ok(None)
    }

    /// Enters again after a wait; an error raised here has the last attempt's error as its context.
    pub(super) fn enter_again(
        &self,
        py: Python<'_>,
        call: &mut core::Call,
        action: &Action,
        last: Option<Raised>,
    ) -> PyResult<(Decision, Option<Raised>)> {
        let segment = self.segment.get();
        let now = segment.clock.now();
        let decision = match action {
            Action::Decided(Decision::Wait(_) | Decision::Retry(_)) => segment.inner.enter(call, now),
            Action::Decided(Decision::Queue(ticket, until)) => match (ticket.fate(), until) {
                (Fate::Granted, _) => segment.inner.enter_from_queue(call, now),
                // The wait is over, even where a timer by another clock ends it a little early.
                (Fate::Waiting, Some(until)) => segment.inner.stop_waiting(call, now.max(*until)),
                _ => segment.inner.stop_waiting(call, now),
            },
            _ => return Err(running_already()),
        };
        match (to_python::entering(py, segment, call, decision), last) {
            (Ok((decision, error)), last) => Ok((decision, error.or(last))),
            (Err(error), Some(last)) => {
                error.value(py).setattr(intern!(py, "__context__"), last)?;
                Err(error)
            }
            (Err(error), None) => Err(error),
        }
    }

    /// Takes everything out of the call; it is over unless something is put back.
    pub(super) fn take(&self) -> (core::Call, Action, Option<Py<PyAny>>, Option<Raised>) {
        let mut state = self.state.lock();
        let call = std::mem::replace(&mut state.call, core::Call::new(0));
        let action = std::mem::replace(&mut state.action, Action::Done);
        (call, action, state.coroutine.take(), state.error.take())
    }

    pub(super) fn put(&self, call: core::Call, action: Action, coroutine: Option<Py<PyAny>>, error: Option<Raised>) {
        let mut state = self.state.lock();
        state.call = call;
        state.action = action;
        state.coroutine = coroutine;
        state.error = error;
    }
}

/// The error that a fallback replaces; None for every other action.
fn replaced_by_fallback(action: &Action, error: &Option<Raised>, py: Python<'_>) -> Option<Raised> {
    match action {
        Action::Decided(Decision::FallBack(..)) => error.as_ref().map(|error| error.clone_ref(py)),
        _ => None,
    }
}

/// What a fallback's function returned.
enum Given<'py> {
    Value(Py<PyAny>),
    /// A coroutine, or a coroutine around another awaitable.
    Awaitable(Bound<'py, PyAny>),
}

/// Makes an awaitable something that can be driven.
///
/// The type decides, as in `await`: asking the object itself may run a proxy's code.
fn driven(made: Bound<'_, PyAny>) -> PyResult<Given<'_>> {
    let (py, kind) = (made.py(), made.get_type());
    if !kind.hasattr(intern!(py, "__await__"))? {
        return Ok(Given::Value(made.unbind()));
    }
    if kind.hasattr(intern!(py, "send"))? && kind.hasattr(intern!(py, "throw"))? {
        return Ok(Given::Awaitable(made));
    }
    static AWAITED: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    AWAITED.import(py, "corten.pipeline.segments.fallbacks", "awaited")?.call1((made,)).map(Given::Awaitable)
}

/// Makes `original` the last context of an error that a fallback raised, unless it is among the contexts already.
fn chain(py: Python<'_>, error: &PyErr, original: &Bound<'_, PyBaseException>) -> PyResult<()> {
    let mut last = error.value(py).clone().into_any();
    for _ in 0..100 {
        if last.is(original) {
            return Ok(());
        }
        let context = last.getattr(intern!(py, "__context__"))?;
        if context.is_none() {
            return last.setattr(intern!(py, "__context__"), original);
        }
        last = context;
    }
    Ok(())
}

pub(super) fn running_already() -> PyErr {
    PyRuntimeError::new_err("the call is running already, or over")
}
