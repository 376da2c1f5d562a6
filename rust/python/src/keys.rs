//! Comparing keys without running anybody's code.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt, PyString, PyTuple};
use pyo3::{PyTypeInfo as _, ffi};

/// Whether two keys are equal, as far as that can be told without calling `__eq__`: identical objects, exact `str`,
/// `int` and `bytes`, and exact tuples of those. None: only Python knows.
#[inline]
pub(crate) fn equal(one: &Bound<'_, PyAny>, other: &Bound<'_, PyAny>) -> Option<bool> {
    if one.is(other) {
        return Some(true);
    }
    let (kind, other_kind) = (one.get_type_ptr(), other.get_type_ptr());
    if kind != other_kind {
        return None;
    }
    let py = one.py();
    if kind == PyString::type_object_raw(py) {
        return texts_equal(one, other);
    }
    if kind == PyInt::type_object_raw(py) || kind == PyBytes::type_object_raw(py) {
        return one.eq(other).ok();
    }
    tuples_equal(one, other)
}

#[inline]
fn texts_equal(one: &Bound<'_, PyAny>, other: &Bound<'_, PyAny>) -> Option<bool> {
    // SAFETY: both are exact `str`, alive for the call; comparing those calls nobody.
    match unsafe { ffi::PyUnicode_Compare(one.as_ptr(), other.as_ptr()) } {
        0 => Some(true),
        -1 if PyErr::take(one.py()).is_some() => None,
        _ => Some(false),
    }
}

fn tuples_equal(one: &Bound<'_, PyAny>, other: &Bound<'_, PyAny>) -> Option<bool> {
    let (one, other) = (one.cast_exact::<PyTuple>().ok()?, other.cast_exact::<PyTuple>().ok()?);
    if one.len() != other.len() {
        return Some(false);
    }
    for (item, other_item) in one.iter_borrowed().zip(other.iter_borrowed()) {
        // Tuples in tuples are left to Python: they may be as deep as one likes.
        if item.is_exact_instance_of::<PyTuple>() && !item.is(other_item) {
            return None;
        }
        if !equal(&item, &other_item)? {
            return Some(false);
        }
    }
    Some(true)
}
