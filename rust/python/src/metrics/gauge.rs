//! Binding of [`corten_core::metrics::Gauge`].

use std::sync::Arc;

use corten_core::metrics::GaugeSeries;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::instrument::Instrument;

/// A value that goes up and down, for each set of attributes.
#[pyclass(frozen, module = "corten._core")]
pub(crate) struct Gauge {
    inner: Instrument<GaugeSeries>,
}

impl Gauge {
    pub(super) fn new(inner: Instrument<GaugeSeries>) -> Self {
        Self { inner }
    }
}

#[pymethods]
impl Gauge {
    #[pyo3(signature = (value, /, **attributes))]
    fn set(&self, py: Python<'_>, value: f64, attributes: Option<&Bound<'_, PyDict>>) -> PyResult<()> {
        self.inner.with(py, attributes, |series| series.set(value))
    }

    #[pyo3(signature = (amount = 1.0, /, **attributes))]
    fn add(&self, py: Python<'_>, amount: f64, attributes: Option<&Bound<'_, PyDict>>) -> PyResult<()> {
        self.inner.with(py, attributes, |series| series.add(amount))
    }

    #[pyo3(signature = (**attributes))]
    fn bind(&self, py: Python<'_>, attributes: Option<&Bound<'_, PyDict>>) -> PyResult<BoundGauge> {
        Ok(BoundGauge { series: self.inner.bind(py, attributes)? })
    }

    #[getter]
    fn name(&self) -> &str {
        self.inner.family.name()
    }

    #[getter]
    fn attributes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        self.inner.attributes(py)
    }

    fn __repr__(&self) -> String {
        self.inner.repr("Gauge")
    }
}

/// The value of one set of attributes.
#[pyclass(frozen, module = "corten._core")]
pub(crate) struct BoundGauge {
    series: Arc<GaugeSeries>,
}

#[pymethods]
impl BoundGauge {
    #[pyo3(signature = (value, /))]
    fn set(&self, value: f64) {
        self.series.set(value);
    }

    #[pyo3(signature = (amount = 1.0, /))]
    fn add(&self, amount: f64) {
        self.series.add(amount);
    }

    #[getter]
    fn value(&self) -> f64 {
        self.series.value()
    }
}
