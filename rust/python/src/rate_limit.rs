//! Binding of [`corten_core::rate_limit`].

use std::hash::{BuildHasher, RandomState};

use corten_core::clock::{AnyClock, Clock as _, nanos_from_seconds, seconds_from_nanos};
use corten_core::rate_limit::{
    Algorithm, AnyLimiter, Claim, DEFAULT_CAPACITY, Decision, LimitError, Rate, Reservation, Statistics,
    UnknownAlgorithm,
};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyInt, PyString, PyType};

use crate::clock::clock_of;

/// Tokens a second of a text such as "100/s", "5/min", "0.5/s".
#[pyfunction]
pub(crate) fn parse_rate(text: &str) -> PyResult<f64> {
    Ok(rate_of_text(text)?.as_per_second())
}

fn rate_of_text(text: &str) -> PyResult<Rate> {
    text.parse().map_err(|error: corten_core::rate_limit::RateError| PyValueError::new_err(error.to_string()))
}

fn rate_of(rate: &Bound<'_, PyAny>) -> PyResult<Rate> {
    if let Ok(text) = rate.cast::<PyString>() {
        return rate_of_text(text.to_str()?);
    }
    let number: f64 = rate.extract().map_err(|_| {
        let kind = rate.get_type();
        PyTypeError::new_err(format!("a rate is a text such as \"100/s\" or a number a second, not {kind}"))
    })?;
    Rate::per_second(number).map_err(|error| PyValueError::new_err(error.to_string()))
}

fn burst_of(burst: Option<i64>) -> PyResult<Option<u64>> {
    match burst.map(u64::try_from) {
        None => Ok(None),
        Some(Ok(burst)) if burst > 0 => Ok(Some(burst)),
        Some(_) => Err(PyValueError::new_err(format!("burst must be at least 1, not {}", burst.unwrap_or_default()))),
    }
}

fn made(algorithm: &str, rate: &Bound<'_, PyAny>, burst: Option<i64>, capacity: Option<usize>) -> PyResult<AnyLimiter> {
    let wrong = |error: UnknownAlgorithm| PyValueError::new_err(error.to_string());
    let algorithm: Algorithm = algorithm.parse().map_err(wrong)?;
    AnyLimiter::new(algorithm, rate_of(rate)?, burst_of(burst)?, capacity).map_err(no_limit)
}

#[expect(clippy::needless_pass_by_value, reason = "what map_err hands on")]
fn no_limit(error: LimitError) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// Returns zero for admitted, else the seconds to wait.
#[inline]
fn seconds_of(decision: Decision, n: u64, limiter: &AnyLimiter) -> PyResult<f64> {
    match decision {
        Decision::Admitted => Ok(0.0),
        Decision::Wait(nanos) => Ok(seconds_from_nanos(nanos)),
        Decision::TooMany => Err(too_many(n, limiter)),
    }
}

/// Returns whether the tokens were taken, the seconds to wait, and the claim to cancel.
fn reserved(reservation: Reservation, n: u64, limiter: &AnyLimiter) -> PyResult<(bool, f64, Claim)> {
    match reservation {
        Reservation::Granted => Ok((true, 0.0, 0)),
        Reservation::Later(wait, claim) => Ok((true, seconds_from_nanos(wait), claim)),
        Reservation::Refused(wait) => Ok((false, seconds_from_nanos(wait), 0)),
        Reservation::TooMany => Err(too_many(n, limiter)),
    }
}

#[cold]
fn too_many(n: u64, limiter: &AnyLimiter) -> PyErr {
    let most = limiter.get().burst();
    PyValueError::new_err(format!(
        "asked for {n} tokens of a limit that holds {most}: ask for fewer, or make the limit larger"
    ))
}

