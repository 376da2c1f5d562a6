//! Finding and changing the entries of a cache under its lock.
//!
//! No Python code runs under the lock: [`keys::equal`] compares the keys that need no `__eq__`, and entries that leave
//! the cache are dropped after the lock is released, because `__eq__` and `__del__` may call this cache again.

use std::sync::atomic::Ordering;

use corten_core::cache::{EntryOptions, Lookup, MemoryCache as Store, Position, Removed, Times};
use corten_core::clock::{Clock as _, Nanos};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use super::{MemoryCache, keys};
use crate::spin::MutexGuard;

pub(super) type Object = Py<PyAny>;
pub(super) type Objects = Store<Object, Object>;
/// The locked store, and the position of a key in it.
type Located<'a> = (MutexGuard<'a, Objects>, Option<Position>);

/// How often a lookup may start again because a key's `__eq__` changed the cache.
const MOST_RESTARTS: usize = 100;

impl MemoryCache {
    /// Returns a key's value and counts a hit or a miss. With `REFRESHING`, also returns none where the caller is to
    /// refresh the value early. Calls `hit` under the lock. Raises the errors of a key's `__hash__` and `__eq__`.
    #[inline]
    pub(crate) fn lookup<'py, const REFRESHING: bool>(
        &self,
        key: &Bound<'py, PyAny>,
        hit: impl FnOnce(),
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let (hash, located) = self.locate(key)?;
        let found = match located {
            Some((mut store, position)) => self.answer::<REFRESHING>(key.py(), &mut store, position, hit),
            None => self.with_entry_by_eq(hash, key, |store, _, position| {
                self.answer::<REFRESHING>(key.py(), store, position, hit)
            })?,
        };
        match found {
            Ok(value) => Ok(Some(value)),
            Err(None) => Ok(None),
            Err(Some(expired)) => {
                Python::attach(|_| drop(expired));
                Ok(None)
            }
        }
    }

    /// Returns the value at a position, or as an error the expired entry, which the caller must drop.
    #[inline(always)]
    fn answer<'py, const REFRESHING: bool>(
        &self,
        py: Python<'py>,
        store: &mut Objects,
        position: Option<Position>,
        hit: impl FnOnce(),
    ) -> Result<Bound<'py, PyAny>, Option<(Object, Object)>> {
        match store.hit(position, || self.clock.now()) {
            Lookup::Due(_) if REFRESHING => Err(None),
            Lookup::Hit(value) | Lookup::Due(value) => {
                hit();
                Ok(value.bind(py).clone())
            }
            Lookup::Miss => Err(None),
            Lookup::Expired(pair) => Err(Some(pair)),
        }
    }

    /// Inserts a value for `ttl` nanoseconds; none: the cache's own time to live.
    #[inline]
    pub(super) fn insert(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        value: Object,
        ttl: Option<Nanos>,
        tags: Vec<Box<str>>,
        cost: Nanos,
    ) -> PyResult<()> {
        let weight = self.weight(py, key, &value)?;
        if ttl.is_some() {
            self.timed.store(true, Ordering::Relaxed);
        }
        // Filled in place: a return value would be copied at each return.
        let mut removed = Removed::none();
        self.with_entry(key, |store, hash, position| {
            let pair = (key.clone().unbind(), value);
            if !self.timed.load(Ordering::Relaxed) {
                store.insert(position, hash, pair, EntryOptions::new(weight, Times::FOREVER, tags), 0, &mut removed);
                return;
            }
            let now = self.clock.now();
            let times = store.times(ttl, now, cost);
            store.insert(position, hash, pair, EntryOptions::new(weight, times, tags), now, &mut removed);
        })?;
        drop(removed);
        Ok(())
    }

    /// Calls `act` under the lock with the position of a key's entry, if there is one. The result of `act` outlives the
    /// lock, so an entry that leaves the cache must be returned in it.
    #[inline]
    pub(super) fn with_entry<R>(
        &self,
        key: &Bound<'_, PyAny>,
        act: impl FnOnce(&mut Objects, u64, Option<Position>) -> R,
    ) -> PyResult<R> {
        match self.locate(key)? {
            (hash, Some((mut store, position))) => Ok(act(&mut store, hash, position)),
            (hash, None) => self.with_entry_by_eq(hash, key, act),
        }
    }

    /// Returns the spread hash of a key, and the locked store with the position of the key's entry. Returns no lock
    /// where a key with this hash can only be compared by Python.
    #[inline(always)]
    fn locate(&self, key: &Bound<'_, PyAny>) -> PyResult<(u64, Option<Located<'_>>)> {
        #[expect(clippy::cast_sign_loss, reason = "a hash is bits")]
        let hash = key.hash()? as u64;
        let store = self.store.lock();
        let hash = store.spread(hash);
        let mut doubtful = false;
        let position = store.position(hash, |other| match keys::equal(other.bind(key.py()), key) {
            Some(same) => same,
            None => {
                doubtful = true;
                false
            }
        });
        let known = !doubtful || position.is_some();
        Ok((hash, known.then_some((store, position))))
    }

    #[cold]
    fn with_entry_by_eq<R>(
        &self,
        hash: u64,
        key: &Bound<'_, PyAny>,
        act: impl FnOnce(&mut Objects, u64, Option<Position>) -> R,
    ) -> PyResult<R> {
        Python::attach(|_| {
            let mut compared = Vec::new();
            let (mut store, position) = self.find_by_eq(hash, key, &mut compared)?;
            let result = act(&mut store, hash, position);
            drop(store); // before the keys that were compared
            Ok(result)
        })
    }

    /// Finds candidates, releases the lock, compares them in Python, and searches again. Leaves all keys that were
    /// referenced meanwhile in `compared`, which the caller drops after the lock is released.
    #[cold]
    fn find_by_eq(&self, hash: u64, key: &Bound<'_, PyAny>, compared: &mut Vec<Object>) -> PyResult<Located<'_>> {
        let py = key.py();
        let mut same: Option<usize> = None; // index in `compared`
        for _ in 0..MOST_RESTARTS {
            let store = self.store.lock();
            let mut candidates = Vec::new();
            let position = store.position(hash, |other| {
                if let Some(known) = compared.iter().position(|known| known.is(other)) {
                    return same == Some(known);
                }
                keys::equal(other.bind(py), key).unwrap_or_else(|| {
                    candidates.push(other.clone_ref(py));
                    false
                })
            });
            if position.is_some() || candidates.is_empty() {
                compared.append(&mut candidates);
                return Ok((store, position));
            }
            drop(store);
            for candidate in candidates {
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

    /// Returns the weight of an entry; calls Python.
    fn weight(&self, py: Python<'_>, key: &Bound<'_, PyAny>, value: &Object) -> PyResult<u64> {
        if let Some(weigh) = &self.weigh {
            let weight = weigh.bind(py).call1((key, value))?;
            return weight.extract().map_err(|_| {
                PyValueError::new_err(format!("weigh must give a number of bytes from 0 up, not {weight:?}"))
            });
        }
        if !self.weighs_by_size {
            return Ok(0);
        }
        static SIZE: PyOnceLock<Object> = PyOnceLock::new();
        let size = SIZE.import(py, "sys", "getsizeof")?;
        Ok(size.call1((key,))?.extract::<u64>()?.saturating_add(size.call1((value,))?.extract()?))
    }

    /// Removes a key and returns its value, unless the value had expired.
    pub(super) fn take(&self, key: &Bound<'_, PyAny>) -> PyResult<Option<Object>> {
        let (good, pair) = self.with_entry(key, |store, _, position| match position {
            Some(position) => {
                let good = store.peek(position, || self.clock.now()).is_some();
                (good, store.remove(position))
            }
            None => (false, None),
        })?;
        Ok(pair.filter(|_| good).map(|(_, value)| value))
    }

    /// Returns all keys, expired ones included.
    pub(super) fn snapshot_all(&self, py: Python<'_>) -> Vec<Object> {
        self.store.lock().all().map(|(key, _)| key.clone_ref(py)).collect()
    }

    /// Returns `of` each good entry.
    pub(super) fn snapshot<T>(&self, mut of: impl FnMut(&Object, &Object) -> T) -> Vec<T> {
        let now = self.clock.now();
        self.store.lock().iter(now).map(|(key, value)| of(key, value)).collect()
    }
}
