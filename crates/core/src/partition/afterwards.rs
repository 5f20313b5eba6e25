//! What a partitioned table refuses, or does otherwise than a plain one: for each table, for its triggers, and for the
//! functions that use it. Each is something to acknowledge, with what helps.

use super::preflight::Finding;
use super::source::{self, Use};

/// The table, with names as they stand in statements.
#[derive(Debug, Clone, Copy)]
pub struct Table<'a> {
    /// The table.
    pub quoted: &'a str,
    /// The partition key.
    pub key: &'a str,
    /// Its primary key's columns and the key table, where the primary key lacks the partition key.
    pub lost: Option<(&'a str, &'a str)>,
}

/// What follows from the key alone. It is acknowledged together where the primary key is lost; where it is not, there is
/// nothing in it that a reader of the manual would not expect.
#[must_use]
pub fn of_table(table: &Table) -> Vec<Finding> {
    let mut found: Vec<Finding> =
        table.lost.map(|lost| of_lost_key(table, lost)).into_iter().flatten().collect();
    let check = if table.lost.is_some() { "on_conflict" } else { "statements" };
    let finding = |(detail, remedy)| {
        let found = Finding::warning(check, detail, remedy);
        if table.lost.is_some() { found.to_accept() } else { found }
    };
    found.extend(of_any(table).into_iter().map(finding));
    found
}

/// What is so of every partitioned table: detail and remedy.
fn of_any(table: &Table) -> [(String, String); 6] {
    let (quoted, key) = (table.quoted, table.key);
    [
        (
            format!("ON CONFLICT DO UPDATE cannot move a row to another partition: it fails where it sets {key} so"),
            "Let it leave that column as it is, or do it in an UPDATE.".to_owned(),
        ),
        (
            format!("an UPDATE of {key} that moves a row deletes it from one partition and inserts it into another: whoever \
                     waits to change the same row gets \"tuple to be locked was already moved to another partition due to \
                     concurrent update\" (40001), and a moved row has another ctid"),
            "Try the transaction again on 40001, as after any serialization failure.".to_owned(),
        ),
        (
            format!("INSERT INTO {quoted} ... RETURNING xmin (or xmax, cmin, cmax) fails, and a ctid is one of each partition: \
                     WHERE ctid IN (SELECT ctid FROM {quoted} ...) finds rows that were not meant"),
            "Tell rows by the primary key, or by (tableoid, ctid) together; for optimistic locking read xmin by a SELECT, or \
             count a version in a column of your own."
                .to_owned(),
        ),
        (
            format!("COPY {quoted} TO fails"),
            format!("COPY (SELECT * FROM {quoted}) TO ..."),
        ),
        (
            format!("CREATE INDEX CONCURRENTLY ON {quoted} fails, and so does DROP INDEX CONCURRENTLY of an index that the whole has"),
            format!("CREATE INDEX ... ON ONLY {quoted}, CREATE INDEX CONCURRENTLY on each partition, then ALTER INDEX ... \
                     ATTACH PARTITION."),
        ),
        (
            format!("sizes, storage options and last_vacuum of {quoted} itself say nothing: pg_relation_size() is 0, and ALTER \
                     TABLE {quoted} SET (...) fails"),
            "Sum over pg_partition_tree(); set options on the partitions, new ones are made like the others.".to_owned(),
        ),
    ]
}

fn of_lost_key(table: &Table, (columns, keys): (&str, &str)) -> Vec<Finding> {
    let quoted = table.quoted;
    [
        (
            format!("GROUP BY {columns} does not make the other columns of {quoted} known: a query that shows them fails"),
            "Let it group by all the columns that it shows.".to_owned(),
        ),
        (
            format!("a new foreign key cannot refer to {quoted} ({columns})"),
            format!("Let it refer to the key table: REFERENCES {keys} ({columns})."),
        ),
        (
            format!("{quoted} has no PRIMARY KEY as a whole, only its partitions have: ORMs and tools that read it from the \
                     catalogs find none"),
            format!("Name {columns} in the mapping as what identifies a row."),
        ),
    ]
    .map(|(detail, remedy)| Finding::warning("on_conflict", detail, remedy).to_accept())
    .into()
}

