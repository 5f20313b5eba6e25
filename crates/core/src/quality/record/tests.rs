use proptest::prelude::*;

use super::super::{DEFINITIONS, Status, status};
use super::*;

const GOOD: Record<'static> = Record {
    sportsbook_name: Some(b"DraftKings"),
    game_external_id: Some(b"mlb-1"),
    source: Some(b"SPORTS_BOOK_REVIEW"),
    raw_data_is_object: true,
    collected_at: Some(1),
    created_at: Some(1),
    bet: Bet::Moneyline { home_odds: Some(-110), away_odds: Some(100) },
};

/// The same record with neither bonus, so that every point taken off shows.
const PLAIN: Record<'static> = Record { source: None, raw_data_is_object: false, ..GOOD };

fn score(record: Record<'_>) -> u16 {
    record.score(&Rules::DEFAULT).hundredths()
}

fn codes(record: Record<'_>) -> Vec<&'static str> {
    record.issues(&Rules::DEFAULT).iter().map(Issue::code).collect()
}

fn moneyline(home_odds: Option<i32>, away_odds: Option<i32>) -> Record<'static> {
    Record { bet: Bet::Moneyline { home_odds, away_odds }, ..PLAIN }
}

fn spread(has_value: bool, odds: Option<i32>) -> Record<'static> {
    Record { bet: Bet::Spread { has_value, odds }, ..PLAIN }
}

fn total(has_points: bool, over_odds: Option<i32>, under_odds: Option<i32>) -> Record<'static> {
    Record { bet: Bet::Total { has_points, over_odds, under_odds }, ..PLAIN }
}

#[test]
fn each_rule_costs_its_weight() {
    let cases = [
        (PLAIN, 9_999, vec![]),
        (Record { sportsbook_name: None, ..PLAIN }, 7_999, vec!["missing_sportsbook"]),
        (Record { sportsbook_name: Some(b" \t\r\n"), ..PLAIN }, 7_999, vec!["missing_sportsbook"]),
        (Record { game_external_id: Some(b""), ..PLAIN }, 7_499, vec!["missing_game_reference"]),
        (Record { collected_at: Some(2), ..PLAIN }, 9_499, vec!["collected_after_created"]),
        (moneyline(None, Some(100)), 8_499, vec!["missing_home_odds"]),
        (moneyline(Some(-100), None), 8_499, vec!["missing_away_odds"]),
        (moneyline(Some(99), Some(-99)), 6_999, vec!["invalid_home_odds", "invalid_away_odds"]),
        (moneyline(None, Some(0)), 6_999, vec!["missing_home_odds", "invalid_away_odds"]),
        (spread(true, Some(-110)), 9_999, vec![]),
        (spread(false, Some(-110)), 7_499, vec!["missing_spread_value"]),
        (spread(true, None), 8_499, vec!["missing_spread_odds"]),
        (spread(false, Some(5)), 5_999, vec!["missing_spread_value", "invalid_spread_odds"]),
        (total(true, Some(-110), None), 9_999, vec!["missing_under_odds"]),
        (total(true, Some(42), Some(-110)), 9_999, vec!["invalid_over_odds"]),
        (total(true, None, Some(1)), 8_499, vec!["missing_over_odds", "invalid_under_odds"]),
        (total(false, Some(-110), Some(-110)), 7_499, vec!["missing_total_points"]),
    ];
    for (record, expected, issues) in cases {
        assert_eq!((score(record), codes(record)), (expected, issues), "{record:?}");
    }
}

#[test]
fn an_implausible_market_costs_nothing_and_is_an_issue() {
    for (record, issues) in [
        (moneyline(Some(150), Some(150)), vec!["implausible_market"]),
        (moneyline(Some(i32::MIN), Some(i32::MIN)), vec!["implausible_market"]),
        (total(true, Some(-200), Some(-200)), vec!["implausible_market"]),
        (total(true, Some(-110), Some(-110)), vec![]),
        (spread(true, Some(i32::MIN)), vec![]),
    ] {
        assert_eq!((score(record), codes(record)), (9_999, issues), "{record:?}");
    }
    let late = Record { collected_at: Some(2), ..moneyline(Some(150), Some(150)) };
    assert_eq!(codes(late), ["collected_after_created", "implausible_market"]);
    let mut rules = Rules::DEFAULT;
    rules.set("hold_below", "20").unwrap();
    assert!(!late.issues(&rules).contains(Issue::ImplausibleMarket));
}

