//! Binding of [`corten_core::rate_limit`].

use std::sync::Arc;

use corten_core::clock::{AnyClock, Clock as _, seconds_from_nanos};
use corten_core::rate_limit::{
    DEFAULT_CAPACITY, Decision, KeyedTokenBucket as Keyed, Limit, Rate, TokenBucket as Plain,
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

fn limit_of(rate: &Bound<'_, PyAny>, burst: Option<i64>) -> PyResult<Limit> {
    let rate = if let Ok(text) = rate.cast::<PyString>() {
        rate_of_text(text.to_str()?)?
    } else {
        let number: f64 = rate.extract().map_err(|_| {
            let kind = rate.get_type();
            PyTypeError::new_err(format!("a rate is a text such as \"100/s\" or a number a second, not {kind}"))
        })?;
        Rate::per_second(number).map_err(|error| PyValueError::new_err(error.to_string()))?
    };
    match burst.map(u64::try_from) {
        None => Ok(Limit::new(rate, rate.default_burst())),
        Some(Ok(burst)) if burst > 0 => Ok(Limit::new(rate, burst)),
        Some(_) => Err(PyValueError::new_err(format!("burst must be at least 1, not {}", burst.unwrap_or_default()))),
    }
}

/// Zero for yes, else the seconds until it may be yes.
#[inline]
fn seconds_of(decision: Decision, n: u64, limit: impl FnOnce() -> Limit) -> PyResult<f64> {
    match decision {
        Decision::Admitted => Ok(0.0),
        Decision::Wait(nanos) => Ok(seconds_from_nanos(nanos)),
        Decision::TooMany => Err(PyValueError::new_err(format!(
            "asked for {n} tokens of a bucket that holds {}: ask for fewer, or make burst larger",
            limit().burst()
        ))),
    }
}

fn statistics_type(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static TYPE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    TYPE.import(py, "corten.policies.rate_limit", "RateLimitStatistics")
}

/// One token bucket for all calls.
#[pyclass(frozen, module = "corten._core")]
pub(crate) struct TokenBucket {
    pub(crate) inner: Arc<Plain>,
    clock: AnyClock,
}

#[pymethods]
impl TokenBucket {
    #[new]
    #[pyo3(signature = (rate, burst=None, clock=None))]
    fn new(rate: &Bound<'_, PyAny>, burst: Option<i64>, clock: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        Ok(Self { inner: Arc::new(Plain::new(limit_of(rate, burst)?)), clock: clock_of(clock)? })
    }

    #[pyo3(signature = (n=1))]
    fn try_acquire(&self, n: u64) -> PyResult<f64> {
        seconds_of(self.inner.try_acquire(n, self.clock.now()), n, || self.inner.limit())
    }

    #[pyo3(signature = (n=1))]
    fn estimate(&self, n: u64) -> PyResult<f64> {
        seconds_of(self.inner.estimate(n, self.clock.now()), n, || self.inner.limit())
    }

    fn tokens(&self) -> f64 {
        self.inner.tokens(self.clock.now())
    }

    #[pyo3(signature = (n=1))]
    fn add_tokens(&self, n: u64) {
        self.inner.add_tokens(n);
    }

    #[pyo3(signature = (rate, burst=None))]
    fn replace(&self, rate: &Bound<'_, PyAny>, burst: Option<i64>) -> PyResult<()> {
        self.inner.replace(limit_of(rate, burst)?, self.clock.now());
        Ok(())
    }

    #[getter]
    fn rate(&self) -> f64 {
        self.inner.limit().per_second()
    }

    #[getter]
    fn burst(&self) -> u64 {
        self.inner.limit().burst()
    }

    fn statistics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let counts = self.inner.statistics();
        statistics_type(py)?.call1((counts.admitted, counts.refused))
    }

    fn __repr__(&self) -> String {
        let limit = self.inner.limit();
        format!("<TokenBucket {}/s, burst {}, {:.1} tokens>", limit.per_second(), limit.burst(), self.tokens())
    }
}

