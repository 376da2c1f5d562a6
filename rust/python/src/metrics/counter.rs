//! Binding of [`corten_core::metrics::Counter`].

use std::sync::Arc;

use corten_core::metrics::{CounterSeries, Value};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt, PyTuple};

use super::instrument::Instrument;

const RISES: &str = "a counter only rises: add a finite number that is not negative";

/// What a counter is told to add.
#[derive(Clone, Copy)]
pub(super) enum Amount {
    Whole(u64),
    Real(f64),
}

impl<'a, 'py> FromPyObject<'a, 'py> for Amount {
    type Error = PyErr;

    #[inline]
    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let whole = if object.is_exact_instance_of::<PyInt>() { object.extract().ok() } else { None };
        whole.map_or_else(|| object.extract().map(Self::Real), |whole| Ok(Self::Whole(whole)))
    }
}

impl Amount {
    /// False where the counter could not bear it.
    #[inline]
    fn add_to(self, series: &CounterSeries) -> bool {
        match self {
            Self::Whole(whole) => {
                series.add(whole);
                true
            }
            Self::Real(real) => series.add_f64(real),
        }
    }

    fn value(self) -> f64 {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "only for the words of an error")]
            Self::Whole(whole) => whole as f64,
            Self::Real(real) => real,
        }
    }
}

/// A sum that only rises, for each set of attributes.
#[pyclass(frozen, module = "corten._core")]
pub(crate) struct Counter {
    inner: Arc<Instrument<CounterSeries>>,
}

impl Counter {
    pub(super) fn new(inner: Instrument<CounterSeries>) -> Self {
        Self { inner: Arc::new(inner) }
    }
}

#[pymethods]
impl Counter {
    #[pyo3(signature = (amount = Amount::Whole(1), /, **attributes))]
    fn add(&self, py: Python<'_>, amount: Amount, attributes: Option<&Bound<'_, PyDict>>) -> PyResult<()> {
        if self.inner.with(py, attributes, |series| amount.add_to(series))? {
            return Ok(());
        }
        Err(self.inner.invalid(RISES, amount.value()))
    }

    #[pyo3(signature = (**attributes))]
    fn bind(&self, py: Python<'_>, attributes: Option<&Bound<'_, PyDict>>) -> PyResult<BoundCounter> {
        Ok(BoundCounter { series: self.inner.bind(py, attributes)?, instrument: Arc::clone(&self.inner) })
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
        self.inner.repr("Counter")
    }
}

/// The sum of one set of attributes.
#[pyclass(frozen, module = "corten._core")]
pub(crate) struct BoundCounter {
    series: Arc<CounterSeries>,
    instrument: Arc<Instrument<CounterSeries>>,
}

#[pymethods]
impl BoundCounter {
    #[pyo3(signature = (amount = Amount::Whole(1), /))]
    fn add(&self, amount: Amount) -> PyResult<()> {
        if amount.add_to(&self.series) { Ok(()) } else { Err(self.instrument.invalid(RISES, amount.value())) }
    }

    #[getter]
    fn value<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self.series.value() {
            Value::Whole(whole) => Ok(whole.into_pyobject(py)?.into_any()),
            Value::Real(real) => Ok(real.into_pyobject(py)?.into_any()),
            Value::Histogram(point) => Ok(point.count().into_pyobject(py)?.into_any()),
        }
    }
}
