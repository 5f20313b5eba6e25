//! The script that brings one version's objects to those of the next.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context as _, Result};

use super::statement::{Object, Routine, object, statements};

/// What is written by hand for one update, by the names of its files: `checks`, `before`, `after`, and one
/// for each table that has changed.
pub type ByHand = BTreeMap<String, String>;

/// Puts the script together.
///
/// Objects stay what they are, with the grants that they were given and with what users have built on them: a function
/// whose arguments and columns are the same is replaced, and so is a view; only what is another is dropped and made.
/// The order is that of the new version's install script, in which everything is there before it is used; what nothing
/// uses any more goes last.
pub fn update(old: &str, new: &str, by_hand: &ByHand) -> Result<String> {
    let old = Version::read(old)?;
    let new = Version::read(new)?;
    let given = |name: &str| {
        by_hand.get(name).map(|text| text.trim()).with_context(|| format!("{name}.sql is missing"))
    };
    let (early, late) = old.gone(&new);
    let mut script = format!("{}\n\n", given("checks")?);
    write!(script, "{}\n\n", names_that_must_be_free(&old, &new)?)?;
    write!(script, "{}", refuse_what_stands_on(&early, &late))?;
    write!(script, "{}\n\n", given("before")?)?;
    drop_all(&mut script, &early)?;
    for (statement, about) in &new.statements {
        if let Some(text) = old.becomes(statement, about, by_hand)? {
            write!(script, "{text}\n\n")?;
        }
    }
    drop_all(&mut script, &late)?;
    writeln!(script, "{}", given("after")?)?;
    Ok(script)
}

/// The statements that made a version.
struct Version {
    statements: Vec<(String, Object)>,
}

impl Version {
    fn read(script: &str) -> Result<Self> {
        let read = |text: String| object(&text).map(|about| (text, about));
        Ok(Self { statements: statements(script)?.into_iter().map(read).collect::<Result<_>>()? })
    }

    fn has(&self, about: &Object) -> bool {
        self.statements.iter().any(|(_, object)| object == about)
    }

    fn says(&self, statement: &str) -> bool {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        self.statements.iter().any(|(text, _)| words(text) == words(statement))
    }

    fn routines(&self) -> impl Iterator<Item = &Routine> {
        self.statements.iter().filter_map(|(_, object)| match object {
            Object::Routine(routine) => Some(routine),
            _ => None,
        })
    }

    /// The routines that the new version lacks: first those that stand in the way of a new one, by being the same to
    /// PostgreSQL or by making calls ambiguous, then the others.
    fn gone(&self, new: &Self) -> (Vec<&Routine>, Vec<&Routine>) {
        let stays = |old: &Routine| new.routines().any(|routine| routine == old);
        self.routines()
            .filter(|old| !stays(old))
            .partition(|old| new.routines().any(|routine| routine.name == old.name))
    }

    /// What a statement of the new version becomes where this one is there; `None` where that is as it is to be.
    fn becomes(&self, statement: &str, about: &Object, by_hand: &ByHand) -> Result<Option<String>> {
        let verbatim = Some(format!("{statement};"));
        Ok(match about {
            Object::Schema(_) | Object::Type(_) => verbatim.filter(|_| !self.has(about)),
            Object::Routine(_) | Object::View(_) if self.has(about) => {
                verbatim.map(|text| text.replacen("CREATE", "CREATE OR REPLACE", 1))
            }
            Object::Table(_) if self.says(statement) => None,
            Object::Table(name) if self.has(about) => {
                let piece = by_hand.get(name);
                let piece =
                    piece.with_context(|| format!("{name} is another table: {name}.sql is missing"))?;
                Some(piece.trim().to_owned())
            }
            Object::OfTable(_) => verbatim.filter(|_| !self.says(statement)),
            Object::Table(_)
            | Object::Routine(_)
            | Object::View(_)
            | Object::EventTrigger(_)
            | Object::Said => verbatim,
            // By hand, in checks.sql, before.sql and after.sql.
            Object::Block | Object::Setting | Object::Rows => None,
        })
    }
}

fn drop_all(script: &mut String, routines: &[&Routine]) -> Result<()> {
    for routine in routines {
        write!(script, "DROP {} {};\n\n", routine.kind, routine.signature())?;
    }
    Ok(())
}

