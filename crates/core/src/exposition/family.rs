//! Families: what each is called, what it counts, and by which labels it is told apart.

use super::Part;

/// What may become of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, or begins anew.
    Counter,
    /// It is what it is now.
    Gauge,
    /// Buckets, their sum and their count.
    Histogram,
}

impl Kind {
    /// As the text format calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A family of metrics.
#[derive(Debug, Clone, Copy)]
pub struct Family {
    /// What is read for it.
    pub part: Part,
    /// Its name.
    pub name: &'static str,
    /// What may become of it.
    pub kind: Kind,
    /// Its labels; those of buckets besides.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

impl Family {
    /// Whether a sample of that name is one of its own.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        match (name.strip_prefix(self.name), self.kind) {
            (Some(rest), Kind::Histogram) => matches!(rest, "_bucket" | "_sum" | "_count"),
            (Some(rest), _) => rest.is_empty(),
            (None, _) => false,
        }
    }
}

/// The family that a sample of that name belongs to.
#[must_use]
pub fn family_of(name: &str) -> Option<&'static Family> {
    FAMILIES.iter().find(|family| family.has(name))
}

/// What each sample is called, and its family; a histogram has three names.
pub fn names() -> impl Iterator<Item = (String, &'static Family)> {
    FAMILIES.iter().flat_map(|family| {
        let ends: &[&str] =
            if family.kind == Kind::Histogram { &["_bucket", "_sum", "_count"] } else { &[""] };
        ends.iter().map(move |end| (format!("{}{end}", family.name), family))
    })
}

