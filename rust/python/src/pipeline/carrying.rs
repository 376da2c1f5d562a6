//! Carrying a call on: what becomes of it when its coroutine, or what it waited for, has something to say.

use corten_core::bulkhead::Fate;
use corten_core::clock::{Clock as _, Nanos};
use corten_core::pipeline::{self as core, Kind};
use pyo3::exceptions::{PyBaseException, PyRuntimeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use super::call::{Call, Raised, State, Todo};
use super::compiled::Pipeline;
use super::drive::{Sent, send};
use super::settle::Settled;
use crate::spin::Mutex;
use crate::timeout::Armed;

impl Call {
    /// The first step of a coroutine for an admitted call, or of a fallback's in place of an error.
    pub(super) fn begin(
        slf: &Bound<'_, Self>,
        mut call: core::Call,
        coroutine: PyResult<Bound<'_, PyAny>>,
        instead_of: Option<Raised>,
    ) -> PyResult<Py<PyAny>> {
        let (py, this) = (slf.py(), slf.get());
        let pipeline = this.pipeline.bind(py);
        let sent = coroutine.map(|coroutine| {
            (pipeline.get().step(call.around(), || send(&coroutine, &py.None().into_bound(py))), coroutine)
        });
        let ended = match sent {
            Ok((Sent::Yielded(yielded), coroutine)) => {
                let armed = Pipeline::arm(pipeline, &mut call, &coroutine, yielded.bind(py))?;
                let mut state = this.state.lock();
                state.call = call;
                state.todo = Todo::Resume;
                state.coroutine = Some(coroutine.unbind());
                state.yielded = Some(yielded);
                state.armed = armed;
                state.instead_of = instead_of;
                return Ok(slf.clone().into_any().unbind());
            }
            Ok((Sent::Returned(value), _)) => Ok(value),
            Ok((Sent::Raised(error), _)) | Err(error) => Err(error),
        };
        Self::end(slf, call, ended, instead_of)
    }

    pub(super) fn end(
        slf: &Bound<'_, Self>,
        mut call: core::Call,
        ended: PyResult<Py<PyAny>>,
        instead_of: Option<Raised>,
    ) -> PyResult<Py<PyAny>> {
        let (py, this) = (slf.py(), slf.get());
        match this.concluded(py, &mut call, ended, None, instead_of)? {
            Settled::Value(value) => Ok(value),
            Settled::Again(todo, error) => {
                this.put(call, todo, None, error);
                Ok(slf.clone().into_any().unbind())
            }
        }
    }

    /// What came of it; where it was a fallback's, that is told.
    pub(super) fn concluded(
        &self,
        py: Python<'_>,
        call: &mut core::Call,
        ended: Result<Py<PyAny>, PyErr>,
        armed: Option<Armed>,
        instead_of: Option<Raised>,
    ) -> PyResult<Settled> {
        let pipeline = self.pipeline.get();
        let Some(original) = instead_of else { return pipeline.ended(py, call, ended, armed) };
        match &ended {
            Ok(_) => {
                let original = PyErr::from_value(original.into_bound(py).into_any());
                pipeline.tell(py, "degraded", Kind::Fallback.word(), Some(&original), 0, None);
            }
            Err(error) => {
                // An error that lets nobody write on it stays as it is; the call must be left all the same.
                if let Err(wrong) = put_behind(py, error, original.bind(py)) {
                    wrong.write_unraisable(py, None);
                }
            }
        }
        pipeline.ended(py, call, ended, armed)
    }

    pub(super) fn with(slf: &Bound<'_, Pipeline>, state: State) -> Self {
        Self { pipeline: slf.clone().unbind(), state: Mutex::new(state) }
    }

    /// A call that something is to be done for before its coroutine, if it has one, begins.
    pub(super) fn new(
        pipeline: &Bound<'_, Pipeline>,
        call: core::Call,
        todo: Todo,
        coroutine: Option<Py<PyAny>>,
    ) -> Self {
        Self::with(
            pipeline,
            State { call, todo, coroutine, yielded: None, armed: None, result: None, last: None, instead_of: None },
        )
    }

    /// A call that is to be tried again.
    pub(super) fn again(pipeline: &Bound<'_, Pipeline>, call: core::Call, todo: Todo, last: Option<Raised>) -> Self {
        Self::with(
            pipeline,
            State { call, todo, coroutine: None, yielded: None, armed: None, result: None, last, instead_of: None },
        )
    }

    /// A call whose coroutine has taken its first step.
    pub(super) fn suspended(
        pipeline: &Bound<'_, Pipeline>,
        call: core::Call,
        coroutine: Py<PyAny>,
        yielded: Py<PyAny>,
        armed: Option<Armed>,
    ) -> Self {
        let (coroutine, yielded) = (Some(coroutine), Some(yielded));
        Self::with(
            pipeline,
            State { call, todo: Todo::Resume, coroutine, yielded, armed, result: None, last: None, instead_of: None },
        )
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

    /// The coroutine did something: what it yielded is handed on; where it ended, so does the awaiting.
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
        let (mut call, armed, instead_of) = {
            let mut state = self.state.lock();
            state.todo = Todo::Done;
            let call = std::mem::replace(&mut state.call, core::Call::new(0));
            (call, state.armed.take(), state.instead_of.take())
        };
        match self.concluded(py, &mut call, ended, armed, instead_of)? {
            Settled::Value(value) => self.state.lock().result = Some(value),
            Settled::Again(todo, error) => self.put(call, todo, None, error),
        }
        Ok(None)
    }

    pub(super) fn entered(&self, py: Python<'_>, call: &mut core::Call, todo: &Todo) -> PyResult<Option<Todo>> {
        let pipeline = self.pipeline.get();
        let now = pipeline.clock.now();
        let step = match todo {
            Todo::Queue(ticket, _) if ticket.is_granted() => pipeline.inner.enter_granted(call, now),
            // It has waited as long as it was told, even where a timer by another clock says so a little early.
            Todo::Queue(ticket, Some(until)) if ticket.fate() == Fate::Waiting => {
                pipeline.inner.give_up(call, now.max(*until))
            }
            Todo::Queue(..) => pipeline.inner.give_up(call, now),
            Todo::Wait(_) => pipeline.inner.enter(call, now),
            _ => return Err(running_already()),
        };
        pipeline.todo(py, call, step)
    }

    /// Everything out of it; it is over unless something is put back.
    pub(super) fn take(&self) -> (core::Call, Todo, Option<Py<PyAny>>, Option<Raised>) {
        let mut state = self.state.lock();
        let call = std::mem::replace(&mut state.call, core::Call::new(0));
        let todo = std::mem::replace(&mut state.todo, Todo::Done);
        (call, todo, state.coroutine.take(), state.last.take())
    }

    pub(super) fn put(&self, call: core::Call, todo: Todo, coroutine: Option<Py<PyAny>>, last: Option<Raised>) {
        let mut state = self.state.lock();
        state.call = call;
        state.todo = todo;
        state.coroutine = coroutine;
        state.last = last;
    }

    pub(super) fn give_back(&self, mut call: core::Call, todo: &Todo) {
        if !matches!(todo, Todo::Done | Todo::Scope) {
            let pipeline = self.pipeline.get();
            pipeline.inner.abandon(&mut call, pipeline.clock.now());
        }
    }
}

pub(super) fn instead_of(todo: Todo) -> Option<Raised> {
    match todo {
        Todo::FallBack(_, error) => Some(error),
        _ => None,
    }
}

/// What a fallback's function gave.
pub(super) enum Given<'py> {
    Value(Py<PyAny>),
    /// A coroutine, or one around what is awaitable.
    Awaitable(Bound<'py, PyAny>),
}

/// What can be awaited as what can be driven. The type says what it is, as to `await`; asking the object itself may run
/// a proxy's code.
pub(super) fn driven(made: Bound<'_, PyAny>) -> PyResult<Given<'_>> {
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

/// Makes `original` the context of what a fallback raised, at the end of its own, unless it is in there.
pub(super) fn put_behind(py: Python<'_>, error: &PyErr, original: &Bound<'_, PyBaseException>) -> PyResult<()> {
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
