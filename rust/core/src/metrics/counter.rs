//! Counters: sums that only rise.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::family::{Family, Series};
use super::float::AtomicFloat;
use super::snapshot::Value;
use super::{Attributes, Kind};

/// A sum that only rises, for each set of attributes.
pub type Counter = Family<CounterSeries>;

/// The sum of one set of attributes. Whole amounts stay exact; others are kept beside them as an `f64`.
#[derive(Debug)]
pub struct CounterSeries {
    whole: AtomicU64,
    real: AtomicFloat,
    attributes: Arc<Attributes>,
}

impl CounterSeries {
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
        let (whole, real) = (self.whole.load(Relaxed), self.real.get());
        #[expect(clippy::cast_precision_loss, reason = "a sum with fractions is an f64")]
        if real == 0.0 { Value::Whole(whole) } else { Value::Real(whole as f64 + real) }
    }
}

impl Series for CounterSeries {
    type Shape = ();
    const KIND: Kind = Kind::Counter;

    fn new(attributes: Arc<Attributes>, (): &()) -> Self {
        Self { whole: AtomicU64::new(0), real: AtomicFloat::default(), attributes }
    }

    fn attributes(&self) -> &Arc<Attributes> {
        &self.attributes
    }
}