const fn gauge(
    part: Part,
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Family {
    Family { part, name, kind: Kind::Gauge, labels, help }
}

const fn counter(
    part: Part,
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Family {
    Family { part, name, kind: Kind::Counter, labels, help }
}

const fn histogram(
    part: Part,
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Family {
    Family { part, name, kind: Kind::Histogram, labels, help }
}

/// All of them: what is about many tables comes last.
pub const FAMILIES: [Family; 48] = [
    gauge(
        Part::About,
        "groundskeeper_build_info",
        &["version", "server_version"],
        "The releases of pg_groundskeeper and of PostgreSQL; always 1.",
    ),
    gauge(
        Part::About,
        "groundskeeper_in_recovery",
        &[],
        "Whether this is a standby: jobs, migration, partitions and alerts are its primary's then.",
    ),
    gauge(
        Part::About,
        "groundskeeper_library_preloaded",
        &[],
        "Whether the library is in shared_preload_libraries, so that latency is counted.",
    ),
    gauge(
        Part::Reading,
        "groundskeeper_collector_success",
        &["collector"],
        "Whether that part of the metrics could be read.",
    ),
    gauge(
        Part::Reading,
        "groundskeeper_series_dropped",
        &[],
        "Series that are left out because there are too many.",
    ),
    gauge(
        Part::Samples,
        "groundskeeper_last_sample_timestamp_seconds",
        &[],
        "When record_metrics() last took a sample.",
    ),
    gauge(
        Part::Alerts,
        "groundskeeper_last_alert_check_timestamp_seconds",
        &[],
        "When check_alerts() last ran.",
    ),
    gauge(
        Part::Kpis,
        "groundskeeper_kpi_ratio",
        &["kpi"],
        "A KPI that is a percentage, 0 to 1, at the last check of alerts.",
    ),
    gauge(Part::Kpis, "groundskeeper_kpi_target_ratio", &["kpi"], "What it is to be."),
    gauge(
        Part::Kpis,
        "groundskeeper_kpi_latency_seconds",
        &["kpi"],
        "A KPI that is a length of time, at the last check of alerts.",
    ),
    gauge(Part::Kpis, "groundskeeper_kpi_target_latency_seconds", &["kpi"], "What it is to be."),
    gauge(
        Part::Kpis,
        "groundskeeper_kpi_met",
        &["kpi"],
        "Whether a KPI is what it is to be; absent where that is unknown.",
    ),
    gauge(
        Part::Alerts,
        "groundskeeper_alert_firing",
        &["rule"],
        "Whether a rule of groundskeeper.alert_rules fires.",
    ),
    gauge(
        Part::Alerts,
        "groundskeeper_alert_without_data",
        &["rule"],
        "Whether nothing is known of what a rule watches.",
    ),
    histogram(
        Part::Latency,
        "groundskeeper_statement_duration_seconds",
        &["scope"],
        "How long statements of clients of this database took, failed ones included; buckets are at most 6.25 % off, that of 0.5 is exact.",
    ),
    histogram(
        Part::Latency,
        "groundskeeper_transaction_duration_seconds",
        &["scope"],
        "How long transactions of clients took, from their first statement to the end of their commit, idle time left out.",
    ),
    counter(
        Part::Latency,
        "groundskeeper_statements_failed_total",
        &["scope"],
        "Statements of clients that failed or were cancelled.",
    ),
    counter(
        Part::Latency,
        "groundskeeper_statements_over_objective_total",
        &["scope"],
        "Statements of clients that took 500 ms or longer.",
    ),
    gauge(
        Part::Connections,
        "groundskeeper_client_connections",
        &["state"],
        "Client connections to this database by state.",
    ),
    gauge(
        Part::Connections,
        "groundskeeper_server_connections",
        &[],
        "Client connections to the whole server.",
    ),
    gauge(
        Part::Connections,
        "groundskeeper_busy_connections",
        &[],
        "Client connections to this database that are not idle.",
    ),
    gauge(
        Part::Connections,
        "groundskeeper_usable_connections",
        &[],
        "Connections that max_connections allows, less the reserved ones.",
    ),
    gauge(
        Part::Connections,
        "groundskeeper_pool_connections",
        &[],
        "groundskeeper.pool_size; absent where it is not set.",
    ),
    gauge(
        Part::Connections,
        "groundskeeper_longest_idle_transaction_seconds",
        &[],
        "How long the longest idle transaction has done nothing.",
    ),
    counter(
        Part::Migration,
        "groundskeeper_migration_records_total",
        &["market"],
        "Records that runs of the migration tried to stage.",
    ),
    counter(
        Part::Migration,
        "groundskeeper_migration_records_failed_total",
        &["market"],
        "Records that they could not stage.",
    ),
    counter(
        Part::Migration,
        "groundskeeper_migration_runs_total",
        &["market"],
        "Runs of the migration that ended.",
    ),
    counter(
        Part::Migration,
        "groundskeeper_migration_runs_failed_total",
        &["market"],
        "Runs of the migration that failed.",
    ),
    gauge(
        Part::Migration,
        "groundskeeper_migration_last_success_timestamp_seconds",
        &["market"],
        "When a run of the migration last succeeded.",
    ),
    gauge(
        Part::Migration,
        "groundskeeper_migration_standing_failures",
        &["table"],
        "Raw records that could not be staged, and stand so.",
    ),
    gauge(
        Part::Jobs,
        "groundskeeper_open_jobs",
        &["kind", "state"],
        "Jobs of each kind that are queued, running or failed.",
    ),
    gauge(
        Part::Jobs,
        "groundskeeper_oldest_queued_job_timestamp_seconds",
        &[],
        "Since when the job that waits longest is due; absent where none is.",
    ),
    gauge(
        Part::Maintenance,
        "groundskeeper_maintenance_last_success_timestamp_seconds",
        &["task"],
        "When a scheduled task last succeeded.",
    ),
    gauge(
        Part::Maintenance,
        "groundskeeper_maintenance_next_run_timestamp_seconds",
        &["task"],
        "When a scheduled task is due; in the past while a run is missed.",
    ),
    gauge(
        Part::Maintenance,
        "groundskeeper_maintenance_period_seconds",
        &["task"],
        "From that run of a scheduled task to the next.",
    ),
    gauge(
        Part::Maintenance,
        "groundskeeper_maintenance_failures",
        &["task"],
        "Runs of a scheduled task that have failed since its last success.",
    ),
    gauge(
        Part::Jobs,
        "groundskeeper_standing_changes",
        &[],
        "Changes that carried out the plan and have not been taken back.",
    ),
    gauge(
        Part::Tables,
        "groundskeeper_invalid_indexes",
        &[],
        "Indexes that are not valid, those being built among them.",
    ),
    gauge(Part::Jobs, "groundskeeper_managed_tables", &[], "Tables whose partitions are looked after."),
    gauge(
        Part::Tables,
        "groundskeeper_table_partitions",
        &["table"],
        "Partitions of a managed table, the default one not counted.",
    ),
    gauge(
        Part::Tables,
        "groundskeeper_partition_horizon_timestamp_seconds",
        &["table"],
        "Where the last partition of a managed table ends.",
    ),
    gauge(
        Part::Tables,
        "groundskeeper_partition_default_rows",
        &["table"],
        "Rows in a managed table's default partition, by the server's estimate.",
    ),
    gauge(
        Part::Tables,
        "groundskeeper_table_size_bytes",
        &["table"],
        "Size of a table with its partitions and TOAST, by the catalog's count of pages.",
    ),
    gauge(
        Part::Tables,
        "groundskeeper_table_index_size_bytes",
        &["table"],
        "Size of its indexes, by the catalog's count of pages.",
    ),
    gauge(
        Part::Tables,
        "groundskeeper_table_live_rows",
        &["table"],
        "Rows of a table, by the server's estimate.",
    ),
    gauge(
        Part::Tables,
        "groundskeeper_table_dead_rows",
        &["table"],
        "Rows that VACUUM has yet to remove, by the server's estimate.",
    ),
    counter(
        Part::Tables,
        "groundskeeper_table_sequential_scans_total",
        &["table"],
        "Scans that read all of a table or of one of its partitions.",
    ),
    counter(
        Part::Tables,
        "groundskeeper_table_index_scans_total",
        &["table"],
        "Scans of a table by an index.",
    ),
];
