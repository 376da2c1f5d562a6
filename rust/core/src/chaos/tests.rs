use std::thread;

use proptest::prelude::*;

use super::*;

const QUIET: Settings =
    Settings { error_rate: 0.0, errors: 1, result_rate: 0.0, latency_rate: 0.0, latency: 100, max_latency: 100 };

fn decisions(chaos: &Chaos, count: usize) -> Vec<Injection> {
    (0..count).map(|_| chaos.decide()).collect()
}

#[test]
fn nothing_happens_at_rate_zero_and_everything_at_rate_one() {
    let quiet = Chaos::new(QUIET, 1);
    assert!(
        decisions(&quiet, 1000).iter().all(|each| *each == Injection { latency: 0, instead: Instead::Nothing }),
        "nothing is asked for"
    );
    let loud = Chaos::new(Settings { error_rate: 1.0, latency_rate: 1.0, ..QUIET }, 1);
    assert!(
        decisions(&loud, 1000).iter().all(|each| *each == Injection { latency: 100, instead: Instead::Error(0) }),
        "all of it is asked for"
    );
    assert_eq!(loud.statistics(), Statistics { calls: 1000, delayed: 1000, errors: 1000, results: 0 });
}

#[test]
fn shares_come_out_as_asked_for() {
    let settings = Settings { error_rate: 0.05, errors: 4, result_rate: 0.2, latency_rate: 0.1, ..QUIET };
    let chaos = Chaos::new(settings, 7);
    let calls = 200_000;
    let mut each = [0_u32; 4];
    for injection in decisions(&chaos, calls) {
        if let Instead::Error(number) = injection.instead {
            each[number as usize] += 1;
        }
    }
    let seen = chaos.statistics();
    // Six standard deviations of a binomial: a seed that fails this is no seed of this generator.
    let near = |count: u64, rate: f64| {
        let expected = calls as f64 * rate;
        (count as f64 - expected).abs() < 6.0 * (expected * (1.0 - rate)).sqrt()
    };
    assert!(near(seen.errors, 0.05) && near(seen.results, 0.2) && near(seen.delayed, 0.1), "{seen:?}");
    assert!(each.iter().all(|count| near(u64::from(*count), 0.0125)), "{each:?}");
}

#[test]
fn threads_share_one_sequence() {
    let settings = Settings { error_rate: 0.3, result_rate: 0.3, latency_rate: 0.5, ..QUIET };
    let alone = Chaos::new(settings, 42);
    decisions(&alone, 4000);
    let shared = Chaos::new(settings, 42);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| decisions(&shared, 1000));
        }
    });
    assert_eq!(shared.statistics(), alone.statistics());
}

#[test]
fn other_settings_count_on() {
    let first = Chaos::new(Settings { error_rate: 1.0, ..QUIET }, 1);
    decisions(&first, 3);
    let second = Chaos::continued(QUIET, 1, &first);
    decisions(&second, 2);
    assert_eq!(second.statistics(), Statistics { calls: 5, errors: 3, ..Statistics::default() });
}

proptest! {
    #[test]
    fn a_seed_decides_the_same_each_time(
        seed: u64, error_rate in 0.0..0.5, result_rate in 0.0..0.5, latency_rate in 0.0..=1.0,
        latency in 1_u64..1000, spread in 0_u64..1000, errors in 1_u32..5,
    ) {
        let settings =
            Settings { error_rate, errors, result_rate, latency_rate, latency, max_latency: latency + spread };
        let (one, other) = (Chaos::new(settings, seed), Chaos::new(settings, seed));
        let found = decisions(&one, 200);
        prop_assert_eq!(&found, &decisions(&other, 200));
        let mut naive = Statistics { calls: 200, ..Statistics::default() };
        for each in found {
            prop_assert!(each.latency == 0 || (latency..=latency + spread).contains(&each.latency));
            naive.delayed += u64::from(each.latency > 0);
            match each.instead {
                Instead::Nothing => {}
                Instead::Error(number) => {
                    prop_assert!(number < errors);
                    naive.errors += 1;
                }
                Instead::Result => naive.results += 1,
            }
        }
        prop_assert_eq!(one.statistics(), naive);
    }

    #[test]
    fn one_rate_does_not_shift_what_another_does(seed: u64, error_rate in 0.0..=1.0, latency_rate in 0.0..=1.0) {
        let plain = Chaos::new(Settings { error_rate, ..QUIET }, seed);
        let late = Chaos::new(Settings { error_rate, latency_rate, ..QUIET }, seed);
        for _ in 0..100 {
            prop_assert_eq!(plain.decide().instead, late.decide().instead);
        }
    }
}
