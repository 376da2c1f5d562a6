//! Sums and distributions outside of a series, which the series reads: a hot path counts in one place only.

use std::sync::Arc;

use parking_lot::Mutex;

/// A sum that only rises, outside of the series that shows it.
pub trait CountSource: Send + Sync + std::fmt::Debug {
    /// The sum now.
    fn count(&self) -> u64;
}

/// A distribution outside of the series that shows it.
pub trait DistributionSource: Send + Sync + std::fmt::Debug {
    /// The upper bounds of the buckets, equal to the bounds of the series.
    fn bounds(&self) -> &[f64];
    /// Adds the count of each bucket (one more than there are bounds) to `counts`, and returns the sum of the values.
    fn add_to(&self, counts: &mut [u64]) -> f64;
}

/// The sources of one series. Reading and absorbing a source take the same lock, so that its count is never missing
/// and never counted twice.
#[derive(Debug)]
pub(super) struct ExternalSources<S: ?Sized>(Mutex<Vec<Arc<S>>>);

impl<S: ?Sized> Default for ExternalSources<S> {
    fn default() -> Self {
        Self(Mutex::new(Vec::new()))
    }
}

impl<S: ?Sized> ExternalSources<S> {
    pub(super) fn push(&self, source: Arc<S>) {
        self.0.lock().push(source);
    }

    pub(super) fn with<R>(&self, act: impl FnOnce(&[Arc<S>]) -> R) -> R {
        act(&self.0.lock())
    }

    /// Removes a source after `absorb` has read it.
    pub(super) fn remove(&self, source: &Arc<S>, absorb: impl FnOnce(&S)) {
        let mut sources = self.0.lock();
        // Only the addresses: one type may have several tables of methods.
        let address = |source: &Arc<S>| Arc::as_ptr(source).cast::<()>();
        if let Some(index) = sources.iter().position(|other| address(other) == address(source)) {
            absorb(&sources.swap_remove(index));
        }
    }
}
