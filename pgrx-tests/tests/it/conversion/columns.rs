//! Columns that are added, dropped or changed on a converted table are carried over to its other copy.

use groundskeeper_tests::TestDb;
use groundskeeper_tests::sql::{refusal, text};
use postgres::Client;

use super::{convert, differing, finalize, leftovers, undo, with};

const TABLE: &str = "
    CREATE TABLE public.t (id bigint PRIMARY KEY, day date, n integer, note text DEFAULT 'x', kind varchar(5));
    INSERT INTO t SELECT i, current_date - i % 60, i, i::text, i % 7 FROM generate_series(1, 300) i;";

/// What is done to the columns, and then to rows.
const CHANGES: [&str; 13] = [
    "ADD extra integer",
    "ADD extra integer NOT NULL DEFAULT 7",
    "ADD extra timestamptz NOT NULL DEFAULT clock_timestamp()",
    "ADD extra integer GENERATED ALWAYS AS (n * 2) STORED",
    "ADD extra serial",
    "ADD extra text COLLATE \"C\" DEFAULT 'a; b'",
    "DROP n",
    "DROP n, DROP kind, ADD kind text DEFAULT 'k'",
    "ALTER n TYPE bigint",
    "ALTER note TYPE bigint USING length(note), ALTER note DROP DEFAULT",
    "ALTER n SET NOT NULL, ALTER note DROP DEFAULT",
    "ALTER n SET DEFAULT 5, ALTER kind TYPE varchar(20)",
    "ADD extra integer DEFAULT 1, ADD more integer NOT NULL DEFAULT 2, DROP note",
];

fn changed(change: &str) -> (TestDb, Client) {
    let (db, mut client) = with(TABLE);
    convert(&mut client, "t", "day");
    // note is turned into a number where its default is none
    let change = change.replace(
        "ALTER note TYPE bigint USING length(note), ALTER note DROP DEFAULT",
        "ALTER note DROP DEFAULT, ALTER note TYPE bigint USING length(note)",
    );
    client
        .batch_execute(&format!(
            "ALTER TABLE t {change}; UPDATE t SET day = day - 1 WHERE id < 40; DELETE FROM t WHERE id = 100;
             INSERT INTO t (id, day) SELECT i, current_date FROM generate_series(1001, 1010) i WHERE {}",
            if change.contains("SET NOT NULL") { "false" } else { "true" }
        ))
        .unwrap();
    client.batch_execute("CREATE TABLE was AS TABLE t").unwrap();
    (db, client)
}

const SHAPE: &str = "SELECT string_agg(concat_ws(' ', attname, format_type(atttypid, atttypmod), attnotnull, attgenerated, attidentity,
                            pg_get_expr(adbin, adrelid)), ', ' ORDER BY attname)
                       FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
                      WHERE attrelid = 't'::regclass AND attnum > 0 AND NOT attisdropped";

#[test]
fn the_way_back_has_the_columns() {
    for change in CHANGES {
        let (_db, mut client) = changed(change);
        let shape = text(&mut client, SHAPE).unwrap();
        let health = "SELECT concat_ws(' ', status, remedy) FROM monitoring.partition_health";
        let seen = text(&mut client, health).unwrap();
        assert!(seen.starts_with("columns") && seen.contains("carried over"), "{change}: {seen}");
        undo(&mut client, "t");
        assert_eq!(text(&mut client, SHAPE).unwrap(), shape, "{change}");
        let was = listed(&mut client);
        assert_eq!(differing(&mut client, "SELECT * FROM t", &was), "0", "{change}");
        assert_eq!(leftovers(&mut client), [""; 0], "{change}");
    }
}

/// The copy of the table, with its columns in the table's order.
fn listed(client: &mut Client) -> String {
    let columns = "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
                    WHERE attrelid = 't'::regclass AND attnum > 0 AND NOT attisdropped";
    format!("SELECT {} FROM was", text(client, columns).unwrap())
}

#[test]
fn the_log_is_shortened_and_the_way_ended_all_the_same() {
    for change in [CHANGES[1], CHANGES[6], CHANGES[9]] {
        let (db, mut client) = changed(change);
        client.batch_execute("SELECT FROM create_monthly_partitions()").unwrap();
        db.settle().unwrap();
        assert_eq!(
            text(&mut client, "SELECT status FROM monitoring.partition_health").unwrap(),
            "ok",
            "{change}"
        );
        let (table, former) =
            (listed(&mut client), listed(&mut client).replace("FROM was", "FROM t_unpartitioned"));
        assert_eq!(differing(&mut client, &former, &table), "0", "{change}");
        finalize(&mut client, "t");
        let was = listed(&mut client);
        assert_eq!(differing(&mut client, "SELECT * FROM t", &was), "0", "{change}");
    }
}

#[test]
fn a_wider_key_is_carried_over_too() {
    let (db, mut client) = with(
        "CREATE TABLE public.k (id integer PRIMARY KEY, day date); INSERT INTO k SELECT i, current_date FROM generate_series(1, 50) i;
         CREATE TABLE public.t (id integer, day date, PRIMARY KEY (id, day)); INSERT INTO t SELECT i, current_date FROM generate_series(1, 50) i",
    );
    // The key that is kept apart is named by a trigger, so PostgreSQL itself refuses it.
    convert(&mut client, "k", "day");
    assert_eq!(refusal(&mut client, "ALTER TABLE k ALTER id TYPE bigint").unwrap().code, "0A000");
    undo(&mut client, "k");
    convert(&mut client, "t", "day");
    client
        .batch_execute("ALTER TABLE t ALTER id TYPE bigint; SELECT FROM create_monthly_partitions()")
        .unwrap();
    db.settle().unwrap();
    client.batch_execute("INSERT INTO t VALUES (9000000000, current_date)").unwrap();
    undo(&mut client, "t");
    assert_eq!(text(&mut client, "SELECT max(id) FROM t").unwrap(), "9000000000");
    assert_eq!(leftovers(&mut client), [""; 0]);
}
