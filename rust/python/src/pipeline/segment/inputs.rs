//! Inputs: what each call brings for the stages (keys, costs, priorities).

use corten_core::pipeline as core;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::super::stage::Stage;
use super::Segment;
use crate::rate_limit::KeyedLimiter;

/// What each call brings for one stage.
pub(super) enum Input {
    /// The key of a keyed limit; the limiter hashes it.
    Key(Py<KeyedLimiter>),
    /// The number of tokens that the call takes from a limit.
    Cost,
    /// The priority of the call in a bulkhead.
    Priority,
}

impl Input {
    /// The input of a stage by its name in Python.
    pub(super) fn of(py: Python<'_>, stage: &Stage, name: &str) -> PyResult<Self> {
        match (name, &stage.keyed_limiter) {
            ("key", Some(limiter)) => Ok(Self::Key(limiter.clone_ref(py))),
            ("cost", _) => Ok(Self::Cost),
            ("priority", _) => Ok(Self::Priority),
            _ => Err(PyValueError::new_err(format!("this stage takes no {name:?} from calls"))),
        }
    }
}

/// Stores the inputs of a call, in the order of the segment's inputs.
pub(super) fn set_inputs(segment: &Segment, call: &mut core::Call, inputs: &Bound<'_, PyTuple>) -> PyResult<()> {
    for ((index, input), value) in segment.inputs.iter().zip(inputs.iter_borrowed()) {
        match input {
            Input::Key(limiter) => segment.inner.set_key(call, *index, limiter.get().hash(&value)?),
            Input::Cost => segment.inner.set_cost(call, *index, cost_of(&value)?),
            Input::Priority => segment.inner.set_priority(call, *index, priority_of(segment, &value)?),
        }
    }
    Ok(())
}

fn priority_of(segment: &Segment, value: &Bound<'_, PyAny>) -> PyResult<i32> {
    value.extract().or_else(|_| {
        let (name, value) = (segment.filters.name.bind(value.py()).repr()?, value.repr()?);
        Err(PyValueError::new_err(format!(
            "pipeline {name}: bulkhead: the priority of a call is {value}; it must be a whole number from {} to {}",
            i32::MIN,
            i32::MAX
        )))
    })
}

fn cost_of(value: &Bound<'_, PyAny>) -> PyResult<u64> {
    value.extract().map_err(|_| {
        let shown = value.repr().map_or_else(|_| value.get_type().to_string(), |repr| repr.to_string());
        PyValueError::new_err(format!("rate_limit: a call costs {shown}; it must cost a whole number, 0 or more"))
    })
}
