//! Hedge: the delay after which another attempt begins.

mod latencies;

pub use latencies::{Latencies, Settings};
