//! Binding of [`corten_core::cache`].
//!
//! Under the lock nothing of Python's runs: keys are compared there only as far as [`keys::equal`] can, and what leaves
//! the cache is dropped after the lock is gone, for `__eq__` and `__del__` may do anything, also use this cache.

use corten_core::cache::{Eviction, Lookup, MemoryCache as Store, NEVER, Position};
use corten_core::clock::{AnyClock, Clock as _, Nanos, nanos_from_seconds};

use pyo3::PyTraverseError;
use pyo3::exceptions::{PyKeyError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyIterator, PyList, PyTuple, PyType};

use crate::clock::clock_of;
use crate::keys;
use crate::spin::{Mutex, MutexGuard};

type Object = Py<PyAny>;
type Objects = Store<Object, Object>;

/// How often a lookup starts again because a key's `__eq__` changed the cache.
const PATIENCE: usize = 100;

/// A bounded in-process cache.
#[pyclass(frozen, generic, weakref, mapping, module = "corten._core")]
pub(crate) struct MemoryCache {
    store: Mutex<Objects>,
    clock: AnyClock,
    ttl: Option<Nanos>,
    weigh: Option<Object>,
    max_bytes: Option<u64>,
    eviction: Eviction,
}

impl MemoryCache {
    /// A cache for use from Rust.
    pub(crate) fn create(
        max_entries: usize,
        max_bytes: Option<u64>,
        ttl: Option<Nanos>,
        eviction: Eviction,
        weigh: Option<Object>,
        clock: AnyClock,
    ) -> Self {
        Self { store: Mutex::new(Store::new(max_entries, max_bytes, eviction)), clock, ttl, weigh, max_bytes, eviction }
    }

