//! How the migration learns of changes: triggers of the user's tables write a note of what a statement touched, in
//! its own transaction, so that a note is seen exactly when the change is, whatever any clock says.
//!
//! What they make is the user's: it works with the rights of the table's owner, since who writes through a view or a
//! cascade may have none, believes no table but the extension's own, and goes on without it: then it notes nothing.

use super::columns::quote;
use crate::names::suffixed;
use std::collections::BTreeSet;

/// Whose notes are about games.
pub const GAMES_SUBJECT: &str = "games";

/// Beyond so many bytes nothing more is noted, and the next run looks at everything.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// The triggers of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    schema: String,
    table: String,
    subject: String,
    id: String,
    game: String,
}

/// A trigger: its name, and all but the names in its definition.
type Trigger = (&'static str, &'static str);

/// The names of the triggers.
pub const TRIGGERS: [&str; 4] = [
    "groundskeeper_note_insert",
    "groundskeeper_note_update",
    "groundskeeper_note_delete",
    "groundskeeper_note_truncate",
];

const RAW_TRIGGERS: [Trigger; 4] = [
    (TRIGGERS[0], "AFTER INSERT ON {table} REFERENCING NEW TABLE AS now FOR EACH STATEMENT"),
    (
        TRIGGERS[1],
        "AFTER UPDATE ON {table} REFERENCING OLD TABLE AS before NEW TABLE AS now FOR EACH STATEMENT",
    ),
    (TRIGGERS[2], "AFTER DELETE ON {table} REFERENCING OLD TABLE AS before FOR EACH STATEMENT"),
    (TRIGGERS[3], "AFTER TRUNCATE ON {table} FOR EACH STATEMENT"),
];

/// What we write ourselves is no news. A condition on columns would keep their owner from altering them.
const GAME_TRIGGERS: [Trigger; 4] = [
    (
        TRIGGERS[0],
        "AFTER INSERT ON {table} REFERENCING NEW TABLE AS now FOR EACH STATEMENT WHEN ({not_ours})",
    ),
    (
        TRIGGERS[1],
        "AFTER UPDATE ON {table} REFERENCING OLD TABLE AS before NEW TABLE AS now FOR EACH STATEMENT WHEN ({not_ours})",
    ),
    (
        TRIGGERS[2],
        "AFTER DELETE ON {table} REFERENCING OLD TABLE AS before FOR EACH STATEMENT WHEN ({not_ours})",
    ),
    (TRIGGERS[3], "AFTER TRUNCATE ON {table} FOR EACH STATEMENT"),
];

const NOT_OURS: &str = "pg_catalog.current_setting('groundskeeper.migrating', true) IS DISTINCT FROM 'on'";

/// The facts of a game that somebody may correct by hand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The columns of the teams.
    pub teams: Vec<String>,
    /// The column of the day.
    pub date: Vec<String>,
    /// The column of the moment, where there is one.
    pub time: Vec<String>,
}

impl Capture {
    /// The triggers of a raw table: its columns of the row's number and the game's id at the source.
    #[must_use]
    pub fn of_raw(schema: &str, table: &str, subject: &str, id: &str, game: &str) -> Self {
        let [schema, table, subject, id, game] = [schema, table, subject, id, game].map(str::to_owned);
        Self { schema, table, subject, id, game }
    }

    /// The triggers of the games: their columns of number and id at the source.
    #[must_use]
    pub fn of_games(schema: &str, table: &str, id: &str, external_id: &str) -> Self {
        Self::of_raw(schema, table, GAMES_SUBJECT, id, external_id)
    }

    fn is_of_games(&self) -> bool {
        self.subject == GAMES_SUBJECT
    }

    /// The function's name, in the table's schema.
    #[must_use]
    pub fn function(&self) -> String {
        suffixed(&self.table, "note_changes")
    }

    fn quoted_table(&self) -> String {
        format!("{}.{}", quote(&self.schema), quote(&self.table))
    }

    /// The statements that make them, the function being `owner`'s as the table is. `facts` are the columns of games
    /// that may be corrected.
    #[must_use]
    pub fn statements(&self, facts: &Facts, owner: &str) -> Vec<String> {
        let body = self.body(facts);
        // Names of columns stand in it, whatever they hold.
        let mut tag = "groundskeeper".to_owned();
        while body.contains(&format!("${tag}$")) {
            tag.push('_');
        }
        let function = format!(
            "CREATE OR REPLACE FUNCTION {} RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET row_security = on SET standard_conforming_strings = on AS ${tag}${body}${tag}$",
            self.signature(),
        );
        let private = format!("REVOKE ALL ON FUNCTION {} FROM PUBLIC", self.signature());
        let (table, triggers) =
            (self.quoted_table(), if self.is_of_games() { GAME_TRIGGERS } else { RAW_TRIGGERS });
        let make = |(name, definition): Trigger| {
            let definition = definition.replace("{table}", &table).replace("{not_ours}", NOT_OURS);
            [
                format!("DROP TRIGGER IF EXISTS {name} ON {table}"),
                format!("CREATE TRIGGER {name} {definition} EXECUTE FUNCTION {}", self.signature()),
            ]
        };
        let owned = format!("ALTER FUNCTION {} OWNER TO {}", self.signature(), quote(owner));
        [function, private].into_iter().chain(triggers.into_iter().flat_map(make)).chain([owned]).collect()
    }

