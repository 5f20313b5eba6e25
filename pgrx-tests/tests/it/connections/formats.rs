//! Each rendering is read by what it is for, a query is run through it, and the session has the settings.

use std::process::Command;

use groundskeeper_sandbox::server::{Options, Server, quote_ident};
use groundskeeper_tests::pgbouncer::{PASSWORD, PgBouncer};
use groundskeeper_tests::python;
use groundskeeper_tests::sql::text;
use groundskeeper_tests::{Template, TestDb};
use serde_json::Value;

use super::{Application, IN_FORCE, config};

const CONSUMERS: &str = include_str!("consumers.py");

/// The settings by name, and the application's own.
fn expected() -> Value {
    let settings = IN_FORCE.iter().chain(&[("application_name", "mlb_betting_migration")]);
    settings.map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect()
}

/// What a Python library makes of a rendered call.
fn consumed(library: &str, at: (&str, u16), app: &Application, rendered: &str, more: &str) -> Value {
    let python = python::interpreter(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let names: Vec<_> = expected().as_object().unwrap().keys().cloned().collect();
    let (host, port) = (at.0, at.1.to_string());
    let args = [library, host, &port, app.db.name(), &app.role, PASSWORD, more, &names.join(","), rendered];
    python::run(&python, CONSUMERS, &args).unwrap()
}

fn address(server: &Server) -> (&str, u16) {
    (server.socket_dir().to_str().unwrap(), server.port())
}

#[test]
fn json_is_read_as_json() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    let query = "SELECT j ->> 'max_connections' || ' ' || (j ->> 'min_connections') || ' ' || (j ->> 'pool_reset_on_return')
                   FROM CAST(groundskeeper.connection_pool_config('json', 4) AS jsonb) j";
    assert_eq!(text(&mut client, query).unwrap(), "4 4 rollback");
    // The settings are PostgreSQL's: each can be set.
    let set = "SELECT count(set_config(key, value, false))
                 FROM jsonb_each_text(CAST(groundskeeper.connection_pool_config() AS jsonb) -> 'server_settings')";
    assert_eq!(text(&mut client, set).unwrap(), "9");
    for (name, value) in IN_FORCE {
        assert_eq!(text(&mut client, &format!("SELECT current_setting('{name}')")).unwrap(), value, "{name}");
    }
}

#[test]
fn the_size_is_the_configured_one_else_the_plans() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    let size = "SELECT CAST(groundskeeper.connection_pool_config() AS jsonb) ->> 'max_connections'";
    assert_eq!(text(&mut client, size).unwrap(), "25");
    client.batch_execute("SET groundskeeper.pool_size = 12").unwrap();
    assert_eq!(text(&mut client, size).unwrap(), "12");
}

#[test]
fn sqlalchemy_takes_the_call() {
    let server = Options::default().start().unwrap();
    let app = Application::on(&server);
    let found = consumed("sqlalchemy", address(&server), &app, &app.config("sqlalchemy", 7), "{}");
    assert_eq!(found["show"], expected());
    assert_eq!((&found["held"], &found["overflow"]), (&7.into(), &0.into()));
    assert_eq!(found["abandoned"], 0, "work that nobody finished was committed");
    assert_eq!(found["echo"], false);
    assert_eq!(found["pre_ping"], true);
    assert_eq!((&found["recycle"], &found["timeout"]), (&3600.into(), &30.into()));
}

#[test]
fn asyncpg_takes_the_call() {
    let server = Options::default().start().unwrap();
    let app = Application::on(&server);
    let found = consumed("asyncpg", address(&server), &app, &app.config("asyncpg", 7), "{}");
    assert_eq!(found["show"], expected());
    assert_eq!(found["again"], expected());
    assert_eq!((&found["min"], &found["held"], &found["beyond"]), (&5.into(), &7.into(), &false.into()));
}

