use super::*;
use crate::kpi::{Comparison, KPIS, Kpi, Target, named};
use crate::plan::Plan;
use proptest::prelude::*;
use rust_decimal::Decimal;

const MINUTE: i64 = 60_000_000;

fn rule(fire_after: i64, clear_after: i64) -> Rule {
    Rule {
        comparison: Comparison::Above,
        fire: 100.into(),
        fire_on_equal: false,
        clear: 80.into(),
        fire_after: fire_after * MINUTE,
        clear_after: clear_after * MINUTE,
        min_samples: 10,
    }
}

fn seen(value: i64) -> Observation {
    Observation { value: Some(value.into()), samples: 10 }
}

/// Looks once a minute; the states, and when listeners were told.
fn look(rule: &Rule, values: &[Observation]) -> (Vec<Phase>, Vec<Phase>) {
    let mut state = State::new(0);
    let (mut phases, mut told) = (Vec::new(), Vec::new());
    for (minute, value) in values.iter().enumerate() {
        state = step(&state, rule, value, minute as i64 * MINUTE);
        let (next, tell) = announce(&state, false);
        state = next;
        phases.push(state.phase);
        if tell {
            told.push(state.phase);
        }
    }
    (phases, told)
}

#[test]
fn it_waits_fires_waits_and_clears() {
    use Phase::{Firing, Ok, Pending, Resolved};
    let values = [50, 101, 101, 101, 90, 70, 70, 90, 70, 70, 70, 50].map(seen);
    let (phases, told) = look(&rule(2, 2), &values);
    let expected =
        [Ok, Pending, Pending, Firing, Firing, Firing, Firing, Firing, Firing, Firing, Resolved, Resolved];
    assert_eq!(phases, expected);
    assert_eq!(told, [Firing, Resolved]);
}

#[test]
fn an_oscillating_value_neither_fires_nor_clears() {
    let flapping: Vec<_> = (0..100).map(|n| seen(if n % 2 == 0 { 150 } else { 50 })).collect();
    let (_, told) = look(&rule(3, 3), &flapping);
    assert_eq!(told, []);
    let mut fired = vec![seen(150); 5];
    fired.extend(&flapping);
    let (phases, told) = look(&rule(3, 3), &fired);
    assert_eq!(told, [Phase::Firing]);
    assert_eq!(phases.last(), Some(&Phase::Firing));
}

#[test]
fn few_samples_are_no_data_and_a_resolved_alert_is_forgotten() {
    let few = Observation { value: Some(1000.into()), samples: 9 };
    assert_eq!(look(&rule(0, 0), &[seen(1), few]).0, [Phase::Ok, Phase::NoData]);
    let mut values = vec![seen(101), seen(1)];
    values.extend(vec![seen(1); 60]);
    let (phases, told) = look(&rule(0, 0), &values);
    assert_eq!((phases[1], *phases.last().unwrap()), (Phase::Resolved, Phase::Ok));
    assert_eq!(told, [Phase::Firing, Phase::Resolved]);
}

#[test]
fn what_is_silenced_is_made_up_for() {
    let at = State::new(0);
    let firing = step(&at, &rule(0, 0), &seen(101), 0);
    let (silent, tell) = announce(&firing, true);
    assert!(!tell && !silent.announced);
    let (told, tell) = announce(&silent, false);
    assert!(tell && told.announced);
    assert!(!announce(&told, false).1, "once");
    let cleared = step(&silent, &rule(0, 0), &seen(1), 1);
    assert!(!announce(&cleared, false).1, "whom nobody told that it fires needs no word that it has cleared");
}

