//! Binding of [`corten_core::metrics::Histogram`].

use std::sync::Arc;

use corten_core::metrics::HistogramSeries;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::instrument::{BoundSeries, Instrument};
use super::timer::Timer;
use crate::fastcall::Arguments;

const RIGHT: &str = "record a finite number that is not negative";

#[inline]
fn record(series: &HistogramSeries, value: f64) -> Result<(), f64> {
    if series.record(value) { Ok(()) } else { Err(value) }
}

fn timer(bound: BoundSeries<HistogramSeries>) -> PyResult<Timer> {
    let family = &bound.instrument.family;
    if !matches!(&**family.unit(), "" | "seconds") {
        let (name, unit) = (family.name(), family.unit());
        return Err(PyValueError::new_err(format!("{name} is in {unit}; time() records seconds")));
    }
    Ok(Timer::new(bound.series, bound.instrument.clock.clone()))
}

/// A distribution, for each set of attributes.
#[pyclass(frozen, module = "corten._core")]
pub(crate) struct Histogram(pub(super) Arc<Instrument<HistogramSeries>>);

#[pymethods]
impl Histogram {
    #[pyo3(signature = (**attributes))]
    fn bind(&self, py: Python<'_>, attributes: Option<&Bound<'_, PyDict>>) -> PyResult<BoundHistogram> {
        self.0.bind(py, attributes).map(BoundHistogram)
    }

    #[pyo3(signature = (**attributes))]
    fn time(&self, py: Python<'_>, attributes: Option<&Bound<'_, PyDict>>) -> PyResult<Timer> {
        timer(self.0.bind(py, attributes)?)
    }

    #[getter]
    fn name(&self) -> &str {
        self.0.family.name()
    }

    #[getter]
    fn attributes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        self.0.attributes(py)
    }

    #[getter]
    fn bounds<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.0.family.bounds())
    }

    fn __repr__(&self) -> String {
        self.0.repr("Histogram")
    }
}

method!(Record of Histogram: c"record", c"record($self, value, /, **attributes)\n--\n\n", |this, arguments| {
    let value = arguments.required(c"record")?.extract()?;
    this.0.measure(arguments, RIGHT, |series| record(series, value))
});

/// The distribution of one set of attributes.
#[pyclass(frozen, module = "corten._core")]
pub(crate) struct BoundHistogram(BoundSeries<HistogramSeries>);

#[pymethods]
impl BoundHistogram {
    fn time(&self) -> PyResult<Timer> {
        timer(self.0.clone())
    }

    #[getter]
    fn count(&self) -> u64 {
        self.0.series.point().count()
    }

    #[getter]
    fn sum(&self) -> f64 {
        self.0.series.point().sum
    }
}

method!(BoundRecord of BoundHistogram: c"record", c"record($self, value, /)\n--\n\n", |this, arguments| {
    arguments.no_keywords(c"record")?;
    let value = arguments.required(c"record")?.extract()?;
    this.0.measure(RIGHT, |series| record(series, value))
});
