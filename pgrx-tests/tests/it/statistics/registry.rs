//! `groundskeeper.maintained_relations`.

use super::*;
use groundskeeper_tests::sql::refusal;

#[test]
fn only_what_has_rows_of_its_own_is_registered() {
    let db = TestDb::installed(Template::ShapeA).unwrap();
    db.settle().unwrap();
    let mut client = db.client().unwrap();
    client.batch_execute("CREATE TEMP TABLE scratch (x integer)").unwrap();
    for (relation, code) in [
        ("staging.migration_ready_records", "42809"),
        ("staging.idx_staging_games_date", "42809"),
        ("staging.games_id_seq", "42809"),
        ("pg_class", "42809"),
        ("scratch", "42809"),
        ("staging.nothing", "42P01"),
    ] {
        let refused = refusal(&mut client, &format!("SELECT groundskeeper.maintain('{relation}')")).unwrap();
        assert_eq!(refused.code, code, "{relation}: {refused:?}");
    }
    let refused =
        refusal(&mut client, "SELECT groundskeeper.stop_maintaining('curated.moneylines')").unwrap();
    assert_eq!(refused.code, "42704");
    let refused = refusal(&mut client, "SELECT groundskeeper.stop_maintaining('staging.games')").unwrap();
    assert!(refused.detail.contains("part of the plan"), "{refused:?}");
    let refused =
        refusal(&mut client, "INSERT INTO groundskeeper.maintained_relations VALUES ('no schema')").unwrap();
    assert!(!refused.code.is_empty());
    assert_eq!(
        texts(&mut client, "SELECT FROM groundskeeper.maintained_relations").unwrap_or_default(),
        [""; 0]
    );
}

#[test]
fn names_of_any_kind_are_looked_after_until_taken_off() {
    let (db, mut client) = looked_after();
    let name = r#""s'x""y"."t; DROP TABLE staging.games; --""#;
    client.batch_execute(&format!(r#"CREATE SCHEMA "s'x""y"; CREATE TABLE {name} (x integer)"#)).unwrap();
    let quoted = name.replace('\'', "''");
    let maintain = format!("SELECT groundskeeper.maintain('{quoted}')");
    assert_eq!(text(&mut client, &maintain).unwrap(), "true");
    assert_eq!(text(&mut client, &maintain).unwrap(), "false");
    change(&mut client, &format!("INSERT INTO {name} SELECT generate_series(1, 100)"));
    assert_eq!(touched(&update(&mut client)), [format!("{name} analyzed")]);
    // The register goes with a dump, what was seen does not.
    let copy = TestDb::new(Template::Empty).unwrap();
    copy.server().restore(copy.name(), &db.dump().unwrap()).unwrap();
    let registered = "SELECT relation FROM groundskeeper.maintained_relations";
    let mut there = copy.client().unwrap();
    assert_eq!(texts(&mut there, registered).unwrap(), [name]);
    assert!(touched(&update(&mut there)).len() >= 3);
    client.batch_execute(&format!("SELECT groundskeeper.stop_maintaining('{quoted}')")).unwrap();
    assert_eq!(update(&mut client).len(), PLAN.len());
}
