//! Stages: the policies that the core decides, as Python hands them over.

use std::sync::Arc;

use corten_core::clock::nanos_from_seconds;
use corten_core::pipeline::{Cost, Policy, Priority};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::error_filters::{Asks, Filter};
use crate::adaptive_limit::AdaptiveLimit;
use crate::bulkhead::Bulkhead;
use crate::circuit_breaker::CircuitBreaker;
use crate::rate_limit::{KeyedLimiter, Limiter};
use crate::retry::Retry;

/// A policy for the core, with the filter that says which errors it counts.
#[pyclass(frozen, module = "corten._core")]
pub(crate) struct Stage {
    pub(super) policy: Policy,
    pub(super) filter: Option<Filter>,
    /// The breaker, which explains its refusals.
    pub(super) breaker: Option<Py<CircuitBreaker>>,
    /// The limiter that hashes the keys of calls.
    pub(super) keyed_limiter: Option<Py<KeyedLimiter>>,
}

impl Stage {
    fn new(policy: Policy, filter: Option<Filter>) -> Self {
        Self { policy, filter, breaker: None, keyed_limiter: None }
    }
}

#[pymethods]
impl Stage {
    /// Take tokens from a limiter. `max_wait` is in seconds; without a `cost` each call brings its own.
    #[staticmethod]
    #[pyo3(signature = (limiter, max_wait, cost))]
    fn rate_limit(limiter: &Bound<'_, PyAny>, max_wait: f64, cost: Option<u64>) -> PyResult<Self> {
        let keyed_limiter = limiter.cast::<KeyedLimiter>().ok();
        let inner = match keyed_limiter {
            Some(keyed) => keyed.get().inner.clone(),
            None => limiter.cast::<Limiter>()?.get().inner.clone(),
        };
        let cost = cost.map_or(Cost::Told, Cost::Fixed);
        let policy = Policy::RateLimit { limiter: inner, cost, max_wait: nanos_from_seconds(max_wait) };
        Ok(Self { keyed_limiter: keyed_limiter.map(|keyed| keyed.clone().unbind()), ..Self::new(policy, None) })
    }

    /// Refuse calls while a breaker is open; `timed` where slow calls count.
    #[staticmethod]
    fn circuit_breaker(
        breaker: &Bound<'_, CircuitBreaker>,
        on: Py<PyTuple>,
        ignore: Py<PyTuple>,
        predicate: Option<Py<PyAny>>,
        timed: bool,
    ) -> Self {
        let policy = Policy::CircuitBreaker { breaker: Arc::clone(&breaker.get().inner), timed };
        let filter = Filter { asks: Asks::Failure, on, ignore, predicate, on_result: None };
        Self { breaker: Some(breaker.clone().unbind()), ..Self::new(policy, Some(filter)) }
    }

    /// Take a place in a bulkhead. `max_wait` is in seconds; without a `priority` each call brings its own.
    #[staticmethod]
    #[pyo3(signature = (bulkhead, max_wait, priority))]
    fn bulkhead(bulkhead: &Bound<'_, Bulkhead>, max_wait: Option<f64>, priority: Option<i32>) -> Self {
        let bulkhead = Arc::clone(&bulkhead.get().inner);
        let priority = priority.map_or(Priority::OfCall, Priority::Same);
        Self::new(Policy::Bulkhead { bulkhead, max_wait: max_wait.map(nanos_from_seconds), priority }, None)
    }

    /// Take a place in an adaptive limit; `max_wait` is in seconds.
    #[staticmethod]
    #[pyo3(signature = (limit, max_wait, on, ignore))]
    fn adaptive_limit(
        limit: &Bound<'_, AdaptiveLimit>,
        max_wait: Option<f64>,
        on: Py<PyTuple>,
        ignore: Py<PyTuple>,
    ) -> Self {
        let limit = Arc::clone(&limit.get().inner);
        let filter = Filter { asks: Asks::Overload, on, ignore, predicate: None, on_result: None };
        Self::new(Policy::AdaptiveLimit { limit, max_wait: max_wait.map(nanos_from_seconds) }, Some(filter))
    }

    /// Repeat attempts that fail, or whose result `on_result` calls unwanted.
    #[staticmethod]
    #[pyo3(signature = (retry, on, ignore, predicate, on_result))]
    fn retry(
        retry: &Bound<'_, Retry>,
        on: Py<PyTuple>,
        ignore: Py<PyTuple>,
        predicate: Option<Py<PyAny>>,
        on_result: Option<Py<PyAny>>,
    ) -> Self {
        let filter = Filter { asks: Asks::MayPass, on, ignore, predicate, on_result };
        Self::new(Policy::Retry(Arc::clone(&retry.get().inner)), Some(filter))
    }

    /// Ask Python for a result in place of an error.
    #[staticmethod]
    #[pyo3(signature = (on, ignore, predicate))]
    fn fallback(on: Py<PyTuple>, ignore: Py<PyTuple>, predicate: Option<Py<PyAny>>) -> Self {
        let filter = Filter { asks: Asks::Fallback, on, ignore, predicate, on_result: None };
        Self::new(Policy::Fallback, Some(filter))
    }

    /// Limit the time of everything further inside, in seconds.
    #[staticmethod]
    fn timeout(seconds: f64) -> Self {
        Self::new(Policy::Timeout(nanos_from_seconds(seconds)), None)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.filter.as_ref().map_or(Ok(()), |filter| filter.traverse(&visit))?;
        visit.call(&self.breaker)?;
        visit.call(&self.keyed_limiter)
    }
}
