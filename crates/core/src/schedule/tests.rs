use super::*;
use chrono::{DateTime, Datelike, Duration, NaiveDate, TimeZone, Utc};
use chrono_tz::Tz;
use proptest::prelude::*;
use std::cell::Cell;
use std::collections::HashMap;

const NEW_YORK: &str = "America/New_York";
const STATISTICS: &str = "0 10-23,0-2 * * *";

fn timing(cron: &str, zone: &str) -> Timing {
    Timing::parse(cron, zone).unwrap()
}

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn times(timing: &Timing, from: &str, to: &str) -> Vec<String> {
    let (mut at, end) = (utc(from), utc(to));
    let mut out = Vec::new();
    while let Some(next) = timing.next_after(at).filter(|next| *next < end) {
        out.push(next.format("%d %H:%M").to_string());
        at = next;
    }
    out
}

/// A clock that goes as it is told.
struct MockClock(Cell<DateTime<Utc>>);

impl MockClock {
    fn at(text: &str) -> Self {
        Self(Cell::new(utc(text)))
    }

    fn forward(&self, by: Duration) {
        self.0.set(self.0.get() + by);
    }
}

impl Clock for MockClock {
    fn now(&self) -> DateTime<Utc> {
        self.0.get()
    }
}

fn entry(cron: &str, zone: &str, since: DateTime<Utc>) -> Entry {
    Entry {
        name: cron.to_owned(),
        timing: timing(cron, zone),
        past: Past { since, last_run: None, failures: 0 },
    }
}

/// Looks once; whatever is due runs, and fails or not. How many there were.
fn look(agenda: &mut Agenda, clock: &MockClock, fails: bool) -> usize {
    let due: Vec<String> = agenda.due(clock).iter().map(|entry| entry.name.clone()).collect();
    for entry in agenda.entries.iter_mut().filter(|entry| due.contains(&entry.name)) {
        entry.past.last_run = Some(clock.now());
        entry.past.failures = if fails { entry.past.failures + 1 } else { 0 };
    }
    due.len()
}

#[test]
fn what_is_no_schedule_is_refused() {
    for cron in [
        "",
        "* * * *",
        "* * * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "x * * * *",
        "@daily",
        "0 0 L * *",
        "0 0 * * 5#2",
        "0 0 15W * *",
        "30 seconds",
        "0 0 30 2 *",
        "1,,2 * * * *",
        "5-1 * * * *",
    ] {
        assert!(Timing::parse(cron, NEW_YORK).is_err(), "{cron}");
    }
    for zone in ["", "Moon/Tranquility", "America/New_York; DROP"] {
        assert!(Timing::parse("* * * * *", zone).unwrap_err().message.contains("time zone"), "{zone}");
    }
    for cron in ["*/5 * * * *", "0 0 * * MON-FRI", "15,45 0-6/2 1 JAN *", "0 0 29 2 *", "0 0 * * 7"] {
        assert!(Timing::parse(cron, NEW_YORK).is_ok(), "{cron}");
    }
}

#[test]
fn active_hours_follow_the_zone_in_summer_and_winter() {
    let statistics = timing(STATISTICS, NEW_YORK);
    assert_eq!(
        times(&statistics, "2025-07-21T05:30:00Z", "2025-07-21T16:30:00Z"),
        ["21 06:00", "21 14:00", "21 15:00", "21 16:00"]
    );
    assert_eq!(
        times(&statistics, "2025-01-21T05:30:00Z", "2025-01-21T16:30:00Z"),
        ["21 06:00", "21 07:00", "21 15:00", "21 16:00"]
    );
}

#[test]
fn daylight_saving_neither_drops_nor_doubles_a_daily_run() {
    let daily = timing("30 2 * * *", NEW_YORK);
    // There is no 02:30 on March 9.
    assert_eq!(
        times(&daily, "2025-03-08T00:00:00Z", "2025-03-11T00:00:00Z"),
        ["08 07:30", "09 07:00", "10 06:30"]
    );
    let daily = timing("30 1 * * *", NEW_YORK);
    // There are two 01:30 on November 2.
    assert_eq!(
        times(&daily, "2025-11-01T00:00:00Z", "2025-11-04T00:00:00Z"),
        ["01 05:30", "02 05:30", "03 06:30"]
    );
}

