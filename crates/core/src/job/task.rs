//! What a job is to bring about.

use crate::names::Qualified;
use serde::{Deserialize, Serialize};

/// What a job is to bring about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Task {
    /// An index, built without blocking writers.
    CreateIndex {
        /// Where it will be.
        index: Qualified,
        /// Its table or materialized view.
        table: Qualified,
        /// Key columns or expressions, in SQL, each with its direction.
        keys: Vec<String>,
        /// Its predicate, in SQL.
        predicate: Option<String>,
        /// Whether it is unique.
        unique: bool,
    },
    /// An index gone, without blocking writers.
    DropIndex {
        /// Which.
        index: Qualified,
        /// Of one that was found unused: what it was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unused: Option<Definition>,
    },
    /// An index that was dropped for being unused, there again.
    RestoreIndex {
        /// Which.
        index: Qualified,
        /// What it was.
        definition: Definition,
        /// The change that dropped it.
        change: i64,
    },
    /// An index built anew, beside the old one until it is ready.
    Reindex {
        /// Which.
        index: Qualified,
        /// The OID that it had when the job was queued; a rebuilt index has another.
        before: u32,
    },
    /// A partition on its own again.
    DetachPartition {
        /// The partitioned table.
        parent: Qualified,
        /// The partition.
        partition: Qualified,
    },
    /// A partition gone, with its rows.
    DropPartition {
        /// The partitioned table.
        parent: Qualified,
        /// The partition.
        partition: Qualified,
    },
    /// The partitions that a table lacks, so many months ahead.
    CreatePartitions {
        /// The partitioned table.
        parent: Qualified,
        /// How many months, the current one counted.
        months: u32,
    },
    /// A table with rows as the partition of the period that they fit.
    AttachPartition {
        /// The partitioned table.
        parent: Qualified,
        /// The table.
        table: Qualified,
        /// Its OID when the job was queued: another may have its name by now.
        oid: u32,
    },
    /// A default partition without rows of periods that can have a partition of their own.
    DrainDefault {
        /// The partitioned table.
        parent: Qualified,
        /// The most rows that may be written while the table is locked.
        batch_size: i64,
    },
    /// A constraint validated.
    ValidateConstraint {
        /// Its table.
        table: Qualified,
        /// Its name.
        constraint: String,
        /// Its expression, to count the rows that violate it.
        expression: String,
    },
    /// A materialized view filled.
    RefreshView {
        /// Which.
        view: Qualified,
    },
    /// A column's statistics gathered, which a change of its type has emptied.
    Analyze {
        /// The table.
        table: Qualified,
        /// The column.
        column: String,
    },
    /// The rows of a staging table scored by the rules as they are now.
    Rescore {
        /// Which.
        table: Qualified,
    },
    /// An item of the plan carried out in a transaction of its own, once its locks are to be had.
    AlterTable {
        /// The item's id.
        item: String,
    },
    /// A column of another type, and what stands on it as it was.
    AlterColumnType {
        /// The table.
        table: Qualified,
        /// The column.
        column: String,
        /// The type, in SQL.
        type_name: String,
    },
    /// A table partitioned while writers go on.
    PartitionTable {
        /// Which.
        table: Qualified,
    },
    /// A partitioned table as it was before, with all that was written since.
    UndoPartitioning {
        /// Which.
        table: Qualified,
    },
    /// The unpartitioned table of a converted one gone.
    FinalizePartitioning {
        /// Which.
        table: Qualified,
    },
    /// What a converted table's unpartitioned one lacks, brought to it.
    CatchUp {
        /// Which.
        table: Qualified,
    },
    /// The keys that are kept apart from a converted table those of its rows again.
    RebuildKeys {
        /// Which.
        table: Qualified,
    },
}

impl Task {
    /// The kind's name in `groundskeeper.jobs`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::CreateIndex { .. } | Self::RestoreIndex { .. } => "create_index",
            Self::DropIndex { .. } => "drop_index",
            Self::Reindex { .. } => "reindex",
            Self::DetachPartition { .. } => "detach_partition",
            Self::DropPartition { .. } => "drop_partition",
            Self::CreatePartitions { .. } => "create_partitions",
            Self::AttachPartition { .. } => "attach_partition",
            Self::DrainDefault { .. } => "drain_default",
            Self::ValidateConstraint { .. } => "validate_constraint",
            Self::RefreshView { .. } => "refresh_view",
            Self::Analyze { .. } => "analyze",
            Self::Rescore { .. } => "rescore",
            Self::AlterTable { .. } => "alter_table",
            Self::AlterColumnType { .. } => "alter_column_type",
            Self::PartitionTable { .. } => "partition_table",
            Self::UndoPartitioning { .. } => "undo_partitioning",
            Self::FinalizePartitioning { .. } => "finalize_partitioning",
            Self::CatchUp { .. } => "catch_up",
            Self::RebuildKeys { .. } => "rebuild_keys",
        }
    }

    /// Whether it reads a relation from end to end, and so takes a processor and the disk for a while.
    #[must_use]
    pub fn is_heavy(&self) -> bool {
        match self {
            Self::CreateIndex { .. }
            | Self::RestoreIndex { .. }
            | Self::Reindex { .. }
            | Self::ValidateConstraint { .. }
            | Self::RefreshView { .. }
            | Self::AttachPartition { .. }
            | Self::AlterColumnType { .. }
            | Self::PartitionTable { .. }
            | Self::UndoPartitioning { .. }
            | Self::FinalizePartitioning { .. }
            | Self::RebuildKeys { .. } => true,
            Self::DropIndex { .. }
            | Self::DetachPartition { .. }
            | Self::DropPartition { .. }
            | Self::DrainDefault { .. }
            | Self::CreatePartitions { .. }
            | Self::Analyze { .. }
            | Self::Rescore { .. }
            | Self::AlterTable { .. }
            | Self::CatchUp { .. } => false,
        }
    }
}

