//! Gauges: values that go up and down.

use std::sync::Arc;

use super::family::{Family, Series};
use super::float::AtomicFloat;
use super::snapshot::Value;
use super::{Attributes, Kind};

/// A value that goes up and down, for each set of attributes.
pub type Gauge = Family<GaugeSeries>;

/// The value of one set of attributes.
#[derive(Debug)]
pub struct GaugeSeries {
    value: AtomicFloat,
    attributes: Arc<Attributes>,
}

impl GaugeSeries {
    /// Replaces the value.
    #[inline]
    pub fn set(&self, value: f64) {
        self.value.set(value);
    }

    /// Adds an amount, which may be negative.
    #[inline]
    pub fn add(&self, amount: f64) {
        self.value.add(amount);
    }

    /// The current value.
    pub fn value(&self) -> f64 {
        self.value.get()
    }
}

impl Series for GaugeSeries {
    type Shape = ();
    const KIND: Kind = Kind::Gauge;

    fn new(attributes: Arc<Attributes>, (): &()) -> Self {
        Self { value: AtomicFloat::default(), attributes }
    }

    fn attributes(&self) -> &Arc<Attributes> {
        &self.attributes
    }

    fn read(&self) -> Value {
        Value::Real(self.value())
    }
}
