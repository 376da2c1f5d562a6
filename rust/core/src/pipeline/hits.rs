//! Calls of a pipeline that caches answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;

use crate::metrics::{CountSource, CounterSeries};

/// Hits of all caches of a pipeline; the registry's series reads them.
#[derive(Debug)]
pub struct Hits {
    /// Counted when the pipeline was bound to another registry.
    before: u64,
    kept: Arc<Kept>,
    series: Option<Arc<CounterSeries>>,
}

#[derive(Debug, Default)]
struct Kept {
    /// Counts made here, and counts of caches that are gone.
    other: AtomicU64,
    /// Locked also while a cache's hits are taken over.
    caches: Mutex<Vec<Arc<CacheHits>>>,
}

/// The hits of one cache.
#[derive(Debug, Default)]
pub struct CacheHits(AtomicU64);

impl CacheHits {
    /// Counts a hit. Only under the lock of the cache, so that a load and a store are enough.
    #[inline]
    pub fn add_locked(&self) {
        self.0.store(self.0.load(Relaxed).wrapping_add(1), Relaxed);
    }
}

impl CountSource for Kept {
    fn count(&self) -> u64 {
        let caches = self.caches.lock();
        self.other.load(Relaxed) + caches.iter().map(|cache| cache.0.load(Relaxed)).sum::<u64>()
    }
}

impl Hits {
    /// Hits counted on from `before`, which another series has.
    pub fn new(before: u64, series: Option<Arc<CounterSeries>>) -> Self {
        let kept = Arc::new(Kept::default());
        if let Some(series) = &series {
            series.add_source(Arc::clone(&kept) as Arc<dyn CountSource>);
        }
        Self { before, kept, series }
    }

    /// Counts a call that another tier answered.
    pub fn add(&self) {
        self.kept.other.fetch_add(1, Relaxed);
    }

    /// The number of hits.
    pub fn count(&self) -> u64 {
        self.before + self.kept.count()
    }

    /// A count for one cache.
    pub fn of_cache(&self) -> Arc<CacheHits> {
        let hits = Arc::new(CacheHits::default());
        self.kept.caches.lock().push(Arc::clone(&hits));
        hits
    }

    /// Takes over the count of a cache that is gone.
    pub fn take_over(&self, hits: &Arc<CacheHits>) {
        let mut caches = self.kept.caches.lock();
        if let Some(place) = caches.iter().position(|other| Arc::ptr_eq(other, hits)) {
            let hits = caches.swap_remove(place);
            self.kept.other.fetch_add(hits.0.load(Relaxed), Relaxed);
        }
    }
}

impl Drop for Hits {
    fn drop(&mut self) {
        if let Some(series) = &self.series {
            series.absorb_source(&(Arc::clone(&self.kept) as Arc<dyn CountSource>));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Registry, Value};

    #[test]
    fn nothing_is_lost_when_a_cache_or_the_pipeline_goes() {
        let registry = Registry::default();
        let series = registry.counter("calls", "", "").unwrap().series(&[]).unwrap();
        let hits = Hits::new(5, Some(Arc::clone(&series)));
        let (one, other) = (hits.of_cache(), hits.of_cache());
        one.add_locked();
        other.add_locked();
        hits.add();
        assert_eq!((hits.count(), series.value()), (8, Value::Whole(3)));
        hits.take_over(&one);
        hits.take_over(&one);
        other.add_locked();
        assert_eq!((hits.count(), series.value()), (9, Value::Whole(4)));
        drop(hits);
        assert_eq!(series.value(), Value::Whole(4));
    }
}
