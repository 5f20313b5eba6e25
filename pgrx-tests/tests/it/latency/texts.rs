//! Statements by their identifiers: how many, and who sees what they say.

use super::*;
use groundskeeper_sandbox::server::quote_ident;
use groundskeeper_tests::sql::{refusal, text, texts};

#[test]
fn a_thousand_and_more_statements_keep_the_most_expensive_and_count_the_rest() {
    if groundskeeper_tests::lacks("pg_stat_statements") {
        return;
    }
    let (_server, db) = preloaded(&["pg_stat_statements", "pg_groundskeeper"]);
    let (mut observer, mut client) = (db.client().unwrap(), db.client().unwrap());
    run_sql(&mut client, "CREATE EXTENSION pg_stat_statements");
    // The number of columns makes another statement.
    for columns in 1..=1400 {
        run_sql(&mut client, &format!("SELECT {}", vec!["1"; columns].join(",")));
    }
    // It comes last, when no place is left.
    run_sql(&mut client, "SELECT pg_sleep(0.3), 'expensive'");
    let rows = "SELECT count(queryid) || ' ' || count(*) FILTER (WHERE queryid IS NULL) FROM groundskeeper.statement_latency()";
    assert_eq!(text(&mut observer, rows).unwrap(), "500 1");
    let top = "SELECT calls || ' ' || (p50_ms BETWEEN 280 AND 400) || ' ' || query
                 FROM groundskeeper.statement_latency() WHERE query LIKE '%sleep($1)%'";
    assert_eq!(text(&mut observer, top).unwrap(), "1 true SELECT pg_sleep($1), $2");
    // Nothing is lost: what is not told apart is in the last row. Each of the two functions misses its own call.
    let sums = "SELECT (SELECT sum(calls) FROM groundskeeper.statement_latency())
                       - (SELECT calls FROM groundskeeper.query_latency() WHERE scope = 'statements')";
    assert_eq!(text(&mut observer, sums).unwrap(), "0");
    run_sql(&mut client, "SELECT groundskeeper.record_metrics()");
    assert_eq!(text(&mut observer, rows).unwrap(), "500 1");
    assert_eq!(text(&mut observer, sums).unwrap(), "0");
    let others = "SELECT calls > 850 FROM groundskeeper.statement_latency() WHERE queryid IS NULL";
    assert_eq!(text(&mut observer, others).unwrap(), "true");
}

#[test]
fn statements_of_other_databases_stay_there() {
    if groundskeeper_tests::lacks("pg_stat_statements") {
        return;
    }
    let (server, db) = preloaded(&["pg_stat_statements", "pg_groundskeeper"]);
    let mut client = db.client().unwrap();
    let mut elsewhere = server.connect("postgres", "postgres").unwrap();
    for _ in 0..20 {
        run_sql(&mut elsewhere, "SELECT 1, 2, 3, 4");
    }
    run_sql(&mut client, "CREATE EXTENSION pg_stat_statements; SELECT 1, 2, 3, 4");
    let calls = "SELECT calls FROM groundskeeper.statement_latency() WHERE query = 'SELECT $1, $2, $3, $4'";
    assert_eq!(text(&mut client, calls).unwrap(), "1");
    assert!(latency(&mut client, "select").calls < 20);
}

#[test]
fn no_text_is_stored_and_none_is_shown_to_whom_it_is_not_for() {
    if groundskeeper_tests::lacks("pg_stat_statements") {
        return;
    }
    let (_server, mut db) = preloaded(&["pg_stat_statements", "pg_groundskeeper"]);
    let [monitor, granted, stranger] = ["monitor", "granted", "stranger"].map(|stem| db.role(stem).unwrap());
    let mut client = db.client().unwrap();
    run_sql(
        &mut client,
        &format!(
            "CREATE EXTENSION pg_stat_statements; CREATE TABLE very_secret (n integer);
             GRANT pg_monitor TO {}; GRANT EXECUTE ON FUNCTION groundskeeper.statement_latency, groundskeeper_internal.statement_texts TO {1};
             GRANT SELECT ON groundskeeper.metrics, groundskeeper.latency_mark TO {1}",
            quote_ident(&monitor),
            quote_ident(&granted)
        ),
    );
    run_sql(&mut client, "SELECT * FROM very_secret WHERE n = 4711");
    run_sql(&mut client, "SELECT groundskeeper.record_metrics()");
    let seen =
        "SELECT query FROM groundskeeper.statement_latency() WHERE query LIKE 'SELECT * FROM very_secret%'";
    let seen_by = |role: &str| texts(&mut db.client_as(role).unwrap(), seen).unwrap();
    assert_eq!(seen_by(&monitor).len(), 1);
    assert_eq!(seen_by(&granted), [""; 0]);
    let mut stranger = db.client_as(&stranger).unwrap();
    for call in [
        "SELECT groundskeeper.query_latency()",
        "SELECT groundskeeper.statement_latency()",
        "SELECT groundskeeper_internal.statement_texts()",
        "SELECT groundskeeper.record_metrics()",
        "SELECT groundskeeper.metrics_over()",
        "TABLE groundskeeper.metrics",
        "TABLE groundskeeper.latency_mark",
        "TABLE groundskeeper.metrics_cost",
    ] {
        assert_eq!(refusal(&mut stranger, call).unwrap().code, "42501", "{call}");
    }
    let stored = "SELECT count(*) FROM groundskeeper.metrics m, groundskeeper.latency_mark k
                   WHERE position('secret'::bytea IN coalesce(m.statement_latency, '')) > 0
                      OR position('secret'::bytea IN k.counts) > 0 OR m::text LIKE '%secret%'";
    assert_eq!(text(&mut client, stored).unwrap(), "0");
}
