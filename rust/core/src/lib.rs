//! The arithmetic and the state machines of Corten, without Python.
//!
//! Every room here has a binding of the same name in `rust/python/src` and a face of the same name in
//! `python/corten`. Nothing here reads a clock of its own: time is always the caller's [`clock::Clock`].
#![forbid(unsafe_code)]

pub mod adaptive_limit;
pub mod bulkhead;
pub mod cache;
pub mod chaos;
pub mod circuit_breaker;
pub mod clock;
pub mod hedge;
pub mod metrics;
pub mod pipeline;
mod random;
pub mod rate_limit;
pub mod retry;
pub mod timeout;
