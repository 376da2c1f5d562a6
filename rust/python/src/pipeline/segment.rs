//! A segment: the policies between two layers of Python, compiled; a call walks through it in one crossing.

mod arming;
mod inputs;
mod run;

use std::sync::Arc;

use corten_core::clock::{AnyClock, Clock as _, nanos_from_seconds};
use corten_core::pipeline::{self as core, Policy};
use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple, PyWeakrefReference};

use super::call::{Action, Call};
use super::counts::PipelineCounts;
use super::drive::close;
use super::error_filters::{Asks, Filters};
use super::stage::Stage;
use super::to_python;
use crate::circuit_breaker::CircuitBreaker;
use crate::clock::Clock;
use crate::deadline;
use crate::retry::RetryBudget;
use crate::spin::Mutex;
use crate::timeout::Timers;

pub(super) use arming::arm;
use inputs::{Input, set_inputs};
pub(super) use run::Run;

/// The policies between two layers of Python, compiled.
#[pyclass(frozen, module = "corten._core")]
pub(crate) struct Segment {
    pub(super) inner: core::Pipeline,
    pub(super) clock: AnyClock,
    pub(super) filters: Filters,
    /// The `corten.clock.Clock` around `clock`.
    clock_object: Py<PyAny>,
    counts: Py<PipelineCounts>,
    has_timeout: bool,
    /// Whether any policy judges the results of calls.
    pub(super) judges_results: bool,
    inputs: Vec<(usize, Input)>,
    pub(super) breakers: Vec<(usize, Py<CircuitBreaker>)>,
    /// `PipelineEvents.emit(name, policy, error, attempt, seconds)`
    pub(super) emit: Option<Py<PyAny>>,
    /// The timers of the last event loop; the loop itself only weakly.
    timers: Mutex<Option<(Py<PyWeakrefReference>, Py<Timers>)>>,
}

#[pymethods]
impl Segment {
    /// Compile stages, outermost first.
    ///
    /// Only the outermost segment of a pipeline `counts_calls`. `inputs` names what each call brings, by the index of
    /// the stage; `emit` receives events; all retries share `budget`. With `once` no attempt that began is repeated.
    #[new]
    #[pyo3(signature = (
        name, clock, counts, stages, counts_calls, inputs=Vec::new(), emit=None, budget=None, once=false
    ))]
    #[expect(clippy::too_many_arguments, reason = "by position from one place in Python")]
    fn new(
        name: Bound<'_, PyString>,
        clock: Bound<'_, PyAny>,
        counts: Bound<'_, PipelineCounts>,
        stages: Vec<PyRef<'_, Stage>>,
        counts_calls: bool,
        inputs: Vec<(usize, String)>,
        emit: Option<Py<PyAny>>,
        budget: Option<&RetryBudget>,
        once: bool,
    ) -> PyResult<Self> {
        let py = name.py();
        let mut filters = Filters { name: name.unbind(), filters: Vec::new() };
        let mut breakers = Vec::new();
        for (index, stage) in stages.iter().enumerate() {
            breakers.extend(stage.breaker.as_ref().map(|breaker| (index, breaker.clone_ref(py))));
            if let Some(filter) = &stage.filter {
                let mut filter = filter.clone_ref(py);
                if once && filter.asks == Asks::MayPass {
                    filter.asks = Asks::Nothing;
                }
                filters.filters.push((index, filter));
            }
        }
        let inputs = inputs.into_iter().map(|(index, name)| {
            let stage = stages.get(index).ok_or_else(|| PyValueError::new_err(format!("there is no stage {index}")))?;
            Ok((index, Input::of(py, stage, &name)?))
        });
        let inputs = inputs.collect::<PyResult<Vec<_>>>()?;
        let policies: Vec<Policy> = stages.iter().map(|stage| stage.policy.clone()).collect();
        let has_timeout = policies.iter().any(|policy| matches!(policy, Policy::Timeout(_)));
        let (own, judges_results) = (filters.own_endings(py), filters.judge_results());
        let budget = budget.map(|budget| Arc::clone(&budget.inner));
        let inner = core::Pipeline::new(policies, own, Arc::clone(&counts.get().inner), counts_calls, budget)
            .map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(Self {
            inner,
            clock: clock.getattr(intern!(py, "core"))?.cast::<Clock>()?.get().inner.clone(),
            filters,
            clock_object: clock.unbind(),
            counts: counts.unbind(),
            has_timeout,
            judges_results,
            inputs,
            breakers,
            emit,
            timers: Mutex::new(None),
        })
    }

    /// Where its calls are counted.
    #[getter]
    fn counts(&self, py: Python<'_>) -> Py<PipelineCounts> {
        self.counts.clone_ref(py)
    }

    /// Do as `run`, with inputs of the call in the order of the segment's `inputs`.
    ///
    /// The call waits for nothing beyond `horizon`, a deadline (in seconds of the clock) that the caller keeps.
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
        if let Err(error) = set_inputs(this, &mut call, inputs) {
            close(coroutine)?;
            return Err(error);
        }
        deadline::here(|here| Self::begin(slf, here, &mut call, coroutine, now)).map(Bound::unbind)
    }

    /// Ask for admission without a coroutine; leave the `Call` by `succeeded`, `failed`, `returned` or `abandon`.
    #[pyo3(signature = (inputs, /))]
    fn admit(slf: &Bound<'_, Self>, inputs: &Bound<'_, PyTuple>) -> PyResult<Call> {
        let this = slf.get();
        let now = this.clock.now();
        let mut call = core::Call::new(now);
        deadline::here(|here| this.set_horizon(here, slf.py(), &mut call))?;
        set_inputs(this, &mut call, inputs)?;
        let decision = this.inner.enter(&mut call, now);
        let (decision, error) = to_python::entering(slf.py(), this, &call, decision)?;
        Ok(Call::new(slf, call, Action::Decided(decision), None, error))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.clock_object)?;
        visit.call(&self.counts)?;
        for (_, filter) in &self.filters.filters {
            filter.traverse(&visit)?;
        }
        for (_, breaker) in &self.breakers {
            visit.call(breaker)?;
        }
        for (_, input) in &self.inputs {
            if let Input::Key(limiter) = input {
                visit.call(limiter)?;
            }
        }
        visit.call(&self.emit)?;
        if let Some(timers) = self.timers.try_lock()
            && let Some((event_loop, timers)) = timers.as_ref()
        {
            visit.call(event_loop)?;
            visit.call(timers)?;
        }
        Ok(())
    }
}
