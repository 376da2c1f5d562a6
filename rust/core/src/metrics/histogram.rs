//! Histograms: the number of values in each bucket, and the sum of all values.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::external_sources::{DistributionSource, ExternalSources};
use super::family::{Family, Series};
use super::float::AtomicFloat;
use super::openmetrics::write_float;
use super::snapshot::{HistogramPoint, Value};
use super::{Attributes, Kind, MetricsError};

/// Bounds for durations in seconds, as OpenTelemetry's HTTP conventions have them.
pub const DEFAULT_SECONDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// The most bounds that are compared one by one: without a branch, and faster than a binary search mispredicts.
const LINEAR: usize = 32;

/// Upper bounds of the buckets (`value <= bound`). One more bucket takes all greater values.
#[derive(Debug, Clone)]
pub struct Bounds {
    values: Box<[f64]>,
    texts: Box<[Box<str>]>,
}

impl Bounds {
    /// Bounds that are finite, not negative and rising.
    pub(super) fn new(name: &str, values: &[f64]) -> Result<Self, MetricsError> {
        let sound = !values.is_empty()
            && values.iter().all(|bound| bound.is_finite() && *bound >= 0.0)
            && values.windows(2).all(|pair| pair[0] < pair[1]);
        if !sound {
            return Err(MetricsError::InvalidBounds(name.to_owned(), values.to_vec()));
        }
        let texts = values.iter().map(|bound| {
            let mut text = String::new();
            write_float(&mut text, *bound);
            text.into_boxed_str()
        });
        Ok(Self { texts: texts.collect(), values: values.into() })
    }

    /// The bounds.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The bounds as the text format writes them.
    pub fn texts(&self) -> &[Box<str>] {
        &self.texts
    }

    /// The index of the bucket of `value`: the number of bounds below the value.
    #[inline]
    fn bucket(&self, value: f64) -> usize {
        if self.values.len() <= LINEAR {
            self.values.iter().map(|bound| usize::from(*bound < value)).sum()
        } else {
            self.values.partition_point(|bound| *bound < value)
        }
    }
}

impl PartialEq for Bounds {
    fn eq(&self, other: &Self) -> bool {
        self.values == other.values
    }
}

/// A distribution, for each set of attributes.
pub type Histogram = Family<HistogramSeries>;

impl Histogram {
    /// The upper bounds of the buckets.
    pub fn bounds(&self) -> &[f64] {
        self.shape().values()
    }
}

/// The distribution of one set of attributes.
#[derive(Debug)]
pub struct HistogramSeries {
    bounds: Arc<Bounds>,
    counts: Box<[AtomicU64]>,
    sum: AtomicFloat,
    external_sources: ExternalSources<dyn DistributionSource>,
    attributes: Arc<Attributes>,
}

impl HistogramSeries {
    /// Adds a source's distribution to the series, from now on. Returns false if the source has other bounds.
    pub fn add_source(&self, source: Arc<dyn DistributionSource>) -> bool {
        let same = source.bounds() == self.bounds.values();
        if same {
            self.external_sources.push(source);
        }
        same
    }

    /// Removes a source that no longer changes, and adds its distribution to the series.
    pub fn absorb_source(&self, source: &Arc<dyn DistributionSource>) {
        self.external_sources.remove(source, |source| {
            let mut counts = vec![0; self.counts.len()];
            self.sum.add(source.add_to(&mut counts));
            for (own, count) in self.counts.iter().zip(counts) {
                own.fetch_add(count, Relaxed);
            }
        });
    }

    /// Counts a value. Returns false, and counts nothing, if the value is negative or not finite.
    #[inline]
    pub fn record(&self, value: f64) -> bool {
        let sound = value >= 0.0 && value.is_finite();
        if sound {
            self.counts[self.bounds.bucket(value)].fetch_add(1, Relaxed);
            self.sum.add(value);
        }
        sound
    }

    /// The distribution so far. The sum may lack values that another thread is recording at this moment.
    pub fn point(&self) -> HistogramPoint {
        self.external_sources.with(|sources| {
            let mut counts: Box<[u64]> = self.counts.iter().map(|count| count.load(Relaxed)).collect();
            let sum = sources.iter().fold(self.sum.get(), |sum, source| sum + source.add_to(&mut counts));
            HistogramPoint { bounds: Arc::clone(&self.bounds), counts, sum }
        })
    }
}

impl Series for HistogramSeries {
    type Shape = Arc<Bounds>;
    const KIND: Kind = Kind::Histogram;

    fn new(attributes: Arc<Attributes>, bounds: &Arc<Bounds>) -> Self {
        let counts = (0..=bounds.values().len()).map(|_| AtomicU64::new(0)).collect();
        Self {
            bounds: Arc::clone(bounds),
            counts,
            sum: AtomicFloat::default(),
            external_sources: ExternalSources::default(),
            attributes,
        }
    }

    fn attributes(&self) -> &Arc<Attributes> {
        &self.attributes
    }

    fn read(&self) -> Value {
        Value::Histogram(self.point())
    }
}
