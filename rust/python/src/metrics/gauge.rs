//! Binding of [`corten_core::metrics::Gauge`].

use std::sync::Arc;

use corten_core::metrics::GaugeSeries;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::instrument::{BoundSeries, Instrument};
use crate::fastcall::Arguments;

/// A value that goes up and down, for each set of attributes.
#[pyclass(frozen, module = "corten._core")]
pub(crate) struct Gauge(pub(super) Arc<Instrument<GaugeSeries>>);

#[pymethods]
impl Gauge {
    #[pyo3(signature = (**attributes))]
    fn bind(&self, py: Python<'_>, attributes: Option<&Bound<'_, PyDict>>) -> PyResult<BoundGauge> {
        self.0.bind(py, attributes).map(BoundGauge)
    }

    #[getter]
    fn name(&self) -> &str {
        self.0.family.name()
    }

    #[getter]
    fn attributes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        self.0.attributes(py)
    }

    fn __repr__(&self) -> String {
        self.0.repr("Gauge")
    }
}

/// The value of one set of attributes.
#[pyclass(frozen, module = "corten._core")]
pub(crate) struct BoundGauge(BoundSeries<GaugeSeries>);

#[pymethods]
impl BoundGauge {
    #[getter]
    fn value(&self) -> f64 {
        self.0.series.value()
    }
}

/// The argument of `add`, or one.
#[inline]
fn amount(arguments: &Arguments<'_, '_>) -> PyResult<f64> {
    arguments.optional(c"add")?.map_or(Ok(1.0), |amount| amount.extract())
}

method!(Add of Gauge: c"add", c"add($self, amount=1.0, /, **attributes)\n--\n\n", |this, arguments| {
    let amount = amount(arguments)?;
    this.0.with(arguments.py(), arguments, |series| series.add(amount))
});

method!(BoundAdd of BoundGauge: c"add", c"add($self, amount=1.0, /)\n--\n\n", |this, arguments| {
    arguments.no_keywords(c"add")?;
    this.0.series.add(amount(arguments)?);
    Ok(())
});

method!(Set of Gauge: c"set", c"set($self, value, /, **attributes)\n--\n\n", |this, arguments| {
    let value: f64 = arguments.required(c"set")?.extract()?;
    this.0.with(arguments.py(), arguments, |series| series.set(value))
});

method!(BoundSet of BoundGauge: c"set", c"set($self, value, /)\n--\n\n", |this, arguments| {
    arguments.no_keywords(c"set")?;
    this.0.series.set(arguments.required(c"set")?.extract()?);
    Ok(())
});
