//! What is a statement at top level, and what is inside of one.

use super::*;
use postgres::SimpleQueryMessage;

#[test]
fn what_runs_inside_a_statement_is_not_counted_again() {
    let (_server, db) = preloaded(&["pg_groundskeeper"]);
    let (mut observer, mut client) = (db.client().unwrap(), db.client().unwrap());
    run_sql(
        &mut client,
        "CREATE TABLE parent (id integer PRIMARY KEY);
         CREATE TABLE child (id integer REFERENCES parent ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED);
         CREATE TABLE audit (n integer);
         CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS
           'BEGIN INSERT INTO audit SELECT n FROM generate_series(1, 3) n; RETURN NULL; END';
         CREATE TRIGGER audit AFTER INSERT ON parent FOR EACH STATEMENT EXECUTE FUNCTION audit();
         CREATE FUNCTION plain(n integer) RETURNS bigint LANGUAGE sql VOLATILE AS
           'INSERT INTO audit VALUES (n); SELECT count(*) FROM audit';
         CREATE FUNCTION constant() RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS
           'BEGIN RETURN (SELECT count(*) FROM generate_series(1, 3)); END';
         CREATE PROCEDURE in_parts() LANGUAGE plpgsql AS
           'BEGIN FOR i IN 1..3 LOOP INSERT INTO audit VALUES (i); COMMIT; END LOOP; ROLLBACK; END'",
    );
    let select = |n| Calls { transactions: n, select: n, ..Calls::default() };
    let write = |n| Calls { transactions: n, write: n, ..Calls::default() };
    let utility = |transactions, utility| Calls { transactions, utility, ..Calls::default() };
    for (work, expected) in [
        ("SELECT plain(n) FROM generate_series(1, 5) n", select(1)),
        // called while planning
        ("SELECT 1 WHERE constant() = 3", select(1)),
        ("INSERT INTO parent VALUES (1), (2)", write(1)),
        ("INSERT INTO parent VALUES (3) RETURNING id", write(1)),
        ("WITH gone AS (DELETE FROM parent WHERE id = 3 RETURNING id) SELECT count(*) FROM gone", write(1)),
        // foreign keys are checked with the commit
        ("INSERT INTO child VALUES (1)", write(1)),
        ("MERGE INTO audit USING parent ON n = id WHEN MATCHED THEN DELETE", write(1)),
        ("DO $$ BEGIN PERFORM count(*) FROM audit; DELETE FROM audit; END $$", utility(1, 1)),
        ("CREATE TABLE made AS SELECT * FROM generate_series(1, 10) n", utility(1, 1)),
        ("EXPLAIN (ANALYZE, COSTS OFF) SELECT count(*) FROM made", utility(1, 1)),
        ("COPY (SELECT * FROM made) TO '/dev/null'", utility(1, 1)),
        // each of its transactions, the last one empty, and the end of the statement itself
        ("CALL in_parts()", utility(5, 1)),
        ("SELECT 1; SELECT 2; SELECT 3", Calls { transactions: 1, select: 3, ..Calls::default() }),
    ] {
        let seen = calls(&mut observer, || {
            client.simple_query(work).unwrap_or_else(|error| panic!("{error:?}: {work}"));
        });
        assert_eq!(seen, expected, "{work}");
    }
}

#[test]
fn execute_and_fetch_count_as_what_they_run() {
    let (_server, db) = preloaded(&["pg_groundskeeper"]);
    let (mut observer, mut client) = (db.client().unwrap(), db.client().unwrap());
    run_sql(&mut client, "CREATE TABLE t AS SELECT n FROM generate_series(1, 100) n");
    let seen = calls(&mut observer, || {
        for statement in
            ["PREPARE find AS SELECT n FROM t WHERE n = $1", "EXECUTE find(1)", "EXECUTE find(2)"]
        {
            run_sql(&mut client, statement);
        }
    });
    assert_eq!(seen, Calls { transactions: 3, select: 2, utility: 1, ..Calls::default() });
    let seen = calls(&mut observer, || {
        for statement in
            ["BEGIN", "DECLARE c CURSOR FOR SELECT n FROM t", "FETCH 10 FROM c", "FETCH 10 FROM c", "COMMIT"]
        {
            run_sql(&mut client, statement);
        }
    });
    assert_eq!(seen, Calls { transactions: 1, select: 2, utility: 1, ..Calls::default() });
    // Held, its rows lie ready, and FETCH runs nothing.
    let seen = calls(&mut observer, || {
        for statement in ["DECLARE c CURSOR WITH HOLD FOR SELECT n FROM t", "FETCH 10 FROM c", "CLOSE c"] {
            run_sql(&mut client, statement);
        }
    });
    assert_eq!(seen, Calls { transactions: 3, utility: 3, ..Calls::default() });
}

#[test]
fn each_part_of_a_suspended_portal_is_a_call_that_the_client_waits_for() {
    let (_server, db) = preloaded(&["pg_groundskeeper"]);
    let (mut observer, mut client) = (db.client().unwrap(), db.client().unwrap());
    let seen = calls(&mut observer, || {
        let mut transaction = client.transaction().unwrap();
        let portal = transaction.bind("SELECT n FROM generate_series(1, 25) n", &[]).unwrap();
        let parts: Vec<usize> =
            (0..3).map(|_| transaction.query_portal(&portal, 10).unwrap().len()).collect();
        assert_eq!(parts, [10, 10, 5]);
        transaction.commit().unwrap();
    });
    assert_eq!(seen, Calls { transactions: 1, select: 3, ..Calls::default() });
}

#[test]
fn only_clients_are_counted() {
    let (_server, db) = preloaded(&["pg_groundskeeper"]);
    let (mut observer, mut client) = (db.client().unwrap(), db.client().unwrap());
    run_sql(
        &mut client,
        "CREATE TABLE big AS SELECT n, repeat('x', 500) FROM generate_series(1, 20000) n; ANALYZE big;
         SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0",
    );
    let seen = calls(&mut observer, || {
        let rows = client.simple_query("EXPLAIN (ANALYZE) SELECT count(*) FROM big").unwrap();
        let plan: String = rows
            .iter()
            .filter_map(|row| if let SimpleQueryMessage::Row(row) = row { row.get(0) } else { None })
            .collect();
        assert!(plan.contains("Workers Launched: 2"), "{plan}");
        client.simple_query("SELECT count(*) FROM big").unwrap();
    });
    assert_eq!(seen, Calls { transactions: 2, select: 1, utility: 1, ..Calls::default() });
}
