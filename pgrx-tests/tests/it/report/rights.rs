//! The report is read with the rights of whoever asks, and literals are nobody's.

use groundskeeper_tests::sql::refusal;

use super::*;

#[test]
fn texts_are_for_those_who_may_read_them_and_values_for_nobody() {
    if groundskeeper_tests::lacks("pg_stat_statements") {
        return;
    }
    let (server, mut db) = preloaded(&["pg_groundskeeper", "pg_stat_statements"], Template::Empty);
    let mut client = db.client().unwrap();
    run_sql(&mut client, "CREATE EXTENSION pg_stat_statements; CREATE TABLE cards (number text)");
    run_sql(&mut client, "SELECT count(*) AS my_secret_alias FROM cards WHERE number = '4000-0012'");
    run_sql(&mut client, "CREATE ROLE hunter_role PASSWORD 'hunter2'");
    run_sql(&mut client, "SET application_name = 'token-77'");
    run_sql(&mut client, "DROP ROLE hunter_role");
    let seen = |client: &mut Client| page(client) + &report(client).to_string();

    let all = seen(&mut client);
    assert!(all.contains("my_secret_alias"), "a superuser sees the text");
    let mut watcher = monitor(&mut db);
    let watched = seen(&mut watcher);
    assert!(watched.contains("my_secret_alias"), "so does a member of pg_monitor");
    run_sql(&mut client, "REVOKE pg_read_all_stats FROM pg_monitor");
    let without = seen(&mut watcher);
    run_sql(&mut client, "GRANT pg_read_all_stats TO pg_monitor");
    assert!(!without.contains("my_secret_alias"), "but not without the right to");
    assert!(without.contains("text hidden") || without.contains("pg_read_all_stats"), "and is told so");
    for page in [all, watched, without] {
        for literal in ["4000-0012", "hunter2", "token-77", "hunter_role"] {
            assert!(!page.contains(literal), "{literal}");
        }
    }
    drop((client, watcher, db));
    server.destroy();
}

#[test]
fn who_may_not_watch_may_not_ask() {
    let mut db = TestDb::installed(Template::ShapeA).unwrap();
    let stranger = db.role("stranger").unwrap();
    let mut client = db.client_as(&stranger).unwrap();
    for call in ["performance_report()", "performance_report_html()", "prometheus_metrics()"] {
        assert_eq!(
            refusal(&mut client, &format!("SELECT groundskeeper.{call}")).unwrap().code,
            "42501",
            "{call}"
        );
    }
    // Granted the call alone, one sees what one may, and why no more.
    let grant = format!(
        "GRANT EXECUTE ON FUNCTION groundskeeper.performance_report_html TO {0}",
        quote_ident(&stranger)
    );
    run_sql(&mut db.client().unwrap(), &grant);
    assert!(page(&mut client).contains("permission denied"));
}

#[test]
fn a_table_that_is_locked_stalls_nothing() {
    let db = TestDb::installed(Template::ShapeA).unwrap();
    let mut locker = db.client().unwrap();
    run_sql(
        &mut locker,
        "BEGIN; LOCK TABLE staging.moneylines, raw_data.moneylines_raw IN ACCESS EXCLUSIVE MODE",
    );
    let mut client = db.client().unwrap();
    run_sql(&mut client, "SET statement_timeout = '20s'");
    page(&mut client);
    run_sql(&mut client, "SELECT groundskeeper.prometheus_metrics()");
    run_sql(&mut locker, "ROLLBACK");
}
