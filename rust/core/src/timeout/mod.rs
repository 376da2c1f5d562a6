//! Timeouts: many deadlines behind one timer of an event loop.

mod wheel;

pub use wheel::{Key, Wheel};
