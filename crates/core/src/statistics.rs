//! Which statistics and materialized views are due, from what PostgreSQL has counted and what was seen last time.

use crate::names::Qualified;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};

/// Whether a relation is due, and why or why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Whether there is something to do.
    pub due: bool,
    /// What it rests on, for the user.
    pub reason: String,
}

impl Due {
    fn now(reason: impl Into<String>) -> Self {
        Self { due: true, reason: reason.into() }
    }

    fn not_yet(reason: impl Into<String>) -> Self {
        Self { due: false, reason: reason.into() }
    }
}

/// What a table's statistics are judged by. For a partitioned table rows and changes are its partitions', summed.
#[derive(Debug, Clone)]
pub struct Table {
    /// Whether the planner has statistics of it, or there is nothing to have any of.
    pub analyzed: bool,
    /// Rows inserted, updated and deleted since then.
    pub changes: f64,
    /// Rows, as the planner believes; negative where it does not know.
    pub rows: f64,
    /// `autovacuum_analyze_threshold`, the table's own or the server's.
    pub base: f64,
    /// `autovacuum_analyze_scale_factor`, the table's own or the server's.
    pub scale: f64,
}

impl Table {
    /// How many changes autovacuum lets pass.
    #[must_use]
    pub fn threshold(&self) -> f64 {
        self.base + self.scale * self.rows.max(0.0)
    }

    /// Whether it is to be analyzed.
    #[must_use]
    pub fn verdict(&self, force: bool) -> Due {
        let changes =
            format!("{:.0} rows changed, autovacuum's threshold is {:.0}", self.changes, self.threshold());
        if !self.analyzed {
            Due::now("never analyzed")
        } else if force {
            Due::now(format!("forced; {changes}"))
        } else if self.changes > self.threshold() {
            Due::now(changes)
        } else {
            Due::not_yet(changes)
        }
    }
}

/// A table as it was found at some time. Whatever changes its rows changes one of these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its name, for the user.
    pub name: String,
    /// Its file: TRUNCATE, which counts no rows, gives it another.
    pub file: u32,
    /// Rows ever inserted, updated and deleted; of a view that is refreshed in the same run, its refreshes.
    pub changes: i64,
    /// Rows, as far as that is known: so many come or go with a partition as a whole.
    #[serde(default)]
    pub rows: i64,
}

/// All that a relation was made from, as it was found just before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// When the counters were last reset, a crash included.
    pub reset: Option<String>,
    /// The day or hour, for a view that depends on it.
    pub window: Option<String>,
    /// The tables, by OID.
    pub sources: BTreeMap<u32, Source>,
}

impl Seen {
    /// Rows of the sources that have changed since `before`: those of a source that is new or gone have come or gone
    /// with it, whatever was done to them elsewhere; all that were changed since its counters began again.
    #[must_use]
    pub fn changes_since(&self, before: &Self) -> i64 {
        let of = |(oid, now): (&u32, &Source)| match before.sources.get(oid) {
            Some(then) if then.changes <= now.changes => now.changes - then.changes,
            None if now.rows > 0 => now.rows,
            _ => now.changes,
        };
        let gone = before.sources.iter().filter(|(oid, _)| !self.sources.contains_key(oid));
        self.sources.iter().map(of).chain(gone.map(|(_, then)| then.rows)).fold(0, i64::saturating_add)
    }

    /// What is different now.
    fn difference(&self, before: &Self) -> Option<String> {
        if self.reset != before.reset {
            return Some("the server's counters were reset".to_owned());
        }
        let differs = |oid: &u32, now: &Source| {
            before.sources.get(oid).is_none_or(|then| (then.file, then.changes) != (now.file, now.changes))
        };
        let changed = self.sources.iter().filter(|(oid, now)| differs(oid, now));
        let gone = before.sources.iter().filter(|(oid, _)| !self.sources.contains_key(oid));
        let named: Vec<String> = changed.chain(gone).map(|(_, source)| source.name.clone()).collect();
        if !named.is_empty() {
            return Some(format!("changed: {}", few(&named)));
        }
        (self.window != before.window)
            .then(|| format!("it is {} now", self.window.as_deref().unwrap_or("another time")))
    }
}

/// The first of many names.
fn few(names: &[String]) -> String {
    let shown = names.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > 3 { format!("{shown} and {} more", names.len() - 3) } else { shown }
}

/// What a materialized view is judged by.
#[derive(Debug, Clone)]
pub struct View {
    /// Whether it was ever filled.
    pub populated: bool,
    /// What it was made from the last time.
    pub before: Option<Seen>,
    /// The same as it is now.
    pub now: Seen,
    /// Something that it reads and of which no change can be seen.
    pub opaque: Option<String>,
}

impl View {
    /// Whether it is to be refreshed.
    #[must_use]
    pub fn verdict(&self, force: bool) -> Due {
        if !self.populated {
            return Due::now("never populated");
        }
        let Some(before) = &self.before else { return Due::now("not refreshed from here before") };
        if let Some(difference) = self.now.difference(before) {
            return Due::now(difference);
        }
        if let Some(opaque) = &self.opaque {
            return Due::now(format!("it reads {opaque}, whose changes cannot be seen"));
        }
        if force { Due::now("forced") } else { Due::not_yet("no source has changed") }
    }
}

/// How often a view goes out of date by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Window {
    /// Never.
    None,
    /// At midnight.
    Day,
    /// With every moment; each hour is often enough.
    Hour,
}

/// What the clock has to do with a view that calls these functions.
#[must_use]
pub fn window(functions: &str) -> Window {
    let of = |function| match function {
        "CURRENT_DATE" | "age" => Window::Day,
        "CURRENT_TIMESTAMP"
        | "now"
        | "statement_timestamp"
        | "transaction_timestamp"
        | "clock_timestamp"
        | "timeofday" => Window::Hour,
        _ => Window::None,
    };
    functions.split(' ').map(of).max().unwrap_or(Window::None)
}

/// Views in an order in which each comes after those that it reads. `reads` holds pairs of a view and one that it
/// reads, both as positions below `count`; otherwise the order stays.
#[must_use]
pub fn dependencies_first(count: usize, reads: &[(usize, usize)]) -> Vec<usize> {
    fn visit(view: usize, reads: &[(usize, usize)], seen: &mut HashSet<usize>, out: &mut Vec<usize>) {
        if seen.insert(view) {
            for &(_, source) in reads.iter().filter(|(reader, _)| *reader == view) {
                visit(source, reads, seen, out);
            }
            out.push(view);
        }
    }
    let (mut seen, mut out) = (HashSet::new(), Vec::with_capacity(count));
    for view in 0..count {
        visit(view, reads, &mut seen, &mut out);
    }
    out
}

/// The relations whose statistics the plan keeps fresh, and the views that it keeps refreshed.
#[must_use]
pub fn of_the_plan(plan: &crate::plan::Plan) -> Vec<&Qualified> {
    let is_view = |item: &&crate::plan::Item| item.action.kind() == "materialized_view";
    plan.statistics.iter().chain(plan.items.iter().filter(is_view).map(|item| &item.relation)).collect()
}

#[cfg(test)]
mod tests;
