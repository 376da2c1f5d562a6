//! Numbers that somebody else keeps, and a series reads when it is asked: a hot path counts once, for itself.

use std::sync::Arc;

use parking_lot::Mutex;

/// A sum that only rises, kept outside of the series that shows it.
pub trait CountSource: Send + Sync + std::fmt::Debug {
    /// The sum now.
    fn count(&self) -> u64;
}

/// A distribution kept outside of the series that shows it.
pub trait DistributionSource: Send + Sync + std::fmt::Debug {
    /// The upper bounds of its buckets; those of the series.
    fn bounds(&self) -> &[f64];
    /// Adds what fell into each bucket (one more than there are bounds) to `counts`, and gives the sum of the values.
    fn add_to(&self, counts: &mut [u64]) -> f64;
}

/// What a series reads besides its own numbers. One lock for reading and for taking sources over, so that what a source
/// had is never missing and never there twice.
#[derive(Debug)]
pub(super) struct Kept<S: ?Sized>(Mutex<Vec<Arc<S>>>);

impl<S: ?Sized> Default for Kept<S> {
    fn default() -> Self {
        Self(Mutex::new(Vec::new()))
    }
}

impl<S: ?Sized> Kept<S> {
    pub(super) fn push(&self, source: Arc<S>) {
        self.0.lock().push(source);
    }

    /// Does something with all of them.
    pub(super) fn with<R>(&self, act: impl FnOnce(&[Arc<S>]) -> R) -> R {
        act(&self.0.lock())
    }

    /// Removes a source, and has what it holds taken over.
    pub(super) fn remove(&self, source: &Arc<S>, take_over: impl FnOnce(&S)) {
        let mut sources = self.0.lock();
        // Only the addresses: the tables of methods of one type need not be one.
        let address = |source: &Arc<S>| Arc::as_ptr(source).cast::<()>();
        if let Some(place) = sources.iter().position(|other| address(other) == address(source)) {
            take_over(&sources.swap_remove(place));
        }
    }
}
