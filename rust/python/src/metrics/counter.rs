//! Binding of [`corten_core::metrics::Counter`].

use std::ffi::CStr;
use std::sync::Arc;

use corten_core::metrics::{CounterSeries, Value};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt, PyTuple};

use super::instrument::Instrument;
use crate::fastcall::{Arguments, Method};

const RISES: &str = "a counter only rises: add a finite number that is not negative";

/// What a counter is told to add.
#[derive(Clone, Copy)]
pub(super) enum Amount {
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

/// `Counter.add`.
pub(crate) struct Add;

impl Method for Add {
    type Class = Counter;
    const NAME: &'static CStr = c"add";
    const SIGNATURE: &'static CStr = c"add($self, amount=1, /, **attributes)\n--\n\n";

    fn call(this: &Counter, arguments: &Arguments<'_, '_>) -> PyResult<()> {
        let amount = Amount::from(arguments)?;
        if this.inner.with(arguments.py(), arguments, |series| amount.add_to(series))? {
            return Ok(());
        }
        Err(this.inner.invalid(RISES, amount.value()))
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
    #[getter]
    fn value<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self.series.value() {
            Value::Whole(whole) => Ok(whole.into_pyobject(py)?.into_any()),
            Value::Real(real) => Ok(real.into_pyobject(py)?.into_any()),
            Value::Histogram(point) => Ok(point.count().into_pyobject(py)?.into_any()),
        }
    }
}

/// `BoundCounter.add`.
pub(crate) struct BoundAdd;

impl Method for BoundAdd {
    type Class = BoundCounter;
    const NAME: &'static CStr = c"add";
    const SIGNATURE: &'static CStr = c"add($self, amount=1, /)\n--\n\n";

    fn call(this: &BoundCounter, arguments: &Arguments<'_, '_>) -> PyResult<()> {
        arguments.no_keywords(Self::NAME)?;
        let amount = Amount::from(arguments)?;
        if amount.add_to(&this.series) { Ok(()) } else { Err(this.instrument.invalid(RISES, amount.value())) }
    }
}
