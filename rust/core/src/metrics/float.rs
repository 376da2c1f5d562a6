//! An `f64` that threads add to without a lock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// An `f64` as bits in an atomic integer.
#[derive(Debug, Default)]
pub(super) struct AtomicFloat(AtomicU64);

impl AtomicFloat {
    pub(super) fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }

    pub(super) fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Relaxed);
    }

    pub(super) fn add(&self, amount: f64) {
        let mut seen = self.0.load(Relaxed);
        loop {
            let sum = (f64::from_bits(seen) + amount).to_bits();
            match self.0.compare_exchange_weak(seen, sum, Relaxed, Relaxed) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }
}