#[test]
fn rules_of_kpis_follow_their_targets() {
    let plan = Plan::built_in().unwrap();
    let planned = |kpi: &Kpi| plan.target_of(kpi).unwrap().target();
    let clears: Vec<String> = KPIS
        .iter()
        .map(|kpi| {
            let (bad, target) = (kpi.comparison.opposite(), planned(kpi));
            let (fire, clear, on_equal) = thresholds(kpi.name, Some(&target), bad, None, None).unwrap();
            assert!(on_equal && fire == target.target);
            assert!(kpi.comparison.holds(clear, fire), "{}", kpi.name);
            clear.normalize().to_string()
        })
        .collect();
    assert_eq!(clears, ["98.2", "450", "54", "99.1", "18", "95.5"]);
    let moved = Target { target: 99.into(), ..planned(&KPIS[0]) };
    let clear = Some(Decimal::new(985, 1));
    let (_, clear, _) = thresholds(KPIS[0].name, Some(&moved), Comparison::Below, None, clear).unwrap();
    assert_eq!(clear, 99.into());
    assert_eq!(thresholds("failed_jobs", None, Comparison::Above, None, None), None);
}

#[test]
fn rules_that_make_no_sense_are_named() {
    let check = |metric, target, comparison, fire: Option<i64>, clear: Option<i64>| {
        check(metric, target, comparison, fire.map(Decimal::from), clear.map(Decimal::from))
    };
    use Comparison::{Above, Below};
    assert_eq!(check("failed_jobs", Some("a.b"), Above, Some(0), None), Ok(()));
    assert_eq!(check("joy", None, Above, Some(0), None), Err(Unfit::Metric("joy".into())));
    assert_eq!(check("failed_jobs", None, Above, None, None), Err(Unfit::NoThreshold));
    assert_eq!(check("failed_jobs", None, Above, Some(1), Some(2)), Err(Unfit::ClearBeyondFire(Above)));
    assert_eq!(check("failed_jobs", None, Below, Some(2), Some(1)), Err(Unfit::ClearBeyondFire(Below)));
    assert_eq!(check("cache_hit_ratio", None, Above, None, None), Err(Unfit::Comparison(Below)));
    assert_eq!(check("cache_hit_ratio", Some("x"), Below, None, None), Err(Unfit::NoTarget));
    assert_eq!(check("heartbeat_seconds", Some("x"), Above, Some(1), None), Err(Unfit::NoTarget));
    assert_eq!(check_window("cache_hit_ratio"), Ok(()));
    for now in ["table_bloat_max", "failed_jobs", "joy"] {
        assert_eq!(check_window(now), Err(Unfit::NoWindow), "{now}");
    }
    assert!(METRICS.iter().all(|metric| named(metric.name).is_none()));
}

fn observation() -> impl Strategy<Value = Observation> {
    (prop::option::weighted(0.9, 60_i64..120), 8_i64..30)
        .prop_map(|(value, samples)| Observation { value: value.map(Decimal::from), samples })
}

/// Observations with the minutes between them.
fn course() -> impl Strategy<Value = Vec<(i64, Observation)>> {
    prop::collection::vec((0_i64..4, observation()), 1..120)
}

