//! Binding of [`corten_core::metrics`].

mod counter;
mod gauge;
mod histogram;
mod instrument;
mod registry;
mod snapshot;
mod timer;

use corten_core::metrics::MetricsError;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

pub(crate) use counter::{BoundCounter, Counter};
pub(crate) use gauge::{BoundGauge, Gauge};
pub(crate) use histogram::{BoundHistogram, Histogram};
pub(crate) use registry::Registry;
pub(crate) use snapshot::{merge_snapshots, render_snapshot};
pub(crate) use timer::Timer;

/// Wrong attributes are wrong arguments; the rest are wrong values.
fn error(error: MetricsError) -> PyErr {
    let words = error.to_string();
    match error {
        MetricsError::WrongAttributes { .. } => PyTypeError::new_err(words),
        _ => PyValueError::new_err(words),
    }
}
