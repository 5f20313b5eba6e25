//! What would be run, in the words that would do it: a plan can be rehearsed elsewhere.

use super::Work;
use crate::catalog::Build;
use crate::index::build::{drop_statement, statement};
use crate::settings;
use crate::sql::{qualified, quote_identifier, quote_literal, script};
use groundskeeper_core::job::{JobRequest, Task};
use groundskeeper_core::plan::cost::Effort;
use groundskeeper_core::plan::{Action, Item, Qualified};

/// What would apply an item now: as a job's statements where it is too big for one transaction.
pub fn apply_sql(work: &Work) -> String {
    let mut statements = match &work.job {
        Some(job) if work.bytes > settings::inline_build_limit_bytes() => statements(job, work),
        _ => work.inline.clone(),
    };
    statements.extend(work.after.iter().map(|after| after.statement.clone()));
    script(&statements)
}

/// What applying an item takes, by itself.
pub fn effort(item: &Item, work: &Work) -> Effort {
    let limit = settings::inline_build_limit_bytes();
    let beside = work.after.iter().map(|after| after.bytes).fold(0, u64::saturating_add);
    let as_job = match work.job {
        _ if item.action.is_asked_for() => matches!(item.action, Action::PartitionedTable { .. }),
        Some(_) => work.bytes > limit,
        None => work.inline.is_empty() && beside > limit,
    };
    Effort { under_lock: work.bytes, beside, as_job }
}

/// The statements that a job would run, to be rehearsed elsewhere.
pub fn statements(request: &JobRequest, work: &Work) -> Vec<String> {
    match &request.task {
        Task::CreateIndex { index, .. } => {
            let build = statement(&request.task, Build::Concurrent);
            work.clears.then(|| drop_statement(index)).into_iter().chain(build).collect()
        }
        Task::DropIndex { index, .. } => vec![drop_statement(index)],
        Task::RestoreIndex { definition, .. } => {
            definition.concurrently().into_iter().chain(definition.after.iter().cloned()).collect()
        }
        Task::Reindex { index, .. } => {
            vec![format!("REINDEX INDEX CONCURRENTLY {}", qualified(&index.schema, &index.name))]
        }
        Task::DetachPartition { parent, partition } => vec![format!(
            "ALTER TABLE {} DETACH PARTITION {} CONCURRENTLY",
            qualified(&parent.schema, &parent.name),
            qualified(&partition.schema, &partition.name)
        )],
        Task::DropPartition { parent, partition } => {
            let (parent, partition) =
                (qualified(&parent.schema, &parent.name), qualified(&partition.schema, &partition.name));
            let detach = format!("ALTER TABLE {parent} DETACH PARTITION {partition}");
            vec![detach, format!("DROP TABLE {partition}")]
        }
        Task::CreatePartitions { months, .. } => {
            vec![format!("SELECT * FROM groundskeeper.create_monthly_partitions({months})")]
        }
        Task::AttachPartition { parent, table, .. } => vec![format!(
            "SELECT groundskeeper.attach_partition({}, {})",
            quote_literal(qualified(&parent.schema, &parent.name)),
            quote_literal(qualified(&table.schema, &table.name))
        )],
        Task::DrainDefault { parent, batch_size } => vec![format!(
            "SELECT groundskeeper.drain_default({}, {batch_size})",
            quote_literal(qualified(&parent.schema, &parent.name))
        )],
        Task::ValidateConstraint { table, constraint, .. } => vec![validate(table, constraint)],
        Task::RefreshView { view } => {
            vec![format!("REFRESH MATERIALIZED VIEW {}", qualified(&view.schema, &view.name))]
        }
        Task::Analyze { table, column } => vec![analyze(table, column)],
        Task::Rescore { table } => {
            let table = quote_literal(qualified(&table.schema, &table.name));
            vec![format!("SELECT groundskeeper.rescore({table})")]
        }
        Task::AlterColumnType { table, column, type_name } => vec![format!(
            "SELECT groundskeeper.alter_column_type({}, {}, {})",
            quote_literal(qualified(&table.schema, &table.name)),
            quote_literal(column),
            quote_literal(type_name)
        )],
        Task::AlterTable { .. }
        | Task::PartitionTable { .. }
        | Task::UndoPartitioning { .. }
        | Task::FinalizePartitioning { .. }
        | Task::CatchUp { .. }
        | Task::RebuildKeys { .. } => work.inline.clone(),
    }
}

/// The statement that validates a constraint.
pub fn validate(table: &Qualified, constraint: &str) -> String {
    let table = qualified(&table.schema, &table.name);
    format!("ALTER TABLE {table} VALIDATE CONSTRAINT {}", quote_identifier(constraint))
}

/// The statement that gathers a column's statistics.
pub fn analyze(table: &Qualified, column: &str) -> String {
    format!("ANALYZE {} ({})", qualified(&table.schema, &table.name), quote_identifier(column))
}
