//! Binding of [`corten_core::metrics::Gauge`].

use std::ffi::CStr;
use std::sync::Arc;

use corten_core::metrics::GaugeSeries;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::instrument::Instrument;
use crate::fastcall::{Arguments, Method};

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

/// `Gauge.set`.
pub(crate) struct Set;

impl Method for Set {
    type Class = Gauge;
    const NAME: &'static CStr = c"set";
    const SIGNATURE: &'static CStr = c"set($self, value, /, **attributes)\n--\n\n";

    fn call(this: &Gauge, arguments: &Arguments<'_, '_>) -> PyResult<()> {
        let value: f64 = arguments.required(Self::NAME)?.extract()?;
        this.inner.with(arguments.py(), arguments, |series| series.set(value))
    }
}

/// `Gauge.add`.
pub(crate) struct Add;

impl Method for Add {
    type Class = Gauge;
    const NAME: &'static CStr = c"add";
    const SIGNATURE: &'static CStr = c"add($self, amount=1.0, /, **attributes)\n--\n\n";

    fn call(this: &Gauge, arguments: &Arguments<'_, '_>) -> PyResult<()> {
        let amount = arguments.optional(Self::NAME)?.map_or(Ok(1.0), |amount| amount.extract())?;
        this.inner.with(arguments.py(), arguments, |series| series.add(amount))
    }
}

/// The value of one set of attributes.
#[pyclass(frozen, module = "corten._core")]
pub(crate) struct BoundGauge {
    series: Arc<GaugeSeries>,
}

#[pymethods]
impl BoundGauge {
    #[getter]
    fn value(&self) -> f64 {
        self.series.value()
    }
}

/// `BoundGauge.set`.
pub(crate) struct BoundSet;

impl Method for BoundSet {
    type Class = BoundGauge;
    const NAME: &'static CStr = c"set";
    const SIGNATURE: &'static CStr = c"set($self, value, /)\n--\n\n";

    fn call(this: &BoundGauge, arguments: &Arguments<'_, '_>) -> PyResult<()> {
        arguments.no_keywords(Self::NAME)?;
        this.series.set(arguments.required(Self::NAME)?.extract()?);
        Ok(())
    }
}

/// `BoundGauge.add`.
pub(crate) struct BoundAdd;

impl Method for BoundAdd {
    type Class = BoundGauge;
    const NAME: &'static CStr = c"add";
    const SIGNATURE: &'static CStr = c"add($self, amount=1.0, /)\n--\n\n";

    fn call(this: &BoundGauge, arguments: &Arguments<'_, '_>) -> PyResult<()> {
        arguments.no_keywords(Self::NAME)?;
        let amount = arguments.optional(Self::NAME)?.map_or(Ok(1.0), |amount| amount.extract())?;
        this.series.add(amount);
        Ok(())
    }
}
