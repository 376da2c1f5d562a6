//! Comparing keys without running Python code.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt, PyString, PyTuple};
use pyo3::{PyTypeInfo as _, ffi};

/// Compares two keys without calling `__eq__`: identical objects, exact `str`, `int` and `bytes`, and exact tuples of
/// these types. Returns none where only Python can compare.
#[inline]
pub(super) fn equal(one: &Bound<'_, PyAny>, other: &Bound<'_, PyAny>) -> Option<bool> {
    if one.is(other) {
        return Some(true);
    }
    let py = one.py();
    let text = PyString::type_object_raw(py);
    let (kind, other_kind) = (one.get_type_ptr(), other.get_type_ptr());
    if kind == text && other_kind == text {
        return Some(texts_equal(one, other));
    }
    let exact = [text, PyInt::type_object_raw(py), PyBytes::type_object_raw(py)];
    if exact.contains(&kind) && exact.contains(&other_kind) {
        // Text and its bytes have the same hash and are never equal; Python may warn when it compares them.
        return if kind == other_kind { one.eq(other).ok() } else { Some(false) };
    }
    if kind == other_kind { tuples_equal(one, other) } else { None }
}

/// Compares as `dict` does: equal texts have equal representations (PEP 393).
#[inline]
fn texts_equal(one: &Bound<'_, PyAny>, other: &Bound<'_, PyAny>) -> bool {
    let (one, other) = (one.as_ptr(), other.as_ptr());
    // SAFETY: both are exact `str` and alive, and were hashed, which makes their representation ready. The data has
    // one unit for each character, and the kind is the size of a unit.
    unsafe {
        let (length, kind) = (ffi::PyUnicode_GET_LENGTH(one), ffi::PyUnicode_KIND(one));
        if length != ffi::PyUnicode_GET_LENGTH(other) || kind != ffi::PyUnicode_KIND(other) {
            return false;
        }
        let size = length.unsigned_abs() * kind as usize;
        let bytes = |text| std::slice::from_raw_parts(ffi::PyUnicode_DATA(text).cast::<u8>(), size);
        bytes(one) == bytes(other)
    }
}

fn tuples_equal(one: &Bound<'_, PyAny>, other: &Bound<'_, PyAny>) -> Option<bool> {
    let (one, other) = (one.cast_exact::<PyTuple>().ok()?, other.cast_exact::<PyTuple>().ok()?);
    if one.len() != other.len() {
        return Some(false);
    }
    for (item, other_item) in one.iter_borrowed().zip(other.iter_borrowed()) {
        // Python compares tuples in tuples, which may be nested to any depth.
        if item.is_exact_instance_of::<PyTuple>() && !item.is(other_item) {
            return None;
        }
        if !equal(&item, &other_item)? {
            return Some(false);
        }
    }
    Some(true)
}
