//! A pipeline, compiled: the only thing that a call meets on its common path.

use std::ffi::CStr;
use std::sync::Arc;

use corten_core::clock::{AnyClock, Clock as _, Nanos, nanos_from_seconds, seconds_from_nanos};
use corten_core::pipeline::{self as core, Cost, Failure, Kind, Next, Outcome, Policy, Priority, Refusal, Step, Why};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyException, PyRuntimeError, PyTimeoutError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyTuple, PyType, PyWeakrefMethods, PyWeakrefReference};

use super::call::{Call, Raised, Todo};
use super::counts::PipelineCounts;
use super::drive::{First, close, first_step};
use super::failures::{Asks, Filter, Filters, described};
use super::notes::note_attempts;
use super::refusals;
use crate::adaptive_limit::AdaptiveLimit;
use crate::bulkhead::Bulkhead;
use crate::circuit_breaker::CircuitBreaker;
use crate::clock::Clock;
use crate::deadline;
use crate::fastcall::Unary;
use crate::rate_limit::{KeyedLimiter, Limiter};
use crate::retry::{Retry, RetryBudget};
use crate::spin::Mutex;
use crate::timeout::{Armed, Timers};

/// One part of a pipeline whose policies a call walks through in one go.
#[pyclass(frozen, module = "corten._core")]
pub(crate) struct Pipeline {
    pub(super) inner: core::Pipeline,
    pub(super) clock: AnyClock,
    pub(super) filters: Filters,
    /// `corten.clock.Clock`
    face: Py<PyAny>,
    counts: Py<PipelineCounts>,
    has_timeout: bool,
    /// Whether any policy asks what calls return.
    asks_results: bool,
    inputs: Vec<(usize, Input)>,
    breakers: Vec<(usize, Py<CircuitBreaker>)>,
    /// `Decisions.tell(kind, policy, error, attempt, seconds)`
    tell: Option<Py<PyAny>>,
    /// The deadlines of the loop that was last seen; the loop itself only weakly.
    timers: Mutex<Option<(Py<PyWeakrefReference>, Py<Timers>)>>,
}

/// What a call brings for one of the stages.
enum Input {
    /// The key of a keyed limit, whose hash it makes.
    Key(Py<KeyedLimiter>),
    /// How many tokens it takes from a limit.
    Cost,
    /// How urgent it is to a bulkhead.
    Priority,
}

/// How a call ended for Python, other than by an error.
pub(super) enum Settled {
    Value(Py<PyAny>),
    /// Something is to be done first; to be tried again, for that error where there was one.
    Again(Todo, Option<Raised>),
}

#[pymethods]
impl Pipeline {
    /// `face` is the `corten.clock.Clock`; each stage is a tuple that begins with the policy's word. Where the pipeline
    /// is in several parts, only the outermost one `counts_calls`. `inputs` says what each call brings, for which
    /// stage; `tell` hears of what was decided; `budget` is for all further attempts. With `once` nothing is repeated
    /// that has begun.
    #[new]
    #[pyo3(signature = (name, face, counts, stages, counts_calls, inputs=Vec::new(), tell=None, budget=None, once=false))]
    #[expect(clippy::too_many_arguments, reason = "by position from one place in Python")]
    fn new(
        name: Bound<'_, PyString>,
        face: Bound<'_, PyAny>,
        counts: Bound<'_, PipelineCounts>,
        stages: Vec<Bound<'_, PyTuple>>,
        counts_calls: bool,
        inputs: Vec<(usize, String)>,
        tell: Option<Py<PyAny>>,
        budget: Option<&RetryBudget>,
        once: bool,
    ) -> PyResult<Self> {
        let py = name.py();
        let clock = face.getattr(intern!(py, "core"))?.cast::<Clock>()?.get().inner.clone();
        let mut filters = Filters { name: name.unbind(), filters: Vec::new() };
        let mut policies = Vec::with_capacity(stages.len());
        let mut breakers = Vec::new();
        for (index, stage) in stages.iter().enumerate() {
            let (policy, filter) = policy_of(stage)?;
            if matches!(policy, Policy::CircuitBreaker { .. }) {
                breakers.push((index, stage.get_item(1)?.cast_into::<CircuitBreaker>()?.unbind()));
            }
            policies.push(policy);
            filters.filters.extend(filter.map(|filter| (index, filter)));
        }
        if once {
            for (_, filter) in &mut filters.filters {
                if filter.asks == Asks::MayPass {
                    filter.asks = Asks::Nothing;
                }
            }
        }
        let inputs = inputs.into_iter().map(|(index, what)| Ok((index, input_of(&stages, index, &what)?)));
        let inputs = inputs.collect::<PyResult<Vec<_>>>()?;
        let has_timeout = policies.iter().any(|policy| matches!(policy, Policy::Timeout(_)));
        let (own, asks_results) = (filters.own_endings(py), filters.ask_results());
        let budget = budget.map(|budget| Arc::clone(&budget.inner));
        let inner = core::Pipeline::new(policies, own, Arc::clone(&counts.get().inner), counts_calls, budget)
            .map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(Self {
            inner,
            clock,
            filters,
            face: face.unbind(),
            counts: counts.unbind(),
            has_timeout,
            asks_results,
            inputs,
            breakers,
            tell,
            timers: Mutex::new(None),
        })
    }

