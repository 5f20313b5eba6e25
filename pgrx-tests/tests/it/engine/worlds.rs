//! Plans, each with the database that it is for.

use std::collections::BTreeMap;

use groundskeeper_sandbox::server::quote_ident;
use groundskeeper_tests::plan::{Outcome, Standing, carry_out, plan_states};
use groundskeeper_tests::sample::fill;
use groundskeeper_tests::{Template, TestDb};
use postgres::Client;
use serde_json::Value;

/// A plan, and the database that it is for.
pub struct World {
    /// What a failure calls it.
    pub name: &'static str,
    template: Template,
    /// What makes its tables, where the template does not.
    tables: String,
    /// The plan in the form of the plan file; none for the built-in one.
    plan: Option<String>,
}

/// All of them.
pub fn worlds() -> [World; 3] {
    let [tables, plan] = of_the_docs();
    [
        World { name: "bets", template: Template::ShapeA, tables: String::new(), plan: None },
        World { name: "a job queue", template: Template::Empty, tables, plan: Some(plan) },
        World {
            name: "odd names",
            template: Template::Empty,
            tables: ODD_TABLES.to_owned(),
            plan: Some(ODD_PLAN.to_owned()),
        },
    ]
}

/// The tables and the plan of `docs/own-plan.md`, as its readers have them.
fn of_the_docs() -> [String; 2] {
    let page = include_str!("../../../../docs/own-plan.md");
    let tables = page.split("```").find(|block| block.contains("CREATE TABLE")).unwrap();
    let tables =
        tables.trim_start_matches("sql\n").replace("CREATE EXTENSION IF NOT EXISTS pg_groundskeeper;", "");
    [tables, page.split("$plan$").nth(1).unwrap().to_owned()]
}

const ODD_TABLES: &str = r#"
CREATE SCHEMA "We ""ird.s'";
CREATE TABLE "We ""ird.s'"."T a;b.le--" (
    "Id" bigint PRIMARY KEY, "col %I umn" text NOT NULL, "num'b""er" numeric(5,2), "at" timestamptz NOT NULL, "SELECT" integer
);
INSERT INTO "We ""ird.s'"."T a;b.le--"
SELECT g, 'x' || g % 9, g % 100, '2025-01-01'::timestamptz + g * interval '1 hour', g FROM generate_series(1, 200) g;
"#;

const ODD_PLAN: &str = r#"
[[items]]
section = "odd. $$"
relation = { schema = "We \"ird.s'", name = "T a;b.le--" }
kind = "index"
name = "i\"n'dex;.--"
keys = ["\"col %I umn\"", "\"SELECT\" DESC"]
predicate = "\"num'b\"\"er\" > 0 AND \"col %I umn\" <> '$$;'"

[[items]]
section = "odd. $$"
relation = { schema = "We \"ird.s'", name = "T a;b.le--" }
kind = "expression_index"
name = "%s"
keys = ["(upper(\"col %I umn\"))"]

[[items]]
section = "odd. $$"
relation = { schema = "We \"ird.s'", name = "T a;b.le--" }
kind = "check_constraint"
name = "chk.\"'"
expression = "\"num'b\"\"er\" >= 0 AND \"SELECT\" IS NOT NULL"

[[items]]
section = "odd. $$"
relation = { schema = "We \"ird.s'", name = "T a;b.le--" }
kind = "widen_numeric"
column = "num'b\"er"
precision = 9
scale = 2

[[items]]
section = "odd. $$"
relation = { schema = "We \"ird.s'", name = "V\n" }
kind = "view"
query = "SELECT \"Id\" AS \"a b\", '\\' AS \"'\" FROM \"We \"\"ird.s'\".\"T a;b.le--\""

[[items]]
section = "odd. $$"
relation = { schema = "We \"ird.s'", name = "M v" }
kind = "materialized_view"
query = "SELECT \"SELECT\", count(*) AS \"n\" FROM \"We \"\"ird.s'\".\"T a;b.le--\" GROUP BY 1"

[[items]]
section = "odd. $$"
relation = { schema = "We \"ird.s'", name = "M v" }
kind = "index"
name = "M v key"
keys = ["\"SELECT\""]
unique = true

