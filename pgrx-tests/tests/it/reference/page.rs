//! The reference as it is written: a list of all that there is, and a page for each part of it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::facts::{Facts, Relation, Routine};
use super::{Entry, Page};

/// Where it says how it is made.
const MADE: &str = "<!-- Written by the tests, from the catalogs and pgrx-tests/tests/it/reference/entries.toml: \
                    GROUNDSKEEPER_WRITE=1 cargo xtask test reference -->\n";

/// All that there is, in one list.
pub fn list(pages: &[Page], facts: &Facts, docs: &Path) -> Result<String> {
    let mut out = format!(
        "{MADE}\n# Reference\n\nWhat a person calls and reads. The schema `groundskeeper_internal` has what only the extension itself \
         calls, and may change with any release. `create_monthly_partitions()` and `update_table_statistics()` are in the \
         schema that the extension is installed in, too; the schedule calls those in `groundskeeper`, beside which nobody \
         else can create a function of the same name. Each part has a page with who may call what, errors, columns and \
         examples; [settings](reference/settings.md) and [errors](errors.md) have pages of their own.\n"
    );
    for page in pages {
        write!(out, "\n## {}\n\n[{} in detail](reference/{}.md). ", page.title, page.title, page.slug)?;
        writeln!(out, "{}", see(page, docs, "")?)?;
        let routines: Vec<&Routine> =
            page.entries.iter().filter_map(|entry| facts.routine(&entry.name)).collect();
        if !routines.is_empty() {
            out.push_str("\n| call | returns | what it does |\n| --- | --- | --- |\n");
        }
        for routine in routines {
            let (call, result) = (signature(routine), routine.result.as_deref().unwrap_or("CALL"));
            writeln!(out, "| `{call}` | `{result}` | {} |", routine.comment)?;
        }
        let relations: Vec<&Relation> =
            page.entries.iter().filter_map(|entry| facts.relation(&entry.name)).collect();
        if !relations.is_empty() {
            out.push_str("\n| relation | columns | what it holds |\n| --- | --- | --- |\n");
        }
        for relation in relations {
            let columns: Vec<&str> = relation.columns.iter().map(|column| column.name.as_str()).collect();
            writeln!(out, "| `{}` | `{}` | {} |", relation.name, columns.join(", "), relation.comment)?;
        }
    }
    Ok(out)
}

/// A part of it, with all that there is to know of each.
pub fn details(page: &Page, facts: &Facts, docs: &Path) -> Result<String> {
    let mut out = format!("{MADE}\n# Reference: {}\n\n{}", page.title, see(page, docs, "../")?);
    out.push_str(
        " Every statement on this page is run by the tests, in this order, in a database with the tables of the RAW -> STAGING -> \
         CURATED pipeline. [All that there is](../reference.md).\n\n```sql\nCREATE EXTENSION pg_groundskeeper;\n```\n",
    );
    for entry in &page.entries {
        match (facts.routine(&entry.name), facts.relation(&entry.name)) {
            (Some(routine), _) => of_routine(&mut out, routine)?,
            (None, Some(relation)) => of_relation(&mut out, relation)?,
            (None, None) => bail!("{} is not there", entry.name),
        }
        errors_and_example(&mut out, entry)?;
    }
    Ok(out)
}

/// The settings.
pub fn settings(facts: &Facts) -> String {
    let mut out = format!(
        "{MADE}\n# Reference: settings\n\n[The guide](../guide.md#settings) says more of each. They are set with `SET`, \
         `ALTER ROLE`, `ALTER DATABASE` or `ALTER SYSTEM`, by whom the table says; workers begin with the server's own.\n\n\
         | setting | default | values | set by | meaning |\n| --- | --- | --- | --- | --- |\n"
    );
    for setting in &facts.settings {
        let by = match setting.context.as_str() {
            "user" => "everybody",
            "superuser" => "superusers",
            "sighup" => "the server's configuration",
            "postmaster" => "the server's configuration, at its start",
            other => other,
        };
        let range = setting.range.as_deref().unwrap_or_default();
        let row = [&format!("`{}`", setting.name), setting.default.as_str(), range, by, &setting.comment];
        out.push_str(&format!("| {} |\n", row.join(" | ")));
    }
    out
}

/// The pages that tell more, by their titles.
fn see(page: &Page, docs: &Path, up: &str) -> Result<String> {
    let link = |target: &String| -> Result<String> {
        let file = target.split('#').next().unwrap_or_default();
        let text = fs::read_to_string(docs.join(file)).with_context(|| file.to_owned())?;
        let title = text.lines().find_map(|line| line.strip_prefix("# ")).context("a page has a title")?;
        Ok(format!("[{title}]({up}{target})"))
    };
    let links = page.see.iter().map(link).collect::<Result<Vec<String>>>()?;
    Ok(format!("Explained in {}.", links.join(" and ")))
}

fn signature(routine: &Routine) -> String {
    format!("{}({})", routine.name, routine.arguments)
}

fn of_routine(out: &mut String, routine: &Routine) -> Result<()> {
    let (call, may) = (signature(routine), who(&routine.may, "EXECUTE"));
    let whole = match &routine.result {
        Some(result) => format!("{call} RETURNS {result}"),
        None => format!("CALL {call}"),
    };
    Ok(write!(
        out,
        "\n## {}\n\n{}.\n\n```pgsql\n{whole}\n```\n\nMay call it: {may}.\n",
        routine.name, routine.comment
    )?)
}

fn of_relation(out: &mut String, relation: &Relation) -> Result<()> {
    write!(out, "\n## {}\n\n{}.\n\n", relation.name, relation.comment)?;
    out.push_str("| column | type | meaning |\n| --- | --- | --- |\n");
    for column in &relation.columns {
        writeln!(
            out,
            "| `{}` | `{}` | {} |",
            column.name,
            column.r#type,
            column.comment.as_deref().unwrap_or_default()
        )?;
    }
    Ok(write!(out, "\nMay read it: {}.\n", who(&relation.may, "SELECT"))?)
}

fn who(may: &[String], privilege: &str) -> String {
    if may.iter().any(|role| role == "PUBLIC") {
        return "everybody".to_owned();
    }
    let mut all: Vec<String> = may.iter().map(|role| format!("members of `{role}`")).collect();
    all.push("superusers".to_owned());
    format!("{}, and whom {privilege} is granted", all.join(", "))
}

fn errors_and_example(out: &mut String, entry: &Entry) -> Result<()> {
    if !entry.errors.is_empty() {
        out.push_str("\nMain [errors](../errors.md):\n\n");
        for error in &entry.errors {
            let (state, message) = error.split_once(' ').context("an error has a SQLSTATE and a message")?;
            writeln!(out, "- {state} `{message}`")?;
        }
    }
    if !entry.example.is_empty() {
        write!(out, "\n```sql\n{}\n```\n", entry.example.trim())?;
    }
    Ok(())
}
