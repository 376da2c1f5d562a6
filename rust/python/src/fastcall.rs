//! Methods that read their arguments from CPython's vector, for calls of some nanoseconds.
//!
//! PyO3 gathers keyword arguments into a dictionary, which costs more than adding to a counter. Here they are
//! read where the interpreter left them (PEP 590). All `unsafe` for that is here; [`Method`] is safe to implement.

use std::ffi::CStr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::pyclass::boolean_struct::True;
use pyo3::types::{PyString, PyType};
use pyo3::{PyClass, PyTypeInfo};

/// A method that returns None.
pub(crate) trait Method: 'static {
    /// The class of the method.
    type Class: PyClass<Frozen = True> + Sync;
    /// The name of the method.
    const NAME: &'static CStr;
    /// Its signature, as the interpreter reads it: `name($self, …)\n--\n\n`.
    const SIGNATURE: &'static CStr;

    /// Runs the method.
    fn call(this: &Self::Class, arguments: &Arguments<'_, '_>) -> PyResult<()>;
}

/// A method of one positional argument that returns an object, called without a vector (`METH_O`).
///
/// PyO3 has not attached the thread by its own count: a `Py` dropped in `call` is released only later. Code that owns
/// a `Py` goes inside of `Python::attach`, which is for rare paths.
pub(crate) trait Unary: 'static {
    /// The class of the method.
    type Class: PyClass<Frozen = True> + Sync;
    /// The name of the method.
    const NAME: &'static CStr;
    /// Its signature, as the interpreter reads it, and its documentation: `name($self, argument, /)\n--\n\n…`.
    const DOC: &'static CStr;

    /// Runs the method.
    fn call<'py>(this: &Bound<'py, Self::Class>, argument: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>>;
}

/// A method without arguments that returns an object (`METH_NOARGS`).
pub(crate) trait Nullary: 'static {
    /// The class of the method.
    type Class: PyClass<Frozen = True> + Sync;
    /// The name of the method.
    const NAME: &'static CStr;
    /// Its signature and its documentation: `name($self)\n--\n\n…`.
    const DOC: &'static CStr;

    /// Runs the method.
    fn call<'py>(this: &Bound<'py, Self::Class>) -> PyResult<Bound<'py, PyAny>>;
}

/// The arguments of one call.
pub(crate) struct Arguments<'a, 'py> {
    py: Python<'py>,
    positional: &'a [*mut ffi::PyObject],
    values: &'a [*mut ffi::PyObject],
    /// The names of `values`: a tuple of exact strings of equal length; null if there are none.
    names: *mut ffi::PyObject,
}

impl<'a, 'py> Arguments<'a, 'py> {
    /// The interpreter's token.
    #[inline]
    pub(crate) fn py(&self) -> Python<'py> {
        self.py
    }

    /// The only positional argument, or None.
    #[inline]
    pub(crate) fn optional(&self, method: &CStr) -> PyResult<Option<Borrowed<'a, 'py, PyAny>>> {
        match self.positional {
            [] => Ok(None),
            // SAFETY: the interpreter holds a reference to each argument during the call
            [one] => Ok(Some(unsafe { Borrowed::from_ptr(self.py, *one) })),
            more => Err(PyTypeError::new_err(format!(
                "{}() takes one positional argument, not {}",
                method.to_string_lossy(),
                more.len()
            ))),
        }
    }

    /// The only positional argument.
    #[inline]
    pub(crate) fn required(&self, method: &CStr) -> PyResult<Borrowed<'a, 'py, PyAny>> {
        self.optional(method)?.ok_or_else(|| {
            let words = format!("{}() takes one positional argument", method.to_string_lossy());
            PyTypeError::new_err(words)
        })
    }

    /// Refuses keyword arguments.
    #[inline]
    pub(crate) fn no_keywords(&self, method: &CStr) -> PyResult<()> {
        if self.values.is_empty() {
            return Ok(());
        }
        Err(PyTypeError::new_err(format!("{}() takes no keyword arguments", method.to_string_lossy())))
    }

    /// The number of keyword arguments.
    #[inline]
    pub(crate) fn keywords(&self) -> usize {
        self.values.len()
    }

    /// The name of a keyword argument.
    #[inline]
    fn name(&self, index: usize) -> *mut ffi::PyObject {
        // SAFETY: `names` is a tuple of as many strings as there are values, and `index` is below that
        unsafe { ffi::PyTuple_GET_ITEM(self.names, index as isize) }
    }

    /// The keyword argument of this (interned) name, expected at `index`.
    #[inline]
    pub(crate) fn keyword(&self, index: usize, name: &Py<PyString>) -> Option<Borrowed<'a, 'py, PyAny>> {
        let place = if index < self.values.len() && ptr::eq(self.name(index), name.as_ptr()) {
            index
        } else {
            (0..self.values.len())
                .find(|place| ptr::eq(self.name(*place), name.as_ptr()))
                .or_else(|| self.place_of_equal(name))?
        };
        // SAFETY: as for the positional arguments
        Some(unsafe { Borrowed::from_ptr(self.py, self.values[place]) })
    }

    /// Finds a name made at run time (`**{name: value}`), which may not be interned.
    #[cold]
    fn place_of_equal(&self, name: &Py<PyString>) -> Option<usize> {
        let name = name.bind(self.py).to_str().ok()?;
        self.names().position(|given| given.to_str().is_ok_and(|given| given == name))
    }

    /// The names of all keyword arguments.
    pub(crate) fn names(&self) -> impl Iterator<Item = Borrowed<'a, 'py, PyString>> {
        // SAFETY: names of keyword arguments are strings, held by the caller's tuple during the call
        (0..self.values.len()).map(|index| unsafe { Borrowed::from_ptr(self.py, self.name(index)).cast_unchecked() })
    }
}