/// A row trigger of the user's.
#[derive(Debug, Clone)]
pub struct Trigger {
    /// Its name, as it stands in statements.
    pub name: String,
    /// The function that it calls.
    pub function: String,
    /// What the server knows of when it fires: `tgtype`.
    pub kind: i32,
    /// Whether it fires at all.
    pub is_enabled: bool,
    /// The source of its function.
    pub source: String,
}

impl Trigger {
    const BEFORE: i32 = 2;
    const INSERT: i32 = 4;
    const DELETE: i32 = 8;
    const UPDATE: i32 = 16;

    fn is(&self, kind: i32) -> bool {
        self.kind & kind != 0
    }
}

/// What becomes of a trigger. `column` is the partition key as the catalogs have it.
#[must_use]
pub fn of_trigger(table: &Table, column: &str, trigger: &Trigger) -> Vec<Finding> {
    let (name, function, key) = (&trigger.name, &trigger.function, table.key);
    let mut found = Vec::new();
    if trigger.is(Trigger::BEFORE) && trigger.is(Trigger::INSERT) {
        found.push(if trigger.is_enabled && source::assigns(&trigger.source, column) {
            let detail = format!("{name} sets {key} before a row is inserted, when its partition is chosen already: \
                                  PostgreSQL refuses the row");
            let remedy = format!("Let a default do it, ALTER TABLE {} ALTER COLUMN {key} SET DEFAULT ..., and take it out \
                                  of {function}.", table.quoted);
            Finding::blocker("triggers", detail, remedy)
        } else {
            let detail = format!("{name} runs before a row is inserted, when its partition is chosen already: where it changes \
                                  {key}, the INSERT fails");
            let remedy = format!("See that {function} leaves {key} as it is; a column default may fill it.");
            Finding::warning("triggers", detail, remedy).to_accept()
        });
    }
    if let Some(word) = source::asks_for_table(&trigger.source) {
        let detail = format!("{name} uses {word}, which is a partition's on the partitioned table");
        let remedy = format!(
            "Let {function} ask pg_partition_root(TG_RELID), or have the name as an argument of the trigger."
        );
        found.push(Finding::warning("triggers", detail, remedy).to_accept());
    }
    if trigger.is(Trigger::DELETE) || trigger.is(Trigger::UPDATE) && !trigger.is(Trigger::BEFORE) {
        let detail = format!(
            "{name} sees an UPDATE that moves a row to another partition as a DELETE and an INSERT: what is for \
                              DELETE fires, and may refuse it; what is for AFTER UPDATE does not"
        );
        let remedy =
            format!("See that {function} may treat it so, or let {key} stay what it is once a row is there.");
        found.push(Finding::warning("triggers", detail, remedy).to_accept());
    }
    found
}

/// What a function uses that will fail, or mean something else.
#[must_use]
pub fn of_function(function: &str, used: &Use) -> Finding {
    let (detail, remedy) = match used {
        Use::OnConflict => (
            "inserts with ON CONFLICT, which finds no unique index as a whole".to_owned(),
            "Insert without it, or MERGE; duplicates raise unique_violation as before.",
        ),
        Use::GroupBy => (
            "groups by the primary key; if it shows other columns, it fails".to_owned(),
            "Let it group by all the columns that it shows.",
        ),
        Use::SystemColumn(column) if column == "tableoid" => {
            ("reads tableoid, which is a partition's".to_owned(), "Let it ask pg_partition_root(tableoid).")
        }
        Use::SystemColumn(column) if column == "ctid" => (
            "reads ctid, which tells rows of one partition only".to_owned(),
            "Let it tell rows by the primary key, or by (tableoid, ctid).",
        ),
        Use::SystemColumn(column) => (
            format!("reads {column}, which INSERT ... RETURNING cannot any more"),
            "Let it read the column by a SELECT, or count a version in a column of your own.",
        ),
        Use::Only => ("says ONLY, which leaves out the partitions".to_owned(), "Let it do without ONLY."),
        Use::CopyTo => (
            "copies the table with COPY ... TO, which fails".to_owned(),
            "Let it copy a query: COPY (SELECT ...) TO.",
        ),
    };
    Finding::warning("functions", format!("{function} {detail}"), remedy).to_accept()
}

