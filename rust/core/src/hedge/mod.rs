//! Hedge: after how long a call is made once more beside the first.

mod latencies;

pub use latencies::{Latencies, Settings};
