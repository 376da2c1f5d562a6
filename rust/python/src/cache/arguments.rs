//! Arguments of a cache, checked and converted.

use corten_core::cache::{Eviction, Lifetime, MOST_TAGS};
use corten_core::clock::{Nanos, nanos_from_seconds};
use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// Converts a time to live to nanoseconds; infinity means that the entry never expires.
pub(super) fn ttl_of(seconds: f64) -> PyResult<Nanos> {
    if seconds > 0.0 {
        return Ok(nanos_from_seconds(seconds).max(1));
    }
    Err(PyValueError::new_err(format!("ttl must be more than zero seconds, not {seconds}")))
}

/// Returns a `KeyError` with the key in a tuple, or a key that is a tuple would become the arguments of the error.
pub(super) fn missing(key: &Bound<'_, PyAny>) -> PyErr {
    PyKeyError::new_err((key.clone().unbind(),))
}

/// Converts seconds from 0 up to nanoseconds, for the field of this name.
pub(super) fn nanos_of(name: &str, seconds: f64) -> PyResult<Nanos> {
    if seconds >= 0.0 {
        return Ok(nanos_from_seconds(seconds));
    }
    Err(PyValueError::new_err(format!("{name} must be zero seconds or more, not {seconds}")))
}

pub(super) fn caps_of(max_entries: i64, max_bytes: Option<i64>) -> PyResult<(usize, Option<u64>)> {
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

pub(super) fn lifetime_of(ttl: Option<f64>, jitter: f64, stale: f64, early_refresh: f64) -> PyResult<Lifetime> {
    if !(0.0..=1.0).contains(&jitter) {
        return Err(PyValueError::new_err(format!("jitter must be from 0 to 1, not {jitter}")));
    }
    if !(early_refresh >= 0.0 && early_refresh.is_finite()) {
        return Err(PyValueError::new_err(format!("early_refresh must be a number from 0 up, not {early_refresh}")));
    }
    let ttl = ttl.map(ttl_of).transpose()?;
    Ok(Lifetime { ttl, jitter, stale: nanos_of("stale", stale)?, eagerness: early_refresh })
}

pub(super) fn tags_of(tags: Vec<String>) -> PyResult<Vec<Box<str>>> {
    if tags.len() > MOST_TAGS {
        let message = format!("an entry can have {MOST_TAGS} tags, not {}", tags.len());
        return Err(PyValueError::new_err(message));
    }
    Ok(tags.into_iter().map(String::into_boxed_str).collect())
}

/// Returns the text of a key for patterns: its `str()`, for a tuple those of its parts with colons between them.
pub(super) fn text_of(key: &Bound<'_, PyAny>) -> PyResult<String> {
    match key.cast_exact::<PyTuple>() {
        Ok(parts) => {
            let texts: PyResult<Vec<String>> =
                parts.iter().map(|part| Ok(part.str()?.to_string_lossy().into_owned())).collect();
            Ok(texts?.join(":"))
        }
        Err(_) => Ok(key.str()?.to_string_lossy().into_owned()),
    }
}

pub(super) fn eviction_of(name: &str) -> PyResult<Eviction> {
    match name {
        "s3fifo" => Ok(Eviction::S3Fifo),
        "lru" => Ok(Eviction::Lru),
        _ => Err(PyValueError::new_err(format!("eviction must be \"s3fifo\" or \"lru\", not {name:?}"))),
    }
}
