//! One thing that the plan wants.

use crate::names::Qualified;
use serde::{Deserialize, Serialize};

/// A family of types, as PostgreSQL groups them (`pg_type.typcategory`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// `N`: integers, numeric, floating point.
    Number,
    /// `S`: text, varchar, char.
    String,
    /// `D`: date, timestamp, timestamptz, time.
    Datetime,
}

impl Family {
    /// The category letter of `pg_type`.
    #[must_use]
    pub fn category(self) -> char {
        match self {
            Self::Number => 'N',
            Self::String => 'S',
            Self::Datetime => 'D',
        }
    }

    /// How the plan names it.
    fn word(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::String => "string",
            Self::Datetime => "datetime",
        }
    }

    /// How a message names the family.
    #[must_use]
    pub fn noun(self) -> &'static str {
        match self {
            Self::Number => "a number",
            Self::String => "a string",
            Self::Datetime => "a date or time",
        }
    }
}

/// A column that an item depends on: `column`, `column: family`, or with `schema.relation.` before it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct ColumnNeed {
    /// The relation, where it is not the item's own.
    pub relation: Option<Qualified>,
    /// The column.
    pub column: String,
    /// The type family, where it matters.
    pub family: Option<Family>,
}

impl From<ColumnNeed> for String {
    fn from(need: ColumnNeed) -> Self {
        let relation = need.relation.map(|relation| format!("{relation}.")).unwrap_or_default();
        let family = need.family.map(|family| format!(": {}", family.word())).unwrap_or_default();
        format!("{relation}{}{family}", need.column)
    }
}

impl TryFrom<String> for ColumnNeed {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (path, family) = match text.split_once(": ") {
            None => (text.as_str(), None),
            Some((path, "number")) => (path, Some(Family::Number)),
            Some((path, "string")) => (path, Some(Family::String)),
            Some((path, "datetime")) => (path, Some(Family::Datetime)),
            Some((_, other)) => return Err(format!("\"{other}\" is no family of types")),
        };
        let (relation, column) = match path.rsplit_once('.') {
            None => (None, path),
            Some((relation, column)) => (Some(Qualified::try_from(relation.to_owned())?), column),
        };
        Ok(Self { relation, column: column.to_owned(), family })
    }
}

/// Which keys an index has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexKeys<'a> {
    /// These columns or parenthesised expressions, each with its direction.
    Listed(&'a [String]),
    /// The columns of the foreign key to that relation, whatever they are called.
    ForeignKeyTo(&'a Qualified),
}

/// An index as the plan states it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Index {
    /// Its name, within the schema of its relation.
    pub name: String,
    /// Key columns or parenthesised expressions, in SQL.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// Instead of `keys`: the relation that the indexed foreign key refers to.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "Qualified::written_if_any")]
    pub references: Option<Qualified>,
    /// Where there is no such foreign key: the first of these columns that there is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub or_first_of: Vec<String>,
    /// The predicate of a partial index, in SQL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predicate: Option<String>,
    /// Whether it is unique.
    #[serde(default, skip_serializing_if = "is_no")]
    pub unique: bool,
    /// Not needed where another index begins with the same keys.
    #[serde(default, skip_serializing_if = "is_no")]
    pub unless_served: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_no(flag: &bool) -> bool {
    !flag
}

impl Index {
    /// The keys, listed or to be looked up.
    #[must_use]
    pub fn key_source(&self) -> IndexKeys<'_> {
        match &self.references {
            Some(relation) => IndexKeys::ForeignKeyTo(relation),
            None => IndexKeys::Listed(&self.keys),
        }
    }

    /// Whether an index of another definition that begins with the same keys will do.
    #[must_use]
    pub fn prefix_will_do(&self) -> bool {
        self.unless_served || self.references.is_some()
    }
}

/// What an item does. Each kind has its own way to be detected, applied and reverted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Action {
    /// Give a numeric column more digits before the point, without rewriting the table.
    WidenNumeric {
        /// The column.
        column: String,
        /// Wanted total digits.
        precision: i32,
        /// Digits after the point; the column must have as many already.
        scale: i32,
    },
    /// A CHECK constraint, added NOT VALID and validated afterwards.
    CheckConstraint {
        /// Its name.
        name: String,
        /// Its expression, in SQL.
        expression: String,
    },
    /// An index on columns.
    Index(Index),
    /// An index on at least one expression.
    ExpressionIndex(Index),
    /// A view of the user's.
    View {
        /// Its query.
        query: String,
        /// Its storage options, in SQL.
        #[serde(skip_serializing_if = "Option::is_none")]
        options: Option<String>,
        /// Other definitions that count as the same.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        accepts: Vec<String>,
    },
    /// A materialized view of the user's; its unique index is an item of its own.
    MaterializedView {
        /// Its query.
        query: String,
        /// Other definitions that count as the same.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        accepts: Vec<String>,
    },
    /// A view that is a member of the extension.
    MonitoringView,
    /// Settings of a role in this database; applied to a named role only.
    RoleSetting {
        /// The role; none in the plan itself, which knows no roles.
        #[serde(skip_serializing_if = "Option::is_none")]
        role: Option<String>,
    },
    /// A table to be partitioned by range; applied only when the operator asks.
    PartitionedTable {
        /// The partition key.
        key: String,
        /// The width of a partition.
        interval: String,
    },
    /// What the migration needs of a table: triggers that note its changes, and columns that fit.
    Migration,
    /// A table or materialized view that `update_table_statistics()` looks after.
    Statistics,
    /// An unused index that was dropped; of the change log only.
    DroppedIndex {
        /// Its name.
        name: String,
    },
}