/// A token bucket for each key, in bounded memory.
#[pyclass(frozen, module = "corten._core")]
pub(crate) struct KeyedTokenBucket {
    pub(crate) inner: Arc<Keyed>,
    clock: AnyClock,
}

impl KeyedTokenBucket {
    /// The core's hash of a key. Python's own hash of text and bytes is keyed already, that of numbers is the number:
    /// hashed again with the bucket's seed neither can be chosen to collide. Numbers that Python folds (modulo 2⁶¹−1)
    /// are taken whole.
    #[inline]
    pub(crate) fn hash(&self, key: &Bound<'_, PyAny>) -> PyResult<u64> {
        if key.is_exact_instance_of::<PyInt>()
            && let Ok(number) = key.extract::<i64>()
        {
            return Ok(self.inner.hash(&number));
        }
        let hash = key.hash()? as i64;
        // Python hashes text and the bytes of it alike.
        Ok(if key.is_exact_instance_of::<PyBytes>() { self.inner.hash(&(hash, 0_u8)) } else { self.inner.hash(&hash) })
    }
}

#[pymethods]
impl KeyedTokenBucket {
    #[new]
    #[pyo3(signature = (rate, burst=None, capacity=DEFAULT_CAPACITY, clock=None))]
    fn new(
        rate: &Bound<'_, PyAny>,
        burst: Option<i64>,
        capacity: usize,
        clock: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        if !(1..=1 << 32).contains(&capacity) {
            return Err(PyValueError::new_err(format!("capacity is a number of keys from 1 to 2**32, not {capacity}")));
        }
        Ok(Self { inner: Arc::new(Keyed::new(limit_of(rate, burst)?, capacity)), clock: clock_of(clock)? })
    }

    #[pyo3(signature = (key, n=1))]
    fn try_acquire(&self, key: &Bound<'_, PyAny>, n: u64) -> PyResult<f64> {
        let hash = self.hash(key)?;
        seconds_of(self.inner.try_acquire(hash, n, self.clock.now()), n, || self.inner.limit())
    }

    #[pyo3(signature = (key, n=1))]
    fn estimate(&self, key: &Bound<'_, PyAny>, n: u64) -> PyResult<f64> {
        let hash = self.hash(key)?;
        seconds_of(self.inner.estimate(hash, n, self.clock.now()), n, || self.inner.limit())
    }

    fn tokens(&self, key: &Bound<'_, PyAny>) -> PyResult<f64> {
        Ok(self.inner.tokens(self.hash(key)?, self.clock.now()))
    }

    #[pyo3(signature = (key, n=1))]
    fn add_tokens(&self, key: &Bound<'_, PyAny>, n: u64) -> PyResult<()> {
        self.inner.add_tokens(self.hash(key)?, n);
        Ok(())
    }

    #[pyo3(signature = (rate, burst=None))]
    fn replace(&self, rate: &Bound<'_, PyAny>, burst: Option<i64>) -> PyResult<()> {
        self.inner.replace(limit_of(rate, burst)?, self.clock.now());
        Ok(())
    }

    #[getter]
    fn rate(&self) -> f64 {
        self.inner.limit().per_second()
    }

    #[getter]
    fn burst(&self) -> u64 {
        self.inner.limit().burst()
    }

    fn statistics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let counts = self.inner.statistics();
        let live = self.inner.live(self.clock.now());
        let fields = (counts.admitted, counts.refused, counts.evictions, live, counts.capacity, counts.bytes);
        statistics_type(py)?.call1(fields)
    }

    fn __repr__(&self) -> String {
        let limit = self.inner.limit();
        let capacity = self.inner.statistics().capacity;
        format!("<KeyedTokenBucket {}/s, burst {}, for {capacity} keys>", limit.per_second(), limit.burst())
    }
}