    /// Where its calls are counted.
    #[getter]
    fn counts(&self, py: Python<'_>) -> Py<PipelineCounts> {
        self.counts.clone_ref(py)
    }

    /// What `run` does, with what the call brings for the stages, in the order of `inputs`.
    /// Nothing is waited for beyond `horizon`, a deadline that somebody outside keeps.
    #[pyo3(signature = (coroutine, inputs, horizon=None, /))]
    fn run_keyed(
        slf: &Bound<'_, Self>,
        coroutine: &Bound<'_, PyAny>,
        inputs: &Bound<'_, PyTuple>,
        horizon: Option<f64>,
    ) -> PyResult<Py<PyAny>> {
        let this = slf.get();
        let now = this.clock.now();
        let mut call = core::Call::new(now);
        deadline::here(|here| this.set_horizon(here, slf.py(), &mut call))?;
        if let Some(deadline) = horizon {
            let deadline = nanos_from_seconds(deadline);
            call.set_horizon(call.horizon().map_or(deadline, |other| other.min(deadline)));
        }
        if let Err(error) = this.set_inputs(&mut call, inputs) {
            close(coroutine)?;
            return Err(error);
        }
        deadline::here(|here| Self::begin(slf, here, &mut call, coroutine, now)).map(Bound::unbind)
    }

    /// Asks for admission alone, for what is no coroutine. The `Call` must be left by `succeeded`, `failed` or `abandon`.
    #[pyo3(signature = (inputs, /))]
    fn admit(slf: &Bound<'_, Self>, inputs: &Bound<'_, PyTuple>) -> PyResult<Call> {
        let this = slf.get();
        let now = this.clock.now();
        let mut call = core::Call::new(now);
        deadline::here(|here| this.set_horizon(here, slf.py(), &mut call))?;
        this.set_inputs(&mut call, inputs)?;
        let step = this.inner.enter(&mut call, now);
        let todo = match this.todo(slf.py(), &call, step)? {
            None => Todo::Admitted,
            Some(todo) => todo,
        };
        Ok(Call::new(slf, call, todo, None))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.face)?;
        visit.call(&self.counts)?;
        for (_, filter) in &self.filters.filters {
            visit.call(&filter.on)?;
            visit.call(&filter.ignore)?;
            visit.call(&filter.predicate)?;
            visit.call(&filter.on_result)?;
        }
        for (_, breaker) in &self.breakers {
            visit.call(breaker)?;
        }
        for (_, input) in &self.inputs {
            match input {
                Input::Key(limiter) => visit.call(limiter)?,
                Input::Cost => {}
                Input::Priority => {}
            }
        }
        visit.call(&self.tell)?;
        if let Some(timers) = self.timers.try_lock()
            && let Some((event_loop, timers)) = timers.as_ref()
        {
            visit.call(event_loop)?;
            visit.call(timers)?;
        }
        Ok(())
    }
}

/// Admits a coroutine that has not begun, takes its first step and accounts.
pub(crate) struct Run;

