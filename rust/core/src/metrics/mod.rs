//! Instruments with attributes, and the registry that aggregates, caps, snapshots and renders them.
//!
//! ```
//! use corten_core::metrics::{Registry, render};
//!
//! let registry = Registry::default();
//! let calls = registry.counter("calls", "Calls by outcome", "")?;
//! let success = calls.series(&[("outcome", "success")])?; // once
//! success.add(1); // on the hot path
//! assert!(render(&registry.snapshot()).contains("calls_total{outcome=\"success\"} 1\n"));
//! # Ok::<(), corten_core::metrics::MetricsError>(())
//! ```

mod attributes;
mod counter;
mod error;
mod external_sources;
mod family;
mod float;
mod gathering;
mod gauge;
mod histogram;
mod openmetrics;
mod registry;
mod snapshot;

pub use attributes::{Attributes, OVERFLOW_ATTRIBUTE, check_attributes};
pub use counter::{Counter, CounterSeries};
pub use error::MetricsError;
pub use external_sources::{CountSource, DistributionSource};
pub use family::{Family, Series};
pub use gathering::{Gathering, Measurement};
pub use gauge::{Gauge, GaugeSeries};
pub use histogram::{Bounds, DEFAULT_SECONDS, Histogram, HistogramSeries};
pub use openmetrics::{CONTENT_TYPE, render};
pub use registry::{DEFAULT_MAX_SERIES, OVERFLOW_COUNTER, Registry, RegistryStatistics};
pub use snapshot::{GaugeMerge, HistogramPoint, InstrumentSnapshot, SeriesSnapshot, Snapshot, Value};

/// The kind of an instrument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A sum that only rises.
    Counter,
    /// A value that goes up and down.
    Gauge,
    /// A distribution.
    Histogram,
}

impl Kind {
    /// The kind's name in the text format.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}
