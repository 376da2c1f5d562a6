//! From the tuples of Python's compiler to the policies of the core.

use std::sync::Arc;

use corten_core::clock::nanos_from_seconds;
use corten_core::pipeline::{Cost, Policy, Priority};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::failures::{Asks, Filter};
use crate::adaptive_limit::AdaptiveLimit;
use crate::bulkhead::Bulkhead;
use crate::circuit_breaker::CircuitBreaker;
use crate::rate_limit::{KeyedLimiter, Limiter};
use crate::retry::Retry;

/// The policy of a stage, and the rule by which it judges errors where it has one.
pub(super) fn policy_of(stage: &Bound<'_, PyTuple>) -> PyResult<(Policy, Option<Filter>)> {
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
