use proptest::prelude::*;

use super::*;

fn retry(backoffs: Backoffs) -> Retry {
    Retry::new(Settings { max_attempts: 4, backoffs, max_backoff: 500, max_time: None }, 0)
}

fn growing(jitter: f64) -> Backoffs {
    Backoffs::Growing { initial: 100, multiplier: 3.0, jitter }
}

fn after(attempt: u32) -> Failed {
    Failed { attempt, ..Failed::default() }
}

#[test]
fn waits_grow_up_to_the_cap_and_end_with_the_attempts() {
    let retry = retry(growing(0.0));
    let waits: Vec<_> = (1..=4).map(|attempt| retry.delay(after(attempt))).collect();
    assert_eq!(waits, [Some(100), Some(300), Some(500), None]);
}

#[test]
fn listed_waits_come_in_their_order_and_the_last_one_stays() {
    let retry = retry(Backoffs::Listed { backoffs: Box::new([70, 9_000]), jitter: 0.0 });
    let waits: Vec<_> = (1..=4).map(|attempt| retry.delay(after(attempt))).collect();
    assert_eq!(waits, [Some(70), Some(500), Some(500), None]);
    let none = super::tests::retry(Backoffs::Listed { backoffs: Box::new([]), jitter: 1.0 });
    assert_eq!(none.delay(after(3)), Some(0));
}

#[test]
fn a_retry_after_is_waited_for_up_to_the_cap() {
    let retry = retry(growing(0.0));
    assert_eq!(retry.delay(Failed { retry_after: Some(400), ..after(1) }), Some(400));
    assert_eq!(retry.delay(Failed { retry_after: Some(501), ..after(1) }), None);
}

#[test]
fn no_attempt_begins_after_the_time_is_over() {
    let settings = Settings { max_attempts: 4, backoffs: growing(0.0), max_backoff: 500, max_time: Some(150) };
    let retry = Retry::new(settings, 0);
    assert_eq!(retry.delay(Failed { elapsed: 50, ..after(1) }), Some(100));
    assert_eq!(retry.delay(Failed { elapsed: 51, ..after(1) }), None);
    assert_eq!(retry.delay(Failed { time_left: Some(100), ..after(1) }), None);
}

#[test]
fn no_wait_at_all_stays_none_after_any_number_of_attempts() {
    let backoffs = Backoffs::Growing { initial: 0, multiplier: 2.0, jitter: 0.0 };
    let retry = Retry::new(Settings { max_attempts: u32::MAX, backoffs, max_backoff: 500, max_time: None }, 0);
    assert_eq!([1, 1_025, 100_000].map(|attempt| retry.delay(after(attempt))), [Some(0); 3]);
}

proptest! {
    #[test]
    fn jitter_stays_within_its_part(seed: u64, jitter in 0.0..=1.0, attempt in 1_u32..4, listed: bool) {
        let full = [100.0, 300.0, 500.0][attempt as usize - 1];
        let backoffs = if listed {
            Backoffs::Listed { backoffs: Box::new([100, 300, 501]), jitter }
        } else {
            growing(jitter)
        };
        let settings = Settings { max_attempts: 4, backoffs, max_backoff: 500, max_time: None };
        let wait = Retry::new(settings, seed).delay(after(attempt)).unwrap() as f64;
        prop_assert!(wait <= full && wait >= (full * (1.0 - jitter)).floor());
    }

    /// As the loop of the article: `sleep = min(cap, random_between(base, sleep * 3))`.
    #[test]
    fn decorrelated_waits_follow_from_the_one_before(seed: u64, wait in 0_u64..700, attempts in 1_u32..20) {
        let settings =
            Settings { max_attempts: u32::MAX, backoffs: Backoffs::Decorrelated { initial: wait }, max_backoff: 500, max_time: None };
        let retry = Retry::new(settings, seed);
        let mut sleep = wait;
        for attempt in 1..=attempts {
            let waited = if attempt == 1 { 0 } else { sleep };
            let next = retry.delay(Failed { waited, ..after(attempt) }).unwrap();
            prop_assert!(next >= wait.min(500) && next <= (sleep * 3).min(500), "{next} after {sleep}");
            sleep = next;
        }
    }

    #[test]
    fn numbers_of_any_size_make_no_wait_beyond_the_cap(
        attempt: u32, waited: u64, wait: u64, backoff in 1.0..1e300, max_wait: u64, seed: u64,
    ) {
        for backoffs in [
            Backoffs::Growing { initial: wait, multiplier: backoff, jitter: 1.0 },
            Backoffs::Listed { backoffs: Box::new([wait]), jitter: 1.0 },
            Backoffs::Decorrelated { initial: wait },
        ] {
            let settings = Settings { max_attempts: u32::MAX, backoffs, max_backoff: max_wait, max_time: None };
            let delay = Retry::new(settings, seed).delay(Failed { attempt, waited, ..Failed::default() });
            prop_assert!(delay.is_none_or(|delay| delay <= max_wait));
        }
    }
}
