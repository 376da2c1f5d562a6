//! Binding of [`corten_core::hedge`]: a running quantile of latencies.

use corten_core::clock::{nanos_from_seconds, seconds_from_nanos};
use corten_core::hedge::{self, Settings};
use pyo3::prelude::*;

/// The latencies of one function's calls.
#[pyclass(frozen, module = "corten._core")]
pub(crate) struct Latencies {
    inner: hedge::Latencies,
}

#[pymethods]
impl Latencies {
    #[new]
    fn new(quantile: f64, min_samples: u32, window: u32) -> Self {
        Self { inner: hedge::Latencies::new(Settings { quantile, min_samples, window }) }
    }

    /// Record the latency of a call, in seconds.
    #[pyo3(signature = (seconds, /))]
    fn record(&self, seconds: f64) {
        self.inner.record(nanos_from_seconds(seconds));
    }

    /// The quantile in seconds, or None before enough samples.
    fn quantile(&self) -> Option<f64> {
        self.inner.quantile().map(seconds_from_nanos)
    }

    /// The number of samples that count now.
    fn samples(&self) -> u32 {
        self.inner.samples()
    }
}
