//! Binding of [`corten_core::chaos`].

use corten_core::chaos::{Chaos as Core, Instead, Settings};
use corten_core::clock::{nanos_from_seconds, seconds_from_nanos};
use pyo3::prelude::*;

/// The injections of one chaos policy.
#[pyclass(frozen, module = "corten._core")]
pub(crate) struct Chaos {
    inner: Core,
}

#[pymethods]
impl Chaos {
    /// Rates are shares from 0 to 1, times seconds; `errors` is the number of errors. It counts on from `previous`.
    #[new]
    #[pyo3(signature = (seed, error_rate, errors, result_rate, latency_rate, latency, max_latency, previous=None))]
    #[expect(clippy::too_many_arguments, reason = "one for each field of the policy")]
    fn new(
        seed: u64,
        error_rate: f64,
        errors: u32,
        result_rate: f64,
        latency_rate: f64,
        latency: f64,
        max_latency: f64,
        previous: Option<&Bound<'_, Self>>,
    ) -> Self {
        let settings = Settings {
            error_rate,
            errors,
            result_rate,
            latency_rate,
            latency: nanos_from_seconds(latency),
            max_latency: nanos_from_seconds(max_latency),
        };
        let inner = match previous {
            Some(previous) => Core::continued(settings, seed, &previous.get().inner),
            None => Core::new(settings, seed),
        };
        Self { inner }
    }

    /// Decide about the next call: None, or the seconds that it waits with the index of its error, -1
    /// for another result, or None if it is made.
    fn decide(&self) -> Option<(f64, Option<i64>)> {
        let injection = self.inner.decide();
        let instead = match injection.instead {
            Instead::Nothing => None,
            Instead::Error(number) => Some(i64::from(number)),
            Instead::Result => Some(-1),
        };
        (injection.latency > 0 || instead.is_some()).then(|| (seconds_from_nanos(injection.latency), instead))
    }

    /// The numbers of calls, delayed calls, errors and other results.
    fn statistics(&self) -> (u64, u64, u64, u64) {
        let seen = self.inner.statistics();
        (seen.calls, seen.delayed, seen.errors, seen.results)
    }
}
