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
    let alerts = Read::of(
        Part::Alerts,
        vec![
            Sample::labelled("groundskeeper_alert_firing", "rule", "a\"b\\c\nd\r", 1.0),
            Sample::labelled("groundskeeper_alert_firing", "rule", "a\"b\\c\nd\r", 0.0),
            Sample::plain("groundskeeper_in_recovery", 0.0),
            Sample::plain("something_else", 0.0),
        ],
    );
    assert_eq!(alerts.samples.len(), 1, "no part says what another one does");
    let reading = Read::of_reading(&[(Part::Alerts, Some(&alerts)), (Part::Kpis, None)]);
    let text = text(&[alerts.samples, reading.samples].concat());
    for family in FAMILIES {
        assert_eq!(text.matches(&format!("# HELP {} ", family.name)).count(), 1, "{}", family.name);
        assert_eq!(text.matches(&format!("# TYPE {} {}\n", family.name, family.kind.name())).count(), 1);
    }
    assert!(text.contains("\ngroundskeeper_alert_firing{rule=\"a\\\"b\\\\c\\nd\r\"} 1\n"), "each once");
    assert!(text.contains("\ngroundskeeper_series_dropped 0\n") && text.ends_with('\n'));
    assert!(text.contains("\ngroundskeeper_collector_success{collector=\"alerts\"} 1\n"));
    assert!(text.contains("\ngroundskeeper_collector_success{collector=\"kpis\"} 0\n"));
    assert!(!text.contains("something_else"));
}

#[test]
fn all_parts_together_are_no_more_than_there_may_be() {
    let parts = Part::COLLECTED.into_iter().chain([Part::About, Part::Reading]);
    assert!(parts.map(Part::most).sum::<usize>() <= MOST_SERIES);
    let collected =
        |part: Part| Part::COLLECTED.contains(&part) || [Part::About, Part::Reading].contains(&part);
    assert!(FAMILIES.iter().all(|family| collected(family.part)));
    let names: Vec<String> = names().map(|(name, _)| name).collect();
    assert!(names.iter().all(|name| family_of(name).is_some()) && names.len() > FAMILIES.len());
}

proptest! {
    #[test]
    fn there_are_never_too_many(tables in 0_usize..3_000, rules in 0_usize..3_000, before in 0_usize..9) {
        let labelled = |name: &str, label: &str, count: usize| -> Vec<Sample> {
            (0..count).map(|n| Sample::labelled(name, label, &n.to_string(), 1.0)).collect()
        };
        let mut tables_said = labelled("groundskeeper_table_size_bytes", "table", tables);
        tables_said.push(Sample::plain(DROPPED, before as f64));
        let tables_read = Read::of(Part::Tables, tables_said);
        let alerts = Read::of(Part::Alerts, labelled("groundskeeper_alert_firing", "rule", rules));
        prop_assert!(tables_read.samples.len() + alerts.samples.len() <= MOST_SERIES);
        let reading = Read::of_reading(&[(Part::Tables, Some(&tables_read)), (Part::Alerts, Some(&alerts))]);
        let dropped = reading.samples.last().unwrap().value as usize;
        prop_assert_eq!(
            tables_read.samples.len() + alerts.samples.len() + dropped,
            tables + rules + before
        );
    }
}