fn statistics_of(py: Python<'_>, counts: Statistics) -> PyResult<Bound<'_, PyAny>> {
    static TYPE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let fields =
        (counts.admitted, counts.refused, counts.evictions, counts.live, counts.capacity, counts.bytes, counts.waited);
    TYPE.import(py, "corten.rate_limit.statistics", "RateLimitStatistics")?.call1(fields)
}

/// One limit for all calls, by any of the algorithms.
#[pyclass(frozen, subclass, module = "corten._core")]
pub(crate) struct Limiter {
    pub(crate) inner: AnyLimiter,
    clock: AnyClock,
}

#[pymethods]
impl Limiter {
    #[new]
    #[pyo3(signature = (algorithm, rate, burst=None, clock=None))]
    fn new(
        algorithm: &str,
        rate: &Bound<'_, PyAny>,
        burst: Option<i64>,
        clock: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        Ok(Self { inner: made(algorithm, rate, burst, None)?, clock: clock_of(clock)? })
    }

    #[pyo3(signature = (n=1))]
    fn try_acquire(&self, n: u64) -> PyResult<f64> {
        seconds_of(self.inner.reserve(0, n, 0, self.clock.now()).into(), n, &self.inner)
    }

    #[pyo3(signature = (n=1, max_wait=f64::INFINITY))]
    fn reserve(&self, n: u64, max_wait: f64) -> PyResult<(bool, f64, Claim)> {
        reserved(self.inner.reserve(0, n, nanos_from_seconds(max_wait), self.clock.now()), n, &self.inner)
    }

    #[pyo3(signature = (claim, n=1))]
    fn cancel(&self, claim: Claim, n: u64) {
        self.inner.get().cancel(0, claim, n);
    }

    #[pyo3(signature = (n=1))]
    fn estimate(&self, n: u64) -> PyResult<f64> {
        seconds_of(self.inner.get().estimate(0, n, self.clock.now()), n, &self.inner)
    }

    fn tokens(&self) -> f64 {
        self.inner.get().tokens(0, self.clock.now())
    }

    #[pyo3(signature = (n=1))]
    fn add_tokens(&self, n: u64) {
        self.inner.get().add_tokens(0, n, self.clock.now());
    }

    #[pyo3(signature = (rate, burst=None))]
    fn replace(&self, rate: &Bound<'_, PyAny>, burst: Option<i64>) -> PyResult<()> {
        self.inner.get().replace(rate_of(rate)?, burst_of(burst)?, self.clock.now()).map_err(no_limit)
    }

    #[getter]
    fn rate(&self) -> f64 {
        self.inner.get().per_second()
    }

    #[getter]
    fn burst(&self) -> u64 {
        self.inner.get().burst()
    }

    fn statistics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        statistics_of(py, self.inner.get().statistics(self.clock.now(), true))
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let this = slf.get();
        let (name, limiter) = (slf.get_type().name()?, this.inner.get());
        let tokens = this.tokens();
        Ok(format!("<{name} {}/s, burst {}, {tokens:.1} tokens>", limiter.per_second(), limiter.burst()))
    }
}

/// A limit for each key, in bounded memory, by any of the algorithms.
#[pyclass(frozen, subclass, module = "corten._core")]
pub(crate) struct KeyedLimiter {
    pub(crate) inner: AnyLimiter,
    hasher: RandomState,
    clock: AnyClock,
}

impl KeyedLimiter {
    /// Returns the core's hash of a key. Python's hash of text and bytes is keyed, its hash of a number is the number:
    /// hashed again with the limiter's seed, neither can be chosen to collide. Integers are hashed whole, as Python's
    /// hash takes them modulo 2⁶¹−1.
    #[inline]
    pub(crate) fn hash(&self, key: &Bound<'_, PyAny>) -> PyResult<u64> {
        // A hash of zero is an empty slot.
        if key.is_exact_instance_of::<PyInt>()
            && let Ok(number) = key.extract::<i64>()
        {
            return Ok(self.hasher.hash_one(number).max(1));
        }
        let hash = key.hash().inspect_err(|error| note_key_type(error, key))? as i64;
        // Python hashes text and its bytes alike.
        let bytes = key.is_exact_instance_of::<PyBytes>();
        Ok(if bytes { self.hasher.hash_one((hash, 0_u8)) } else { self.hasher.hash_one(hash) }.max(1))
    }
}

