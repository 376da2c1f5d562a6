//! Binding of [`corten_core::metrics::Registry`].

use std::sync::Arc;

use corten_core::clock::{AnyClock, SystemClock};
use corten_core::metrics::{DEFAULT_MAX_SERIES, Gathering, Measurement, Snapshot, check_attributes, render};
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::instrument::Instrument;
use super::snapshot::{kind_from, to_python};
use super::{Counter, Gauge, Histogram, error};
use crate::clock::Clock;

/// Every instrument of one App.
#[pyclass(frozen, module = "corten._core")]
pub(crate) struct Registry {
    pub(crate) inner: Arc<corten_core::metrics::Registry>,
    clock: AnyClock,
}

/// `corten.metrics.Measurement`, read attribute by attribute.
#[derive(FromPyObject)]
struct GivenMeasurement {
    name: String,
    value: f64,
    attributes: Vec<(String, String)>,
    description: String,
    unit: String,
    kind: String,
}

/// The name and the measurements of each collector.
type Collected<'py> = Vec<(String, Vec<Bound<'py, PyAny>>)>;

/// Names of collectors whose measurements could not be used, and why.
type Problems = Vec<(String, String)>;

#[pymethods]
impl Registry {
    #[new]
    #[pyo3(signature = (clock = None, max_series = DEFAULT_MAX_SERIES))]
    fn new(clock: Option<&Clock>, max_series: usize) -> Self {
        let clock = clock.map_or(AnyClock::System(SystemClock), |clock| clock.inner.clone());
        Self { inner: Arc::new(corten_core::metrics::Registry::new(max_series)), clock }
    }

    fn counter(
        &self,
        py: Python<'_>,
        name: &str,
        description: &str,
        unit: &str,
        attributes: Vec<String>,
    ) -> PyResult<Counter> {
        check(name, &attributes)?;
        let family = self.inner.counter(name, description, unit).map_err(error)?;
        Instrument::new(py, family, &attributes, self.clock.clone()).map(Counter)
    }

    fn gauge(
        &self,
        py: Python<'_>,
        name: &str,
        description: &str,
        unit: &str,
        attributes: Vec<String>,
    ) -> PyResult<Gauge> {
        check(name, &attributes)?;
        let family = self.inner.gauge(name, description, unit).map_err(error)?;
        Instrument::new(py, family, &attributes, self.clock.clone()).map(Gauge)
    }

    fn histogram(
        &self,
        py: Python<'_>,
        name: &str,
        description: &str,
        unit: &str,
        attributes: Vec<String>,
        bounds: Vec<f64>,
    ) -> PyResult<Histogram> {
        check(name, &attributes)?;
        let family = self.inner.histogram(name, description, unit, &bounds).map_err(error)?;
        Instrument::new(py, family, &attributes, self.clock.clone()).map(Histogram)
    }

    fn snapshot<'py>(&self, py: Python<'py>, collected: Collected<'py>) -> PyResult<(Bound<'py, PyList>, Problems)> {
        let (snapshot, problems) = self.gather(collected);
        Ok((to_python(py, &snapshot)?, problems))
    }

    fn render(&self, collected: Collected<'_>) -> (String, Problems) {
        let (snapshot, problems) = self.gather(collected);
        (render(&snapshot), problems)
    }

    /// The numbers of instruments, series and overflowed measurements.
    fn statistics(&self) -> (usize, usize, u64) {
        let statistics = self.inner.statistics();
        (statistics.instruments, statistics.series, statistics.overflowed)
    }
}

/// Checks the names of attributes before the core makes the instrument.
fn check(name: &str, attributes: &[String]) -> PyResult<()> {
    check_attributes(name, &attributes.iter().map(String::as_str).collect::<Vec<_>>()).map_err(error)
}

impl Registry {
    fn gather(&self, collected: Collected<'_>) -> (Snapshot, Problems) {
        let snapshot = self.inner.snapshot();
        if collected.is_empty() {
            return (snapshot, Vec::new());
        }
        let mut problems = Vec::new();
        let mut gathering = Gathering::new(snapshot);
        for (collector, measurements) in collected {
            for measurement in measurements {
                if let Err(problem) = measurement.extract().and_then(|given| add(&mut gathering, &given)) {
                    problems.push((collector.clone(), problem.to_string()));
                }
            }
        }
        (gathering.finish(), problems)
    }
}

fn add(gathering: &mut Gathering, given: &GivenMeasurement) -> PyResult<()> {
    let attributes: Vec<(&str, &str)> =
        given.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let measured = Measurement {
        name: &given.name,
        kind: kind_from(&given.kind)?,
        description: &given.description,
        unit: &given.unit,
        attributes: &attributes,
        value: given.value,
    };
    gathering.add(&measured).map_err(error)
}
