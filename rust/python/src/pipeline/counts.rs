//! Binding of [`corten_core::pipeline::Counts`].

use std::sync::Arc;

use corten_core::metrics::DEFAULT_SECONDS;
use corten_core::pipeline::{Counts, Hits, Kind, Metrics, Totals};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::metrics::Registry;

/// Counts of the calls of one pipeline, also written to a registry's series.
#[pyclass(frozen, module = "corten._core")]
pub(crate) struct PipelineCounts {
    pub(crate) inner: Arc<Counts>,
    pub(super) hits: Arc<Hits>,
}

#[pymethods]
impl PipelineCounts {
    /// Continues `previous`, if given: of this pipeline, bound to another registry.
    #[new]
    #[pyo3(signature = (name, registry, previous=None))]
    fn new(name: &str, registry: &Registry, previous: Option<&Self>) -> PyResult<Self> {
        let error = |error: corten_core::metrics::MetricsError| PyValueError::new_err(error.to_string());
        let registry = &registry.inner;
        let calls = registry
            .counter("corten_pipeline_calls", "Calls through a pipeline by how they ended", "")
            .map_err(error)?;
        calls.declare(&["pipeline", "outcome"]).map_err(error)?;
        let duration = registry
            .histogram(
                "corten_pipeline_duration",
                "How long calls took, waits and attempts included",
                "seconds",
                &DEFAULT_SECONDS,
            )
            .map_err(error)?;
        duration.declare(&["pipeline"]).map_err(error)?;
        let series = |outcome| calls.series(&[("pipeline", name), ("outcome", outcome)]).map_err(error);
        let metrics = Metrics {
            success: series("success")?,
            error: series("error")?,
            refused: series("refused")?,
            timeout: series("timeout")?,
            cancelled: series("cancelled")?,
            duration: duration.series(&[("pipeline", name)]).map_err(error)?,
        };
        let totals = previous.map_or_else(Totals::default, |previous| previous.inner.totals());
        let hits = Hits::new(previous.map_or(0, |previous| previous.hits.count()), Some(series("hit")?));
        Ok(Self { inner: Arc::new(Counts::continued(totals, Some(metrics))), hits: Arc::new(hits) })
    }

    /// Count a call answered without being made: by the shared tier, or by another call for its key.
    fn hit(&self) {
        self.hits.add();
    }

    /// Count a call that got the error of another call for its key.
    fn shared_error(&self) {
        self.inner.shared_error();
    }

    /// Count a call that was cancelled while it waited for another call for its key.
    fn shared_cancelled(&self) {
        self.inner.shared_cancelled();
    }

    /// The number of calls answered without being made.
    fn hit_count(&self) -> u64 {
        self.hits.count()
    }

    /// Successes, errors, timeouts, cancelled, retries, and refusals by kind of policy.
    fn totals(&self) -> (u64, u64, u64, u64, u64, Vec<(&'static str, u64)>) {
        let totals = self.inner.totals();
        let refused = Kind::ALL.into_iter().map(Kind::word).zip(totals.refused).filter(|(_, count)| *count > 0);
        (totals.successes, totals.errors, totals.timeouts, totals.cancelled, totals.retries, refused.collect())
    }
}
