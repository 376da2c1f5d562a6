//! Snapshots from and to plain Python data.

use std::sync::Arc;

use corten_core::metrics::{
    Attributes, GaugeMerge, HistogramPoint, InstrumentSnapshot, Kind, SeriesSnapshot, Snapshot, Value, render,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use super::error;

/// `corten.metrics.Instrument`, read attribute by attribute.
#[derive(FromPyObject)]
pub(crate) struct GivenInstrument {
    name: String,
    kind: String,
    description: String,
    unit: String,
    series: Vec<GivenSeries>,
}

#[derive(FromPyObject)]
struct GivenSeries {
    attributes: Vec<(String, String)>,
    value: GivenValue,
}

#[derive(FromPyObject)]
enum GivenValue {
    Whole(u64),
    Real(f64),
    Histogram { bounds: Vec<f64>, counts: Vec<u64>, sum: f64 },
}

impl GivenInstrument {
    fn check(self) -> PyResult<InstrumentSnapshot> {
        let kind = kind_from(&self.kind)?;
        let series = self.series.into_iter().map(|given| {
            let value = match given.value {
                GivenValue::Whole(whole) if kind == Kind::Counter => Value::Whole(whole),
                #[expect(clippy::cast_precision_loss, reason = "a gauge is an f64")]
                GivenValue::Whole(whole) => Value::Real(whole as f64),
                GivenValue::Real(real) => Value::Real(real),
                GivenValue::Histogram { bounds, counts, sum } => {
                    let point = HistogramPoint::new(&bounds, counts, sum).ok_or_else(|| {
                        let name = &self.name;
                        PyValueError::new_err(format!("{name}: bounds must rise, with one count more than bounds"))
                    })?;
                    Value::Histogram(point)
                }
            };
            let pairs = given.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            Ok(SeriesSnapshot { attributes: Arc::new(Attributes::new(pairs)), value })
        });
        let series = series.collect::<PyResult<_>>()?;
        let (name, description, unit) = (self.name.into(), self.description.into(), self.unit.into());
        Ok(InstrumentSnapshot { name, kind, description, unit, series })
    }
}

pub(super) fn kind_from(kind: &str) -> PyResult<Kind> {
    match kind {
        "counter" => Ok(Kind::Counter),
        "gauge" => Ok(Kind::Gauge),
        "histogram" => Ok(Kind::Histogram),
        _ => Err(PyValueError::new_err(format!("the kind {kind:?} is unknown: use counter, gauge or histogram"))),
    }
}

fn merge(snapshots: Vec<Vec<GivenInstrument>>, gauges: GaugeMerge) -> PyResult<Snapshot> {
    let mut merged = Snapshot::default();
    for given in snapshots.into_iter().flatten() {
        merged.merge_checked(given.check()?, gauges).map_err(error)?;
    }
    Ok(merged)
}

/// Merges the instruments of several snapshots.
#[pyfunction]
pub(crate) fn merge_snapshots<'py>(
    py: Python<'py>,
    snapshots: Vec<Vec<GivenInstrument>>,
    gauges: &str,
) -> PyResult<Bound<'py, PyList>> {
    let gauges = match gauges {
        "sum" => GaugeMerge::Sum,
        "last" => GaugeMerge::Last,
        _ => return Err(PyValueError::new_err(format!("gauges are merged by \"sum\" or \"last\", not {gauges:?}"))),
    };
    to_python(py, &merge(snapshots, gauges)?)
}

/// Writes instruments as OpenMetrics text.
#[pyfunction]
pub(crate) fn render_snapshot(instruments: Vec<GivenInstrument>) -> PyResult<String> {
    Ok(render(&merge(vec![instruments], GaugeMerge::Last)?))
}

/// Returns `(name, kind, description, unit, series)` for each instrument. A series is `(attributes, value)`; the value
/// of a histogram is `(bounds, counts, sum)`.
pub(super) fn to_python<'py>(py: Python<'py>, snapshot: &Snapshot) -> PyResult<Bound<'py, PyList>> {
    let instruments = PyList::empty(py);
    for instrument in snapshot.instruments() {
        let series = PyList::empty(py);
        for each in &instrument.series {
            let pairs = each.attributes.iter().map(|pair| pair.into_pyobject(py)).collect::<PyResult<Vec<_>>>()?;
            let attributes = PyTuple::new(py, pairs)?;
            let value = match &each.value {
                Value::Whole(whole) => whole.into_pyobject(py)?.into_any(),
                Value::Real(real) => real.into_pyobject(py)?.into_any(),
                Value::Histogram(point) => {
                    let bounds = PyTuple::new(py, point.bounds.values())?;
                    (bounds, PyTuple::new(py, point.counts.iter())?, point.sum).into_pyobject(py)?.into_any()
                }
            };
            series.append((attributes, value))?;
        }
        let (name, kind) = (&*instrument.name, instrument.kind.as_str());
        instruments.append((name, kind, &*instrument.description, &*instrument.unit, series))?;
    }
    Ok(instruments)
}
