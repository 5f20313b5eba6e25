use super::*;
use proptest::prelude::*;

fn table(changes: f64, rows: f64) -> Table {
    Table { analyzed: true, changes, rows, base: 50.0, scale: 0.1 }
}

#[test]
fn the_threshold_is_autovacuums() {
    assert!(!table(150.0, 1000.0).verdict(false).due);
    assert!(table(151.0, 1000.0).verdict(false).due);
    assert!(table(51.0, -1.0).verdict(false).due, "unknown rows count as none");
    assert!(table(0.0, 1000.0).verdict(true).due);
    assert_eq!(Table { analyzed: false, ..table(0.0, 0.0) }.verdict(false).reason, "never analyzed");
}

fn source(file: u32, changes: i64) -> Source {
    Source { name: format!("s.t{file}"), file, changes, rows: 0 }
}

fn seen(sources: &[(u32, u32, i64)]) -> Seen {
    let sources = sources.iter().map(|&(oid, file, changes)| (oid, source(file, changes))).collect();
    Seen { reset: Some("once".into()), window: Some("2025-07-21".into()), sources }
}

fn view(before: Option<Seen>, now: Seen) -> View {
    View { populated: true, before, now, opaque: None }
}

#[test]
fn a_view_is_refreshed_when_something_is_different() {
    let before = seen(&[(1, 10, 5), (2, 20, 7)]);
    assert!(!view(Some(before.clone()), before.clone()).verdict(false).due);
    assert!(view(Some(before.clone()), before.clone()).verdict(true).due);
    for now in [
        seen(&[(1, 10, 6), (2, 20, 7)]),
        seen(&[(1, 11, 5), (2, 20, 7)]),
        seen(&[(1, 10, 4), (2, 20, 7)]),
        seen(&[(1, 10, 5)]),
        seen(&[(1, 10, 5), (2, 20, 7), (3, 30, 0)]),
        Seen { reset: Some("again".into()), ..before.clone() },
        Seen { window: Some("2025-07-22".into()), ..before.clone() },
    ] {
        assert!(view(Some(before.clone()), now.clone()).verdict(false).due, "{now:?}");
    }
    assert!(view(None, before.clone()).verdict(false).due);
    assert!(View { populated: false, ..view(Some(before.clone()), before.clone()) }.verdict(false).due);
    let opaque = View { opaque: Some("function f()".into()), ..view(Some(before.clone()), before) };
    assert!(opaque.verdict(false).reason.contains("f()"));
}

#[test]
fn a_source_that_was_only_renamed_has_not_changed() {
    let (before, mut now) = (seen(&[(1, 10, 5)]), seen(&[(1, 10, 5)]));
    now.sources.get_mut(&1).unwrap().name = "s.renamed".into();
    assert!(!view(Some(before), now).verdict(false).due);
}

#[test]
fn changes_are_summed_over_partitions_whatever_happens_to_them() {
    let before = seen(&[(1, 10, 5), (2, 20, 7), (4, 40, 9)]);
    // one more row; counters that began again; a new partition; one that is gone
    assert_eq!(seen(&[(1, 10, 6), (2, 20, 3), (3, 30, 11)]).changes_since(&before), 1 + 3 + 11);
}

#[test]
fn a_partition_that_comes_or_goes_counts_by_its_rows() {
    let of = |rows: i64, changes: i64| Source { rows, ..source(1, changes) };
    let seen =
        |sources: &[(u32, Source)]| Seen { sources: sources.iter().cloned().collect(), ..Seen::default() };
    let whole = seen(&[(1, of(1_000, 1_000)), (2, of(300, 5_000_000))]);
    let left = seen(&[(1, of(1_000, 1_000))]);
    assert_eq!(left.changes_since(&whole), 300, "detached");
    assert_eq!(whole.changes_since(&left), 300, "attached, with a past of its own");
    // What was written down before rows were known says nothing of them.
    let text = r#"{"reset":null,"window":null,"sources":{"2":{"name":"s.t","file":1,"changes":7}}}"#;
    let before: Seen = serde_json::from_str(text).unwrap();
    assert_eq!(left.changes_since(&before), 1_000);
}

#[test]
fn the_clock_is_found_among_the_functions() {
    assert_eq!(window("date_trunc CURRENT_DATE"), Window::Day);
    assert_eq!(window("CURRENT_DATE now"), Window::Hour);
    assert_eq!(window("CURRENT_TIMESTAMP"), Window::Hour);
    assert_eq!(window("date_trunc now_playing"), Window::None);
    assert_eq!(window(""), Window::None);
}

proptest! {
    #[test]
    fn what_is_read_comes_first(
        count in 1..20usize,
        pairs in prop::collection::vec((0..20usize, 0..20usize), 0..60),
    ) {
        // A view reads only older ones: there are no circles.
        let reads: Vec<_> = pairs.into_iter().filter(|(a, b)| b < a && *a < count).collect();
        let order = dependencies_first(count, &reads);
        let at = |view: usize| order.iter().position(|&v| v == view).unwrap();
        prop_assert_eq!(order.len(), count);
        for (reader, read) in reads {
            prop_assert!(at(read) < at(reader));
        }
    }

    #[test]
    fn circles_end(pairs in prop::collection::vec((0..8usize, 0..8usize), 0..40)) {
        prop_assert_eq!(dependencies_first(8, &pairs).len(), 8);
    }

    #[test]
    fn nothing_changed_is_never_due(changes in prop::collection::vec((0..9u32, 0..9u32, 0..99i64), 0..9)) {
        let now = seen(&changes);
        prop_assert!(!view(Some(now.clone()), now.clone()).verdict(false).due);
        prop_assert_eq!(now.changes_since(&now), 0);
    }
}
