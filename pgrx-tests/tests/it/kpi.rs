//! The six KPIs, each driven to pass, fail and unknown by what really brings that about.

mod causes;
mod targets;

use groundskeeper_sandbox::server::{Options, Server};
use groundskeeper_tests::{Template, TestDb};
use postgres::Client;

/// A row of `kpi_report()`.
#[derive(Debug, Clone, PartialEq)]
struct Kpi {
    value: Option<f64>,
    target: String,
    status: String,
    samples: i64,
    method: String,
    detail: String,
}

fn kpi(client: &mut Client, kpi: &str) -> Kpi {
    let query = "SELECT value::float8, target, status, samples, coalesce(method, ''), coalesce(detail, '')
                   FROM groundskeeper.kpi_report() WHERE kpi = $1";
    let row = client.query_one(query, &[&kpi]).unwrap();
    let kpi = Kpi {
        value: row.get(0),
        target: row.get(1),
        status: row.get(2),
        samples: row.get(3),
        method: row.get(4),
        detail: row.get(5),
    };
    assert_eq!(kpi.value.is_none(), kpi.status == "unknown", "{kpi:?}");
    kpi
}

fn run_sql(client: &mut Client, sql: &str) {
    client.batch_execute(sql).unwrap_or_else(|error| panic!("{error:?}: {sql}"));
}

fn record(client: &mut Client) {
    // What a session has counted is reported when it is idle, and not more often than it pleases.
    run_sql(client, "SELECT pg_stat_force_next_flush()");
    run_sql(client, "SELECT groundskeeper.record_metrics()");
}

/// A server of the test's own and a database on it with the extension; the database comes last, so that it is
/// dropped while its server still runs.
fn private(options: &Options) -> (Server, TestDb) {
    let server = options.start().unwrap();
    let db = TestDb::on(Server::attach(server.base()).unwrap(), Template::Empty).unwrap();
    db.install().unwrap();
    (server, db)
}