impl Unary for Run {
    type Class = Pipeline;
    const NAME: &'static CStr = c"run";
    const DOC: &'static CStr =
        c"run($self, coroutine, /)\n--\n\nAdmits a coroutine that has not begun, takes its first \
        step and accounts. Gives its result, or a `Call` where something is left to be done; closes it where it is \
        refused.";

    #[inline]
    fn call<'py>(this: &Bound<'py, Pipeline>, coroutine: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let now = this.get().clock.now();
        deadline::here(|here| {
            let mut call = core::Call::new(now);
            if let Err(error) = this.get().set_horizon(here, this.py(), &mut call) {
                return Pipeline::not_begun(coroutine, error);
            }
            Pipeline::begin(this, here, &mut call, coroutine, now)
        })
    }
}

impl Pipeline {
    /// Everything of the common way is here, and owns no `Py`; the rest is not, to keep this small.
    #[inline(always)]
    fn begin<'py>(
        slf: &Bound<'py, Self>,
        here: &deadline::Here,
        call: &mut core::Call,
        coroutine: &Bound<'py, PyAny>,
        now: u64,
    ) -> PyResult<Bound<'py, PyAny>> {
        let this = slf.get();
        if this.has_timeout && trio_is_imported(slf.py())? && Self::on_trio(slf.py())? {
            // A cancel scope must be entered before the first step; this form has taken none yet.
            return Self::left_to_do(slf, call, Todo::Scope, coroutine);
        }
        match this.inner.enter(call, now) {
            Step::Proceed => {}
            step => return Self::stopped(slf, call, step, coroutine),
        }
        match this.step_here(here, call.around(), || first_step(coroutine)) {
            First::Returned(value) => {
                if this.asks_results {
                    return Self::ask(slf, call, value);
                }
                this.inner.leave(call, Outcome::Success, this.clock.now());
                Ok(value)
            }
            First::Yielded(yielded) => Self::suspended(slf, call, coroutine, yielded),
            First::Raised => Self::failed(slf, call),
        }
    }

    #[cold]
    fn on_trio(py: Python<'_>) -> PyResult<bool> {
        Python::attach(|_| on_trio(py))
    }

    #[cold]
    fn left_to_do<'py>(
        slf: &Bound<'py, Self>,
        call: &mut core::Call,
        todo: Todo,
        coroutine: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Python::attach(|_| {
            Call::new(slf, take(call), todo, Some(coroutine.clone().unbind())).into_bound_py_any(slf.py())
        })
    }

    /// It was not admitted, or not yet.
    #[cold]
    fn stopped<'py>(
        slf: &Bound<'py, Self>,
        call: &mut core::Call,
        step: Step,
        coroutine: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Python::attach(|_| match slf.get().todo(slf.py(), call, step) {
            Ok(Some(todo)) => Self::left_to_do(slf, call, todo, coroutine),
            Ok(None) => Err(PyRuntimeError::new_err("a call can't proceed twice")),
            Err(error) => {
                close(coroutine)?;
                Err(error)
            }
        })
    }

    #[inline(never)]
    fn suspended<'py>(
        slf: &Bound<'py, Self>,
        call: &mut core::Call,
        coroutine: &Bound<'py, PyAny>,
        yielded: Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let armed = Self::arm(slf, call, coroutine, &yielded)?;
        Call::suspended(slf, take(call), coroutine.clone().unbind(), yielded.unbind(), armed)
            .into_bound_py_any(slf.py())
    }

    /// The coroutine raised at its first step; the error is the thread's.
    #[cold]
    fn failed<'py>(slf: &Bound<'py, Self>, call: &mut core::Call) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        Python::attach(|_| {
            let settled = slf.get().raised(py, call, PyErr::fetch(py), false)?;
            Self::settled(slf, call, settled)
        })
    }

    /// Closes what was not begun for an error.
    #[cold]
    fn not_begun<'py>(coroutine: &Bound<'py, PyAny>, error: PyErr) -> PyResult<Bound<'py, PyAny>> {
        Python::attach(|_| close(coroutine).and(Err(error)))
    }

    /// Runs a step of the user's code with that deadline around it.
    #[inline]
    pub(super) fn step<R>(&self, deadline: Option<Nanos>, step: impl FnOnce() -> R) -> R {
        if deadline.is_none() { step() } else { deadline::here(|here| self.step_here(here, deadline, step)) }
    }

    #[inline]
    fn step_here<R>(&self, here: &deadline::Here, deadline: Option<Nanos>, step: impl FnOnce() -> R) -> R {
        let _around = deadline::around(here, &self.clock, deadline);
        step()
    }

    /// Tells a call that begins of the deadline around it.
    #[inline]
    fn set_horizon(&self, here: &deadline::Here, py: Python<'_>, call: &mut core::Call) -> PyResult<()> {
        if let Some(horizon) = deadline::horizon(here, &self.clock) {
            call.set_horizon(horizon);
        }
        if deadline::by_context(py) { self.set_context_horizon(py, call) } else { Ok(()) }
    }

    #[cold]
    fn set_context_horizon(&self, py: Python<'_>, call: &mut core::Call) -> PyResult<()> {
        Python::attach(|_| {
            static ON: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
            let on = ON.import(py, "corten.deadline", "context_deadline")?;
            let by_context: Option<f64> = on.call1((&self.face,))?.extract()?;
            let earlier = by_context.map(nanos_from_seconds).into_iter().chain(call.horizon()).min();
            if let Some(deadline) = earlier {
                call.set_horizon(deadline);
            }
            Ok(())
        })
    }

    /// The coroutine returned at its first step, and a policy asks what.
    #[cold]
    fn ask<'py>(
        slf: &Bound<'py, Self>,
        call: &mut core::Call,
        value: Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        Python::attach(|_| {
            let settled = slf.get().returned(py, call, value.unbind())?;
            Self::settled(slf, call, settled)
        })
    }

    fn settled<'py>(slf: &Bound<'py, Self>, call: &mut core::Call, settled: Settled) -> PyResult<Bound<'py, PyAny>> {
        match settled {
            Settled::Value(value) => Ok(value.into_bound(slf.py())),
            Settled::Again(todo, error) => Call::again(slf, take(call), todo, error).into_bound_py_any(slf.py()),
        }
    }

    fn set_inputs(&self, call: &mut core::Call, inputs: &Bound<'_, PyTuple>) -> PyResult<()> {
        for ((index, input), value) in self.inputs.iter().zip(inputs.iter_borrowed()) {
            match input {
                Input::Key(limiter) => self.inner.set_key(call, *index, limiter.get().hash(&value)?),
                Input::Cost => self.inner.set_cost(call, *index, cost_of(&value)?),
                Input::Priority => self.inner.set_priority(call, *index, self.priority(&value)?),
            }
        }
        Ok(())
    }

    fn priority(&self, value: &Bound<'_, PyAny>) -> PyResult<i32> {
        value.extract().or_else(|_| {
            let (name, value) = (self.filters.name.bind(value.py()).repr()?, value.repr()?);
            Err(PyValueError::new_err(format!(
                "pipeline {name}: bulkhead: the priority of a call is {value}; it must be a whole number from {} to {}",
                i32::MIN,
                i32::MAX
            )))
        })
    }

    /// What a breaker says for its refusal; None for the other policies.
    fn reason(&self, py: Python<'_>, refusal: Refusal) -> Option<PyResult<Py<PyString>>> {
        let (_, breaker) = self.breakers.iter().find(|(index, _)| *index == refusal.index)?;
        Some(breaker.get().reason(py))
    }

    /// The words of a failure that a breaker of the pipeline counts, and so remembers.
    fn words(&self, error: &Bound<'_, PyAny>, outcome: Outcome) -> Option<String> {
        let Outcome::Failed(Failure { counts, .. }) = outcome else { return None };
        let counted = self.breakers.iter().any(|(index, _)| counts >> index & 1 == 1);
        counted.then(|| described(error))
    }

    /// Tells what was decided; what goes wrong there is nothing to the call.
    #[cold]
    pub(super) fn tell(
        &self,
        py: Python<'_>,
        kind: &'static str,
        policy: &'static str,
        error: Option<&PyErr>,
        attempt: u32,
        nanos: Option<u64>,
    ) {
        let Some(tell) = &self.tell else { return };
        let error = error.map(|error| error.value(py));
        let told = tell.bind(py).call1((kind, policy, error, attempt, nanos.map(seconds_from_nanos)));
        if let Err(wrong) = told {
            wrong.write_unraisable(py, Some(tell.bind(py)));
        }
    }

    /// What a step leaves to be done; nothing where the call may proceed.
    pub(super) fn todo(&self, py: Python<'_>, call: &core::Call, step: Step) -> PyResult<Option<Todo>> {
        match step {
            Step::Proceed => Ok(None),
            Step::Wait(nanos) => Ok(Some(Todo::Wait(nanos))),
            Step::Again(nanos) => {
                self.tell(py, "retried", Kind::Retry.word(), None, call.attempt(), Some(nanos));
                Ok(Some(Todo::Wait(nanos)))
            }
            Step::Queue(ticket, until) => Ok(Some(Todo::Queue(ticket, until))),
            Step::FallBack(index, Why::Refused(refusal)) => {
                let error = refusals::refused(py, &self.filters.name, refusal, self.reason(py, refusal));
                self.tell(py, "refused", refusal.policy.word(), Some(&error), 0, refusal.retry_after);
                Ok(Some(Todo::FallBack(index, error.into_value(py))))
            }
            Step::FallBack(index, why) => {
                let limit = if let Why::DeadlineExceeded(limit) = why { limit } else { 0 };
                let error = refusals::deadline_exceeded(py, &self.filters.name, limit);
                self.tell(py, "timed_out", Kind::Timeout.word(), Some(&error), 0, Some(limit));
                Ok(Some(Todo::FallBack(index, error.into_value(py))))
            }
            Step::Refuse(refusal) => {
                let error = refusals::refused(py, &self.filters.name, refusal, self.reason(py, refusal));
                note_attempts(py, &self.filters.name, call, self.clock.now(), &error);
                self.tell(py, "refused", refusal.policy.word(), Some(&error), 0, refusal.retry_after);
                Err(error)
            }
            Step::DeadlineExceeded(limit) => {
                let error = refusals::deadline_exceeded(py, &self.filters.name, limit);
                note_attempts(py, &self.filters.name, call, self.clock.now(), &error);
                self.tell(py, "timed_out", Kind::Timeout.word(), Some(&error), 0, Some(limit));
                Err(error)
            }
        }
    }

    /// The coroutine ended; `armed` is the deadline it ran under.
    pub(super) fn ended(
        &self,
        py: Python<'_>,
        call: &mut core::Call,
        sent: Result<Py<PyAny>, PyErr>,
        armed: Option<Armed>,
    ) -> PyResult<Settled> {
        let overdue = armed.map_or(Ok(false), |armed| armed.disarm(py));
        match (sent, overdue) {
            (Ok(value), Ok(_)) => self.returned(py, call, value),
            (Err(error), Ok(overdue)) => self.raised(py, call, error, overdue),
            (_, Err(error)) => self.raised(py, call, error, false),
        }
    }

    /// The call returned: that is what it gives, unless a policy wants something else.
    #[inline]
    pub(super) fn returned(&self, py: Python<'_>, call: &mut core::Call, value: Py<PyAny>) -> PyResult<Settled> {
        if self.asks_results {
            match self.filters.unwanted(value.bind(py)) {
                Ok(bits) => call.set_unwanted(bits),
                Err(wrong) => {
                    self.gone_wrong(py, call, &wrong);
                    return Err(wrong);
                }
            }
        }
        match self.inner.leave(call, Outcome::Success, self.clock.now()) {
            Next::RetryAfter(nanos) => {
                let unwanted = PyValueError::new_err("what it returned is not what was wanted");
                self.tell(py, "retried", Kind::Retry.word(), Some(&unwanted), call.attempt(), Some(nanos));
                Ok(Settled::Again(Todo::Wait(nanos), None))
            }
            _ => Ok(Settled::Value(value)),
        }
    }

    /// A function that a policy asks raised: the call is over, and that error is what it raises.
    fn gone_wrong(&self, py: Python<'_>, call: &mut core::Call, wrong: &PyErr) {
        let error = wrong.is_instance_of::<PyException>(py);
        let outcome = if error { Outcome::Failed(Failure::default()) } else { Outcome::Cancelled };
        call.set_unwanted(0);
        self.inner.leave(call, outcome, self.clock.now());
    }

    pub(super) fn raised(
        &self,
        py: Python<'_>,
        call: &mut core::Call,
        error: PyErr,
        overdue: bool,
    ) -> PyResult<Settled> {
        let outcome = if overdue && error.matches(py, cancelled_type(py)?)? {
            Ok(Outcome::TimedOut)
        } else {
            self.filters.outcome(error.value(py))
        };
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(wrong) => {
                // An `isinstance`, a property or a predicate of the user's failed.
                self.gone_wrong(py, call, &wrong);
                wrong.value(py).setattr(intern!(py, "__context__"), error.value(py))?;
                return Err(wrong);
            }
        };
        let now = self.clock.now();
        let words = self.words(error.value(py), outcome);
        match self.inner.leave_saying(call, outcome, words.as_deref(), now) {
            Next::Return | Next::Raise => {
                note_attempts(py, &self.filters.name, call, now, &error);
                // What a part further inside ended was told there.
                if self.inner.counts_calls() && matches!(outcome, Outcome::Failed(Failure { within: None, .. })) {
                    self.tell(py, "failed", "", Some(&error), 0, None);
                }
                Err(error)
            }
            Next::RetryAfter(nanos) => {
                let late = || PyTimeoutError::new_err("the attempt took too long");
                let cause = if outcome == Outcome::TimedOut { late() } else { error.clone_ref(py) };
                self.tell(py, "retried", Kind::Retry.word(), Some(&cause), call.attempt(), Some(nanos));
                Ok(Settled::Again(Todo::Wait(nanos), Some(error.into_value(py))))
            }
            Next::FallBack(index, Why::DeadlineExceeded(limit)) => {
                let exceeded = refusals::deadline_exceeded(py, &self.filters.name, limit);
                exceeded.set_cause(py, Some(error));
                note_attempts(py, &self.filters.name, call, now, &exceeded);
                self.tell(py, "timed_out", Kind::Timeout.word(), Some(&exceeded), 0, Some(limit));
                Ok(Settled::Again(Todo::FallBack(index, exceeded.into_value(py)), None))
            }
            Next::FallBack(index, _) => {
                note_attempts(py, &self.filters.name, call, now, &error);
                Ok(Settled::Again(Todo::FallBack(index, error.into_value(py)), None))
            }
            Next::DeadlineExceeded(limit) => {
                let exceeded = refusals::deadline_exceeded(py, &self.filters.name, limit);
                exceeded.set_cause(py, Some(error));
                note_attempts(py, &self.filters.name, call, now, &exceeded);
                self.tell(py, "timed_out", Kind::Timeout.word(), Some(&exceeded), 0, Some(limit));
                Err(exceeded)
            }
        }
    }

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
            let timers_of = TIMERS_OF.import(py, "corten.pipeline.timers", "timers_of")?;
            let timers = timers_of.call1((event_loop, &self.face))?.cast_into::<Timers>()?;
            let weak = PyWeakrefReference::new(event_loop)?.unbind();
            let previous = self.timers.lock().replace((weak, timers.clone().unbind()));
            drop(previous); // outside the lock
            Ok(timers)
        })
    }
}

