//! Binding of [`corten_core::cache`].
//!
//! Under the lock nothing of Python's runs: keys are compared there only as far as [`keys::equal`] can, and what leaves
//! the cache is dropped after the lock is gone, for `__eq__` and `__del__` may do anything, also use this cache.

use corten_core::cache::{
    Eviction, Lifetime, Lookup, MOST_TAGS, MemoryCache as Store, Position, Removed, Terms, Times,
};
use std::sync::atomic::{AtomicBool, Ordering};

use corten_core::clock::{AnyClock, Clock as _, Nanos, nanos_from_seconds};

use pyo3::PyTraverseError;
use pyo3::exceptions::{PyKeyError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyIterator, PyList, PyTuple, PyType};

use crate::clock::clock_of;
use crate::glob::glob_of;
use crate::keys;
use crate::spin::{Mutex, MutexGuard};

type Object = Py<PyAny>;
type Objects = Store<Object, Object>;
/// The store, locked, and where in it a key is.
type Placed<'a> = (MutexGuard<'a, Objects>, Option<Position>);

/// How often a lookup starts again because a key's `__eq__` changed the cache.
const PATIENCE: usize = 100;

/// A bounded in-process cache.
#[pyclass(frozen, generic, weakref, mapping, module = "corten._core")]
pub(crate) struct MemoryCache {
    store: Mutex<Objects>,
    clock: AnyClock,
    /// Whether the clock must be read to put something in.
    timed: AtomicBool,
    weigh: Option<Object>,
    /// Whether entries weigh something without ``weigh``.
    sized: bool,
    eviction: Eviction,
}

