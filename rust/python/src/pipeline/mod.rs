//! Binding of [`corten_core::pipeline`]: one crossing for a call that does not suspend.

mod call;
mod counts;
mod drive;
mod error_filters;
mod lookup;
mod segment;
mod stage;
mod to_python;

pub(crate) use call::Call;
pub(crate) use counts::PipelineCounts;
pub(crate) use lookup::CacheLookup;
pub(crate) use segment::Segment;
pub(crate) use stage::Stage;

use pyo3::prelude::*;

use crate::fastcall;

/// Adds the methods of the hot path to their classes.
pub(crate) fn install(py: Python<'_>) -> PyResult<()> {
    fastcall::install_unary::<segment::Run>(py)?;
    fastcall::install_unary::<lookup::Ask>(py)?;
    fastcall::install_nullary::<call::CallResult>(py)
}
