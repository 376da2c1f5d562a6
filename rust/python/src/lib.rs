//! `corten._core`: the compiled extension. One file per class; all arithmetic is in `corten-core`.

mod adaptive_limit;
mod bulkhead;
mod cache;
mod chaos;
mod circuit_breaker;
mod clock;
mod deadline;
mod fastcall;
mod glob;
mod hedge;
mod metrics;
mod pipeline;
mod rate_limit;
mod retry;
mod spin;
mod timeout;

use pyo3::prelude::*;

/// The compiled core of Corten, private: the public names are in `corten`.
#[pymodule]
mod _core {
    #[pymodule_export]
    use crate::adaptive_limit::AdaptiveLimit;
    #[pymodule_export]
    use crate::bulkhead::Bulkhead;
    #[pymodule_export]
    use crate::cache::MemoryCache;
    #[pymodule_export]
    use crate::chaos::Chaos;
    #[pymodule_export]
    use crate::circuit_breaker::CircuitBreaker;
    #[pymodule_export]
    use crate::clock::Clock;
    #[pymodule_export]
    use crate::deadline::{deadlines_by_context, pipeline_time_left};
    #[pymodule_export]
    use crate::glob::Glob;
    #[pymodule_export]
    use crate::hedge::Latencies;
    #[pymodule_export]
    use crate::metrics::{
        BoundCounter, BoundGauge, BoundHistogram, Counter, Gauge, Histogram, Registry, Timer, merge_snapshots,
        render_snapshot,
    };
    #[pymodule_export]
    use crate::pipeline::{CacheLookup, Call, PipelineCounts, Segment, Stage};
    #[pymodule_export]
    use crate::rate_limit::{KeyedLimiter, Limiter, parse_rate};
    #[pymodule_export]
    use crate::retry::{Retry, RetryBudget};

    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        // What `corten doctor` compares with the library's version.
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        crate::metrics::install(module.py())?;
        crate::pipeline::install(module.py())
    }
    #[pymodule_export]
    use crate::timeout::Timers;
}