proptest! {
    #[test]
    fn it_fires_only_after_being_bad_and_clears_only_after_being_good_for_long(
        fire_after in 0_i64..6, clear_after in 0_i64..6, course in course(),
    ) {
        let rule = rule(fire_after, clear_after);
        let present = |o: &Observation| o.value.filter(|_| o.samples >= rule.min_samples);
        let bad = |o: &Observation| present(o).is_some_and(|value| value > rule.fire);
        let good = |o: &Observation| present(o).is_some_and(|value| value <= rule.clear);
        let mut state = State::new(0);
        let (mut now, mut past) = (0, Vec::new());
        let mut told = Vec::new();
        for (minutes, seen) in course {
            now += minutes * MINUTE;
            past.push((now, seen));
            let next = step(&state, &rule, &seen, now);
            // Unbroken, up to now.
            let unbroken = |holds: &dyn Fn(&Observation) -> bool| {
                past.iter().rev().take_while(|(_, o)| holds(o)).last().map(|(at, _)| now - at)
            };
            let fires = |state: &State| state.phase == Phase::Firing;
            if fires(&next) && !fires(&state) {
                prop_assert!(unbroken(&bad).is_some_and(|lasted| lasted >= rule.fire_after));
            }
            if !fires(&next) && fires(&state) {
                prop_assert_eq!(next.phase, Phase::Resolved);
                prop_assert!(unbroken(&good).is_some_and(|lasted| lasted >= rule.clear_after));
            }
            if present(&seen).is_none() {
                prop_assert_eq!(next.phase, if fires(&state) { Phase::Firing } else { Phase::NoData });
            }
            if bad(&seen) && unbroken(&bad).is_some_and(|lasted| lasted >= rule.fire_after && lasted > 0) {
                prop_assert!(fires(&next));
            }
            prop_assert!(next.since <= now && (next.phase == state.phase || next.since == now));
            let (next, tell) = announce(&next, false);
            if tell {
                told.push((now, next.phase));
            }
            // A second look at the same moment changes nothing and tells nobody.
            let again = step(&next, &rule, &seen, now);
            prop_assert_eq!(again, next);
            prop_assert!(!announce(&again, false).1);
            state = next;
        }
        // Listeners hear firing and clearing in turn, beginning with firing, and at their distance.
        for (n, (_, phase)) in told.iter().enumerate() {
            prop_assert_eq!(*phase == Phase::Firing, n % 2 == 0);
        }
        for pair in told.windows(2) {
            let least = if pair[0].1 == Phase::Firing { rule.clear_after } else { rule.fire_after };
            prop_assert!(pair[1].0 - pair[0].0 >= least);
        }
    }

    #[test]
    fn whatever_is_silenced_listeners_end_up_with_the_truth(
        course in prop::collection::vec((any::<bool>(), observation()), 1..60),
    ) {
        let rule = rule(1, 1);
        let (mut state, mut believed) = (State::new(0), false);
        for (minute, (silenced, seen)) in course.into_iter().enumerate() {
            state = step(&state, &rule, &seen, minute as i64 * MINUTE);
            let (next, tell) = announce(&state, silenced);
            prop_assert!(!(silenced && tell));
            believed = if tell { next.phase == Phase::Firing } else { believed };
            prop_assert!(silenced || believed == (next.phase == Phase::Firing));
            state = next;
        }
    }

    #[test]
    fn a_clock_that_goes_back_stops_nothing_for_long(back in 1_i64..1_000_000) {
        let rule = rule(2, 2);
        let pending = step(&State::new(0), &rule, &seen(150), 0);
        let mut state = step(&pending, &rule, &seen(150), -back * MINUTE);
        state = step(&state, &rule, &seen(150), (2 - back) * MINUTE);
        prop_assert_eq!(state.phase, Phase::Firing);
    }
}

#[test]
fn every_metric_is_measured_by_something_of_its_own() {
    for (at, metric) in METRICS.iter().enumerate() {
        assert_eq!(watch_named(metric.name), Some(metric.watch));
        assert!(METRICS[..at].iter().all(|other| other.watch != metric.watch), "{}", metric.name);
    }
    assert_eq!(watch_named("joy"), None);
}

#[test]
fn the_spike_of_one_sample_fires_nothing() {
    let micros = |text: &str| {
        let (count, unit) = text.split_once(' ').unwrap_or(("0", "minutes"));
        let unit = if unit.starts_with("hour") { 60 } else { 1 };
        count.parse::<i64>().unwrap() * unit * MINUTE
    };
    for planned in &Plan::built_in().unwrap().alert_rules {
        // Records of the migration come with its runs, which are no samples.
        let Some(over) =
            planned.measured_over.as_deref().filter(|_| planned.metric != "migration_success_rate")
        else {
            continue;
        };
        let rule = Rule { fire_after: micros(&planned.fire_after), clear_after: 0, ..rule(0, 0) };
        // A look a minute; all that have the sample in their window are bad.
        let bad = micros(over) / MINUTE;
        let values: Vec<_> = (0..60).map(|minute| seen(if minute <= bad { 150 } else { 50 })).collect();
        assert!(!look(&rule, &values).0.contains(&Phase::Firing), "{}", planned.rule);
    }
}
