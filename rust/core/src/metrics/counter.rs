//! Counters: sums that only rise.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::external_sources::{CountSource, ExternalSources};
use super::family::{Family, Series};
use super::float::AtomicFloat;
use super::snapshot::Value;
use super::{Attributes, Kind};

/// A sum that only rises, for each set of attributes.
pub type Counter = Family<CounterSeries>;

/// The sum of one set of attributes. Whole amounts stay exact; fractions add up beside them in an `f64`.
#[derive(Debug)]
pub struct CounterSeries {
    whole: AtomicU64,
    real: AtomicFloat,
    external_sources: ExternalSources<dyn CountSource>,
    attributes: Arc<Attributes>,
}

impl CounterSeries {
    /// Adds a source's sum to the value, from now on.
    pub fn add_source(&self, source: Arc<dyn CountSource>) {
        self.external_sources.push(source);
    }

    /// Removes a source that no longer changes, and adds its sum to the series.
    pub fn absorb_source(&self, source: &Arc<dyn CountSource>) {
        self.external_sources.remove(source, |source| self.add(source.count()));
    }

    /// Adds a whole amount: one atomic operation.
    #[inline]
    pub fn add(&self, amount: u64) {
        self.whole.fetch_add(amount, Relaxed);
    }

    /// Adds an amount such as seconds. Returns false, and adds nothing, if the amount is negative or not finite.
    #[inline]
    pub fn add_f64(&self, amount: f64) -> bool {
        let sound = amount >= 0.0 && amount.is_finite();
        if sound {
            self.real.add(amount);
        }
        sound
    }

    /// The sum so far: whole unless a fraction was ever added.
    pub fn value(&self) -> Value {
        let whole = self.external_sources.with(|sources| {
            sources.iter().fold(self.whole.load(Relaxed), |sum, source| sum.wrapping_add(source.count()))
        });
        let real = self.real.get();
        #[expect(clippy::cast_precision_loss, reason = "a sum with fractions is an f64")]
        if real == 0.0 { Value::Whole(whole) } else { Value::Real(whole as f64 + real) }
    }
}

impl Series for CounterSeries {
    type Shape = ();
    const KIND: Kind = Kind::Counter;

    fn new(attributes: Arc<Attributes>, (): &()) -> Self {
        Self {
            whole: AtomicU64::new(0),
            real: AtomicFloat::default(),
            external_sources: ExternalSources::default(),
            attributes,
        }
    }

    fn attributes(&self) -> &Arc<Attributes> {
        &self.attributes
    }

    fn read(&self) -> Value {
        self.value()
    }
}