/// The look at names of the install script, at those that are new.
fn names_that_must_be_free(old: &Version, new: &Version) -> Result<String> {
    const REFUSES: &str = "names that pg_groundskeeper needs are taken";
    let look = new.statements.iter().find(|(text, _)| text.contains(REFUSES));
    let (look, _) = look.context("the install script does not look whether its names are free")?;
    let mut lines: Vec<&str> =
        look.lines().filter(|line| named(line).is_none_or(|name| !has_name(old, name))).collect();
    let last = lines
        .iter()
        .rposition(|line| named(line).is_some())
        .context("no name is new: there is nothing to look at")?;
    lines[last] = lines[last].trim_end_matches(',');
    Ok(format!("{};", lines.join("\n").replace("install again", "update again")))
}

/// A name in the list of the install script: `('kind', 'name'),`.
fn named(line: &str) -> Option<(&str, &str)> {
    let (kind, name) =
        line.trim().trim_end_matches(',').strip_prefix("('")?.strip_suffix("')")?.split_once("', '")?;
    Some((kind, name))
}

fn has_name(version: &Version, (kind, name): (&str, &str)) -> bool {
    version.statements.iter().any(|(_, object)| match object {
        Object::Schema(found) => kind == "schema" && found == name,
        Object::EventTrigger(found) => kind == "event trigger" && found == name,
        Object::View(found) => kind == "view" && found.strip_prefix("monitoring.") == Some(name),
        Object::Routine(found) => kind == "function" && found.name.strip_prefix("@extschema@.") == Some(name),
        _ => false,
    })
}

/// What users have built on a function that goes would make the update fail at that function, with a hint that does
/// not help.
fn refuse_what_stands_on(early: &[&Routine], late: &[&Routine]) -> String {
    let gone: Vec<String> =
        early.iter().chain(late).map(|routine| format!("        '{}'", routine.signature())).collect();
    include_str!("dependents.sql").replace("        -- signatures", &gone.join(",\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK: &str = "DO $$ names that pg_groundskeeper needs are taken\n('view', 'old'),\n('view', 'fresh')\ninstall again $$;";

    fn updated(old: &str, new: &str, by_hand: &[(&str, &str)]) -> Result<String> {
        let mut pieces: ByHand =
            by_hand.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        pieces.extend(
            [("checks", "-- looks"), ("before", "-- first"), ("after", "-- last")]
                .map(|(name, text)| (name.to_owned(), text.to_owned())),
        );
        update(old, &format!("{LOOK}\n{new}"), &pieces)
    }

    #[test]
    fn what_is_the_same_to_callers_is_replaced_and_what_is_not_is_made_anew() {
        let old = "CREATE VIEW monitoring.old AS SELECT 1; CREATE FUNCTION a.same() RETURNS text AS 'x';
                   CREATE FUNCTION a.more(b text) RETURNS text AS 'x'; CREATE FUNCTION a.gone() RETURNS text AS 'x'";
        let new = "CREATE VIEW monitoring.old AS SELECT 1, 2; CREATE FUNCTION a.same() RETURNS text AS 'y';
                   CREATE FUNCTION a.more(b text, c text) RETURNS text AS 'x'";
        let script = updated(old, new, &[]).unwrap();
        let at = |part: &str| script.find(part).unwrap_or_else(|| panic!("{part} is not in\\n{script}"));
        let order = [
            "-- looks",
            "('view', 'fresh')\nupdate again",
            "'a.more(text)',\n        'a.gone()'",
            "-- first",
            "DROP FUNCTION a.more(text);",
            "CREATE OR REPLACE VIEW monitoring.old",
            "CREATE OR REPLACE FUNCTION a.same()",
            "CREATE FUNCTION a.more(b text, c text)",
            "DROP FUNCTION a.gone();",
            "-- last",
        ];
        assert!(order.windows(2).all(|pair| at(pair[0]) < at(pair[1])), "{script}");
        assert!(!script.contains("('view', 'old')"), "{script}");
    }

    #[test]
    fn a_table_that_has_changed_is_altered_by_hand() {
        let old = "CREATE TABLE a.t (b text); CREATE TABLE a.u (b text); CREATE INDEX ON a.u (b)";
        let new = "CREATE TABLE a.t (b text, c text); CREATE TABLE a.u (b text); CREATE INDEX ON a.u (b); CREATE INDEX ON a.t (c)";
        assert!(updated(old, new, &[]).is_err());
        let script = updated(old, new, &[("a.t", "ALTER TABLE a.t ADD COLUMN c text;")]).unwrap();
        assert!(
            script.contains("ALTER TABLE a.t ADD COLUMN c text;\n\nCREATE INDEX ON a.t (c);"),
            "{script}"
        );
        assert!(!script.contains("a.u"), "{script}");
    }
}
