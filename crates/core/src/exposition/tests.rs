use super::*;
use proptest::prelude::*;

#[test]
fn names_follow_the_rules_of_prometheus() {
    for (at, family) in FAMILIES.iter().enumerate() {
        let name = family.name;
        assert!(
            name.starts_with("groundskeeper_") && name.chars().all(|c| c.is_ascii_lowercase() || c == '_'),
            "{name}"
        );
        assert_eq!(name.ends_with("_total"), family.kind == Kind::Counter, "{name}");
        assert!(["_count", "_sum", "_bucket"].iter().all(|end| !name.ends_with(end)), "{name}");
        assert!(FAMILIES[..at].iter().all(|other| other.name != name && !other.has(name)), "{name}");
        assert!(family.help.ends_with('.'), "{name}");
        assert!(family.labels.iter().all(|label| !["queryid", "query", "le"].contains(label)), "{name}");
    }
}

#[test]
fn a_histogram_is_cumulative() {
    let mut calls = Histogram::default();
    for time in [500, 1_500, 499_999, 500_000, 60_000_000] {
        calls.record(time, false);
    }
    let samples = of_histogram("groundskeeper_statement_duration_seconds", "scope", "select", &calls);
    let buckets: Vec<f64> = samples.iter().filter(|s| s.name.ends_with("_bucket")).map(|s| s.value).collect();
    assert!(buckets.is_sorted());
    assert_eq!(buckets.last(), Some(&5.0));
    let exact = samples.iter().find(|s| s.labels.get("le") == Some(&"0.5".into())).unwrap();
    assert_eq!(exact.value, 3.0);
    assert_eq!(samples.last().unwrap().value, 5.0);
}

#[test]
fn the_text_has_every_family_and_ends_with_a_line_feed() {
    let samples = in_order(vec![
        Sample::labelled("groundskeeper_alert_firing", "rule", "a\"b\\c\nd", 1.0),
        Sample::labelled("groundskeeper_alert_firing", "rule", "a\"b\\c\nd", 0.0),
        Sample::plain("groundskeeper_in_recovery", 0.0),
        Sample::plain("something_else", 0.0),
    ]);
    let text = text(&samples);
    for family in FAMILIES {
        assert_eq!(text.matches(&format!("# HELP {} ", family.name)).count(), 1, "{}", family.name);
        assert_eq!(text.matches(&format!("# TYPE {} {}\n", family.name, family.kind.name())).count(), 1);
    }
    assert!(text.contains("\ngroundskeeper_alert_firing{rule=\"a\\\"b\\\\c\\nd\"} 1\n"), "each once");
    assert!(text.contains("\ngroundskeeper_series_dropped 0\n") && text.ends_with('\n'));
    assert!(!text.contains("something_else"));
}

proptest! {
    #[test]
    fn there_are_never_too_many(tables in 0_usize..3_000, rules in 0_usize..3_000) {
        let samples = (0..tables)
            .map(|n| Sample::labelled("groundskeeper_table_size_bytes", "table", &n.to_string(), 1.0))
            .chain((0..rules).map(|n| Sample::labelled("groundskeeper_alert_firing", "rule", &n.to_string(), 1.0)));
        let kept = in_order(samples.collect());
        prop_assert!(kept.len() <= MOST_SERIES);
        let dropped = kept.iter().find(|sample| sample.name == "groundskeeper_series_dropped").unwrap().value;
        prop_assert_eq!(kept.len() + dropped as usize, tables + rules + 1);
    }
}
