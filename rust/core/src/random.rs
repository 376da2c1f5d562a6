//! Random numbers for jitter and chances: not for secrets.

/// What the state of a generator moves on by at each step.
pub(crate) const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The number from 0 to 1 that belongs to a state: SplitMix64 (Steele, Lea and Flood, 2014), whose state any thread can
/// step.
#[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
pub(crate) fn uniform(state: u64) -> f64 {
    let bits = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((bits ^ bits >> 31) >> 11) as f64 / (1_u64 << 53) as f64
}
