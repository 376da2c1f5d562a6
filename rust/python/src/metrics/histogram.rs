//! Binding of [`corten_core::metrics::Histogram`].

use std::ffi::CStr;
use std::sync::Arc;

use corten_core::clock::AnyClock;
use corten_core::metrics::HistogramSeries;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::instrument::Instrument;
use super::timer::Timer;
use crate::fastcall::{Arguments, Method};

const COUNTABLE: &str = "record a finite number that is not negative";

/// What a histogram and its bound series share.
struct Shared {
    instrument: Instrument<HistogramSeries>,
    clock: AnyClock,
}

impl Shared {
    fn timer(&self, series: Arc<HistogramSeries>) -> PyResult<Timer> {
        let family = &self.instrument.family;
        if !matches!(&**family.unit(), "" | "seconds") {
            let (name, unit) = (family.name(), family.unit());
            return Err(PyValueError::new_err(format!("{name} is in {unit}; time() records seconds")));
        }
        Ok(Timer::new(series, self.clock.clone()))
    }
}

/// A distribution, for each set of attributes.
#[pyclass(frozen, module = "corten._core")]
pub(crate) struct Histogram {
    shared: Arc<Shared>,
}

impl Histogram {
    pub(super) fn new(instrument: Instrument<HistogramSeries>, clock: AnyClock) -> Self {
        Self { shared: Arc::new(Shared { instrument, clock }) }
    }
}

#[pymethods]
impl Histogram {
    #[pyo3(signature = (**attributes))]
    fn time(&self, py: Python<'_>, attributes: Option<&Bound<'_, PyDict>>) -> PyResult<Timer> {
        self.shared.timer(self.shared.instrument.bind(py, attributes)?)
    }

    #[pyo3(signature = (**attributes))]
    fn bind(&self, py: Python<'_>, attributes: Option<&Bound<'_, PyDict>>) -> PyResult<BoundHistogram> {
        let series = self.shared.instrument.bind(py, attributes)?;
        Ok(BoundHistogram { series, shared: Arc::clone(&self.shared) })
    }

    #[getter]
    fn name(&self) -> &str {
        self.shared.instrument.family.name()
    }

    #[getter]
    fn attributes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        self.shared.instrument.attributes(py)
    }

    #[getter]
    fn bounds<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.shared.instrument.family.bounds())
    }

    fn __repr__(&self) -> String {
        self.shared.instrument.repr("Histogram")
    }
}

/// `Histogram.record`.
pub(crate) struct Record;

impl Method for Record {
    type Class = Histogram;
    const NAME: &'static CStr = c"record";
    const SIGNATURE: &'static CStr = c"record($self, value, /, **attributes)\n--\n\n";

    fn call(this: &Histogram, arguments: &Arguments<'_, '_>) -> PyResult<()> {
        let value = arguments.required(Self::NAME)?.extract()?;
        if this.shared.instrument.with(arguments.py(), arguments, |series| series.record(value))? {
            return Ok(());
        }
        Err(this.shared.instrument.invalid(COUNTABLE, value))
    }
}

/// The distribution of one set of attributes.
#[pyclass(frozen, module = "corten._core")]
pub(crate) struct BoundHistogram {
    series: Arc<HistogramSeries>,
    shared: Arc<Shared>,
}

#[pymethods]
impl BoundHistogram {
    fn time(&self) -> PyResult<Timer> {
        self.shared.timer(Arc::clone(&self.series))
    }

    #[getter]
    fn count(&self) -> u64 {
        self.series.point().count()
    }

    #[getter]
    fn sum(&self) -> f64 {
        self.series.point().sum
    }
}

/// `BoundHistogram.record`.
pub(crate) struct BoundRecord;

impl Method for BoundRecord {
    type Class = BoundHistogram;
    const NAME: &'static CStr = c"record";
    const SIGNATURE: &'static CStr = c"record($self, value, /)\n--\n\n";

    fn call(this: &BoundHistogram, arguments: &Arguments<'_, '_>) -> PyResult<()> {
        arguments.no_keywords(Self::NAME)?;
        let value = arguments.required(Self::NAME)?.extract()?;
        if this.series.record(value) { Ok(()) } else { Err(this.shared.instrument.invalid(COUNTABLE, value)) }
    }
}
