//! What calls bring for the stages: keys, costs, priorities.

use corten_core::pipeline as core;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::compiled::Pipeline;
use crate::rate_limit::KeyedLimiter;

/// What a call brings for one of the stages.
pub(super) enum Input {
    /// The key of a keyed limit, whose hash it makes.
    Key(Py<KeyedLimiter>),
    /// How many tokens it takes from a limit.
    Cost,
    /// How urgent it is to a bulkhead.
    Priority,
}

impl Pipeline {
    /// Tells a call what it brings, in the order of `inputs`.
    pub(super) fn set_inputs(&self, call: &mut core::Call, inputs: &Bound<'_, PyTuple>) -> PyResult<()> {
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
}

/// What a call brings for the stage at an index.
pub(super) fn input_of(stages: &[Bound<'_, PyTuple>], index: usize, what: &str) -> PyResult<Input> {
    let stage = stages.get(index).ok_or_else(|| PyValueError::new_err(format!("there is no stage {index}")))?;
    match what {
        "key" => Ok(Input::Key(stage.get_item(1)?.cast_into::<KeyedLimiter>()?.unbind())),
        "cost" => Ok(Input::Cost),
        "priority" => Ok(Input::Priority),
        other => Err(PyValueError::new_err(format!("a stage takes no {other:?} from calls"))),
    }
}

/// How many tokens a call takes.
fn cost_of(value: &Bound<'_, PyAny>) -> PyResult<u64> {
    value.extract().map_err(|_| {
        let shown = value.repr().map_or_else(|_| value.get_type().to_string(), |repr| repr.to_string());
        PyValueError::new_err(format!("rate_limit: a call costs {shown}; it must cost a whole number, 0 or more"))
    })
}