#[test]
fn the_real_feed_scores_as_measured() {
    assert_eq!(score(GOOD), 9_999);
    assert_eq!(score(Record { bet: moneyline(None, None).bet, ..GOOD }), 7_799);
    assert_eq!(score(Record { bet: spread(false, None).bet, ..GOOD }), 6_799);
    assert_eq!(score(Record { bet: total(false, None, None).bet, ..GOOD }), 6_799);
}

#[test]
fn bonuses_are_capped_one_after_the_other() {
    let late = Record { collected_at: Some(i64::MAX), created_at: Some(i64::MIN), ..GOOD };
    assert_eq!(score(late), 9_999);
    assert_eq!(score(Record { source: Some(b"UNKNOWN"), ..late }), 9_799);
    assert_eq!(score(Record { source: Some(b"  "), ..late }), 9_799);
    assert_eq!(score(Record { source: Some(b"unknown"), ..late }), 9_999);
    assert_eq!(score(Record { raw_data_is_object: false, ..late }), 9_999);
}

#[test]
fn a_missing_time_is_not_later_than_another() {
    for (collected_at, created_at) in [(Some(9), None), (None, Some(9)), (None, None), (Some(1), Some(2))] {
        assert_eq!(codes(Record { collected_at, created_at, ..PLAIN }), Vec::<&str>::new());
    }
}

#[test]
fn the_base_factor_is_the_plans_case_expression() {
    assert_eq!(base_factor(Some(-110), Some(100), true), 1);
    assert_eq!(base_factor(None, Some(100), true), 0);
    assert_eq!(base_factor(Some(-110), None, true), 0);
    assert_eq!(base_factor(Some(-110), Some(100), false), 0);
}

fn text() -> impl Strategy<Value = Option<Vec<u8>>> {
    prop_oneof![
        Just(None),
        "[ \t\r\n]{0,3}".prop_map(|text| Some(text.into_bytes())),
        Just(Some(b"UNKNOWN".to_vec())),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(Some),
    ]
}

fn odds() -> impl Strategy<Value = Option<i32>> {
    prop_oneof![Just(None), (-110..=110).prop_map(Some), any::<i32>().prop_map(Some)]
}

fn bet() -> impl Strategy<Value = Bet> {
    prop_oneof![
        (odds(), odds()).prop_map(|(home_odds, away_odds)| Bet::Moneyline { home_odds, away_odds }),
        (any::<bool>(), odds()).prop_map(|(has_value, odds)| Bet::Spread { has_value, odds }),
        (any::<bool>(), odds(), odds()).prop_map(|(has_points, over_odds, under_odds)| Bet::Total {
            has_points,
            over_odds,
            under_odds
        }),
    ]
}

fn rules() -> impl Strategy<Value = Rules> {
    prop::collection::vec(0..=9_999, DEFINITIONS.len()).prop_map(|values| {
        let mut rules = Rules::DEFAULT;
        for (definition, value) in DEFINITIONS.iter().zip(values) {
            rules.set(definition.name, &format!("{}.{:02}", value / 100, value % 100)).unwrap();
        }
        rules
    })
}

/// The parts of a record that own what [`Record`] borrows.
type Parts = (Option<Vec<u8>>, Option<Vec<u8>>, Option<Vec<u8>>, bool, Option<i64>, Option<i64>, Bet);

fn parts() -> impl Strategy<Value = Parts> {
    (text(), text(), text(), any::<bool>(), any::<Option<i64>>(), any::<Option<i64>>(), bet())
}