/// Adds the type of the key to an error of hashing.
#[cold]
fn note_key_type(error: &PyErr, key: &Bound<'_, PyAny>) {
    let kind = key.get_type().qualname().map_or_else(|_| String::from("thing"), |name| name.to_string());
    let note = format!("rate_limit: the key is a {kind}; it must be hashable: a number, text, or a tuple of those");
    // If the note fails too, the error itself is enough.
    error.value(key.py()).call_method1("add_note", (note,)).ok();
}

#[pymethods]
impl KeyedLimiter {
    #[new]
    #[pyo3(signature = (algorithm, rate, burst=None, capacity=DEFAULT_CAPACITY, clock=None))]
    fn new(
        algorithm: &str,
        rate: &Bound<'_, PyAny>,
        burst: Option<i64>,
        capacity: usize,
        clock: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        if !(1..=1 << 32).contains(&capacity) {
            return Err(PyValueError::new_err(format!("capacity is a number of keys from 1 to 2**32, not {capacity}")));
        }
        let inner = made(algorithm, rate, burst, Some(capacity))?;
        let hasher = inner.get().hasher().cloned().unwrap_or_default();
        Ok(Self { inner, hasher, clock: clock_of(clock)? })
    }

    #[pyo3(signature = (key, n=1))]
    fn try_acquire(&self, key: &Bound<'_, PyAny>, n: u64) -> PyResult<f64> {
        let hash = self.hash(key)?;
        seconds_of(self.inner.reserve(hash, n, 0, self.clock.now()).into(), n, &self.inner)
    }

    #[pyo3(signature = (key, n=1, max_wait=f64::INFINITY))]
    fn reserve(&self, key: &Bound<'_, PyAny>, n: u64, max_wait: f64) -> PyResult<(bool, f64, Claim)> {
        let hash = self.hash(key)?;
        reserved(self.inner.reserve(hash, n, nanos_from_seconds(max_wait), self.clock.now()), n, &self.inner)
    }

    #[pyo3(signature = (key, claim, n=1))]
    fn cancel(&self, key: &Bound<'_, PyAny>, claim: Claim, n: u64) -> PyResult<()> {
        self.inner.get().cancel(self.hash(key)?, claim, n);
        Ok(())
    }

    #[pyo3(signature = (key, n=1))]
    fn estimate(&self, key: &Bound<'_, PyAny>, n: u64) -> PyResult<f64> {
        seconds_of(self.inner.get().estimate(self.hash(key)?, n, self.clock.now()), n, &self.inner)
    }

    fn tokens(&self, key: &Bound<'_, PyAny>) -> PyResult<f64> {
        Ok(self.inner.get().tokens(self.hash(key)?, self.clock.now()))
    }

    #[pyo3(signature = (key, n=1))]
    fn add_tokens(&self, key: &Bound<'_, PyAny>, n: u64) -> PyResult<()> {
        self.inner.get().add_tokens(self.hash(key)?, n, self.clock.now());
        Ok(())
    }

    #[pyo3(signature = (rate, burst=None))]
    fn replace(&self, rate: &Bound<'_, PyAny>, burst: Option<i64>) -> PyResult<()> {
        self.inner.get().replace(rate_of(rate)?, burst_of(burst)?, self.clock.now()).map_err(no_limit)
    }

    #[getter]
    fn rate(&self) -> f64 {
        self.inner.get().per_second()
    }

    #[getter]
    fn capacity(&self) -> usize {
        self.inner.get().capacity()
    }

    #[getter]
    fn burst(&self) -> u64 {
        self.inner.get().burst()
    }

    #[pyo3(signature = (thorough=true))]
    fn statistics<'py>(&self, py: Python<'py>, thorough: bool) -> PyResult<Bound<'py, PyAny>> {
        statistics_of(py, self.inner.get().statistics(self.clock.now(), thorough))
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let this = slf.get();
        let (name, limiter) = (slf.get_type().name()?, this.inner.get());
        let capacity = limiter.capacity();
        Ok(format!("<{name} {}/s, burst {}, for {capacity} keys>", limiter.per_second(), limiter.burst()))
    }
}
