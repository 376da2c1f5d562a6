//! Counters: sums that only rise.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::family::{Family, Series};
use super::float::AtomicFloat;
use super::kept::{CountSource, Kept};
use super::snapshot::Value;
use super::{Attributes, Kind};

/// A sum that only rises, for each set of attributes.
pub type Counter = Family<CounterSeries>;

/// The sum of one set of attributes. Whole amounts stay exact; others are kept beside them as an `f64`.
#[derive(Debug)]
pub struct CounterSeries {
    whole: AtomicU64,
    real: AtomicFloat,
    kept: Kept<dyn CountSource>,
    attributes: Arc<Attributes>,
}

impl CounterSeries {
    /// Shows the sum of a source as well, from now on.
    pub fn keep(&self, source: Arc<dyn CountSource>) {
        self.kept.push(source);
    }

    /// Takes over the sum of a source that nobody adds to any more.
    pub fn let_go(&self, source: &Arc<dyn CountSource>) {
        self.kept.remove(source, |source| self.add(source.count()));
    }

    /// Adds a whole amount: one atomic operation.
    #[inline]
    pub fn add(&self, amount: u64) {
        self.whole.fetch_add(amount, Relaxed);
    }

    /// Adds an amount such as seconds. False, and nothing is added, where it is negative or not finite.
    #[inline]
    pub fn add_f64(&self, amount: f64) -> bool {
        let sound = amount >= 0.0 && amount.is_finite();
        if sound {
            self.real.add(amount);
        }
        sound
    }

    /// The sum so far: whole unless a fraction was ever added.
    #[must_use]
    pub fn value(&self) -> Value {
        let whole = self.kept.with(|sources| {
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
        Self { whole: AtomicU64::new(0), real: AtomicFloat::default(), kept: Kept::default(), attributes }
    }

    fn attributes(&self) -> &Arc<Attributes> {
        &self.attributes
    }
}