/// What an index was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// Its OID: another index may have its name by now.
    pub oid: u32,
    /// Its table or materialized view.
    pub table: Qualified,
    /// `CREATE INDEX`, in PostgreSQL's words.
    pub statement: String,
    /// What else belongs to it, such as a comment.
    pub after: Vec<String>,
    /// Whether it is partitioned.
    pub partitioned: bool,
    /// What those of its partitions were, each after those that are parts of it.
    #[serde(default)]
    pub parts: Vec<Part>,
}

/// What the index of a partition was: the partitioned one takes it over as it finds it, by whatever name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The partition.
    pub table: Qualified,
    /// `CREATE INDEX`, in PostgreSQL's words.
    pub statement: String,
    /// What else belongs to it.
    pub after: Vec<String>,
}

impl Definition {
    /// The statement that builds it without blocking writers, where there is one.
    #[must_use]
    pub fn concurrently(&self) -> Option<String> {
        let build = [
            ("CREATE INDEX ", "CREATE INDEX CONCURRENTLY "),
            ("CREATE UNIQUE INDEX ", "CREATE UNIQUE INDEX CONCURRENTLY "),
        ];
        build.iter().filter(|_| !self.partitioned).find_map(|(plain, concurrent)| {
            self.statement.strip_prefix(plain).map(|rest| format!("{concurrent}{rest}"))
        })
    }

    /// The same on a table that has another name by now, in the same schema; nothing where its statement is not about it.
    /// All names but the table's are quoted as PostgreSQL does it.
    #[must_use]
    pub fn renamed(&self, index: &str, from: &str, table: &Qualified, to: &str) -> Option<Self> {
        let place = ["", "UNIQUE "].iter().find_map(|unique| {
            let start = format!("CREATE {unique}INDEX {index} ON ");
            self.statement.starts_with(&start).then_some(start)
        })?;
        let rest = self.statement.strip_prefix(&place)?;
        let (only, rest) = rest.strip_prefix("ONLY ").map_or(("", rest), |rest| ("ONLY ", rest));
        let rest = rest.strip_prefix(from).filter(|rest| rest.starts_with(" USING "))?;
        let statement = format!("{place}{only}{to}{rest}");
        Some(Self { table: table.clone(), statement, ..self.clone() })
    }

    /// All statements that bring it back.
    #[must_use]
    pub fn script(&self) -> Vec<String> {
        let parts = self.parts.iter().map(|part| (&part.statement, &part.after));
        parts
            .chain([(&self.statement, &self.after)])
            .flat_map(|(statement, after)| std::iter::once(statement).chain(after).cloned())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_survive_being_stored() {
        let task = Task::DropIndex {
            index: Qualified { schema: "we\"ird".into(), name: "i.x".into() },
            unused: None,
        };
        let stored = serde_json::to_string(&task).unwrap();
        assert_eq!(serde_json::from_str::<Task>(&stored).unwrap(), task);
        let older = r#"{"kind":"drop_index","index":{"schema":"s","name":"i"}}"#;
        assert!(matches!(serde_json::from_str(older), Ok(Task::DropIndex { unused: None, .. })));
    }

    #[test]
    fn a_definition_is_built_without_blocking_writers() {
        let definition = |statement: &str, partitioned| Definition {
            oid: 1,
            table: Qualified { schema: "s".into(), name: "t".into() },
            statement: statement.into(),
            after: vec!["COMMENT ON INDEX s.i IS 'x'".into()],
            partitioned,
            parts: Vec::new(),
        };
        let plain = definition("CREATE INDEX i ON s.t USING btree (a)", false);
        assert_eq!(plain.concurrently().unwrap(), "CREATE INDEX CONCURRENTLY i ON s.t USING btree (a)");
        assert_eq!(plain.script().len(), 2);
        assert_eq!(definition("CREATE INDEX i ON s.t USING btree (a)", true).concurrently(), None);
    }

    #[test]
    fn a_definition_follows_its_table() {
        let definition = |statement: &str| Definition {
            oid: 1,
            table: Qualified { schema: "s".into(), name: "t".into() },
            statement: statement.into(),
            after: Vec::new(),
            partitioned: false,
            parts: Vec::new(),
        };
        let table = Qualified { schema: "s".into(), name: "u x".into() };
        let renamed = |statement: &str, index: &str| {
            definition(statement).renamed(index, "s.t", &table, "s.\"u x\"").map(|d| d.statement)
        };
        assert_eq!(
            renamed("CREATE UNIQUE INDEX i ON ONLY s.t USING btree (a)", "i").unwrap(),
            "CREATE UNIQUE INDEX i ON ONLY s.\"u x\" USING btree (a)"
        );
        let sly = "CREATE INDEX \"i ON s.t USING \" ON s.t USING btree (a) WHERE b = ' ON s.t USING '";
        assert_eq!(
            renamed(sly, "\"i ON s.t USING \"").unwrap(),
            "CREATE INDEX \"i ON s.t USING \" ON s.\"u x\" USING btree (a) WHERE b = ' ON s.t USING '"
        );
        assert_eq!(renamed("CREATE INDEX i ON s.tt USING btree (a)", "i"), None);
        let moved =
            definition("CREATE INDEX i ON s.t USING btree (a)").renamed("i", "s.t", &table, "s.u").unwrap();
        assert_eq!(moved.table, table);
    }
}