impl Action {
    /// The kind's name in `plan_status()`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::WidenNumeric { .. } => "widen_numeric",
            Self::CheckConstraint { .. } => "check_constraint",
            Self::Index(_) => "index",
            Self::ExpressionIndex(_) => "expression_index",
            Self::View { .. } => "view",
            Self::MaterializedView { .. } => "materialized_view",
            Self::MonitoringView => "monitoring_view",
            Self::RoleSetting { .. } => "role_setting",
            Self::PartitionedTable { .. } => "partitioned_table",
            Self::Migration => "migration",
            Self::Statistics => "statistics",
            Self::DroppedIndex { .. } => "dropped_index",
        }
    }

    /// The column or object within the relation, where the relation is not itself the object.
    #[must_use]
    pub fn object(&self) -> Option<&str> {
        match self {
            Self::WidenNumeric { column: object, .. }
            | Self::CheckConstraint { name: object, .. }
            | Self::Index(Index { name: object, .. })
            | Self::ExpressionIndex(Index { name: object, .. })
            | Self::PartitionedTable { key: object, .. }
            | Self::DroppedIndex { name: object } => Some(object),
            Self::RoleSetting { role } => role.as_deref(),
            Self::Migration => Some("migration"),
            Self::Statistics => Some("statistics"),
            Self::View { .. } | Self::MaterializedView { .. } | Self::MonitoringView => None,
        }
    }

    /// The name of the index that it makes, where it makes one.
    #[must_use]
    pub fn index_name(&self) -> Option<&str> {
        match self {
            Self::Index(index) | Self::ExpressionIndex(index) => Some(&index.name),
            Self::WidenNumeric { .. }
            | Self::CheckConstraint { .. }
            | Self::View { .. }
            | Self::MaterializedView { .. }
            | Self::MonitoringView
            | Self::RoleSetting { .. }
            | Self::PartitionedTable { .. }
            | Self::Migration
            | Self::Statistics
            | Self::DroppedIndex { .. } => None,
        }
    }

    /// Whether what it makes is a member of the extension, and comes and goes with it.
    #[must_use]
    pub fn is_member(&self) -> bool {
        matches!(self, Self::MonitoringView)
    }

    /// Whether it is carried out by a call of its own only.
    #[must_use]
    pub fn is_asked_for(&self) -> bool {
        matches!(self, Self::RoleSetting { .. } | Self::PartitionedTable { .. })
    }

    /// Whether the item makes the relation that it names.
    #[must_use]
    pub fn makes_relation(&self) -> bool {
        matches!(self, Self::View { .. } | Self::MaterializedView { .. } | Self::MonitoringView)
    }
}

/// The role that has added an item: it is applied and taken back with that role's rights.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Author {
    /// Its name.
    pub role: String,
    /// Its OID; none where it is gone.
    pub oid: Option<u32>,
}

/// One thing that the plan wants.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Item {
    /// The plan's section, or `beyond`.
    pub section: String,
    /// The relation it is about, or makes.
    #[serde(serialize_with = "Qualified::written")]
    pub relation: Qualified,
    /// What it does.
    #[serde(flatten)]
    pub action: Action,
    /// What must exist for it to fit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<ColumnNeed>,
    /// Who has added it; nobody where it is built in.
    #[serde(skip)]
    pub author: Option<Author>,
}

impl Item {
    /// `<section>.<schema.relation>.<object>`, the object left out where the relation is the object.
    #[must_use]
    pub fn id(&self) -> String {
        match self.action.object() {
            Some(object) => format!("{}.{}.{object}", self.section, self.relation),
            None => format!("{}.{}", self.section, self.relation),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_read_relation_column_and_family() {
        let need = |text: &str| ColumnNeed::try_from(text.to_owned());
        assert_eq!(need("id").unwrap(), ColumnNeed { relation: None, column: "id".into(), family: None });
        let far = need("staging.games.id: number").unwrap();
        assert_eq!(far.relation.unwrap().to_string(), "staging.games");
        assert_eq!((far.column.as_str(), far.family), ("id", Some(Family::Number)));
        assert!(need("id: colour").is_err());
        assert!(need("games.id").is_err());
    }
}
