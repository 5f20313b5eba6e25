//! What users do.

use std::fmt;

use crate::chance::Chance;

/// One thing that is done.
#[derive(Debug, Clone)]
pub enum Step {
    /// A script that is run on both tables by one of the roles. It names the table `t` and its children.
    Both { by: usize, script: String },
    /// The same, by the owner.
    Alter(&'static str),
    /// A call of ours about the table, waited for.
    Call(&'static str),
    /// A job that is cancelled so many milliseconds after it was queued, and then undone or tried again.
    Cancelled { call: &'static str, after: u64, undone: bool },
    /// A job of whose worker or server nothing is left so many milliseconds after it was queued.
    Killed { call: &'static str, after: u64, server: bool },
    /// Two writers of the same rows while a job is at work.
    Beside { call: &'static str, script: String },
    /// The retention of months, with what becomes of them.
    Retain(&'static str),
    /// A partition leaves, and comes back with its rows.
    LeaveAndReturn(usize),
    /// Another owner, and the first one again.
    GiveAway,
    /// The extension is dropped and made again.
    Again,
    /// A dump is restored elsewhere, and looked at there.
    Restored,
}

const CONVERT: &str = "partition_table('parted.t', 'at', accept => ARRAY['on_conflict', 'triggers'])";
const UNDO: &str = "undo_partitioning('parted.t')";

impl Step {
    /// The next one by chance.
    pub fn by(chance: &mut Chance) -> Self {
        match chance.below(100) {
            0..=49 => Self::Both { by: chance.below(2), script: script(chance) },
            50..=59 => Self::Call(chance.pick(&[CONVERT, CONVERT, UNDO])),
            60..=64 => Self::Beside {
                call: chance.pick(&[CONVERT, UNDO, "drain_default('parted.t')"]),
                script: script(chance),
            },
            65..=68 => {
                Self::Call(chance.pick(&["drain_default('parted.t')", "create_monthly_partitions(4)"]))
            }
            69..=72 => Self::Cancelled {
                call: chance.pick(&[CONVERT, UNDO, "drain_default('parted.t')"]),
                after: chance.next() % 60,
                undone: chance.percent(50),
            },
            73..=76 => Self::Killed {
                call: chance.pick(&[CONVERT, UNDO, "drain_default('parted.t')"]),
                after: chance.next() % 80,
                server: chance.percent(30),
            },
            77..=79 => Self::Retain(chance.pick(&["detach", "drop"])),
            80..=83 => Self::LeaveAndReturn(chance.below(8)),
            84..=92 => Self::Alter(chance.pick(ALTERATIONS)),
            93..=95 => Self::GiveAway,
            96..=97 => Self::Again,
            _ => Self::Restored,
        }
    }
}

/// What an owner does to a table, or undoes. Each may fail, on both alike.
const ALTERATIONS: &[&str] = &[
    "CREATE INDEX t_n ON t (n)",
    "DROP INDEX t_n",
    "ALTER TABLE t ALTER n SET DEFAULT 7",
    "ALTER TABLE t ADD CONSTRAINT sane CHECK (n < 1000000)",
    "ALTER TABLE t DROP CONSTRAINT sane",
    "CREATE TRIGGER noted AFTER INSERT OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION public.noted()",
    "DROP TRIGGER noted ON t",
    "ALTER TABLE t DISABLE TRIGGER USER; INSERT INTO t (id, at, n) VALUES (77, '2026-03-03', 1); ALTER TABLE t ENABLE TRIGGER USER",
    "ALTER TABLE t DISABLE TRIGGER ALL; UPDATE t SET n = n + 1 WHERE id % 3 = 0; ALTER TABLE t ENABLE TRIGGER ALL",
    "GRANT SELECT ON t TO PUBLIC",
    "REVOKE SELECT ON t FROM PUBLIC",
    "COMMENT ON COLUMN t.n IS 'a number'",
    "TRUNCATE",
];

/// The statements of one transaction, or one alone.
fn script(chance: &mut Chance) -> String {
    if chance.percent(60) {
        return statement(chance);
    }
    let mut script = vec!["BEGIN".to_owned()];
    for _ in 0..=chance.below(4) {
        script.push(statement(chance));
        if chance.percent(20) {
            script.extend(["SAVEPOINT s".to_owned(), statement(chance), "ROLLBACK TO s".to_owned()]);
        }
    }
    script.push(chance.pick(&["COMMIT", "COMMIT", "ROLLBACK"]).to_owned());
    script.join("; ")
}

fn id(chance: &mut Chance) -> usize {
    1 + chance.below(80)
}

fn moment(chance: &mut Chance) -> String {
    match chance.below(10) {
        0 => "NULL".to_owned(),
        1 => "'infinity'".to_owned(),
        _ => format!("current_date - {}", chance.below(200)),
    }
}

fn email(chance: &mut Chance) -> String {
    if chance.percent(10) { "NULL".to_owned() } else { format!("'m{}'", chance.below(80)) }
}

fn statement(chance: &mut Chance) -> String {
    let (one, other, at) = (id(chance), id(chance), moment(chance));
    match chance.below(14) {
        0..=2 => format!("INSERT INTO t (id, at, email, n) VALUES ({one}, {at}, {}, {other})", email(chance)),
        3 => format!(
            "INSERT INTO t (id, at, n) SELECT i, current_date - i, 0 FROM generate_series({one}, {one} + 5) i"
        ),
        4 | 5 => format!("UPDATE t SET at = {at} WHERE id = {one}"),
        6 => format!("UPDATE t SET id = {other} WHERE id = {one}"),
        7 => format!("UPDATE t SET email = {}, at = {at} WHERE id = {one}", email(chance)),
        8 => format!("UPDATE t SET n = n + 1, note = 'changed' WHERE id % 7 = {}", one % 7),
        9 => format!("DELETE FROM t WHERE id = {one}"),
        10 => format!("DELETE FROM t WHERE id BETWEEN {one} AND {one} + 3"),
        11 => format!("INSERT INTO of_id VALUES ({one})"),
        12 => format!("INSERT INTO of_email VALUES ({})", email(chance)),
        _ if chance.percent(50) => "DELETE FROM of_id WHERE id = (SELECT min(id) FROM of_id)".to_owned(),
        _ => "DELETE FROM of_email WHERE email = (SELECT min(email) FROM of_email)".to_owned(),
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Both { by, script } => write!(f, "role {by} on both: {script};"),
            Self::Alter(script) => write!(f, "owner on both: {script};"),
            Self::Call(call) => write!(f, "SELECT groundskeeper.{call};"),
            Self::Cancelled { call, after, undone } => {
                write!(
                    f,
                    "SELECT groundskeeper.{call}; cancelled after {after} ms, {}",
                    if *undone { "undone" } else { "tried again" }
                )
            }
            Self::Killed { call, after, server } => {
                write!(
                    f,
                    "SELECT groundskeeper.{call}; {} killed after {after} ms",
                    if *server { "server" } else { "worker" }
                )
            }
            Self::Beside { call, script } => write!(f, "SELECT groundskeeper.{call}; beside it {script};"),
            Self::Retain(action) => write!(f, "retention with {action}"),
            Self::LeaveAndReturn(at) => write!(f, "partition {at} is detached, and attached again"),
            Self::GiveAway => f.write_str("the table is given away, and back"),
            Self::Again => f.write_str("DROP EXTENSION; CREATE EXTENSION; adopted where it is partitioned"),
            Self::Restored => f.write_str("a dump is restored"),
        }
    }
}
