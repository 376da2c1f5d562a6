//! Binding of [`corten_core::cache`].

mod arguments;
mod entries;
mod keys;

use std::sync::atomic::{AtomicBool, Ordering};

use corten_core::cache::{Eviction, MemoryCache as Store};
use corten_core::clock::{AnyClock, Clock as _};
use pyo3::PyTraverseError;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyIterator, PyList, PyTuple, PyType};

use self::arguments::{caps_of, eviction_of, lifetime_of, missing, nanos_of, tags_of, text_of, ttl_of};
use self::entries::{Object, Objects};
use crate::clock::clock_of;
use crate::glob::glob_of;
use crate::spin::Mutex;

/// A bounded in-process cache.
#[pyclass(frozen, generic, weakref, mapping, module = "corten._core")]
pub(crate) struct MemoryCache {
    store: Mutex<Objects>,
    clock: AnyClock,
    /// Whether an insert must read the clock.
    timed: AtomicBool,
    weigh: Option<Object>,
    /// Whether entries weigh their `sys.getsizeof` where there is no `weigh`.
    weighs_by_size: bool,
    eviction: Eviction,
}

#[pymethods]
impl MemoryCache {
    #[new]
    #[pyo3(signature = (
        max_entries=10_000, *, max_bytes=None, ttl=None, eviction="s3fifo", weigh=None, clock=None, jitter=0.0,
        stale=0.0, early_refresh=0.0,
    ))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn new(
        max_entries: i64,
        max_bytes: Option<i64>,
        ttl: Option<f64>,
        eviction: &str,
        weigh: Option<Object>,
        clock: Option<&Bound<'_, PyAny>>,
        jitter: f64,
        stale: f64,
        early_refresh: f64,
    ) -> PyResult<Self> {
        let (entries, bytes) = caps_of(max_entries, max_bytes)?;
        let eviction = eviction_of(eviction)?;
        let lifetime = lifetime_of(ttl, jitter, stale, early_refresh)?;
        Ok(Self {
            store: Mutex::new(Store::new(entries, bytes, eviction).with_lifetime(lifetime)),
            clock: clock_of(clock)?,
            timed: AtomicBool::new(lifetime.ttl.is_some()),
            weigh,
            weighs_by_size: bytes.is_some(),
            eviction,
        })
    }

    #[pyo3(signature = (key, default=None))]
    fn get(&self, key: &Bound<'_, PyAny>, default: Option<Object>) -> PyResult<Option<Object>> {
        Ok(self.lookup::<false>(key, || ())?.map(Bound::unbind).or(default))
    }

    fn __getitem__(&self, key: &Bound<'_, PyAny>) -> PyResult<Object> {
        self.lookup::<false>(key, || ())?.map(Bound::unbind).ok_or_else(|| missing(key))
    }

    fn __setitem__(&self, py: Python<'_>, key: &Bound<'_, PyAny>, value: Object) -> PyResult<()> {
        self.insert(py, key, value, None, Vec::new(), 0)
    }

    #[pyo3(signature = (key, value, ttl=None, *, tags=Vec::new(), cost=0.0))]
    fn set(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        value: Object,
        ttl: Option<f64>,
        tags: Vec<String>,
        cost: f64,
    ) -> PyResult<()> {
        self.insert(py, key, value, ttl.map(ttl_of).transpose()?, tags_of(tags)?, nanos_of("cost", cost)?)
    }

    /// Returns a value that is good or stale, and whether it is good.
    fn stale(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<Option<(Object, bool)>> {
        self.with_entry(key, |store, _, position| {
            let found = store.stale(position?, self.clock.now());
            found.map(|(value, good)| (value.clone_ref(py), good))
        })
    }

    fn has_stale(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.with_entry(key, |store, _, position| {
            position.is_some_and(|position| store.has_stale(position, self.clock.now()))
        })
    }

    fn tags(&self, key: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
        self.with_entry(key, |store, _, position| {
            position.map_or_else(Vec::new, |position| store.tags_of(position).map(str::to_owned).collect())
        })
    }

    fn invalidate(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        let removed = self.with_entry(key, |store, _, position| store.invalidate(position?))?;
        Ok(removed.is_some())
    }

    fn invalidate_tag(&self, tag: &str) -> usize {
        let removed = self.store.lock().invalidate_tag(tag);
        removed.len()
    }

    fn invalidate_matching(&self, py: Python<'_>, pattern: &str) -> PyResult<usize> {
        let glob = glob_of(pattern)?;
        let removed = self.store.lock().invalidate_tags_like(&glob);
        let mut count = removed.len();
        drop(removed);
        for key in self.snapshot_all(py) {
            let key = key.bind(py);
            if glob.matches(&text_of(key)?) && self.invalidate(key)? {
                count += 1;
            }
        }
        Ok(count)
    }

    fn __contains__(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.with_entry(key, |store, _, position| {
            position.is_some_and(|position| store.peek(position, || self.clock.now()).is_some())
        })
    }

    fn __delitem__(&self, key: &Bound<'_, PyAny>) -> PyResult<()> {
        match self.take(key)? {
            Some(_) => Ok(()),
            None => Err(missing(key)),
        }
    }

    #[pyo3(signature = (key, *default))]
    fn pop(&self, key: &Bound<'_, PyAny>, default: &Bound<'_, PyTuple>) -> PyResult<Object> {
        if default.len() > 1 {
            let message = format!("pop takes a key and at most one default, not {} arguments", default.len() + 1);
            return Err(PyTypeError::new_err(message));
        }
        match self.take(key)? {
            Some(value) => Ok(value),
            None if default.is_empty() => Err(missing(key)),
            None => Ok(default.get_item(0)?.unbind()),
        }
    }

    fn __len__(&self) -> usize {
        self.store.lock().len()
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        self.keys(py)?.try_iter()
    }

    fn keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.snapshot(|key, _| key.clone_ref(py)))
    }

    fn items<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.snapshot(|key, value| (key.clone_ref(py), value.clone_ref(py))))
    }

    fn clear(&self) {
        let removed = self.store.lock().clear();
        drop(removed);
    }

    fn expire(&self) -> usize {
        let now = self.clock.now();
        let removed = self.store.lock().expire(now);
        removed.len()
    }

    #[getter]
    fn max_entries(&self) -> usize {
        self.store.lock().max_entries()
    }

    #[getter]
    fn max_bytes(&self) -> Option<u64> {
        self.store.lock().max_weight()
    }

    #[pyo3(signature = (max_entries, max_bytes, ttl, jitter, stale, early_refresh))]
    fn configure(
        &self,
        max_entries: i64,
        max_bytes: Option<i64>,
        ttl: Option<f64>,
        jitter: f64,
        stale: f64,
        early_refresh: f64,
    ) -> PyResult<()> {
        let (entries, bytes) = caps_of(max_entries, max_bytes)?;
        if bytes.is_some() && !self.weighs_by_size && self.weigh.is_none() {
            let message = "max_bytes needs the weights of all entries, and this cache was made without: make a new one";
            return Err(PyValueError::new_err(message));
        }
        let lifetime = lifetime_of(ttl, jitter, stale, early_refresh)?;
        if lifetime.ttl.is_some() {
            self.timed.store(true, Ordering::Relaxed);
        }
        let now = self.clock.now();
        let removed = {
            let mut store = self.store.lock();
            store.set_lifetime(lifetime);
            store.resize(entries, bytes, now)
        };
        drop(removed);
        Ok(())
    }

    fn statistics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        static TYPE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let counts = self.store.lock().statistics();
        TYPE.import(py, "corten.cache.statistics", "CacheStatistics")?.call1((
            counts.hits,
            counts.misses,
            counts.inserts,
            counts.evictions,
            counts.expirations,
            counts.rejections,
            counts.entries,
            counts.weight,
            counts.stale,
            counts.refreshes,
            counts.invalidations,
            counts.tags,
        ))
    }

    fn __repr__(&self) -> String {
        let store = self.store.lock();
        let eviction = if self.eviction == Eviction::Lru { "lru" } else { "s3fifo" };
        format!("<MemoryCache {} of {} entries, {eviction}>", store.len(), store.max_entries())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.weigh)?;
        // Python is not running in the holder of the lock. Objects that are not visited count as in use, which is safe.
        if let Some(store) = self.store.try_lock() {
            for (key, value) in store.all() {
                visit.call(key)?;
                visit.call(value)?;
            }
        }
        Ok(())
    }

    fn __clear__(&self) {
        let removed = self.store.try_lock().map(|mut store| store.clear());
        drop(removed);
    }
}