impl MemoryCache {
    /// The value of a key, counted as a hit or a miss; none also where the caller is to make it anew ahead of time, if
    /// that is asked for. `hit` is called under the lock. Raises what `__hash__` or `__eq__` of a key raise.
    #[inline]
    pub(crate) fn lookup<'py, const REFRESHING: bool>(
        &self,
        key: &Bound<'py, PyAny>,
        hit: impl FnOnce(),
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let (hash, placed) = self.place(key)?;
        let found = match placed {
            Some((mut store, position)) => self.answer::<REFRESHING>(key.py(), &mut store, position, hit),
            None => {
                self.ask_and(hash, key, |store, _, position| self.answer::<REFRESHING>(key.py(), store, position, hit))?
            }
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

    /// What there is at a position; as an error what is not to be given out, and may have to be dropped.
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

    /// Puts a value in for `ttl` nanoseconds; None: as the cache was made.
    #[inline]
    fn insert(
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
        // Filled in place: what is handed from function to function is copied each time.
        let mut removed = Removed::none();
        self.at(key, |store, hash, position| {
            let pair = (key.clone().unbind(), value);
            if !self.timed.load(Ordering::Relaxed) {
                store.insert(position, hash, pair, Terms::new(weight, Times::FOREVER, tags), 0, &mut removed);
                return;
            }
            let now = self.clock.now();
            let times = store.times(ttl, now, cost);
            store.insert(position, hash, pair, Terms::new(weight, times, tags), now, &mut removed);
        })?;
        drop(removed);
        Ok(())
    }

    /// Does something under the lock where a key is, or is not. What `act` gives back outlives the lock, so anything
    /// that leaves the cache belongs there.
    #[inline]
    fn at<R>(&self, key: &Bound<'_, PyAny>, act: impl FnOnce(&mut Objects, u64, Option<Position>) -> R) -> PyResult<R> {
        match self.place(key)? {
            (hash, Some((mut store, position))) => Ok(act(&mut store, hash, position)),
            (hash, None) => self.ask_and(hash, key, act),
        }
    }

    /// The (spread) hash of a key, and with the lock the position of its entry, if it has one. Without the lock where
    /// a key with that hash can only be compared by asking Python.
    #[inline(always)]
    fn place(&self, key: &Bound<'_, PyAny>) -> PyResult<(u64, Option<Placed<'_>>)> {
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
    fn ask_and<R>(
        &self,
        hash: u64,
        key: &Bound<'_, PyAny>,
        act: impl FnOnce(&mut Objects, u64, Option<Position>) -> R,
    ) -> PyResult<R> {
        Python::attach(|_| {
            let mut compared = Vec::new();
            let (mut store, position) = self.ask(hash, key, &mut compared)?;
            let result = act(&mut store, hash, position);
            drop(store); // before the keys that were compared
            Ok(result)
        })
    }

    /// Finds the candidates, leaves the lock, asks Python, comes back and looks again. All keys that were held on the
    /// way are left in `compared`, to be dropped when the lock is gone.
    #[cold]
    fn ask(&self, hash: u64, key: &Bound<'_, PyAny>, compared: &mut Vec<Object>) -> PyResult<Placed<'_>> {
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
        if !self.sized {
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

    fn snapshot_all(&self, py: Python<'_>) -> Vec<Object> {
        self.store.lock().all().map(|(key, _)| key.clone_ref(py)).collect()
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

/// Seconds from 0 up, for a field of that name.
fn nanos_of(name: &str, seconds: f64) -> PyResult<Nanos> {
    if seconds >= 0.0 {
        return Ok(nanos_from_seconds(seconds));
    }
    Err(PyValueError::new_err(format!("{name} must be zero seconds or more, not {seconds}")))
}

fn caps_of(max_entries: i64, max_bytes: Option<i64>) -> PyResult<(usize, Option<u64>)> {
    let entries = usize::try_from(max_entries).ok().filter(|n| (1..u32::MAX as usize).contains(n));
    let Some(entries) = entries else {
        let message = format!("max_entries must be from 1 to 2**32 - 2, not {max_entries}");
        return Err(PyValueError::new_err(message));
    };
    match max_bytes.map(u64::try_from) {
        None => Ok((entries, None)),
        Some(Ok(bytes)) if bytes > 0 => Ok((entries, Some(bytes))),
        Some(_) => Err(PyValueError::new_err("max_bytes must be at least 1, or None for no limit")),
    }
}

fn lifetime_of(ttl: Option<f64>, jitter: f64, stale: f64, early_refresh: f64) -> PyResult<Lifetime> {
    if !(0.0..=1.0).contains(&jitter) {
        return Err(PyValueError::new_err(format!("jitter must be from 0 to 1, not {jitter}")));
    }
    if !(early_refresh >= 0.0 && early_refresh.is_finite()) {
        return Err(PyValueError::new_err(format!("early_refresh must be a number from 0 up, not {early_refresh}")));
    }
    let ttl = ttl.map(ttl_of).transpose()?;
    Ok(Lifetime { ttl, jitter, stale: nanos_of("stale", stale)?, eagerness: early_refresh })
}

fn tags_of(tags: Vec<String>) -> PyResult<Vec<Box<str>>> {
    if tags.len() > MOST_TAGS {
        let message = format!("an entry can have {MOST_TAGS} tags, not {}", tags.len());
        return Err(PyValueError::new_err(message));
    }
    Ok(tags.into_iter().map(String::into_boxed_str).collect())
}

/// A key as patterns see it: its text, or those of a tuple's parts with colons between them.
fn text_of(key: &Bound<'_, PyAny>) -> PyResult<String> {
    match key.cast_exact::<PyTuple>() {
        Ok(parts) => {
            let texts: PyResult<Vec<String>> =
                parts.iter().map(|part| Ok(part.str()?.to_string_lossy().into_owned())).collect();
            Ok(texts?.join(":"))
        }
        Err(_) => Ok(key.str()?.to_string_lossy().into_owned()),
    }
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
            sized: bytes.is_some(),
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

    /// The value if it is better than nothing, with whether it is good.
    fn stale(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<Option<(Object, bool)>> {
        self.at(key, |store, _, position| {
            let found = store.stale(position?, self.clock.now());
            found.map(|(value, good)| (value.clone_ref(py), good))
        })
    }

    fn has_stale(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.at(key, |store, _, position| position.is_some_and(|position| store.has_stale(position, self.clock.now())))
    }

    fn tags(&self, key: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
        self.at(key, |store, _, position| {
            position.map_or_else(Vec::new, |position| store.tags_of(position).map(str::to_owned).collect())
        })
    }

    fn invalidate(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        let removed = self.at(key, |store, _, position| store.invalidate(position?))?;
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
        if bytes.is_some() && !self.sized && self.weigh.is_none() {
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
