//! The atomics and the lock of a bulkhead: loom's own where every interleaving is tried.

#[cfg(not(loom))]
pub(super) use parking_lot::Mutex;
#[cfg(not(loom))]
pub(super) use std::sync::atomic::{AtomicU32, AtomicU64};

#[cfg(loom)]
pub(super) use loom::sync::atomic::{AtomicU32, AtomicU64};
#[cfg(loom)]
pub(super) use modelled::Mutex;

#[cfg(loom)]
mod modelled {
    use std::sync::PoisonError;

    /// loom's lock with the face of parking_lot's.
    #[derive(Debug)]
    pub(in crate::bulkhead) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(in crate::bulkhead) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(in crate::bulkhead) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }
}
