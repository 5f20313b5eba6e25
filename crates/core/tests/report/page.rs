//! The page as a whole: whatever the database is called, it is one line, not too long, and runs nothing.

use super::sample;
use groundskeeper_core::report::{LONGEST, Part, Report, page, verdicts};
use proptest::prelude::*;
use std::path::Path;

/// Names that somebody might give to a table.
const HOSTILE: [&str; 6] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "'; DROP TABLE x; --\r\n\\gexec\n",
    "\u{202e}txt.exe\u{2066}\u{200b}",
    "http://example.org/?a=1&b=2",
    "--></style></title></svg><a href=javascript:alert(1)>",
];

fn harmless(page: &str) {
    assert!(page.len() <= LONGEST, "{} bytes", page.len());
    assert!(!page.contains(['\n', '\r']), "a line ends");
    for forbidden in [
        "<script",
        "<img",
        "http://",
        "https://",
        "javascript:alert(1)>",
        "\u{202e}",
        "\u{2066}",
        "onerror=alert(1)>",
    ] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    assert_eq!(page.matches("</style>").count(), 1);
    balanced(page);
}

/// Each element that begins ends, in the right order: nothing that was written has become markup.
fn balanced(page: &str) {
    const VOID: [&str; 1] = ["meta"];
    let mut open: Vec<&str> = Vec::new();
    for tag in page.split('<').skip(1).filter(|tag| !tag.starts_with("!DOCTYPE")) {
        let name = tag.split(['>', ' ']).next().unwrap_or_default();
        match name.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "in {open:?}"),
            None if VOID.contains(&name) => {}
            None => open.push(name),
        }
    }
    assert!(open.is_empty(), "{open:?} never ends");
}

/// Every text of the report is this one, and every list is so many times as long.
fn with(report: &Report, name: &str, times: usize) -> Report {
    fn replace(value: &mut serde_json::Value, key: &str, name: &str, times: usize) {
        match value {
            serde_json::Value::Object(fields) => {
                fields.iter_mut().for_each(|(key, value)| replace(value, key, name, times))
            }
            serde_json::Value::Array(all) => {
                all.iter_mut().for_each(|value| replace(value, key, name, times));
                if !["bands", "bounds_ms", "steps"].contains(&key) {
                    *all = all.iter().cycle().take(all.len() * times).cloned().collect();
                }
            }
            serde_json::Value::String(text) if !["weight", "section"].contains(&key) => {
                *text = format!("{name}{text}")
            }
            _ => {}
        }
    }
    let mut value = serde_json::to_value(report).unwrap();
    let weights = value["verdicts"].clone();
    replace(&mut value, "", name, times);
    assert!(weights.is_array());
    serde_json::from_value(value).unwrap()
}

#[test]
fn a_page_to_look_at() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for (name, report) in [("report", sample::report()), ("empty", sample::empty())] {
        let page = page(&report);
        harmless(&page);
        std::fs::write(directory.join(name).with_extension("html"), page).unwrap();
    }
}

#[test]
fn names_are_only_names() {
    for name in HOSTILE {
        harmless(&page(&with(&sample::report(), name, 1)));
    }
}

#[test]
fn the_page_is_never_too_long() {
    for name in ["<<<<\"\"\"'''&&&".repeat(40), "\u{202e}".repeat(63), "x".repeat(5000)] {
        harmless(&page(&with(&sample::report(), &name, 40)));
    }
}

#[test]
fn what_is_not_known_says_why() {
    let mut report = sample::report();
    let reason = "nobody counted sheep".to_owned();
    report.latency = Part::unknown(reason.clone());
    report.partitions = Part::unknown(reason.clone());
    let page = page(&report);
    assert_eq!(page.matches(&reason).count(), 2);
    harmless(&page);
}

#[test]
fn the_report_is_read_back_from_its_json() {
    let report = sample::report();
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(serde_json::from_value::<Report>(json).unwrap(), report);
}

#[test]
fn there_are_at_most_seven_verdicts_and_the_worst_come_first() {
    let report = sample::report();
    let found = verdicts(&report);
    assert!((1..=7).contains(&found.len()));
    assert!(found.is_sorted_by_key(|verdict| verdict.weight));
    let calm = verdicts(&sample::empty());
    assert!(calm.iter().all(|verdict| !verdict.observation.is_empty()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn whatever_the_names_are_the_page_is_harmless(name in "\\PC{0,80}|.{0,80}", times in 1_usize..4) {
        let page = page(&with(&sample::report(), &name, times));
        prop_assert!(page.len() <= LONGEST);
        prop_assert!(!page.contains(['\n', '\r']));
        balanced(&page);
    }
}
