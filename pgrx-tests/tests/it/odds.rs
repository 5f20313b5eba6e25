//! Odds arithmetic and team names as SQL sees them.

use groundskeeper_tests::sql::{refusal, text};
use groundskeeper_tests::{Template, TestDb};

#[test]
fn odds_are_turned_into_prices_and_probabilities_by_anyone() {
    let mut db = TestDb::installed(Template::Empty).unwrap();
    let anyone = db.role("anyone").unwrap();
    let mut client = db.client_as(&anyone).unwrap();
    for (call, expected) in [
        ("american_to_decimal(150)", "2.5"),
        ("american_to_decimal(-110)", "1.9090909090909090909090909091"),
        ("american_to_probability(-110)", "0.5238095238095238095238095238"),
        ("decimal_to_american(1.909)", "-110"),
        ("decimal_to_american(2)", "100"),
        ("probability_to_american(0.4)", "150"),
        ("market_hold(-110, -110)", "0.0476190476190476190476190476"),
        ("no_vig_probability(-300, 300)", "0.75"),
        ("american_to_decimal(NULL)", ""),
        ("no_vig_probability(-110, NULL)", ""),
        ("normalized_team('Oakland A''s')", "ATH"),
        ("normalized_team('Springfield Isotopes')", "Springfield Isotopes"),
        ("normalized_team(' ')", ""),
        ("normalized_team(NULL)", ""),
        ("is_known_team('Cleveland Indians')", "true"),
        ("is_known_team('Clevelanders')", "false"),
        ("is_known_team('')", ""),
    ] {
        assert_eq!(text(&mut client, &format!("SELECT groundskeeper.{call}")).unwrap(), expected, "{call}");
    }
    for call in [
        "american_to_decimal(99)",
        "american_to_probability(0)",
        "decimal_to_american(1)",
        "decimal_to_american('NaN')",
        "decimal_to_american('Infinity')",
        "decimal_to_american(1e100)",
        "probability_to_american(1)",
        "market_hold(-110, -99)",
        "no_vig_probability(1, 100)",
    ] {
        let refused = refusal(&mut client, &format!("SELECT groundskeeper.{call}")).unwrap();
        assert_eq!(refused.code, "22023", "{call}: {refused:?}");
        assert!(!refused.detail.is_empty(), "{call}");
    }
}
