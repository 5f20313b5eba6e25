//! Latency, as counted by a server that preloads the library, against what the client sees.

mod apart;
mod chain;
mod failures;
mod history;
mod quantiles;
mod statements;
mod texts;
mod transactions;

use groundskeeper_sandbox::server::{Options, Server};
use groundskeeper_tests::{Template, TestDb, sql};
use postgres::Client;

/// A server of the test's own that preloads these libraries, and a database on it with the extension.
///
/// The database comes last, so that it is dropped while its server still runs.
fn preloaded(libraries: &[&str]) -> (Server, TestDb) {
    let options = libraries.iter().fold(Options::default(), |options, library| options.preload(library));
    started(&options)
}

fn started(options: &Options) -> (Server, TestDb) {
    let server = options.start().unwrap();
    let db = TestDb::on(Server::attach(server.base()).unwrap(), Template::Empty).unwrap();
    db.install().unwrap();
    (server, db)
}

/// A row of `query_latency()`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Latency {
    calls: i64,
    p50: f64,
    p95: f64,
    p99: f64,
    max: f64,
    over_slo: i64,
    failed: i64,
}

/// What the server says of a scope. Asking adds to it, too: [`calls`] takes that into account.
fn latency(client: &mut Client, scope: &str) -> Latency {
    let query =
        "SELECT calls, coalesce(p50_ms, 0), coalesce(p95_ms, 0), coalesce(p99_ms, 0), coalesce(max_ms, 0),
                        over_slo, failed
                   FROM groundskeeper.query_latency() WHERE scope = $1";
    let row = client.query_one(query, &[&scope]).unwrap();
    Latency {
        calls: row.get(0),
        p50: row.get(1),
        p95: row.get(2),
        p99: row.get(3),
        max: row.get(4),
        over_slo: row.get(5),
        failed: row.get(6),
    }
}

/// How many calls of each class some work adds.
#[derive(Debug, Default, PartialEq, Eq)]
struct Calls {
    transactions: i64,
    select: i64,
    write: i64,
    utility: i64,
    /// Of all statements, those that failed before they were known included.
    failed: i64,
}

/// Counts what `work` adds. The look before it is one select in one transaction, and counted when it ends.
fn calls(observer: &mut Client, work: impl FnOnce()) -> Calls {
    let look = |observer: &mut Client| -> Vec<(String, i64, i64)> {
        let rows =
            observer.query("SELECT scope, calls, failed FROM groundskeeper.query_latency()", &[]).unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
    };
    let before = look(observer);
    work();
    let after = look(observer);
    let of = |scope: &str, rows: &[(String, i64, i64)]| {
        let row = rows.iter().find(|row| row.0 == scope).unwrap();
        (row.1, row.2)
    };
    let more = |scope: &str| of(scope, &after).0 - of(scope, &before).0;
    Calls {
        transactions: more("transactions") - 1,
        select: more("select") - 1,
        write: more("write"),
        utility: more("utility"),
        failed: of("statements", &after).1 - of("statements", &before).1,
    }
}

fn run_sql(client: &mut Client, sql: &str) {
    client.batch_execute(sql).unwrap_or_else(|error| panic!("{error:?}: {sql}"));
}

/// The SQLSTATE with which a statement fails. The server tells its client first and aborts then, so it is asked for
/// something more, which is no statement, before anybody looks.
fn refused(client: &mut Client, statement: &str) -> String {
    let refusal = sql::refusal(client, statement).unwrap();
    run_sql(client, "");
    refusal.code
}
