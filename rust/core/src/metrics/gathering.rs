//! A snapshot to which collectors add measurements one by one.

use std::collections::HashMap;
use std::sync::Arc;

use super::attributes::check_attribute;
use super::openmetrics::{exposed_name, sample_names};
use super::registry::{check_name, check_unit};
use super::snapshot::{InstrumentSnapshot, SeriesSnapshot, Snapshot, Value};
use super::{Attributes, Kind, MetricsError};

/// One value of a collector.
#[derive(Debug, Clone)]
pub struct Measurement<'a> {
    /// The instrument's name without the suffixes of the text format.
    pub name: &'a str,
    /// Counter or gauge.
    pub kind: Kind,
    /// The description, for people.
    pub description: &'a str,
    /// `seconds`, `bytes`, or empty.
    pub unit: &'a str,
    /// Names and values in any order.
    pub attributes: &'a [(&'a str, &'a str)],
    /// The value.
    pub value: f64,
}

/// A snapshot that collectors add to.
pub struct Gathering {
    snapshot: Snapshot,
    /// Names in the text format, each with its instrument.
    samples: HashMap<String, Arc<str>>,
}

impl Gathering {
    /// Starts from a snapshot of the registry's own instruments.
    pub fn new(snapshot: Snapshot) -> Self {
        let mut samples = HashMap::new();
        for instrument in snapshot.instruments() {
            for sample in sample_names(&exposed_name(&instrument.name, &instrument.unit), instrument.kind) {
                samples.insert(sample, Arc::clone(&instrument.name));
            }
        }
        Self { snapshot, samples }
    }

    /// Adds one measurement.
    ///
    /// # Errors
    /// The measurement can't be exposed, or clashes with another one. The snapshot stays as it was.
    pub fn add(&mut self, measured: &Measurement<'_>) -> Result<(), MetricsError> {
        let Measurement { name, kind, unit, value, .. } = *measured;
        if kind == Kind::Counter && !(value >= 0.0 && value.is_finite()) {
            let reason = "a counter is a finite number that is not negative";
            return Err(MetricsError::InvalidAmount(name.to_owned(), reason, value));
        }
        for (attribute, _) in measured.attributes {
            check_attribute(name, attribute)?;
        }
        let attributes = Arc::new(Attributes::new(measured.attributes.iter().copied()));
        if attributes.has_duplicates() {
            return Err(MetricsError::MeasuredTwice(name.to_owned()));
        }
        if !self.snapshot.instruments.contains_key(name) {
            self.begin(measured)?;
        }
        let Some(instrument) = self.snapshot.instruments.get_mut(name) else { return Ok(()) };
        let differs = |what| Err(MetricsError::CannotMerge(name.to_owned(), what));
        if instrument.kind != kind {
            return differs("kind");
        }
        if &*instrument.unit != unit {
            return differs("unit");
        }
        match instrument.series.binary_search_by(|series| series.attributes.cmp(&attributes)) {
            Ok(_) => Err(MetricsError::MeasuredTwice(name.to_owned())),
            Err(place) => {
                instrument.series.insert(place, SeriesSnapshot { attributes, value: Value::Real(value) });
                Ok(())
            }
        }
    }

    /// The snapshot with all measurements.
    pub fn finish(self) -> Snapshot {
        self.snapshot
    }

    fn begin(&mut self, measured: &Measurement<'_>) -> Result<(), MetricsError> {
        check_name(measured.name, measured.kind)?;
        check_unit(measured.name, measured.unit)?;
        let name: Arc<str> = measured.name.into();
        let samples = sample_names(&exposed_name(&name, measured.unit), measured.kind);
        if let Some((sample, other)) = samples.iter().find_map(|sample| self.samples.get_key_value(sample)) {
            let (sample, other) = (sample.clone(), other.to_string());
            return Err(MetricsError::Collides(name.to_string(), sample, other));
        }
        self.samples.extend(samples.into_iter().map(|sample| (sample, Arc::clone(&name))));
        let begun = InstrumentSnapshot {
            name: Arc::clone(&name),
            kind: measured.kind,
            description: measured.description.into(),
            unit: measured.unit.into(),
            series: Vec::new(),
        };
        self.snapshot.instruments.insert(name, begun);
        Ok(())
    }
}
