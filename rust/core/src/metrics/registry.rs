//! The registry: every instrument of one App by its name.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::RwLock;

use super::attributes::is_identifier;
use super::counter::Counter;
use super::family::{AnyFamily, Family, Series};
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
    by_name: BTreeMap<Arc<str>, Arc<dyn AnyFamily>>,
    /// Names in the text format, each with its instrument.
    samples: HashMap<String, Arc<str>>,
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
        self.instrument(name, description, unit, ())
    }

    /// The gauge of this name. Its first series fixes the names of its attributes.
    ///
    /// # Errors
    /// The name or unit can't be exposed, or another instrument has the name.
    pub fn gauge(&self, name: &str, description: &str, unit: &str) -> Result<Arc<Gauge>, MetricsError> {
        self.instrument(name, description, unit, ())
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
        let histogram: Arc<Histogram> =
            self.instrument(name, description, unit, Arc::new(Bounds::new(name, bounds)?))?;
        if histogram.bounds() == bounds {
            return Ok(histogram);
        }
        Err(histogram.differs("bounds", format!("{:?}", histogram.bounds()), format!("{bounds:?}")))
    }

    /// All instruments now, sorted. Threads go on measuring meanwhile: each value is whole, but two values may be a
    /// moment apart.
    pub fn snapshot(&self) -> Snapshot {
        let instruments: Vec<Arc<dyn AnyFamily>> = self.instruments.read().by_name.values().cloned().collect();
        let mut overflowed = Vec::new();
        let mut snapshot = Snapshot::default();
        for instrument in instruments {
            let taken = instrument.snapshot();
            let (_, count) = instrument.size();
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
        let mut statistics = RegistryStatistics { instruments: instruments.by_name.len(), series: 0, overflowed: 0 };
        for (series, overflowed) in instruments.by_name.values().map(|instrument| instrument.size()) {
            statistics.series += series;
            statistics.overflowed += overflowed;
        }
        statistics
    }

    fn instrument<S: Series + Send + Sync + 'static>(
        &self,
        name: &str,
        description: &str,
        unit: &str,
        shape: S::Shape,
    ) -> Result<Arc<Family<S>>, MetricsError>
    where
        S::Shape: Send + Sync,
    {
        check_name(name, S::KIND)?;
        check_unit(name, unit)?;
        let mut instruments = self.instruments.write();
        if let Some(found) = instruments.by_name.get(name) {
            let any: Arc<dyn Any + Send + Sync> = Arc::<dyn AnyFamily>::clone(found);
            let family = any
                .downcast::<Family<S>>()
                .map_err(|_| MetricsError::KindDiffers(name.to_owned(), found.kind(), S::KIND))?;
            if &**family.unit() != unit {
                return Err(family.differs("unit", format!("{:?}", family.unit()), format!("{unit:?}")));
            }
            return Ok(family);
        }
        let samples = sample_names(&exposed_name(name, unit), S::KIND);
        if let Some((sample, other)) = samples.iter().find_map(|sample| instruments.samples.get_key_value(sample)) {
            return Err(MetricsError::Collides(name.to_owned(), sample.clone(), other.to_string()));
        }
        let family = Arc::new(Family::new(name, description, unit, shape, self.max_series));
        for sample in samples {
            instruments.samples.insert(sample, Arc::clone(family.name()));
        }
        instruments.by_name.insert(Arc::clone(family.name()), Arc::<Family<S>>::clone(&family));
        Ok(family)
    }
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
    Err(MetricsError::InvalidName(name.to_owned(), reason))
}

/// Checks that the unit can be part of a name.
pub(super) fn check_unit(name: &str, unit: &str) -> Result<(), MetricsError> {
    if unit.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_') {
        return Ok(());
    }
    Err(MetricsError::InvalidUnit(name.to_owned(), unit.to_owned()))
}
