//! `pg_groundskeeper` carries out a betting database's optimization plan, and keeps it carried out.
//!
//! This package is the glue: it looks facts up, asks `groundskeeper-core` what they mean, and does what follows.
//! `api/` holds the functions that SQL calls, one file per capability.
#![deny(ffi_unwind_calls)]

mod alerts;
mod api;
mod backend;
mod bloat;
mod catalog;
mod cluster;
mod compat;
mod connections;
mod encoding;
mod error;
mod exposition;
mod extension;
mod guc;
mod index;
mod jobs;
mod journal;
mod kpi;
mod latency;
mod launcher;
mod metrics;
mod migration;
mod owner;
mod parse;
mod partition;
mod plan;
mod report;
mod runner;
mod schedule;
mod settings;
mod sql;
mod statistics;
mod subtransaction;
mod target;
mod waiting;
mod worker;

use pgrx::prelude::*;

::pgrx::pg_module_magic!(name, version);

extension_sql_file!("../sql/bootstrap.sql", name = "bootstrap", bootstrap);
extension_sql_file!("../sql/conversion_table.sql", name = "conversion_table", requires = ["bootstrap"]);
extension_sql_file!("../sql/journal.sql", name = "journal", requires = ["conversion_table"]);
extension_sql_file!(
    "../sql/monitoring/connection_stats.sql",
    name = "connection_stats",
    requires = ["bootstrap"]
);
extension_sql_file!("../sql/monitoring/slow_queries.sql", name = "slow_queries", requires = ["bootstrap"]);
extension_sql_file!("../sql/cluster.sql", name = "cluster", requires = ["bootstrap"]);
extension_sql_file!("../sql/monitoring/sizes.sql", name = "sizes", requires = ["cluster"]);
extension_sql_file!("../sql/monitoring/lock_tree.sql", name = "lock_tree", requires = ["bootstrap"]);
extension_sql_file!("../sql/monitoring/sequences.sql", name = "sequences", requires = ["sizes"]);
extension_sql_file!("../sql/monitoring/vacuum_health.sql", name = "vacuum_health", requires = ["bootstrap"]);
extension_sql_file!("../sql/monitoring/growth.sql", name = "growth", requires = ["sizes"]);
extension_sql_file!(
    "../sql/monitoring/server_health.sql",
    name = "server_health",
    requires = ["metrics_reports", "journal"]
);
extension_sql_file!(
    "../sql/monitoring/unused_indexes.sql",
    name = "unused_indexes",
    requires = ["sizes", "metrics_tables"]
);
extension_sql_file!("../sql/monitoring/index_health.sql", name = "index_health", requires = ["bootstrap"]);
extension_sql_file!(
    "../sql/monitoring/grants.sql",
    name = "monitoring_grants",
    requires =
        ["connection_stats", "slow_queries", "table_bloat", "index_bloat", "index_health", "unused_indexes"]
);
extension_sql_file!("../sql/managed_tables.sql", name = "managed_tables", requires = ["bootstrap"]);
extension_sql_file!(
    "../sql/managed_names.sql",
    name = "managed_names",
    requires = ["managed_tables", "conversion"]
);
extension_sql_file!("../sql/guard.sql", name = "guard", requires = ["bootstrap"]);
extension_sql_file!("../sql/follow_owner.sql", name = "follow_owner", requires = ["guard"]);
extension_sql_file!("../sql/keep_triggers.sql", name = "keep_triggers", requires = ["guard"]);
extension_sql_file!("../sql/finalize.sql", name = "finalize", finalize);

/// Lets functions be declared in the schemas, which `bootstrap.sql` has made by then: here what people call.
#[pg_schema]
mod groundskeeper {}

/// And here what only the extension itself calls.
#[pg_schema]
mod groundskeeper_internal {}

/// Called by PostgreSQL when the library is loaded: by the first call in a session, or at server start.
#[pg_guard]
pub extern "C-unwind" fn _PG_init() {
    error::hook_panics();
    settings::define();
    launcher::register();
    latency::register();
}