[[items]]
section = "odd. $$"
relation = { schema = "We \"ird.s'", name = "T a;b.le--" }
kind = "statistics"
"#;

impl World {
    /// Its database with the extension, and nothing of the plan applied.
    pub fn looked_at(&self) -> (TestDb, Client) {
        let (db, mut client) = self.without_extension();
        client
            .batch_execute("SET groundskeeper.apply_at_install = off; CREATE EXTENSION pg_groundskeeper")
            .unwrap();
        self.state(&mut client);
        (db, client)
    }

    /// The same with all of the plan applied that is not asked for by its name.
    pub fn applied(&self) -> (TestDb, Client) {
        let (db, mut client) = self.looked_at();
        carry_out(&mut client, "apply_plan()").unwrap();
        db.settle().unwrap();
        (db, client)
    }

    /// Its database.
    pub fn without_extension(&self) -> (TestDb, Client) {
        let db = TestDb::new(self.template).unwrap();
        let mut client = db.client().unwrap();
        client.batch_execute(&self.tables).unwrap();
        if self.plan.is_none() {
            fill(&mut client, 50).unwrap();
        }
        (db, client)
    }

    /// Adds the plan, where it is not built in.
    pub fn state(&self, client: &mut Client) {
        if let Some(plan) = &self.plan {
            client.execute("SELECT FROM groundskeeper.import_plan($1)", &[plan]).unwrap();
        }
    }

    /// The items of its plan, but for what comes and goes with the extension and what is asked for by name.
    pub fn items(&self, client: &mut Client) -> Vec<PlanItem> {
        let origin = if self.plan.is_some() { "own" } else { "built-in" };
        let query = "SELECT item, definition::text FROM groundskeeper.plan_items WHERE origin = $1
                        AND definition->>'kind' NOT IN ('monitoring_view', 'role_setting', 'partitioned_table')";
        let rows = client.query(query, &[&origin]).unwrap();
        let item = |row: &postgres::Row| PlanItem {
            id: row.get(0),
            definition: serde_json::from_str(row.get(1)).unwrap(),
        };
        rows.iter().map(item).collect()
    }

    /// How they stand.
    pub fn states(&self, client: &mut Client) -> BTreeMap<String, Standing> {
        let ids: Vec<String> = self.items(client).into_iter().map(|item| item.id).collect();
        plan_states(client).unwrap().into_iter().filter(|(id, _)| ids.contains(id)).collect()
    }

    /// Those that are applied, and nothing else to be said of them.
    pub fn applied_items(&self, client: &mut Client) -> Vec<PlanItem> {
        let states = self.states(client);
        let is =
            |item: &PlanItem| states[&item.id] == Standing { state: "applied".into(), detail: String::new() };
        self.items(client).into_iter().filter(is).collect()
    }
}

/// An item as it is stated.
pub struct PlanItem {
    /// Its id.
    pub id: String,
    definition: Value,
}

impl PlanItem {
    fn field(&self, name: &str) -> &str {
        self.definition[name].as_str().unwrap_or_default()
    }

    /// Its kind.
    pub fn kind(&self) -> &str {
        self.field("kind")
    }

    /// The relation's schema and name, unquoted.
    fn pair(&self) -> (&str, &str) {
        match &self.definition["relation"] {
            Value::String(text) => text.split_once('.').unwrap(),
            pair => (pair["schema"].as_str().unwrap(), pair["name"].as_str().unwrap()),
        }
    }

    /// The relation, quoted.
    pub fn relation(&self) -> String {
        let (schema, name) = self.pair();
        format!("{}.{}", quote_ident(schema), quote_ident(name))
    }

    fn in_schema(&self, name: &str) -> String {
        format!("{}.{}", quote_ident(self.pair().0), quote_ident(name))
    }