/// Adds the method to its class.
pub(crate) fn install<M: Method>(py: Python<'_>) -> PyResult<()> {
    let definition = ffi::PyMethodDef {
        ml_name: M::NAME.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: enter::<M> },
        ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
        ml_doc: M::SIGNATURE.as_ptr(),
    };
    add(&M::Class::type_object(py), M::NAME, definition)
}

/// Adds a method of one argument to its class.
pub(crate) fn install_unary<M: Unary>(py: Python<'_>) -> PyResult<()> {
    let definition = ffi::PyMethodDef {
        ml_name: M::NAME.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunction: enter_unary::<M> },
        ml_flags: ffi::METH_O,
        ml_doc: M::DOC.as_ptr(),
    };
    add(&M::Class::type_object(py), M::NAME, definition)
}

/// Adds a method without arguments to its class.
pub(crate) fn install_nullary<M: Nullary>(py: Python<'_>) -> PyResult<()> {
    let definition = ffi::PyMethodDef {
        ml_name: M::NAME.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunction: enter_nullary::<M> },
        ml_flags: ffi::METH_NOARGS,
        ml_doc: M::DOC.as_ptr(),
    };
    add(&M::Class::type_object(py), M::NAME, definition)
}

fn add(class: &Bound<'_, PyType>, name: &CStr, definition: ffi::PyMethodDef) -> PyResult<()> {
    let py = class.py();
    // The interpreter keeps a pointer to the definition as long as the class lives: until the process ends.
    let definition = Box::leak(Box::new(definition));
    // SAFETY: both are valid, and the result is a new reference or null with an error set
    let method = unsafe {
        let method = ffi::PyDescr_NewMethod(class.as_type_ptr(), ptr::from_mut(definition));
        Bound::from_owned_ptr_or_err(py, method)?
    };
    class.setattr(PyString::new(py, &name.to_string_lossy()), method)
}

/// The function that the interpreter calls.
unsafe extern "C" fn enter<M: Method>(
    this: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls a method attached to it
    let py = unsafe { Python::assume_attached() };
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let positional = count as usize;
        // SAFETY: `arguments` holds the positional ones and then as many as there are names; with no argument at all
        // it may be null, and no slice is made of it
        let (positional, values): (&[_], &[_]) = unsafe {
            let named = if names.is_null() { 0 } else { ffi::PyTuple_GET_SIZE(names) as usize };
            if positional + named == 0 {
                (&[], &[])
            } else {
                std::slice::from_raw_parts(arguments, positional + named).split_at(positional)
            }
        };
        // SAFETY: the method descriptor checks that `this` is an object of the class
        let this = unsafe { Borrowed::from_ptr(py, this).cast_unchecked::<M::Class>() };
        M::call(this.get(), &Arguments { py, positional, values, names })
    }));
    match outcome {
        Ok(Ok(())) => {
            // SAFETY: attached
            unsafe { ffi::Py_NewRef(ffi::Py_None()) }
        }
        Ok(Err(error)) => fail(error),
        Err(_) => fail(PyRuntimeError::new_err("the core panicked, which is a fault in corten")),
    }
}

/// The function that the interpreter calls for a method of one argument.
unsafe extern "C" fn enter_unary<M: Unary>(
    this: *mut ffi::PyObject,
    argument: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls a method attached to it
    let py = unsafe { Python::assume_attached() };
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the method descriptor checks that `this` is an object of the class; the interpreter holds a reference
        // to both during the call
        let (this, argument) =
            unsafe { (Borrowed::from_ptr(py, this).cast_unchecked::<M::Class>(), Borrowed::from_ptr(py, argument)) };
        M::call(&this, &argument)
    }));
    give(outcome)
}

/// The function that the interpreter calls for a method without arguments.
unsafe extern "C" fn enter_nullary<M: Nullary>(this: *mut ffi::PyObject, _: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls a method attached to it
    let py = unsafe { Python::assume_attached() };
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: as for a method of one argument
        let this = unsafe { Borrowed::from_ptr(py, this).cast_unchecked::<M::Class>() };
        M::call(&this)
    }));
    give(outcome)
}

#[inline(always)]
fn give(outcome: std::thread::Result<PyResult<Bound<'_, PyAny>>>) -> *mut ffi::PyObject {
    match outcome {
        Ok(Ok(result)) => result.into_ptr(),
        Ok(Err(error)) => fail(error),
        Err(_) => fail(PyRuntimeError::new_err("the core panicked, which is a fault in corten")),
    }
}

#[cold]
fn fail(error: PyErr) -> *mut ffi::PyObject {
    // PyO3 counts attachments, and drops references at once only inside of one
    Python::attach(|py| error.restore(py));
    ptr::null_mut()
}
