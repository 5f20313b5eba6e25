//! Lists that stand in two places agree.
#![allow(missing_docs, reason = "a test")]

use groundskeeper_core::partition::preflight::{CHECKS, Severity, check_named};
use groundskeeper_core::plan::Plan;

/// What the extension finds out by itself, and not in the catalogs.
const OUTSIDE_OF_SQL: [&str; 5] = ["rows", "free_space", "owner", "statements", "rehearsal"];

#[test]
fn the_preflight_finds_what_is_known() {
    let sql = include_str!("../../../src/partition/convert/preflight.sql");
    let findings: Vec<(&str, &str)> = sql
        .lines()
        .filter(|line| line.starts_with("SELECT '") || line.starts_with("SELECT DISTINCT '"))
        .map(|line| {
            let mut words = line.split('\'');
            (words.nth(1).unwrap_or_default(), words.nth(1).unwrap_or_default())
        })
        .collect();
    assert!(findings.len() > 30, "the findings of preflight.sql are not where they were");
    for (check, severity) in &findings {
        assert!(check_named(check).is_some(), "preflight.sql has a check {check} that CHECKS has not");
        assert!(Severity::parse(severity).is_some(), "the check {check} has the severity {severity}");
    }
    for check in CHECKS {
        let made = OUTSIDE_OF_SQL.contains(&check) || findings.iter().any(|(found, _)| *found == check);
        assert!(made, "nothing looks for {check}, which would always be said to be ok");
    }
}

#[test]
fn the_plans_time_zone_is_the_settings_default() {
    let settings = include_str!("../../../src/settings.rs");
    let plan = Plan::built_in().unwrap();
    let zone = plan.pool.server_settings.get("timezone");
    assert!(settings.contains(&format!("GucSetting::<Option<CString>>::new(Some(c\"{zone}\"))")), "{zone}");
}
