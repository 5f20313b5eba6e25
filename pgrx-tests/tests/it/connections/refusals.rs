//! Arguments that make no sense.

use groundskeeper_tests::sql::{refusal, text};
use groundskeeper_tests::{Template, TestDb};

#[test]
fn formats_and_sizes_that_make_no_sense_are_refused() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    let usable = "SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
                         - coalesce(current_setting('reserved_connections', true)::int, 0)";
    let usable: i32 = text(&mut client, usable).unwrap().parse().unwrap();
    let too_large = format!("'json', {}", usable + 1);
    for (arguments, code, message, more) in [
        ("NULL", "22004", "format must not be null", ""),
        ("'yaml'", "22023", "unknown format \"yaml\"", "sqlalchemy+asyncpg, asyncpg, psycopg_pool, django"),
        ("'json', NULL, 'odyssey'", "22023", "unknown pooler \"odyssey\"", "The pooler is pgbouncer"),
        ("''", "22023", "unknown format \"\"", "json, sqlalchemy"),
        ("'JSON'", "22023", "unknown format \"JSON\"", "json, sqlalchemy"),
        ("'json', 0", "22023", "a pool of 0 connections serves nobody", "at least 1"),
        ("'asyncpg', -5", "22023", "a pool of -5 connections serves nobody", "at least 1"),
        (too_large.as_str(), "22023", "exceeds the ", "max_connections is "),
        ("'env', 2147483647", "22023", "a pool of 2147483647 connections exceeds", "raise max_connections"),
    ] {
        let call = format!("SELECT groundskeeper.connection_pool_config({arguments})");
        let refused = refusal(&mut client, &call).unwrap();
        assert_eq!(refused.code, code, "{call}: {refused:?}");
        assert!(refused.message.contains(message), "{call}: {refused:?}");
        assert!(refused.detail.contains(more) || refused.hint.contains(more), "{call}: {refused:?}");
    }
    let largest = format!("SELECT length(groundskeeper.connection_pool_config('pgbouncer', {usable})) > 100");
    assert_eq!(text(&mut client, &largest).unwrap(), "true");
}

#[test]
fn settings_of_the_pool_are_checked() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    client.batch_execute("SELECT groundskeeper.connection_pool_config()").unwrap();
    for setting in
        ["pool_size = -1", "pool_size = 'many'", "pool_size = 262144", "scale_to_machine = 'perhaps'"]
    {
        let refused = refusal(&mut client, &format!("SET groundskeeper.{setting}")).unwrap();
        assert_eq!(refused.code, "22023", "{setting}: {refused:?}");
    }
    // A session that has not loaded the library takes any text, and the figures do not believe it.
    let mut fresh = db.client().unwrap();
    fresh.batch_execute("SET groundskeeper.pool_size = 'many'").unwrap();
    let against = "SELECT DISTINCT pool_size IS NULL FROM monitoring.connection_stats";
    assert_eq!(text(&mut fresh, against).unwrap(), "true");
    let against = "SELECT measured_against FROM groundskeeper.pool_utilization()";
    assert_eq!(text(&mut fresh, against).unwrap(), "slots");
}

#[test]
fn a_database_that_pgbouncer_cannot_name_is_refused() {
    let server = groundskeeper_sandbox::server::Options::default().start().unwrap();
    for (name, message) in [("pgbouncer", "PgBouncer's own console"), ("two\nlines", "control characters")] {
        server.create_database(name, "template0").unwrap();
        let mut client = server.connect(name, "postgres").unwrap();
        client.batch_execute("CREATE EXTENSION pg_groundskeeper").unwrap();
        let refused =
            refusal(&mut client, "SELECT groundskeeper.connection_pool_config('pgbouncer')").unwrap();
        assert_eq!(refused.code, "22023");
        assert!(refused.message.contains(message), "{refused:?}");
        client.batch_execute("SELECT groundskeeper.connection_pool_config('asyncpg')").unwrap();
    }
}