/// The call moves into an object; what stays behind has entered nothing.
fn take(call: &mut core::Call) -> core::Call {
    std::mem::replace(call, core::Call::new(0))
}

fn input_of(stages: &[Bound<'_, PyTuple>], index: usize, what: &str) -> PyResult<Input> {
    let stage = stages.get(index).ok_or_else(|| PyValueError::new_err(format!("there is no stage {index}")))?;
    match what {
        "key" => Ok(Input::Key(stage.get_item(1)?.cast_into::<KeyedLimiter>()?.unbind())),
        "cost" => Ok(Input::Cost),
        "priority" => Ok(Input::Priority),
        other => Err(PyValueError::new_err(format!("a stage takes no {other:?} from calls"))),
    }
}

fn policy_of(stage: &Bound<'_, PyTuple>) -> PyResult<(Policy, Option<Filter>)> {
    let word: String = stage.get_item(0)?.extract()?;
    let filter = |asks, on: usize| -> PyResult<Option<Filter>> {
        let types = |index| Ok::<_, PyErr>(stage.get_item(index)?.cast_into::<PyTuple>()?.unbind());
        let function = |index| -> PyResult<Option<Py<PyAny>>> {
            if index >= stage.len() {
                return Ok(None);
            }
            Ok(Some(stage.get_item(index)?).filter(|function| !function.is_none()).map(Bound::unbind))
        };
        let (predicate, on_result) = (function(on + 2)?, function(on + 3)?);
        Ok(Some(Filter { asks, on: types(on)?, ignore: types(on + 1)?, predicate, on_result }))
    };
    match word.as_str() {
        "rate_limit" => {
            let limiter = stage.get_item(1)?;
            let limiter = match limiter.cast::<KeyedLimiter>() {
                Ok(keyed) => keyed.get().inner.clone(),
                Err(_) => limiter.cast::<Limiter>()?.get().inner.clone(),
            };
            // Without a cost that is always the same each call brings its own.
            let cost: Option<u64> = stage.get_item(3)?.extract()?;
            let cost = cost.map_or(Cost::Told, Cost::Fixed);
            Ok((Policy::RateLimit { limiter, cost, max_wait: nanos_from_seconds(stage.get_item(2)?.extract()?) }, None))
        }
        "circuit_breaker" => {
            let breaker = Arc::clone(&stage.get_item(1)?.cast::<CircuitBreaker>()?.get().inner);
            let timed = stage.get_item(6)?.extract()?;
            Ok((Policy::CircuitBreaker { breaker, timed }, filter(Asks::Failure, 2)?))
        }
        "bulkhead" => {
            let bulkhead = Arc::clone(&stage.get_item(1)?.cast::<Bulkhead>()?.get().inner);
            let max_wait: Option<f64> = stage.get_item(2)?.extract()?;
            let priority: Option<i32> = stage.get_item(3)?.extract()?;
            let priority = priority.map_or(Priority::OfCall, Priority::Same);
            Ok((Policy::Bulkhead { bulkhead, max_wait: max_wait.map(nanos_from_seconds), priority }, None))
        }
        "adaptive_limit" => {
            let limit = Arc::clone(&stage.get_item(1)?.cast::<AdaptiveLimit>()?.get().inner);
            let max_wait: Option<f64> = stage.get_item(2)?.extract()?;
            let policy = Policy::AdaptiveLimit { limit, max_wait: max_wait.map(nanos_from_seconds) };
            Ok((policy, filter(Asks::Overload, 3)?))
        }
        "retry" => {
            let retry = Arc::clone(&stage.get_item(1)?.cast::<Retry>()?.get().inner);
            Ok((Policy::Retry(retry), filter(Asks::MayPass, 2)?))
        }
        "fallback" => Ok((Policy::Fallback, filter(Asks::Fallback, 1)?)),
        "timeout" => Ok((Policy::Timeout(nanos_from_seconds(stage.get_item(1)?.extract()?)), None)),
        other => Err(PyValueError::new_err(format!("no policy {other:?} can be compiled"))),
    }
}

/// How many tokens a call takes.
fn cost_of(value: &Bound<'_, PyAny>) -> PyResult<u64> {
    value.extract().map_err(|_| {
        let shown = value.repr().map_or_else(|_| value.get_type().to_string(), |repr| repr.to_string());
        PyValueError::new_err(format!("rate_limit: a call costs {shown}; it must cost a whole number, 0 or more"))
    })
}

fn cancelled_type(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static TYPE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    TYPE.import(py, "asyncio", "CancelledError")
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

/// While nobody has imported trio it does not run this call: one look into a dictionary.
#[inline]
fn trio_is_imported(py: Python<'_>) -> PyResult<bool> {
    static MODULES: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
    MODULES.import(py, "sys", "modules")?.contains(intern!(py, "trio"))
}

/// Whether trio runs this call.
fn on_trio(py: Python<'_>) -> PyResult<bool> {
    static FUNCTION: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    FUNCTION.import(py, "corten.pipeline.backend", "on_trio")?.call0()?.is_truthy()
}