#[test]
fn a_shell_and_libpq_take_the_environment() {
    let server = Options::default().start().unwrap();
    let app = Application::on(&server);
    let file = server.base().join("pool.env");
    std::fs::write(&file, app.config("env", 7)).unwrap();
    let show = IN_FORCE.iter().map(|(name, _)| format!("-c 'SHOW {name}' ")).collect::<String>();
    let psql = server.installation().program("psql");
    let script = format!(
        "set -eu -a; . {}; {} -XAt -h {} -p {} -U {} -d {} -c 'SHOW application_name' {show}; echo $DATABASE_POOL_MAX_CONNECTIONS",
        file.display(),
        psql.get_program().display(),
        server.socket_dir().display(),
        server.port(),
        app.role,
        app.db.name(),
    );
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let expected: Vec<&str> = std::iter::once("mlb_betting_migration")
        .chain(IN_FORCE.iter().map(|(_, value)| *value))
        .chain(["7"])
        .collect();
    assert_eq!(said.lines().collect::<Vec<_>>(), expected, "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn pgbouncer_takes_the_file() {
    if groundskeeper_tests::lacks("pgbouncer") {
        return;
    }
    let server = Options::default().start().unwrap();
    let app = Application::on(&server);
    let bouncer = PgBouncer::start(&server, &app.config("pgbouncer", 7), &[&app.role]).unwrap();
    let mut client = bouncer.connect(app.db.name(), &app.role).unwrap();
    for (name, value) in IN_FORCE {
        let found = client.simple_query(&format!("SHOW {name}")).unwrap();
        let row = found.iter().find_map(|m| match m {
            postgres::SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        assert_eq!(row, Some(value), "{name}");
    }
    let pool = bouncer.show(&app.role, "DATABASES", "name", app.db.name()).unwrap();
    let value = |name: &str| pool.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    assert_eq!(
        // PgBouncer 1.24 gave the last of them the setting's name.
        (value("pool_size"), value("min_pool_size"), value("reserve_pool_size").or(value("reserve_pool"))),
        (Some("7"), Some("5"), Some("0"))
    );
    assert_eq!(value("max_connections"), Some("7"));
    // Another test may have taken the port meanwhile; the socket serves all the same.
    let log = bouncer.log();
    let complaint = |line: &&str| ["WARNING", "ERROR", "FATAL"].iter().any(|word| line.contains(word));
    let complaints: Vec<_> = log.lines().filter(complaint).filter(|line| !line.contains("listen")).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn the_python_calls_work_through_pgbouncer_too() {
    if groundskeeper_tests::lacks("pgbouncer") {
        return;
    }
    let server = Options::default().start().unwrap();
    let app = Application::on(&server);
    let bouncer = PgBouncer::start(&server, &app.config("pgbouncer", 7), &[&app.role]).unwrap();
    let at = (bouncer.socket_dir().to_str().unwrap(), bouncer.port());
    let rendered = "SELECT groundskeeper.connection_pool_config('sqlalchemy', 7, 'pgbouncer')";
    let rendered = text(&mut app.db.client().unwrap(), rendered).unwrap();
    let found = consumed("sqlalchemy", at, &app, &rendered, "{}");
    assert_eq!(found["show"], expected());
    assert_eq!(found["abandoned"], 0);

    // asyncpg says RESET ALL when a connection is returned: the role's own settings outlast that.
    let role = quote_ident(&app.role);
    let apply = format!("SELECT groundskeeper.apply_server_settings('{role}')");
    app.db.client().unwrap().batch_execute(&apply).unwrap();
    drop(bouncer);
    let bouncer = PgBouncer::start(&server, &app.config("pgbouncer", 7), &[&app.role]).unwrap();
    let at = (bouncer.socket_dir().to_str().unwrap(), bouncer.port());
    let rendered = "SELECT groundskeeper.connection_pool_config('asyncpg', 7, 'pgbouncer')";
    let rendered = text(&mut app.db.client().unwrap(), rendered).unwrap();
    let found = consumed("asyncpg", at, &app, &rendered, "{}");
    assert_eq!(found["show"], expected());
    assert_eq!(found["again"], expected());
}

#[test]
fn a_database_of_any_name_is_found_through_pgbouncer() {
    if groundskeeper_tests::lacks("pgbouncer") {
        return;
    }
    let server = Options::default().start().unwrap();
    let mut admin = server.connect("postgres", "postgres").unwrap();
    let name = "it's a \"bet\"; [x] = %y\\z";
    admin.batch_execute(&format!("CREATE DATABASE {}", quote_ident(name))).unwrap();
    admin.batch_execute(&format!("CREATE ROLE application LOGIN PASSWORD '{PASSWORD}'")).unwrap();
    let mut client = server.connect(name, "postgres").unwrap();
    client.batch_execute("CREATE EXTENSION pg_groundskeeper").unwrap();
    let bouncer = PgBouncer::start(&server, &config(&mut client, "pgbouncer", 3), &["application"]).unwrap();
    let mut through = bouncer.connect("it_s_a__bet____x_____y_z", "application").unwrap();
    let found = through.simple_query("SELECT current_database()").unwrap();
    assert!(
        found.iter().any(|m| matches!(m, postgres::SimpleQueryMessage::Row(r) if r.get(0) == Some(name)))
    );
}
