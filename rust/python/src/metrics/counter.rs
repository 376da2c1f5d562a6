//! Binding of [`corten_core::metrics::Counter`].

use std::sync::Arc;

use corten_core::metrics::{CounterSeries, Value};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt, PyTuple};

use super::instrument::{BoundSeries, Instrument};
use crate::fastcall::Arguments;

const RIGHT: &str = "a counter only rises: add a finite number that is not negative";

#[derive(Clone, Copy)]
enum Amount {
    Whole(u64),
    Real(f64),
}

impl Amount {
    /// The argument of `add`, or one.
    #[inline]
    fn from(arguments: &Arguments<'_, '_>) -> PyResult<Self> {
        let Some(object) = arguments.optional(c"add")? else { return Ok(Self::Whole(1)) };
        let whole = if object.is_exact_instance_of::<PyInt>() { object.extract().ok() } else { None };
        whole.map_or_else(|| object.extract().map(Self::Real), |whole| Ok(Self::Whole(whole)))
    }

    #[inline]
    fn add_to(self, series: &CounterSeries) -> Result<(), f64> {
        match self {
            Self::Whole(whole) => series.add(whole),
            Self::Real(real) => return if series.add_f64(real) { Ok(()) } else { Err(real) },
        }
        Ok(())
    }
}

/// A sum that only rises, for each set of attributes.
#[pyclass(frozen, module = "corten._core")]
pub(crate) struct Counter(pub(super) Arc<Instrument<CounterSeries>>);

#[pymethods]
impl Counter {
    #[pyo3(signature = (**attributes))]
    fn bind(&self, py: Python<'_>, attributes: Option<&Bound<'_, PyDict>>) -> PyResult<BoundCounter> {
        self.0.bind(py, attributes).map(BoundCounter)
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
        self.0.repr("Counter")
    }
}

method!(Add of Counter: c"add", c"add($self, amount=1, /, **attributes)\n--\n\n", |this, arguments| {
    let amount = Amount::from(arguments)?;
    this.0.measure(arguments, RIGHT, |series| amount.add_to(series))
});

/// The sum of one set of attributes.
#[pyclass(frozen, module = "corten._core")]
pub(crate) struct BoundCounter(BoundSeries<CounterSeries>);

#[pymethods]
impl BoundCounter {
    #[getter]
    fn value<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self.0.series.value() {
            Value::Whole(whole) => Ok(whole.into_pyobject(py)?.into_any()),
            Value::Real(real) => Ok(real.into_pyobject(py)?.into_any()),
            Value::Histogram(point) => Ok(point.count().into_pyobject(py)?.into_any()),
        }
    }
}

method!(BoundAdd of BoundCounter: c"add", c"add($self, amount=1, /)\n--\n\n", |this, arguments| {
    arguments.no_keywords(c"add")?;
    let amount = Amount::from(arguments)?;
    this.0.measure(RIGHT, |series| amount.add_to(series))
});