fn record(parts: &Parts) -> Record<'_> {
    let (sportsbook_name, game_external_id, source, raw_data_is_object, collected_at, created_at, bet) =
        parts;
    Record {
        sportsbook_name: sportsbook_name.as_deref(),
        game_external_id: game_external_id.as_deref(),
        source: source.as_deref(),
        raw_data_is_object: *raw_data_is_object,
        collected_at: *collected_at,
        created_at: *created_at,
        bet: *bet,
    }
}

/// The default score restated from the table of the rules, in decimals and without looking at the issues.
fn restated(record: &Record<'_>) -> rust_decimal::Decimal {
    use rust_decimal::Decimal;
    let top = Decimal::new(9_999, 2);
    let mut score = top;
    let blank = |text: Option<&[u8]>| {
        text.is_none_or(|text| text.iter().all(|byte| b" \t\n\x0b\x0c\r".contains(byte)))
    };
    let absent = |odds: Option<i32>| odds.is_none_or(|odds| odds.unsigned_abs() < 100);
    let mut off = |points: i64, when: bool| score -= Decimal::from(if when { points } else { 0 });
    off(20, blank(record.sportsbook_name));
    off(25, blank(record.game_external_id));
    match record.bet {
        Bet::Moneyline { home_odds, away_odds } => {
            off(15, absent(home_odds));
            off(15, absent(away_odds));
        }
        Bet::Spread { has_value, odds } => {
            off(25, !has_value);
            off(15, absent(odds));
        }
        Bet::Total { has_points, over_odds, under_odds } => {
            off(25, !has_points);
            off(15, absent(over_odds) && absent(under_odds));
        }
    }
    off(
        5,
        record.collected_at.zip(record.created_at).is_some_and(|(collected, created)| collected > created),
    );
    if !blank(record.source) && record.source != Some(b"UNKNOWN") {
        score = top.min(score + Decimal::from(5));
    }
    if record.raw_data_is_object {
        score = top.min(score + Decimal::from(3));
    }
    score.max(Decimal::ZERO)
}

proptest! {
    #[test]
    fn the_default_score_is_the_restated_one(parts in parts()) {
        let record = record(&parts);
        let score = rust_decimal::Decimal::new(score(record).into(), 2);
        prop_assert_eq!(score, restated(&record));
    }

    #[test]
    fn a_score_keeps_its_range_under_any_rules(parts in parts(), rules in rules()) {
        prop_assert!(record(&parts).score(&rules) <= Score::MAX);
    }

    #[test]
    fn filling_a_gap_never_lowers_the_score_or_adds_an_issue(parts in parts()) {
        let before = record(&parts);
        for after in [
            Record { sportsbook_name: GOOD.sportsbook_name, ..before },
            Record { game_external_id: GOOD.game_external_id, ..before },
            Record { source: GOOD.source, ..before },
            Record { raw_data_is_object: true, ..before },
            Record { collected_at: None, ..before },
        ] {
            prop_assert!(score(after) >= score(before));
            prop_assert!(after.issues(&Rules::DEFAULT).iter().all(|issue| before.issues(&Rules::DEFAULT).contains(issue)));
        }
    }

    #[test]
    fn odds_are_reported_missing_or_invalid_but_never_both(home in odds(), away in odds()) {
        let issues = moneyline(home, away).issues(&Rules::DEFAULT);
        prop_assert!(!(issues.contains(Issue::MissingHomeOdds) && issues.contains(Issue::InvalidHomeOdds)));
        prop_assert_eq!(issues.contains(Issue::MissingHomeOdds), home.is_none());
        prop_assert_eq!(issues.contains(Issue::InvalidAwayOdds), away.is_some_and(|odds| odds.unsigned_abs() < 100));
    }

    #[test]
    fn a_record_with_a_gap_is_never_validated(parts in parts(), rules in rules()) {
        let record = record(&parts);
        let gap = codes(record).iter().any(|code| *code != "collected_after_created");
        let status = status(record.score(&rules).hundredths().into(), codes(record), &rules);
        prop_assert!(!(gap && status == Status::Validated));
    }
}