#[cfg(test)]
mod tests {
    use super::super::preflight::{Severity, check_named};
    use super::*;

    const TABLE: Table = Table { quoted: "app.t", key: "at", lost: Some(("id", "app.t_key")) };

    fn trigger(kind: i32, source: &str) -> Vec<(Severity, bool)> {
        let trigger = Trigger {
            name: "g".to_owned(),
            function: "app.f()".to_owned(),
            kind,
            is_enabled: true,
            source: source.to_owned(),
        };
        of_trigger(&TABLE, "at", &trigger).into_iter().map(|f| (f.severity, f.needs_answer)).collect()
    }

    #[test]
    fn a_lost_key_is_acknowledged_once_for_all() {
        let found = of_table(&TABLE);
        assert!(found.iter().all(|f| f.check == "on_conflict" && f.needs_answer && f.remedy.is_some()));
        for told in [
            "GROUP BY id",
            "COPY app.t TO",
            "RETURNING xmin",
            "ctid",
            "CONCURRENTLY",
            "foreign key",
            "PRIMARY KEY",
            "40001",
            "DO UPDATE",
        ] {
            assert!(found.iter().any(|f| f.detail.contains(told)), "{told}");
        }
        assert!(
            found.iter().any(|f| f.remedy.as_ref().is_some_and(|remedy| remedy.contains("app.t_key (id)")))
        );
        let kept = of_table(&Table { lost: None, ..TABLE });
        assert_eq!(kept.len(), found.len() - 3);
        assert!(kept.iter().all(|f| f.check == "statements" && !f.needs_answer));
        assert!(check_named("statements").is_some() && check_named("functions").is_some());
    }

    #[test]
    fn a_trigger_that_fills_the_key_is_in_the_way() {
        let (blocker, warning) = ((Severity::Blocker, false), (Severity::Warning, true));
        let (before_insert, after_insert, before_update, after_update, after_delete) = (7, 5, 19, 17, 9);
        assert_eq!(trigger(before_insert, "NEW.at := now();"), [blocker]);
        assert_eq!(trigger(before_insert, "NEW.n := 1;"), [warning]);
        assert_eq!(trigger(before_insert | 16, "NEW.n := 1;"), [warning]);
        assert_eq!(trigger(before_insert, "NEW.at := now(); x := TG_TABLE_NAME"), [blocker, warning]);
        assert_eq!(trigger(before_update, "NEW.at := now();"), []);
        assert_eq!(trigger(after_insert, "NULL"), []);
        assert_eq!(trigger(after_insert, "x := TG_RELID"), [warning]);
        assert_eq!(trigger(after_update, "NULL"), [warning]);
        assert_eq!(trigger(after_delete, "NULL"), [warning]);
    }

    #[test]
    fn each_use_is_told_with_what_helps() {
        let columns = ["ctid", "tableoid", "xmin"].map(|column| Use::SystemColumn(column.to_owned()));
        for used in columns.into_iter().chain([Use::OnConflict, Use::GroupBy, Use::Only, Use::CopyTo]) {
            let found = of_function("app.f()", &used);
            assert!(
                found.needs_answer && found.remedy.is_some() && found.detail.starts_with("app.f() "),
                "{found:?}"
            );
        }
    }
}
