//! Servers come, crash, recover and go.

use groundskeeper_sandbox::server::{Options, SUPERUSER, Server, StopMode};

fn count(server: &Server, table: &str) -> i64 {
    let mut client = server.connect("postgres", SUPERUSER).unwrap();
    client.query_one(&format!("SELECT count(*) FROM {table}"), &[]).unwrap().get(0)
}

#[test]
fn a_server_survives_kill_9_and_leaves_nothing_behind() {
    let server = Options::default().set("log_line_prefix", "it's %p ").start().unwrap();
    let mut client = server.connect("postgres", SUPERUSER).unwrap();
    client.batch_execute("CREATE TABLE kept (id int); INSERT INTO kept VALUES (1), (2)").unwrap();
    server.kill_9().unwrap();
    assert!(client.simple_query("SELECT 1").is_err(), "the session died with the server");

    server.up().unwrap();
    assert!(server.log().contains("automatic recovery in progress"), "{}", server.log());
    assert!(server.log().contains("it's "), "the setting took effect");
    assert_eq!(count(&server, "kept"), 2);

    server.restart().unwrap();
    assert_eq!(count(&server, "kept"), 2);
    server.stop(StopMode::Smart).unwrap();
    assert!(server.connect("postgres", SUPERUSER).is_err());

    let base = server.base().to_owned();
    drop(server);
    assert!(!base.exists());
}

#[test]
fn a_kept_server_is_found_again_and_can_be_destroyed() {
    let base = Options::default().start().unwrap().keep();
    let found = Server::attach(&base).unwrap();
    assert_eq!(count(&found, "pg_database"), 3);
    drop(found);
    Server::attach(&base).unwrap().destroy();
    assert!(!base.exists());
    assert!(Server::attach(&base).is_err());
}

#[test]
fn a_dump_has_no_random_token_and_can_be_restored() {
    let server = Options::default().start().unwrap();
    server.create_database("source", "template0").unwrap();
    server.create_database("odd \"copy\"", "template0").unwrap();
    server.restore("source", "CREATE TABLE t (id int); INSERT INTO t VALUES (1);").unwrap();

    let dump = server.dump("source", &[]).unwrap();
    assert!(!dump.contains("restrict "), "{dump}");
    assert_eq!(dump, server.dump("source", &[]).unwrap());
    server.restore("odd \"copy\"", &dump).unwrap();
    assert_eq!(dump, server.dump("odd \"copy\"", &[]).unwrap());

    let error = server.restore("source", "SELECT 1; SELECT nonsense;").unwrap_err();
    assert!(error.to_string().contains("nonsense"), "{error}");
    server.drop_database("source").unwrap();
    assert!(server.connect("source", SUPERUSER).is_err());
}
