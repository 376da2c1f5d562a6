//! Binding of [`corten_core::pipeline`]: one crossing for a call that does not suspend.

mod arming;
mod call;
mod carrying;
mod compiled;
mod counts;
mod drive;
mod failures;
mod inputs;
mod lookup;
mod notes;
mod refusals;
mod run;
mod settle;
mod stages;

pub(crate) use call::Call;
pub(crate) use compiled::Pipeline;
pub(crate) use counts::PipelineCounts;
pub(crate) use lookup::CacheLookup;

use pyo3::prelude::*;

use crate::fastcall;

/// Adds the verbs of the hot path to their classes.
pub(crate) fn install(py: Python<'_>) -> PyResult<()> {
    fastcall::install_unary::<run::Run>(py)?;
    fastcall::install_unary::<lookup::Ask>(py)?;
    fastcall::install_nullary::<call::CallResult>(py)
}