#[test]
fn other_schedulers_clocks() {
    let at = utc("2025-07-21T00:00:00Z");
    assert_eq!(timing(STATISTICS, NEW_YORK).on_clock_of(Tz::UTC, at), "0 0-7,14-23 * * *");
    assert_eq!(timing("5 3 * * *", NEW_YORK).on_clock_of(Tz::UTC, at), "5 7-8 * * *");
    assert_eq!(timing("5 3 1 * *", NEW_YORK).on_clock_of(Tz::America__New_York, at), "5 3 1 * *");
    assert_eq!(timing("5 3 1 * *", NEW_YORK).on_clock_of(Tz::UTC, at), "5 7-8 * * *");
    assert_eq!(timing("* * * * *", NEW_YORK).on_clock_of(Tz::UTC, at), "* * * * *");
    assert_eq!(timing("0 9 * * *", "Asia/Kolkata").on_clock_of(Tz::UTC, at), "30 3 * * *");
    assert_eq!(timing("0 9 * * MON", "UTC").on_clock_of(Tz::UTC, at), "0 9 * * 1");
}

#[test]
fn an_outage_is_made_up_once() {
    let clock = MockClock::at("2025-07-21T14:00:30Z");
    let mut agenda = Agenda { entries: vec![entry("* * * * *", NEW_YORK, clock.now())] };
    assert_eq!(look(&mut agenda, &clock, false), 0, "not before its time");
    clock.forward(Duration::days(3));
    assert_eq!(look(&mut agenda, &clock, false), 1);
    assert_eq!(look(&mut agenda, &clock, false), 0);
    assert_eq!(agenda.next(&clock), Some(utc("2025-07-24T14:01:00Z")));
}

#[test]
fn a_failure_is_repeated_after_growing_pauses() {
    let clock = MockClock::at("2025-07-21T06:30:00Z");
    let mut agenda = Agenda { entries: vec![entry("0 3 * * *", NEW_YORK, clock.now())] };
    let mut pauses = Vec::new();
    for _ in 0..9 {
        let before = clock.now();
        clock.0.set(agenda.next(&clock).unwrap());
        assert_eq!(look(&mut agenda, &clock, true), 1);
        pauses.push((clock.now() - before).num_minutes());
    }
    assert_eq!(pauses, [30, 1, 2, 4, 8, 16, 32, 60, 60]);
    clock.0.set(agenda.next(&clock).unwrap());
    assert_eq!(look(&mut agenda, &clock, false), 1);
    assert_eq!(agenda.next(&clock), Some(utc("2025-07-22T07:00:00Z")));
}

#[test]
fn a_clock_that_was_ahead_is_forgiven() {
    let clock = MockClock::at("2035-01-01T12:00:10Z");
    let mut agenda = Agenda { entries: vec![entry("0 * * * *", NEW_YORK, utc("2025-07-21T00:00:00Z"))] };
    assert_eq!(look(&mut agenda, &clock, false), 1);
    clock.0.set(utc("2025-07-21T12:00:10Z"));
    assert_eq!(look(&mut agenda, &clock, false), 1, "once, to set things right");
    assert_eq!(look(&mut agenda, &clock, false), 0);
    assert_eq!(agenda.next(&clock), Some(utc("2025-07-21T13:00:00Z")));
    // A little back is no reason to do it again.
    clock.forward(Duration::seconds(-20));
    assert_eq!(look(&mut agenda, &clock, false), 0);
    assert_eq!(agenda.next(&clock), Some(utc("2025-07-21T13:00:00Z")));
}

fn crons() -> impl Strategy<Value = String> {
    let days = prop::sample::select(vec!["* * *", "1 * *", "* * MON", "15 3,9 *", "*/2 * 1-5"]);
    (0..60u32, 0..24u32, 0..24u32, days, 0..4u32).prop_map(|(minute, a, b, days, shape)| {
        let (first, last) = (a.min(b), a.max(b));
        match shape {
            0 => format!("{minute} {a} {days}"),
            1 => format!("{minute} {first}-{last} {days}"),
            2 => format!("*/15 * {days}"),
            _ => format!("{minute} {b}-23,0-{a} {days}"),
        }
    })
}

fn zones() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        NEW_YORK,
        "UTC",
        "Europe/Berlin",
        "Asia/Kolkata",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "America/St_Johns",
    ])
}