    /// What gives that which it makes, or alters, another name; nothing where that is a whole table of the user's.
    pub fn renaming(&self) -> Option<Renaming> {
        let (relation, name) = (self.relation(), self.field("name"));
        let rename = |there: String, back: Option<String>, said: &str| {
            Some(Renaming { there, back, said: format!("{said} was renamed to ") })
        };
        match self.kind() {
            "index" | "expression_index" => {
                rename(format!("ALTER INDEX {} RENAME TO {}", self.in_schema(name), other(name)), None, name)
            }
            "check_constraint" => rename(
                format!("ALTER TABLE {relation} RENAME CONSTRAINT {} TO {}", quote_ident(name), other(name)),
                None,
                name,
            ),
            "view" | "materialized_view" => {
                let what = self.kind().replace('_', " ");
                let (schema, own) = self.pair();
                let there = format!("ALTER {what} {relation} RENAME TO {}", other(own));
                rename(there, None, &format!("{schema}.{own}"))
            }
            "migration" => {
                let name = "groundskeeper_note_update";
                rename(format!("ALTER TRIGGER {name} ON {relation} RENAME TO {}", other(name)), None, name)
            }
            "widen_numeric" => {
                let column = self.field("column");
                let to =
                    |from: &str, to: &str| format!("ALTER TABLE {relation} RENAME COLUMN {from} TO {to}");
                let (own, other) = (quote_ident(column), other(column));
                rename(to(&own, &other), Some(to(&other, &own)), column)
            }
            _ => None,
        }
    }

    /// What gives its table another name, and what brings its own back, where it is about a table of the user's.
    pub fn moving(&self) -> Option<Renaming> {
        let (schema, own) = self.pair();
        let is_table = !matches!(self.kind(), "view" | "materialized_view");
        is_table.then(|| Renaming {
            there: format!("ALTER TABLE IF EXISTS {} RENAME TO {}", self.relation(), other(own)),
            back: Some(format!(
                "ALTER TABLE IF EXISTS {}.{} RENAME TO {}",
                quote_ident(schema),
                other(own),
                quote_ident(own)
            )),
            said: format!("{schema}.{own} was renamed to {schema}."),
        })
    }

    /// What puts something else into the place of that which it makes, and whether that is there.
    pub fn replacement(&self) -> Option<[String; 2]> {
        let (relation, name) = (self.relation(), self.field("name"));
        let view = format!("SELECT to_regclass($${relation}$$) IS NOT NULL");
        match self.kind() {
            "index" | "expression_index" => {
                let index = self.in_schema(name);
                Some([
                    format!("DROP INDEX {index}; CREATE INDEX {} ON {relation} ((1))", quote_ident(name)),
                    format!(
                        "SELECT count(*) = 1 FROM pg_index WHERE pg_get_expr(indexprs, indrelid) = '1'
                                AND indexrelid = to_regclass($n${index}$n$)"
                    ),
                ])
            }
            "check_constraint" => {
                let check = quote_ident(name);
                Some([
                    format!(
                        "ALTER TABLE {relation} DROP CONSTRAINT {check};
                         ALTER TABLE {relation} ADD CONSTRAINT {check} CHECK (1 > 0)"
                    ),
                    format!("SELECT count(*) = 1 FROM pg_constraint WHERE conrelid = to_regclass($n${relation}$n$)
                                AND conname = $n${name}$n$"),
                ])
            }
            "view" => {
                Some([format!("DROP VIEW {relation}; CREATE VIEW {relation} AS SELECT 1 AS mine"), view])
            }
            "materialized_view" => Some([
                format!("DROP MATERIALIZED VIEW {relation}; CREATE TABLE {relation} (mine integer)"),
                view,
            ]),
            _ => None,
        }
    }
}

/// Another name, quoted.
fn other(name: &str) -> String {
    quote_ident(&format!("{}_x", name.chars().take(40).collect::<String>()))
}

/// Another name for what an item makes, or is about.
pub struct Renaming {
    /// The statement.
    pub there: String,
    /// The statement that takes it back, where what was renamed is there afterwards.
    pub back: Option<String>,
    /// What is said of it.
    pub said: String,
}

/// The outcome of an item.
pub fn of<'a>(outcomes: &'a [Outcome], item: &str) -> &'a Outcome {
    outcomes.iter().find(|outcome| outcome.item == item).unwrap_or_else(|| panic!("{item}: {outcomes:?}"))
}
