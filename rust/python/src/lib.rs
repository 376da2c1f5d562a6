//! `corten._core`: the compiled extension. One file per class; all arithmetic is in `corten-core`.

mod clock;

use pyo3::prelude::*;

/// The compiled core of Corten. Private: the faces are in `corten`.
#[pymodule]
mod _core {
    #[pymodule_export]
    use crate::clock::Clock;
}
