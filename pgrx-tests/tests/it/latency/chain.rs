//! Other libraries with the same hooks, before and after ours.

use super::*;
use groundskeeper_tests::sql::text;

#[test]
fn either_load_order_leaves_everybody_their_own() {
    if groundskeeper_tests::lacks("auto_explain") || groundskeeper_tests::lacks("pg_stat_statements") {
        return;
    }
    for libraries in [
        ["pg_groundskeeper", "pg_stat_statements", "auto_explain"],
        ["pg_stat_statements", "auto_explain", "pg_groundskeeper"],
    ] {
        let options = libraries.iter().fold(Options::default(), |options, library| options.preload(library));
        let options = options.set("auto_explain.log_min_duration", "0").set("auto_explain.log_analyze", "on");
        let (server, db) = started(&options);
        let (mut observer, mut client) = (db.client().unwrap(), db.client().unwrap());
        run_sql(&mut client, "CREATE EXTENSION pg_stat_statements; CREATE TABLE t (n integer PRIMARY KEY)");
        let seen = calls(&mut observer, || {
            for n in 0..7 {
                run_sql(&mut client, &format!("INSERT INTO t VALUES ({n})"));
                run_sql(&mut client, &format!("SELECT * FROM t WHERE n = {n} AND 'marker' <> ''"));
            }
            run_sql(&mut client, "VACUUM t");
        });
        let expected = Calls { select: 7, write: 7, utility: 1, ..Calls::default() };
        assert_eq!(Calls { transactions: 0, ..seen }, expected, "{libraries:?}");
        let theirs = "SELECT string_agg(calls::text, ' ' ORDER BY query) FROM pg_stat_statements
                       WHERE query LIKE 'INSERT INTO t%' OR query LIKE 'SELECT * FROM t%' OR query = 'VACUUM t'";
        assert_eq!(text(&mut observer, theirs).unwrap(), "7 7 1", "{libraries:?}");
        let plans = server.log().matches("'marker' <> ''").count();
        assert!(plans >= 7, "{libraries:?}: auto_explain logged {plans} plans");
        let ours =
            "SELECT sum(calls) FROM groundskeeper.statement_latency() WHERE query LIKE '%INTO t VALUES%'";
        assert_eq!(text(&mut observer, ours).unwrap(), "7", "{libraries:?}");
    }
}

#[test]
fn errors_reach_the_client_whole() {
    let (_server, db) = preloaded(&["pg_groundskeeper"]);
    let mut client = db.client().unwrap();
    run_sql(
        &mut client,
        "CREATE TABLE bet (odds integer CONSTRAINT possible CHECK (abs(odds) >= 100));
         CREATE FUNCTION place(odds integer) RETURNS void LANGUAGE plpgsql AS
           'BEGIN INSERT INTO bet VALUES (odds); END';
         CREATE FUNCTION misspelt() RETURNS void LANGUAGE plpgsql AS
           'BEGIN PERFORM nonsense FROM bet; END'",
    );
    for statement in ["INSERT INTO bet VALUES (5)", "SELECT place(5)", "DO 'BEGIN PERFORM place(5); END'"] {
        let error = client.batch_execute(statement).unwrap_err();
        let error = error.as_db_error().unwrap();
        let place = (error.schema(), error.table(), error.constraint());
        assert_eq!(place, (Some("public"), Some("bet"), Some("possible")), "{statement}");
        let context = error.where_().unwrap_or_default();
        assert_eq!(context.contains("place(integer) line 1"), statement.contains("place"), "{context}");
    }
    let error = client.batch_execute("SELECT misspelt()").unwrap_err();
    let position = format!("{:?}", error.as_db_error().unwrap().position());
    assert!(position.contains("Internal") && position.contains("SELECT nonsense FROM bet"), "{position}");
}
