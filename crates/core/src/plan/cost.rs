//! What applying an item costs, for whoever looks before leaping.

use super::item::Action;
use crate::names::Qualified;

/// What is to be done, in figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effort {
    /// Bytes that are read or written while locks are held.
    pub under_lock: u64,
    /// Bytes that are read afterwards, or beside the writers.
    pub beside: u64,
    /// Whether a job does it.
    pub as_job: bool,
}

impl Effort {
    /// All bytes.
    #[must_use]
    pub fn bytes(self) -> u64 {
        self.under_lock.saturating_add(self.beside)
    }

    /// `inline` or `job`.
    #[must_use]
    pub fn runs_as(self) -> &'static str {
        if self.as_job { "job" } else { "inline" }
    }
}

/// The locks that applying an item takes, and for how long.
#[must_use]
pub fn locks(action: &Action, relation: &Qualified, effort: Effort) -> String {
    let read = megabytes(effort.under_lock);
    match action {
        Action::WidenNumeric { .. } if effort.under_lock == 0 => {
            format!("ACCESS EXCLUSIVE on {relation} for a moment: no row is read{}", afterwards(effort))
        }
        Action::WidenNumeric { .. } => format!(
            "ACCESS EXCLUSIVE on {relation} while {read} are read: indexes and views on the column are made again{}",
            afterwards(effort)
        ),
        Action::CheckConstraint { .. } => {
            format!("ACCESS EXCLUSIVE on {relation} for a moment{}", afterwards(effort))
        }
        Action::Index(_) | Action::ExpressionIndex(_) if effort.as_job => {
            format!("SHARE UPDATE EXCLUSIVE on {relation} while it is built: readers and writers go on")
        }
        Action::Index(_) | Action::ExpressionIndex(_) => {
            format!("SHARE on {relation} while {read} are read: writers wait, readers go on")
        }
        Action::View { .. } => "ACCESS SHARE on what it reads, for a moment".to_owned(),
        Action::MaterializedView { .. } => {
            "ACCESS SHARE on what it reads, while it is filled: readers and writers go on".to_owned()
        }
        Action::PartitionedTable { .. } => format!(
            "ROW EXCLUSIVE on {relation} while it is copied: readers and writers go on; ACCESS EXCLUSIVE for a moment \
             when names are exchanged"
        ),
        Action::Migration => format!("SHARE ROW EXCLUSIVE on {relation} for a moment"),
        Action::MonitoringView
        | Action::RoleSetting { .. }
        | Action::Statistics
        | Action::DroppedIndex { .. } => "none".to_owned(),
    }
}

fn afterwards(effort: Effort) -> String {
    if effort.beside == 0 {
        return String::new();
    }
    format!(
        "; then SHARE UPDATE EXCLUSIVE while {} are read: readers and writers go on",
        megabytes(effort.beside)
    )
}

/// Bytes for a person.
fn megabytes(bytes: u64) -> String {
    const MB: u64 = 1024 * 1024;
    if bytes < MB { format!("{} kB", bytes.div_ceil(1024)) } else { format!("{} MB", bytes.div_ceil(MB)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_for_whom_is_said() {
        let table = Qualified::try_from("staging.games".to_owned()).unwrap();
        let effort = |under_lock, beside, as_job| Effort { under_lock, beside, as_job };
        let widen = Action::WidenNumeric { column: "c".into(), precision: 5, scale: 2 };
        assert_eq!(
            locks(&widen, &table, effort(0, 2 << 20, false)),
            "ACCESS EXCLUSIVE on staging.games for a moment: no row is read; then SHARE UPDATE EXCLUSIVE while 2 MB \
             are read: readers and writers go on"
        );
        assert!(locks(&widen, &table, effort(1, 0, false)).contains("while 1 kB are read"));
        let partitioned = Action::PartitionedTable { key: "k".into(), interval: "month".into() };
        assert!(locks(&partitioned, &table, effort(0, 9, true)).starts_with("ROW EXCLUSIVE"));
        assert_eq!(locks(&Action::Statistics, &table, effort(0, 0, false)), "none");
        assert_eq!(effort(u64::MAX, 1, true).bytes(), u64::MAX);
        assert_eq!(effort(0, 0, true).runs_as(), "job");
    }
}
