//! A pipeline, compiled: the only thing that a call meets on its common path.

use std::sync::Arc;

use corten_core::clock::{AnyClock, Clock as _, nanos_from_seconds};
use corten_core::pipeline::{self as core, Policy};
use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple, PyWeakrefReference};

use super::call::{Call, Todo};
use super::counts::PipelineCounts;
use super::drive::close;
use super::failures::{Asks, Filters};
use super::inputs::{Input, input_of};
use super::stages::policy_of;
use crate::circuit_breaker::CircuitBreaker;
use crate::clock::Clock;
use crate::deadline;
use crate::retry::RetryBudget;
use crate::spin::Mutex;
use crate::timeout::Timers;

/// One part of a pipeline whose policies a call walks through in one go.
#[pyclass(frozen, module = "corten._core")]
pub(crate) struct Pipeline {
    pub(super) inner: core::Pipeline,
    pub(super) clock: AnyClock,
    pub(super) filters: Filters,
    /// `corten.clock.Clock`
    pub(super) face: Py<PyAny>,
    counts: Py<PipelineCounts>,
    pub(super) has_timeout: bool,
    /// Whether any policy asks what calls return.
    pub(super) asks_results: bool,
    pub(super) inputs: Vec<(usize, Input)>,
    pub(super) breakers: Vec<(usize, Py<CircuitBreaker>)>,
    /// `Decisions.tell(kind, policy, error, attempt, seconds)`
    pub(super) tell: Option<Py<PyAny>>,
    /// The deadlines of the loop that was last seen; the loop itself only weakly.
    pub(super) timers: Mutex<Option<(Py<PyWeakrefReference>, Py<Timers>)>>,
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
