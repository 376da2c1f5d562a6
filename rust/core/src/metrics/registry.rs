//! The registry: every instrument of one App by its name.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::RwLock;

use super::attributes::is_identifier;
use super::counter::Counter;
use super::family::{Family, Series};
use super::gauge::Gauge;
use super::histogram::{Bounds, Histogram};
use super::openmetrics::{exposed_name, sample_names};
use super::snapshot::{InstrumentSnapshot, SeriesSnapshot, Snapshot, Value};
use super::{Attributes, Kind, MetricsError};

/// The most series of an instrument; further ones share the overflow series. OpenTelemetry's default is 2,000. Services
/// with a scrape of every worker need fewer.
pub const DEFAULT_MAX_SERIES: usize = 1000;

/// The registry's own counter of measurements in overflow series, by instrument.
pub const OVERFLOW_COUNTER: &str = "corten_metrics_overflow";

/// Every instrument of one App.
///
/// One name is always one instrument. Code makes instruments and traffic makes series, so only the number of series
/// has a cap.
pub struct Registry {
    max_series: usize,
    instruments: RwLock<Instruments>,
}

#[derive(Default)]
struct Instruments {
    by_name: BTreeMap<Arc<str>, Instrument>,
    /// Names in the text format, each with its instrument.
    samples: HashMap<String, Arc<str>>,
}

#[derive(Clone)]
enum Instrument {
    Counter(Arc<Counter>),
    Gauge(Arc<Gauge>),
    Histogram(Arc<Histogram>),
}

/// The size of a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegistryStatistics {
    /// The number of instruments.
    pub instruments: usize,
    /// The number of series of all instruments, without overflow series.
    pub series: usize,
    /// The number of measurements in overflow series.
    pub overflowed: u64,
}

impl Default for Registry {
    fn default() -> Self {
        Self::new(DEFAULT_MAX_SERIES)
    }
}

impl Registry {
    /// Makes a registry of instruments with at most `max_series` series each, and an overflow series.
    pub fn new(max_series: usize) -> Self {
        Self { max_series, instruments: RwLock::default() }
    }

    /// The counter of this name. Its first series fixes the names of its attributes.
    ///
    /// # Errors
    /// The name or unit can't be exposed, or another instrument has the name.
    pub fn counter(&self, name: &str, description: &str, unit: &str) -> Result<Arc<Counter>, MetricsError> {
        self.instrument(name, description, unit, (), Instrument::Counter, |found| match found {
            Instrument::Counter(counter) => Ok(Arc::clone(counter)),
            other => Err(other.kind()),
        })
    }

    /// The gauge of this name. Its first series fixes the names of its attributes.
    ///
    /// # Errors
    /// The name or unit can't be exposed, or another instrument has the name.
    pub fn gauge(&self, name: &str, description: &str, unit: &str) -> Result<Arc<Gauge>, MetricsError> {
        self.instrument(name, description, unit, (), Instrument::Gauge, |found| match found {
            Instrument::Gauge(gauge) => Ok(Arc::clone(gauge)),
            other => Err(other.kind()),
        })
    }

    /// The histogram of this name. Its first series fixes the names of its attributes.
    ///
    /// # Errors
    /// The name, unit or bounds can't be exposed, or another instrument has the name.
    pub fn histogram(
        &self,
        name: &str,
        description: &str,
        unit: &str,
        bounds: &[f64],
    ) -> Result<Arc<Histogram>, MetricsError> {
        let shape = Arc::new(Bounds::new(name, bounds)?);
        let histogram =
            self.instrument(name, description, unit, shape, Instrument::Histogram, |found| match found {
                Instrument::Histogram(histogram) => Ok(Arc::clone(histogram)),
                other => Err(other.kind()),
            })?;
        if histogram.bounds() == bounds {
            return Ok(histogram);
        }
        Err(differs(name, Kind::Histogram, "bounds", format!("{:?}", histogram.bounds()), format!("{bounds:?}")))
    }

    /// All instruments now, sorted. Threads go on measuring meanwhile: each value is whole, but two values may be a
    /// moment apart.
    pub fn snapshot(&self) -> Snapshot {
        let instruments: Vec<Instrument> = self.instruments.read().by_name.values().cloned().collect();
        let mut overflowed = Vec::new();
        let mut snapshot = Snapshot::default();
        for instrument in instruments {
            let taken = instrument.snapshot();
            let count = instrument.overflowed();
            if count > 0 {
                overflowed.push(SeriesSnapshot {
                    attributes: Arc::new(Attributes::new([("instrument", &*taken.name)])),
                    value: Value::Whole(count),
                });
            }
            snapshot.instruments.insert(Arc::clone(&taken.name), taken);
        }
        if !overflowed.is_empty() {
            let name: Arc<str> = OVERFLOW_COUNTER.into();
            let own = InstrumentSnapshot {
                name: Arc::clone(&name),
                kind: Kind::Counter,
                description: "Measurements that went into an overflow series, by instrument".into(),
                unit: "".into(),
                series: overflowed,
            };
            snapshot.instruments.insert(name, own);
        }
        snapshot
    }