/// Seconds within the years that zones' rules are known for.
fn instants() -> impl Strategy<Value = DateTime<Utc>> {
    (1_700_000_000..1_800_000_000i64).prop_map(|second| DateTime::from_timestamp(second, 0).unwrap())
}

proptest! {
    #[test]
    fn time_goes_forward(cron in crons(), zone in zones(), mut at in instants()) {
        let timing = timing(&cron, zone);
        for _ in 0..30 {
            let next = timing.next_after(at).unwrap();
            prop_assert!(next > at, "{next} after {at}");
            prop_assert_eq!(timing.next_after(next - Duration::seconds(1)).unwrap(), next, "nothing lies between");
            at = next;
        }
    }

    #[test]
    fn each_day_has_its_daily_run(minute in 0..60u32, hour in 0..24u32, zone in zones(), year in 2024..2030i32) {
        let daily = timing(&format!("{minute} {hour} * * *"), zone);
        let zone: Tz = zone.parse().unwrap();
        let mut at = zone.with_ymd_and_hms(year, 1, 1, 0, 0, 0).unwrap().with_timezone(&Utc) - Duration::seconds(1);
        let mut runs: HashMap<NaiveDate, u32> = HashMap::new();
        loop {
            at = daily.next_after(at).unwrap();
            let local = at.with_timezone(&zone);
            if local.year() > year {
                break;
            }
            *runs.entry(local.date_naive()).or_default() += 1;
        }
        let days = if NaiveDate::from_ymd_opt(year, 2, 29).is_some() { 366 } else { 365 };
        prop_assert_eq!(runs.len(), days);
        prop_assert!(runs.values().all(|&count| count == 1));
    }

    #[test]
    fn another_clock_leaves_no_time_out(cron in crons(), zone in zones(), other in zones(), at in instants()) {
        let here = timing(&cron, zone);
        let clock: Tz = other.parse().unwrap();
        let there = timing(&here.on_clock_of(clock, at), other);
        let mut next = at;
        for _ in 0..20 {
            next = here.next_after(next).unwrap();
            // A clock that jumps leaves some out: what makes up for missed runs is for those.
            let near_change = |zone: Tz| {
                let offset = |at: DateTime<Utc>| at.with_timezone(&zone).naive_local() - at.naive_utc();
                offset(next - Duration::hours(26)) != offset(next + Duration::hours(26))
            };
            if !near_change(clock) && !near_change(zone.parse().unwrap()) && next < at + Duration::days(700) {
                prop_assert_eq!(there.next_after(next - Duration::seconds(1)).unwrap(), next);
            }
        }
    }

    /// Whatever the clock, the server and the work do: never more runs than there were times, failures and jumps
    /// back; never a time missed for good.
    #[test]
    fn neither_storm_nor_silence(
        cron in crons(),
        zone in zones(),
        start in instants(),
        steps in prop::collection::vec((0..7u32, 1..5000i64, any::<bool>()), 1..120),
    ) {
        let clock = MockClock(Cell::new(start));
        let mut agenda = Agenda { entries: vec![entry(&cron, zone, start)] };
        let (mut runs, mut allowed) = (0, 0);
        for (kind, amount, fails) in steps {
            let before = clock.now();
            match kind {
                // an outage of days; a clock that is put back; an ordinary pause
                0 => clock.forward(Duration::minutes(amount)),
                1 => {
                    clock.forward(Duration::minutes(-amount));
                    allowed += 1;
                }
                _ => clock.forward(Duration::seconds(amount)),
            }
            let timing = &agenda.entries[0].timing;
            let came = timing.next_after(before).is_some_and(|next| next <= clock.now());
            let failed = agenda.entries[0].past.failures > 0;
            let ran = look(&mut agenda, &clock, fails);
            prop_assert_eq!(look(&mut agenda, &clock, fails), 0, "never twice in a row");
            allowed += usize::from(came || failed);
            runs += ran;
            prop_assert!(runs <= allowed, "{} runs, {} times", runs, allowed);
            let next = agenda.next(&clock).unwrap();
            let expected = agenda.entries[0].timing.next_after(clock.now() + Duration::minutes(5)).unwrap();
            prop_assert!(next <= expected, "the next run at {next} is later than {expected}");
        }
    }
}