    /// The value of a key, counted as a hit or a miss. Raises what `__hash__` or `__eq__` of a key raise.
    #[inline]
    pub(crate) fn lookup(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<Option<Object>> {
        let found = self.at(key, |store, _, position| match store.hit(position, || self.clock.now()) {
            Lookup::Hit(value) => Ok(value.clone_ref(py)),
            Lookup::Miss => Err(None),
            Lookup::Expired(pair) => Err(Some(pair)),
        })?;
        Ok(found.ok())
    }

    /// Puts a value in for `ttl` nanoseconds; None: as the cache was made.
    pub(crate) fn insert(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        value: Object,
        ttl: Option<Nanos>,
    ) -> PyResult<()> {
        let weight = self.weight(py, key, &value)?;
        let removed = self.at(key, |store, hash, position| {
            let now = self.clock.now();
            let expires = ttl.or(self.ttl).map_or(NEVER, |ttl| now.saturating_add(ttl));
            store.insert(position, hash, (key.clone().unbind(), value), weight, expires, now)
        })?;
        drop(removed);
        Ok(())
    }

    /// Does something under the lock where a key is, or is not. What `act` gives back outlives the lock, so anything
    /// that leaves the cache belongs there.
    #[inline(always)]
    fn at<R>(&self, key: &Bound<'_, PyAny>, act: impl FnOnce(&mut Objects, u64, Option<Position>) -> R) -> PyResult<R> {
        #[expect(clippy::cast_sign_loss, reason = "a hash is bits")]
        let hash = key.hash()? as u64;
        let mut store = self.store.lock();
        let hash = store.spread(hash);
        let mut doubtful = false;
        let position = store.position(hash, |other| match keys::equal(other.bind(key.py()), key) {
            Some(same) => same,
            None => {
                doubtful = true;
                false
            }
        });
        if !doubtful || position.is_some() {
            return Ok(act(&mut store, hash, position));
        }
        drop(store);
        let mut compared = Vec::new();
        let (mut store, position) = self.ask(hash, key, &mut compared)?;
        let result = act(&mut store, hash, position);
        drop(store); // before the keys that were compared
        Ok(result)
    }

    /// Finds the candidates, leaves the lock, asks Python, comes back and looks again. All keys that were held on the
    /// way are left in `compared`, to be dropped when the lock is gone.
    #[cold]
    fn ask(
        &self,
        hash: u64,
        key: &Bound<'_, PyAny>,
        compared: &mut Vec<Object>,
    ) -> PyResult<(MutexGuard<'_, Objects>, Option<Position>)> {
        let py = key.py();
        let mut same: Option<usize> = None; // among the compared
        for _ in 0..PATIENCE {
            let store = self.store.lock();
            let mut asked = Vec::new();
            let position = store.position(hash, |other| {
                if let Some(known) = compared.iter().position(|known| known.is(other)) {
                    return same == Some(known);
                }
                keys::equal(other.bind(py), key).unwrap_or_else(|| {
                    asked.push(other.clone_ref(py));
                    false
                })
            });
            if position.is_some() || asked.is_empty() {
                compared.append(&mut asked);
                return Ok((store, position));
            }
            drop(store);
            for candidate in asked {
                let equal = candidate.bind(py).eq(key)?;
                compared.push(candidate);
                if equal {
                    same = Some(compared.len() - 1);
                    break;
                }
            }
        }
        Err(PyRuntimeError::new_err("the cache was changed again and again while __eq__ compared its keys"))
    }

    /// What an entry weighs; calls Python.
    fn weight(&self, py: Python<'_>, key: &Bound<'_, PyAny>, value: &Object) -> PyResult<u64> {
        if let Some(weigh) = &self.weigh {
            let weight = weigh.bind(py).call1((key, value))?;
            return weight.extract().map_err(|_| {
                PyValueError::new_err(format!("weigh must give a number of bytes from 0 up, not {weight:?}"))
            });
        }
        if self.max_bytes.is_none() {
            return Ok(0);
        }
        static SIZE: PyOnceLock<Object> = PyOnceLock::new();
        let size = SIZE.import(py, "sys", "getsizeof")?;
        Ok(size.call1((key,))?.extract::<u64>()?.saturating_add(size.call1((value,))?.extract()?))
    }

    /// Takes a key out; None also where its time had passed.
    fn take(&self, key: &Bound<'_, PyAny>) -> PyResult<Option<Object>> {
        let (good, pair) = self.at(key, |store, _, position| match position {
            Some(position) => {
                let good = store.peek(position, || self.clock.now()).is_some();
                (good, store.remove(position))
            }
            None => (false, None),
        })?;
        Ok(pair.filter(|_| good).map(|(_, value)| value))
    }

    fn snapshot<T>(&self, mut of: impl FnMut(&Object, &Object) -> T) -> Vec<T> {
        let now = self.clock.now();
        self.store.lock().iter(now).map(|(key, value)| of(key, value)).collect()
    }
}

/// A time to live in nanoseconds; infinity is none.
fn ttl_of(seconds: f64) -> PyResult<Nanos> {
    if seconds > 0.0 {
        return Ok(nanos_from_seconds(seconds).max(1));
    }
    Err(PyValueError::new_err(format!("ttl must be more than zero seconds, not {seconds}")))
}

/// The key alone in a tuple, or a key that is a tuple would become the arguments of the error.
fn missing(key: &Bound<'_, PyAny>) -> PyErr {
    PyKeyError::new_err((key.clone().unbind(),))
}

fn eviction_of(name: &str) -> PyResult<Eviction> {
    match name {
        "s3fifo" => Ok(Eviction::S3Fifo),
        "lru" => Ok(Eviction::Lru),
        _ => Err(PyValueError::new_err(format!("eviction must be \"s3fifo\" or \"lru\", not {name:?}"))),
    }
}

#[pymethods]
impl MemoryCache {
    #[new]
    #[pyo3(signature = (max_entries=10_000, *, max_bytes=None, ttl=None, eviction="s3fifo", weigh=None, clock=None))]
    fn new(
        max_entries: i64,
        max_bytes: Option<i64>,
        ttl: Option<f64>,
        eviction: &str,
        weigh: Option<Object>,
        clock: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let entries = usize::try_from(max_entries).ok().filter(|n| (1..u32::MAX as usize).contains(n));
        let Some(entries) = entries else {
            let message = format!("max_entries must be from 1 to 2**32 - 2, not {max_entries}");
            return Err(PyValueError::new_err(message));
        };
        let bytes = match max_bytes.map(u64::try_from) {
            None => None,
            Some(Ok(bytes)) if bytes > 0 => Some(bytes),
            Some(_) => return Err(PyValueError::new_err("max_bytes must be at least 1, or None for no limit")),
        };
        let ttl = ttl.map(ttl_of).transpose()?;
        Ok(Self::create(entries, bytes, ttl, eviction_of(eviction)?, weigh, clock_of(clock)?))
    }

    #[pyo3(signature = (key, default=None))]
    fn get(&self, py: Python<'_>, key: &Bound<'_, PyAny>, default: Option<Object>) -> PyResult<Option<Object>> {
        Ok(self.lookup(py, key)?.or(default))
    }

    fn __getitem__(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<Object> {
        self.lookup(py, key)?.ok_or_else(|| missing(key))
    }

    fn __setitem__(&self, py: Python<'_>, key: &Bound<'_, PyAny>, value: Object) -> PyResult<()> {
        self.insert(py, key, value, None)
    }

    #[pyo3(signature = (key, value, ttl=None))]
    fn set(&self, py: Python<'_>, key: &Bound<'_, PyAny>, value: Object, ttl: Option<f64>) -> PyResult<()> {
        self.insert(py, key, value, ttl.map(ttl_of).transpose()?)
    }

    fn __contains__(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.at(key, |store, _, position| {
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
        self.max_bytes
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
        ))
    }

    fn __repr__(&self) -> String {
        let store = self.store.lock();
        let eviction = if self.eviction == Eviction::Lru { "lru" } else { "s3fifo" };
        format!("<MemoryCache {} of {} entries, {eviction}>", store.len(), store.max_entries())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.weigh)?;
        // Who holds the lock is not in Python now; what is not visited is taken to be in use, which is safe.
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
