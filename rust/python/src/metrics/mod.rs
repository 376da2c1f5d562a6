//! Binding of [`corten_core::metrics`].

/// Defines a fast method of a class: its name, its signature for Python, and its body.
macro_rules! method {
    ($Method:ident of $Class:ident: $name:literal, $signature:literal, |$this:ident, $arguments:ident| $body:block) => {
        pub(crate) struct $Method;

        impl crate::fastcall::Method for $Method {
            type Class = $Class;
            const NAME: &'static std::ffi::CStr = $name;
            const SIGNATURE: &'static std::ffi::CStr = $signature;

            fn call($this: &$Class, $arguments: &Arguments<'_, '_>) -> PyResult<()> $body
        }
    };
}

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

use crate::fastcall;

pub(crate) use counter::{BoundCounter, Counter};
pub(crate) use gauge::{BoundGauge, Gauge};
pub(crate) use histogram::{BoundHistogram, Histogram};
pub(crate) use registry::Registry;
pub(crate) use snapshot::{merge_snapshots, render_snapshot};
pub(crate) use timer::Timer;

/// Adds the fast methods to their classes.
pub(crate) fn install(py: Python<'_>) -> PyResult<()> {
    fastcall::install::<counter::Add>(py)?;
    fastcall::install::<counter::BoundAdd>(py)?;
    fastcall::install::<gauge::Add>(py)?;
    fastcall::install::<gauge::BoundAdd>(py)?;
    fastcall::install::<gauge::Set>(py)?;
    fastcall::install::<gauge::BoundSet>(py)?;
    fastcall::install::<histogram::Record>(py)?;
    fastcall::install::<histogram::BoundRecord>(py)
}

/// Raises `TypeError` for wrong attributes, which are keyword arguments, and `ValueError` for other mistakes.
fn error(error: MetricsError) -> PyErr {
    let words = error.to_string();
    match error {
        MetricsError::WrongAttributes(..) => PyTypeError::new_err(words),
        _ => PyValueError::new_err(words),
    }
}