    /// The size of the registry.
    pub fn statistics(&self) -> RegistryStatistics {
        let instruments = self.instruments.read();
        RegistryStatistics {
            instruments: instruments.by_name.len(),
            series: instruments.by_name.values().map(Instrument::len).sum(),
            overflowed: instruments.by_name.values().map(Instrument::overflowed).sum(),
        }
    }

    fn instrument<S: Series>(
        &self,
        name: &str,
        description: &str,
        unit: &str,
        shape: S::Shape,
        wrap: fn(Arc<Family<S>>) -> Instrument,
        unwrap: fn(&Instrument) -> Result<Arc<Family<S>>, Kind>,
    ) -> Result<Arc<Family<S>>, MetricsError> {
        check_name(name, S::KIND)?;
        check_unit(name, unit)?;
        let mut instruments = self.instruments.write();
        if let Some(found) = instruments.by_name.get(name) {
            let family = unwrap(found).map_err(|registered| MetricsError::KindDiffers {
                name: name.to_owned(),
                registered,
                asked: S::KIND,
            })?;
            if &**family.unit() != unit {
                return Err(differs(name, S::KIND, "unit", format!("{:?}", family.unit()), format!("{unit:?}")));
            }
            return Ok(family);
        }
        let samples = sample_names(&exposed_name(name, unit), S::KIND);
        if let Some((sample, other)) = samples.iter().find_map(|sample| instruments.samples.get_key_value(sample)) {
            return Err(MetricsError::Collides {
                name: name.to_owned(),
                sample: sample.clone(),
                other: other.to_string(),
            });
        }
        let family = Arc::new(Family::new(name, description, unit, shape, self.max_series));
        for sample in samples {
            instruments.samples.insert(sample, Arc::clone(family.name()));
        }
        instruments.by_name.insert(Arc::clone(family.name()), wrap(Arc::clone(&family)));
        Ok(family)
    }
}

impl Instrument {
    fn kind(&self) -> Kind {
        match self {
            Self::Counter(_) => Kind::Counter,
            Self::Gauge(_) => Kind::Gauge,
            Self::Histogram(_) => Kind::Histogram,
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Counter(family) => family.len(),
            Self::Gauge(family) => family.len(),
            Self::Histogram(family) => family.len(),
        }
    }

    fn overflowed(&self) -> u64 {
        match self {
            Self::Counter(family) => family.overflowed(),
            Self::Gauge(family) => family.overflowed(),
            Self::Histogram(family) => family.overflowed(),
        }
    }

    fn snapshot(&self) -> InstrumentSnapshot {
        match self {
            Self::Counter(family) => snapshot_of(family, super::CounterSeries::value),
            Self::Gauge(family) => snapshot_of(family, |series| Value::Real(series.value())),
            Self::Histogram(family) => snapshot_of(family, |series| Value::Histogram(series.point())),
        }
    }
}

fn snapshot_of<S: Series>(family: &Family<S>, value: impl Fn(&S) -> Value) -> InstrumentSnapshot {
    let series = family
        .all()
        .into_iter()
        .map(|series| SeriesSnapshot { attributes: Arc::clone(series.attributes()), value: value(&series) });
    InstrumentSnapshot {
        name: Arc::clone(family.name()),
        kind: S::KIND,
        description: Arc::clone(family.description()),
        unit: Arc::clone(family.unit()),
        series: series.collect(),
    }
}

fn differs(name: &str, kind: Kind, what: &'static str, registered: String, asked: String) -> MetricsError {
    MetricsError::Differs { name: name.to_owned(), kind, what, registered, asked }
}

/// Checks that the text format can carry the name, and the registry does not reserve it.
pub(super) fn check_name(name: &str, kind: Kind) -> Result<(), MetricsError> {
    let reason = if !is_identifier(name) {
        "use letters, digits and underscores, and no digit first"
    } else if name == OVERFLOW_COUNTER {
        "the registry reserves it"
    } else if kind == Kind::Counter && name.ends_with("_total") {
        "leave off \"_total\", the text format adds it"
    } else {
        return Ok(());
    };
    Err(MetricsError::InvalidName { name: name.to_owned(), reason })
}

/// Checks that the unit can be part of a name.
pub(super) fn check_unit(name: &str, unit: &str) -> Result<(), MetricsError> {
    if unit.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_') {
        return Ok(());
    }
    Err(MetricsError::InvalidUnit { name: name.to_owned(), unit: unit.to_owned() })
}