    /// The function's name, quoted, with its arguments: none.
    #[must_use]
    pub fn signature(&self) -> String {
        Self::signature_of(&self.schema, &self.table)
    }

    /// The same of the function of a table.
    #[must_use]
    pub fn signature_of(schema: &str, table: &str) -> String {
        format!("{}.{}()", quote(schema), quote(&suffixed(table, "note_changes")))
    }

    /// The statements that take them away.
    #[must_use]
    pub fn inverse(&self) -> Vec<String> {
        Self::inverse_of(&self.schema, &self.table)
    }

    /// The same for a table whose columns are not known any more.
    #[must_use]
    pub fn inverse_of(schema: &str, table: &str) -> Vec<String> {
        let function = Self::signature_of(schema, table);
        let table = format!("{}.{}", quote(schema), quote(table));
        let triggers = TRIGGERS.map(|name| format!("DROP TRIGGER IF EXISTS {name} ON {table}"));
        triggers.into_iter().chain([format!("DROP FUNCTION IF EXISTS {function}")]).collect()
    }

    /// The function's text.
    #[must_use]
    pub fn body(&self, facts: &Facts) -> String {
        let cases = if self.is_of_games() { self.games_cases(facts) } else { self.raw_cases() };
        let columns: BTreeSet<&String> = [&self.id, &self.game]
            .into_iter()
            .chain(&facts.teams)
            .chain(&facts.date)
            .chain(&facts.time)
            .collect();
        let names: Vec<String> = columns.iter().map(|column| literal(column)).collect();
        format!(
            "
DECLARE
    knows_columns boolean;
    changed int8multirange;
    games text[];
    facts text[];
    low numeric;
    high numeric;
    many bigint;
BEGIN
    -- The table goes on whatever becomes of the extension; the daily sweep finds what is not noted. Where nobody
    -- migrates, notes would grow for ever: a run that finds so many looks at everything.
    IF to_regnamespace('groundskeeper') IS NULL THEN
        RETURN NULL;
    END IF;
    IF NOT has_schema_privilege('groundskeeper', 'USAGE') THEN
        RETURN NULL;
    END IF;
    -- Columns may have other names by now, or other types: then everything is looked at. Only the extension's table is
    -- written, and only for the owner of this one.
    SELECT (SELECT count(*) FROM pg_attribute a
             WHERE a.attrelid = TG_RELID AND a.attname IN ({names}) AND NOT a.attisdropped
               AND (a.attname <> {id} OR a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype))) = {count}
      INTO knows_columns
      FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'pg_groundskeeper'
      JOIN pg_class c ON c.oid = TG_RELID AND pg_get_userbyid(c.relowner) = CURRENT_USER
     WHERE d.classid = 'pg_class'::regclass AND d.objid = to_regclass('groundskeeper.migration_notes') AND d.objsubid = 0
       AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
       AND has_table_privilege(d.objid, 'INSERT') AND pg_relation_size(d.objid) <= {most};
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF NOT knows_columns OR TG_OP = 'TRUNCATE' THEN
        changed := '{{(,)}}';
{cases}
    END IF;
    IF changed IS NOT NULL OR games IS NOT NULL THEN
        IF TG_OP = 'TRUNCATE' THEN
            facts := '{{gone}}';
        END IF;
        INSERT INTO groundskeeper.migration_notes (subject, relation, ids, games, facts)
        VALUES ({subject}, TG_RELID, changed, games, facts);
    END IF;
    RETURN NULL;
END",
            subject = literal(&self.subject),
            id = literal(&self.id),
            names = names.join(", "),
            count = names.len(),
            // what somebody has corrected is noted for longer
            most = if self.is_of_games() { 2 * MOST_BYTES } else { MOST_BYTES },
        )
    }

    fn raw_cases(&self) -> String {
        let (id, game) = (quote(&self.id), quote(&self.game));
        format!(
            "    ELSIF TG_OP = 'DELETE' THEN
        games := NULLIF(ARRAY(SELECT DISTINCT b.{game}::text FROM before b WHERE b.{game} IS NOT NULL), '{{}}');
    ELSE
        -- A batch as collectors bring it is one range. One that is spread out is told number by number, or where it is
        -- large, by what encloses its parts.
        SELECT min(n.{id}), max(n.{id}), count(*) INTO low, high, many FROM now n WHERE n.{id} IS NOT NULL;
        IF high - low < 2 * many THEN
            changed := int8multirange(int8range(low::bigint, NULLIF(high::bigint, 9223372036854775807), '[]'));
        ELSIF many <= 1000 THEN
            SELECT range_agg(int8range(n.{id}, NULLIF(n.{id}, 9223372036854775807), '[]')) INTO changed
              FROM now n WHERE n.{id} IS NOT NULL;
        ELSE
            SELECT range_agg(int8range(p.low, NULLIF(p.high, 9223372036854775807), '[]')) INTO changed
              FROM (SELECT min(n.{id})::bigint, max(n.{id})::bigint FROM now n WHERE n.{id} IS NOT NULL
                     GROUP BY width_bucket(n.{id}::numeric, low, high + 1, 1000)) p (low, high);
        END IF;
        IF TG_OP = 'UPDATE' THEN
            games := NULLIF(ARRAY(SELECT b.{game}::text FROM before b WHERE b.{game} IS NOT NULL
                                  EXCEPT SELECT n.{game}::text FROM now n), '{{}}');
        END IF;"
        )
    }

    fn games_cases(&self, facts: &Facts) -> String {
        let external_id = quote(&self.game);
        let id = quote(&self.id);
        let rows = |table: &str| format!("SELECT t.{id}, t.{external_id}::text AS game FROM {table} t");
        let (before, now) = (rows("before"), rows("now"));
        let moved =
            format!("SELECT d.game FROM (({before} EXCEPT {now}) UNION ALL ({now} EXCEPT {before})) d");
        // A row that is the same game's before and after.
        let corrected = |columns: &[String]| {
            let of = |row: &str| {
                columns.iter().map(|c| format!("{row}.{}", quote(c))).collect::<Vec<_>>().join(", ")
            };
            format!(
                "SELECT n.{external_id}::text FROM before b JOIN now n ON n.{id} = b.{id} AND n.{external_id} = b.{external_id}
                  WHERE ROW({}) IS DISTINCT FROM ROW({})",
                of("b"),
                of("n")
            )
        };
        let mut notes = vec![format!("SELECT ARRAY({moved} WHERE d.game IS NOT NULL), '{{}}'::text[]")];
        for (fact, columns) in [("teams", &facts.teams), ("date", &facts.date), ("time", &facts.time)] {
            if !columns.is_empty() {
                notes.push(format!("SELECT ARRAY({}), '{{{fact}}}'::text[]", corrected(columns)));
            }
        }
        format!(
            "    ELSIF TG_OP = 'DELETE' THEN
        games := NULLIF(ARRAY(SELECT DISTINCT b.{external_id}::text FROM before b WHERE b.{external_id} IS NOT NULL), '{{}}');
    ELSIF TG_OP = 'INSERT' THEN
        games := NULLIF(ARRAY(SELECT DISTINCT n.{external_id}::text FROM now n WHERE n.{external_id} IS NOT NULL), '{{}}');
    ELSE
        -- What somebody else writes here is a correction, and stays.
        INSERT INTO groundskeeper.migration_notes (subject, relation, games, facts)
        SELECT {subject}, TG_RELID, f.games, f.facts
          FROM ({notes}) f (games, facts)
         WHERE f.games <> '{{}}';",
            subject = literal(&self.subject),
            notes = notes.join(" UNION ALL "),
        )
    }
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_are_quoted_in_every_statement() {
        let capture = Capture::of_raw("s\"x", "t; --", "moneyline", "i\"d", "g$groundskeeper$");
        for statement in capture.statements(&Facts::default(), "o").iter().chain(&capture.inverse()) {
            assert!(statement.contains("\"s\"\"x\""), "{statement}");
        }
        assert!(capture.body(&Facts::default()).contains("\"i\"\"d\""));
    }

    #[test]
    fn both_kinds_have_triggers_of_the_same_names() {
        let names = |triggers: [Trigger; 4]| triggers.map(|(name, _)| name);
        assert_eq!(names(RAW_TRIGGERS), TRIGGERS);
        assert_eq!(names(GAME_TRIGGERS), TRIGGERS);
        let games = Capture::of_games("staging", "games", "id", "external_id");
        let facts = Facts { teams: vec!["home".into()], date: vec!["game_date".into()], time: vec![] };
        let update = games.statements(&facts, "o").into_iter().find(|s| s.contains("AFTER UPDATE")).unwrap();
        assert!(!update.contains("game_date"), "{update}");
        let body = games.body(&facts);
        assert!(body.contains("ROW(b.\"home\")") && body.contains("'{date}'::text[]"), "{body}");
    }
}
