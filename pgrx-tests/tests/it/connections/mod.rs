//! Connections: settings for pools and sessions, and how full the pools are.

mod formats;
mod load;
mod pools;
mod refusals;
mod roles;
mod sizing;

use groundskeeper_sandbox::server::{Server, quote_ident};
use groundskeeper_tests::pgbouncer::PASSWORD;
use groundskeeper_tests::sql::text;
use groundskeeper_tests::{Template, TestDb};
use postgres::Client;

/// What `SHOW` says of the plan's server settings in a session that has them.
const IN_FORCE: [(&str, &str); 8] = [
    ("timezone", "America/New_York"),
    ("statement_timeout", "5min"),
    ("idle_in_transaction_session_timeout", "10min"),
    ("work_mem", "32MB"),
    ("maintenance_work_mem", "256MB"),
    ("effective_cache_size", "4GB"),
    ("random_page_cost", "1.1"),
    ("seq_page_cost", "1"),
];

/// A database on a server of the test's own, with an application's role that owns nothing.
struct Application {
    db: TestDb,
    role: String,
}

impl Application {
    fn on(server: &Server) -> Self {
        let mut db = TestDb::on(Server::attach(server.base()).unwrap(), Template::ShapeA).unwrap();
        db.install().unwrap();
        db.settle().unwrap();
        let role = db.role("application").unwrap();
        let rights = format!(
            "ALTER ROLE {0} PASSWORD '{PASSWORD}'; GRANT USAGE ON ALL SEQUENCES IN SCHEMA staging TO {0}",
            quote_ident(&role)
        );
        db.client().unwrap().batch_execute(&rights).unwrap();
        Self { db, role }
    }

    fn config(&self, format: &str, pool_size: u32) -> String {
        config(&mut self.db.client().unwrap(), format, pool_size)
    }
}

fn config(client: &mut Client, format: &str, pool_size: u32) -> String {
    text(client, &format!("SELECT groundskeeper.connection_pool_config('{format}', {pool_size})")).unwrap()
}
