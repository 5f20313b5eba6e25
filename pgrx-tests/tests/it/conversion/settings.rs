//! What roles and databases are set to suits an application, and neither stops nor bends a conversion: the workers'
//! sessions are as the server has them, and who calls may be set as they like.

use groundskeeper_tests::sql::text;

use super::{assert_keys, carry_out, convert, differing, leftovers, undo, with};

const TABLE: &str = "
    CREATE TABLE public.t (id bigint PRIMARY KEY, day date);
    CREATE TABLE public.child (t_id bigint REFERENCES public.t);
    INSERT INTO t SELECT i, current_date - i FROM generate_series(1, 60) i;";

/// Each bends what statements mean, how values are shown, how plans are made, or what is allowed.
const SETTINGS: &[(&str, &str)] = &[
    ("quote_all_identifiers", "on"),
    ("session_replication_role", "replica"),
    ("exit_on_error", "on"),
    ("client_encoding", "LATIN1"),
    ("bytea_output", "escape"),
    ("array_nulls", "off"),
    ("standard_conforming_strings", "off"),
    ("backslash_quote", "off"),
    ("transform_null_equals", "on"),
    ("xmloption", "document"),
    ("check_function_bodies", "off"),
    ("plpgsql.variable_conflict", "use_column"),
    ("plpgsql.extra_errors", "all"),
    ("DateStyle", "German"),
    ("IntervalStyle", "sql_standard"),
    ("TimeZone", "Asia/Kathmandu"),
    ("extra_float_digits", "-15"),
    ("row_security", "off"),
    ("constraint_exclusion", "off"),
    ("enable_partition_pruning", "off"),
    ("enable_indexscan", "off"),
    ("enable_seqscan", "off"),
    ("join_collapse_limit", "1"),
    ("default_transaction_isolation", "serializable"),
    ("default_transaction_read_only", "on"),
    ("default_transaction_deferrable", "on"),
    ("statement_timeout", "1ms"),
    ("lock_timeout", "1ms"),
    ("idle_in_transaction_session_timeout", "1ms"),
    ("temp_file_limit", "0"),
    ("max_stack_depth", "100kB"),
    ("vacuum_freeze_min_age", "0"),
    ("default_statistics_target", "1"),
    ("gin_fuzzy_search_limit", "1"),
    ("log_statement", "all"),
    ("application_name", "bet"),
    ("app.tenant", "7"),
];
/// These keep a session from calling anything, or from being looked at by the test.
const HINDERING: [&str; 6] = [
    "exit_on_error",
    "default_transaction_read_only",
    "statement_timeout",
    "lock_timeout",
    "idle_in_transaction_session_timeout",
    "client_encoding",
];

#[test]
fn nothing_that_a_database_is_set_to_stops_a_conversion() {
    let (db, mut client) = with(TABLE);
    for (name, value) in SETTINGS {
        client.batch_execute(&format!("ALTER DATABASE {} SET {name} = '{value}'", db.name())).unwrap();
    }
    convert(&mut client, "t", "day");
    assert_keys(&mut client, "t", "t_key", "the conversion");
    client
        .batch_execute("INSERT INTO t VALUES (900, current_date + 100); SELECT groundskeeper.set_retention('t', '1 month', 'drop')")
        .unwrap();
    carry_out(&mut client, "drain_default('t')");
    let made = "SELECT string_agg(inhrelid::regclass::text, ' ' ORDER BY 1) FROM pg_inherits WHERE inhparent = 't'::regclass";
    let made = text(&mut client, made).unwrap();
    let month = text(&mut client, "SELECT to_char(current_date + 100, 'YYYY_MM')").unwrap();
    assert!(made.contains(&format!("t_{month}")), "{made}");
    undo(&mut client, "t");
    assert_eq!(leftovers(&mut client), [""; 0]);
}

#[test]
fn nothing_that_a_session_is_set_to_bends_what_it_asks_for() {
    let (_db, mut client) = with(TABLE);
    for (name, value) in SETTINGS.iter().filter(|(name, _)| !HINDERING.contains(name)) {
        client.batch_execute(&format!("SET {name} = '{value}'")).unwrap();
    }
    client.batch_execute("CREATE TABLE was AS TABLE t").unwrap();
    convert(&mut client, "t", "day");
    for call in [
        "SELECT FROM create_monthly_partitions(4)",
        "SELECT groundskeeper.set_retention('t', '10 years', 'drop')",
        "SELECT FROM groundskeeper.apply_retention()",
        "SELECT FROM update_table_statistics(true)",
        "SELECT FROM groundskeeper.plan_status()",
        "SELECT FROM groundskeeper.partition_preflight('t', 'day')",
        "SELECT groundskeeper.check_alerts()",
    ] {
        client.batch_execute(call).unwrap_or_else(|error| panic!("{call}: {error:?}"));
    }
    let health = "SELECT status FROM monitoring.partition_health WHERE detail IS NOT NULL OR status <> 'ok'";
    assert_eq!(text(&mut client, &format!("SELECT count(*) FROM ({health}) h")).unwrap(), "0");
    assert_eq!(differing(&mut client, "TABLE t", "TABLE was"), "0");
    undo(&mut client, "t");
    client.batch_execute("RESET ALL").unwrap();
    assert_eq!(differing(&mut client, "TABLE t", "TABLE was"), "0");
    assert_eq!(leftovers(&mut client), [""; 0]);
}
