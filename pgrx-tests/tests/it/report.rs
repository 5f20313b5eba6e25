//! The performance report: what it says is true, whatever the names are, and for whom it may be.

mod history;
mod hostile;
mod rights;
mod truth;

use groundskeeper_sandbox::server::{Options, Server, quote_ident};
use groundskeeper_tests::sql::text;
use groundskeeper_tests::{Template, TestDb};
use postgres::Client;
use serde_json::Value;

fn run_sql(client: &mut Client, sql: &str) {
    client.batch_execute(sql).unwrap_or_else(|error| panic!("{error:?}: {sql}"));
}

fn record(client: &mut Client) {
    run_sql(client, "SELECT pg_stat_force_next_flush()");
    run_sql(client, "SELECT groundskeeper.record_metrics()");
}

/// A server of the test's own that preloads these libraries, and a database on it with the extension; the database comes
/// last, so that it is dropped while its server still runs.
fn preloaded(libraries: &[&str], template: Template) -> (Server, TestDb) {
    let options = libraries.iter().fold(Options::default(), |options, library| options.preload(library));
    let server = options.start().unwrap();
    let db = TestDb::on(Server::attach(server.base()).unwrap(), template).unwrap();
    db.install().unwrap();
    (server, db)
}

fn report(client: &mut Client) -> Value {
    serde_json::from_str(&text(client, "SELECT groundskeeper.performance_report()").unwrap()).unwrap()
}

fn page(client: &mut Client) -> String {
    let page = text(client, "SELECT groundskeeper.performance_report_html()").unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>"), "{page}");
    assert!(page.len() <= 300_000, "{} bytes", page.len());
    for forbidden in ["\n", "\r", "<script", "<img", "<link", "http://", "https://", "@import", "url("] {
        assert!(!page.contains(forbidden), "{forbidden:?}");
    }
    page
}

/// A role that watches, and its client.
fn monitor(db: &mut TestDb) -> Client {
    let monitor = db.role("monitor").unwrap();
    let grant = format!("GRANT pg_monitor TO {}", quote_ident(&monitor));
    run_sql(&mut db.client().unwrap(), &grant);
    db.client_as(&monitor).unwrap()
}
