//! A registry at one moment: plain data to merge and render.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::attributes::{OVERFLOW_ATTRIBUTE, check_attribute};
use super::histogram::Bounds;
use super::registry::{OVERFLOW_COUNTER, check_name, check_unit};
use super::{Attributes, Kind, MetricsError};

/// Every instrument at one moment, by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    pub(super) instruments: BTreeMap<Arc<str>, InstrumentSnapshot>,
}

/// All series of one instrument at one moment, sorted by attributes.
#[derive(Debug, Clone, PartialEq)]
pub struct InstrumentSnapshot {
    /// The name without the suffixes of the text format.
    pub name: Arc<str>,
    /// The kind.
    pub kind: Kind,
    /// The description, for people.
    pub description: Arc<str>,
    /// `seconds`, `bytes`, or empty.
    pub unit: Arc<str>,
    /// The series, sorted by attributes, each set of attributes once.
    pub series: Vec<SeriesSnapshot>,
}

/// One set of attributes with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesSnapshot {
    /// Names and values.
    pub attributes: Arc<Attributes>,
    /// The value.
    pub value: Value,
}

/// The value of a series.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A sum of whole amounts.
    Whole(u64),
    /// A gauge, or a sum with fractions.
    Real(f64),
    /// A distribution.
    Histogram(HistogramPoint),
}

/// A histogram's aggregate.
#[derive(Debug, Clone, PartialEq)]
pub struct HistogramPoint {
    /// The upper bounds of all buckets but the last.
    pub bounds: Arc<Bounds>,
    /// The number of values in each bucket: one number more than there are bounds.
    pub counts: Box<[u64]>,
    /// The sum of all values.
    pub sum: f64,
}

impl HistogramPoint {
    /// Makes a distribution from its parts, or None if the bounds are invalid or the counts don't fit them.
    pub fn new(bounds: &[f64], counts: Vec<u64>, sum: f64) -> Option<Self> {
        let bounds = Bounds::new("", bounds).ok()?;
        (counts.len() == bounds.values().len() + 1).then(|| Self {
            bounds: Arc::new(bounds),
            counts: counts.into(),
            sum,
        })
    }

    /// The number of values.
    pub fn count(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }
}

/// How snapshots' gauges are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GaugeMerge {
    /// Gauges add up, such as connections in the pools of several workers.
    Sum,
    /// The last snapshot with the series wins, for one thing that several processes see.
    Last,
}

impl Snapshot {
    /// The instruments, sorted by name.
    pub fn instruments(&self) -> impl ExactSizeIterator<Item = &InstrumentSnapshot> {
        self.instruments.values()
    }

    /// Merges an instrument of another snapshot: counters and histograms add up, `gauges` says how gauges are merged.
    ///
    /// Merging is associative but for rounding, and commutative with [`GaugeMerge::Sum`].
    ///
    /// # Errors
    /// This snapshot has the instrument with another kind, unit or other bounds. It stays as it was.
    pub fn merge(&mut self, other: InstrumentSnapshot, gauges: GaugeMerge) -> Result<(), MetricsError> {
        let Some(ours) = self.instruments.get_mut(&other.name) else {
            self.instruments.insert(Arc::clone(&other.name), other);
            return Ok(());
        };
        let fail = |what| Err(MetricsError::CannotMerge(other.name.to_string(), what));
        if ours.kind != other.kind {
            return fail("kind");
        }
        if ours.unit != other.unit {
            return fail("unit");
        }
        let mut merged = Vec::with_capacity(ours.series.len().max(other.series.len()));
        let (mut left, mut right) = (ours.series.iter().peekable(), other.series.iter().peekable());
        while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
            match a.attributes.cmp(&b.attributes) {
                std::cmp::Ordering::Less => merged.extend(left.next().cloned()),
                std::cmp::Ordering::Greater => merged.extend(right.next().cloned()),
                std::cmp::Ordering::Equal => {
                    let Some(value) = merge_values(&a.value, &b.value, ours.kind, gauges) else {
                        return fail("bounds");
                    };
                    merged.push(SeriesSnapshot { attributes: Arc::clone(&a.attributes), value });
                    left.next();
                    right.next();
                }
            }
        }
        merged.extend(left.cloned());
        merged.extend(right.cloned());
        ours.series = merged;
        Ok(())
    }

    /// Checks and merges an instrument from elsewhere, such as another process.
    ///
    /// # Errors
    /// The name, unit or attributes can't be exposed, a series occurs twice or has a value of another kind, or the
    /// instruments can't be merged. The snapshot stays as it was.
    pub fn merge_checked(&mut self, mut other: InstrumentSnapshot, gauges: GaugeMerge) -> Result<(), MetricsError> {
        if &*other.name != OVERFLOW_COUNTER {
            check_name(&other.name, other.kind)?;
        }
        check_unit(&other.name, &other.unit)?;
        for series in &other.series {
            let overflow = |name: &str, value: &str| name == OVERFLOW_ATTRIBUTE && value == "true";
            for (name, _) in series.attributes.iter().filter(|(name, value)| !overflow(name, value)) {
                check_attribute(&other.name, name)?;
            }
            if matches!(series.value, Value::Histogram(_)) != (other.kind == Kind::Histogram) {
                return Err(MetricsError::CannotMerge(other.name.to_string(), "the kind of its values"));
            }
        }
        other.series.sort_by(|a, b| a.attributes.cmp(&b.attributes));
        let twice = other.series.windows(2).any(|pair| pair[0].attributes == pair[1].attributes);
        if twice || other.series.iter().any(|series| series.attributes.has_duplicates()) {
            return Err(MetricsError::MeasuredTwice(other.name.to_string()));
        }
        self.merge(other, gauges)
    }
}

fn merge_values(ours: &Value, theirs: &Value, kind: Kind, gauges: GaugeMerge) -> Option<Value> {
    #[expect(clippy::cast_precision_loss, reason = "a sum with fractions is an f64")]
    let real = |value: &Value| match value {
        Value::Whole(whole) => Some(*whole as f64),
        Value::Real(real) => Some(*real),
        Value::Histogram(_) => None,
    };
    match (ours, theirs) {
        (_, last) if kind == Kind::Gauge && gauges == GaugeMerge::Last => Some(last.clone()),
        (Value::Whole(a), Value::Whole(b)) => Some(Value::Whole(a.saturating_add(*b))),
        (Value::Histogram(a), Value::Histogram(b)) => {
            if a.bounds != b.bounds {
                return None;
            }
            Some(Value::Histogram(HistogramPoint {
                bounds: Arc::clone(&a.bounds),
                counts: a.counts.iter().zip(&b.counts).map(|(a, b)| a.saturating_add(*b)).collect(),
                sum: a.sum + b.sum,
            }))
        }
        (a, b) => Some(Value::Real(real(a)? + real(b)?)),
    }
}
