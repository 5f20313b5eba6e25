//! Applications' own pools, pasted as they are rendered, under load: nothing fails, and what succeeded is there.

use groundskeeper_sandbox::server::{Options, Server, quote_ident};
use groundskeeper_tests::pgbouncer::{PASSWORD, PgBouncer};
use groundskeeper_tests::python;
use groundskeeper_tests::sql::text;
use serde_json::Value;

use super::Application;

const POOLS: &str = include_str!("pools.py");

/// Each library that is there, with the transactions that it is to bring through.
const FORMATS: [&str; 6] =
    ["sqlalchemy", "sqlalchemy+psycopg2", "sqlalchemy+asyncpg", "asyncpg", "psycopg_pool", "django"];
const TRANSACTIONS: i64 = 8 * 40;

fn prepared(server: &Server) -> Application {
    let app = Application::on(server);
    // asyncpg goes back to these whenever a connection is returned.
    let apply = format!("SELECT groundskeeper.apply_server_settings('{}')", quote_ident(&app.role));
    app.db.client().unwrap().batch_execute(&apply).unwrap();
    app
}

/// Puts a pool of eight clients under load and counts what has come of it.
fn load(app: &Application, at: (&str, u16), format: &str, pooler: &str) -> Value {
    let mut client = app.db.client().unwrap();
    let rendering = format!("SELECT groundskeeper.connection_pool_config('{format}', 5, {pooler})");
    let rendering = text(&mut client, &rendering).unwrap();
    let python = python::interpreter(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let port = at.1.to_string();
    let args = [format, at.0, &port, app.db.name(), &app.role, PASSWORD, &rendering];
    let found = python::run(&python, POOLS, &args).unwrap();
    assert_eq!((&found["failed"], &found["done"]), (&0.into(), &TRANSACTIONS.into()), "{format}: {found}");
    let rows = format!(
        "SELECT count(DISTINCT external_id) FROM staging.games WHERE external_id ~ '^{} [0-9]'",
        format.replace('+', "[+]")
    );
    assert_eq!(
        text(&mut client, &rows).unwrap(),
        TRANSACTIONS.to_string(),
        "{format}: success with nothing written"
    );
    client.batch_execute("TRUNCATE staging.games CASCADE").unwrap();
    found["show"].clone()
}

fn expected() -> Value {
    serde_json::json!({
        "work_mem": "32MB", "statement_timeout": "5min", "timezone": "America/New_York",
        "application_name": "mlb_betting_migration",
    })
}

#[test]
fn each_rendering_works_with_the_server() {
    let server = Options::default().start().unwrap();
    let app = prepared(&server);
    for format in FORMATS {
        let at = (server.socket_dir().to_str().unwrap(), server.port());
        assert_eq!(load(&app, at, format, "NULL"), expected(), "{format}");
    }
}

#[test]
fn each_rendering_works_through_pgbouncer_and_loses_nothing() {
    if groundskeeper_tests::lacks("pgbouncer") {
        return;
    }
    let server = Options::default().start().unwrap();
    let app = prepared(&server);
    // Fewer connections than clients, so that transactions go from one to another.
    let bouncer = PgBouncer::start(&server, &app.config("pgbouncer", 3), &[&app.role]).unwrap();
    let at = (bouncer.socket_dir().to_str().unwrap(), bouncer.port());
    for round in 0..3 {
        for format in FORMATS {
            assert_eq!(load(&app, at, format, "'pgbouncer'"), expected(), "{format}, round {round}");
        }
    }
}
