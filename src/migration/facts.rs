//! What the catalogs and the configuration tell of a deployment.

use crate::catalog::Relation;
use crate::cluster;
use crate::error::{Failure, Result};
use crate::extension::as_owner;
use crate::settings;
use crate::sql::{self, Kept, Text, quote_literal, required};
use groundskeeper_core::migration::{
    self, Capture, Column, ColumnNames, Facts, GAMES, Games, Market, Misfit, Shape, Source, TRIGGERS, Table,
};
use groundskeeper_core::plan::Qualified;
use pgrx::pg_sys::Oid;
use pgrx::prelude::*;
use std::collections::{HashMap, HashSet};

/// The tables of the migration and what configures it, looked up once per transaction.
pub struct Deployment {
    tables: HashMap<String, Table>,
    /// Those of them that a cluster has spread over its nodes.
    spread: Vec<String>,
    names: ColumnNames,
    /// The quality rules in force, as text.
    pub rules: String,
    /// What clubs and books are called, as text.
    pub naming: Text,
    /// What changes when columns, clubs or books are called otherwise.
    pub mapping: String,
    /// The zone of the plan's days.
    pub zone: String,
}

impl Deployment {
    /// Looks it up.
    pub fn load() -> Result<Self> {
        let tables = tables()?;
        let spread = cluster::named_in_shards(&tables.keys().cloned().collect::<Vec<_>>())?;
        let configured = as_owner(|| {
            OF_CONFIGURATION.with(|query| {
                query.first(&[settings::timezone().into()], |row| {
                    let (rules, naming) = (required::<String>(row, 1)?, required::<Text>(row, 2)?);
                    Ok((rules, naming, required::<String>(row, 3)?, required::<String>(row, 4)?))
                })
            })
        })?;
        let (rules, naming, columns, mapping) =
            configured.ok_or_else(|| Failure::internal("no configuration"))?;
        let names = serde_json::from_str(&columns).map_err(|error| Failure::internal(error.to_string()))?;
        let zone = settings::timezone();
        Ok(Self { tables, spread, names: ColumnNames::new(names), rules, naming, mapping, zone })
    }

    fn table(&self, name: &str) -> Table {
        let absent =
            || Table { name: name.to_owned(), columns: Vec::new(), status_check: None, rewrites_rows: false };
        self.tables.get(name).cloned().unwrap_or_else(absent)
    }

    /// How the migration is spelled for a market's tables, or what does not fit.
    pub fn fit(&self, market: Market) -> std::result::Result<Shape, Vec<Misfit>> {
        let spread = self.spread(&[&market.raw(), &market.staging(), GAMES]);
        if !spread.is_empty() {
            return Err(spread);
        }
        let (raw, staging) = (self.table(&market.raw()), self.table(&market.staging()));
        migration::fit(market, &raw, &staging, &self.table(GAMES), &self.names)
    }

    /// Those of the tables that are in shards: triggers, by which changes are noted, are refused on them.
    fn spread(&self, tables: &[&str]) -> Vec<Misfit> {
        let spread = self.spread.iter().filter(|name| tables.contains(&name.as_str()));
        let misfit = |name: &String| Misfit {
            what: name.clone(),
            why: SPREAD.to_owned(),
            remedy: Some(format!("SELECT undistribute_table({})", quote_literal(name))),
            planned: false,
        };
        spread.map(misfit).collect()
    }

    /// The same, or an error that names what does not fit.
    pub fn shape(&self, market: Market) -> Result<Shape> {
        self.fit(market).map_err(|misfits| unfit(&misfits))
    }

    /// The games' table.
    pub fn games(&self) -> Result<Games> {
        migration::fit_games(&self.table(GAMES), &self.names).map_err(|misfits| unfit(&misfits))
    }

    /// The raw tables that tell of games.
    pub fn sources(&self) -> Vec<Source> {
        let source = |market: Market| migration::source(market, &self.table(&market.raw()), &self.names);
        Market::ALL.into_iter().filter_map(source).collect()
    }

    /// The triggers that note changes to a relation of the plan, and the columns of games that may be corrected; why
    /// it can have none otherwise.
    pub fn capture(&self, relation: &Qualified) -> std::result::Result<(Capture, Facts), String> {
        let (schema, name) = (relation.schema.as_str(), relation.name.as_str());
        let list =
            |misfits: Vec<Misfit>| misfits.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        let spread = self.spread(&[&relation.to_string()]);
        if !spread.is_empty() {
            return Err(list(spread));
        }
        if relation.to_string() == GAMES {
            let table = self.table(GAMES);
            let unscored =
                |misfits: Vec<Misfit>| misfits.into_iter().filter(|m| !m.planned).collect::<Vec<_>>();
            let games =
                match migration::fit_games(&Table { columns: scored(table.columns), ..table }, &self.names) {
                    Ok(games) => games,
                    Err(misfits) => return Err(list(unscored(misfits))),
                };
            let name_of = |found: &migration::Found| found.name.clone();
            let facts = Facts {
                teams: games.sides.iter().map(name_of).collect(),
                date: vec![name_of(&games.game_date)],
                time: games.game_datetime.iter().map(name_of).collect(),
            };
            let capture = Capture::of_games(schema, name, &games.id.name, &games.external_id.name);
            return Ok((capture, facts));
        }
        let market = Market::ALL.into_iter().find(|market| market.raw() == relation.to_string());
        let market = market.ok_or_else(|| format!("{relation} is no table of the migration"))?;
        let table = self.table(&market.raw());
        match migration::raw_keys(&table, &self.names) {
            Ok((id, game)) => {
                Ok((Capture::of_raw(schema, name, market.bet_type(), &id.name, &game.name), Facts::default()))
            }
            Err(misfits) => Err(list(misfits)),
        }
    }
}

/// Columns as they will be once the plan has widened the score.
fn scored(columns: Vec<Column>) -> Vec<Column> {
    let wide = |mut column: Column| {
        if column.type_name == "numeric(3,2)" {
            column.type_name = "numeric(5,2)".to_owned();
        }
        column
    };
    columns.into_iter().map(wide).collect()
}

/// Why the migration does not work on a table of a cluster.
const SPREAD: &str = "is in shards of Citus, which refuses the triggers that note its changes";

/// An error that names all that does not fit.
pub fn unfit(misfits: &[Misfit]) -> Failure {
    // What is wrong with the games is wrong in every market.
    let mut seen = HashSet::new();
    let misfits: Vec<&Misfit> = misfits.iter().filter(|misfit| seen.insert(&misfit.what)).collect();
    let all: Vec<String> = misfits.iter().map(ToString::to_string).collect();
    let remedies: Vec<&str> = misfits.iter().filter_map(|misfit| misfit.remedy.as_deref()).collect();
    let failure = Failure::new(
        PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("the migration does not fit: {}", all.first().map_or("", String::as_str)),
    )
    .detail(format!("{}.", all.join("; ")));
    if misfits.iter().any(|misfit| misfit.why == SPREAD) {
        let code = PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED;
        let hint =
            format!("The migration works on tables that are the coordinator's own: {};", remedies.join("; "));
        Failure { code, ..failure }.hint(hint)
    } else if remedies.is_empty() {
        failure.hint(
            "The columns that it needs are listed in docs/migration.md; groundskeeper.column_names tells it of other names.",
        )
    } else {
        failure.hint(format!(
            "SELECT * FROM groundskeeper.plan_status() says whether the plan can widen it; else: {};",
            remedies.join("; ")
        ))
    }
}

/// The columns of tables, with the CHECK constraints on the status alone of each.
const TABLES: &str = "
    WITH t AS MATERIALIZED (
        SELECT t.name, c.oid,
               -- what a trigger before the insert may still fill in
               EXISTS (SELECT FROM pg_catalog.pg_trigger g WHERE g.tgrelid = c.oid AND g.tgtype & 7 = 7) AS fills_in,
               EXISTS (SELECT FROM pg_catalog.pg_trigger g
                        WHERE g.tgrelid = c.oid AND g.tgtype & 3 = 3 AND g.tgtype & 20 <> 0 AND g.tgenabled <> 'D') AS rewrites,
               (SELECT pg_catalog.string_agg(pg_catalog.pg_get_constraintdef(con.oid), ' ' ORDER BY con.conname)
                  FROM pg_catalog.pg_constraint con
                  JOIN pg_catalog.pg_attribute s ON s.attrelid = con.conrelid AND s.attname = 'validation_status'
                 WHERE con.conrelid = c.oid AND con.conkey = ARRAY[s.attnum] AND con.contype = 'c') AS status_check
          FROM pg_catalog.unnest($1::pg_catalog.text[]) t (name)
          -- by the catalogs' own type, so that their indexes serve: there may be thousands of tables
          JOIN pg_catalog.pg_namespace n ON n.nspname = pg_catalog.split_part(t.name, '.', 1)::pg_catalog.name
          JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = pg_catalog.split_part(t.name, '.', 2)::pg_catalog.name
                                    AND c.relkind IN ('r', 'p'))
    SELECT t.name, a.attname::pg_catalog.text, pg_catalog.format_type(a.atttypid, a.atttypmod), t.status_check, a.attnotnull,
           a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AND y.typdefault IS NULL AND NOT t.fills_in,
           t.rewrites, a.attgenerated <> ''
      FROM t
      JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
      JOIN pg_catalog.pg_type y ON y.oid = a.atttypid";

/// The quality rules, what clubs and books are called, and what columns are.
const CONFIGURED: &str = "
    SELECT r.rules, n.naming, c.columns, pg_catalog.md5(pg_catalog.concat_ws(' ', n.naming, c.columns, $1))
      FROM (SELECT COALESCE(pg_catalog.jsonb_object_agg(rule, points), '{}')::pg_catalog.text
              FROM groundskeeper.quality_rules) r (rules),
           (SELECT groundskeeper.naming()::pg_catalog.text) n (naming),
           (SELECT COALESCE(pg_catalog.json_agg(pg_catalog.json_build_array(c.relation, c.role, c.column_name)
                                                ORDER BY c.relation, c.role), '[]')::pg_catalog.text
              FROM groundskeeper.column_names c) c (columns)";

const UNINDEXED: &str = "
    SELECT c.name, c.attname
      FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.text[])) c (name, attname)
     WHERE NOT EXISTS (
        SELECT FROM pg_catalog.pg_index i
          JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
         WHERE i.indrelid = pg_catalog.to_regclass(c.name) AND a.attname::pg_catalog.text = c.attname AND i.indisvalid)";

thread_local! {
    // Asked in each batch: planning them takes as long as staging some hundred rows.
    static OF_TABLES: Kept = const { Kept::new(TABLES) };
    static OF_CONFIGURATION: Kept = const { Kept::new(CONFIGURED) };
    static OF_INDEXES: Kept = const { Kept::new(UNINDEXED) };
}

/// All tables that the migration may touch.
fn tables() -> Result<HashMap<String, Table>> {
    let markets = Market::ALL.into_iter().flat_map(|market| [market.raw(), market.staging()]);
    let asked: Vec<String> = markets.chain([GAMES.to_owned()]).collect();
    let mut tables: HashMap<String, Table> = HashMap::new();
    let read = |row: &sql::Tuple| {
        let table = required::<String>(row, 1)?;
        let entry = tables.entry(table.clone()).or_insert_with(|| Table {
            name: table,
            columns: Vec::new(),
            status_check: None,
            rewrites_rows: false,
        });
        entry.rewrites_rows = required(row, 7)?;
        entry.status_check = row.get(4)?;
        entry.columns.push(Column {
            name: required(row, 2)?,
            type_name: required(row, 3)?,
            not_null: required(row, 5)?,
            required: required(row, 6)?,
            generated: required(row, 8)?,
        });
        Ok(())
    };
    OF_TABLES.with(|query| query.rows(&[asked.into()], read))?;
    Ok(tables)
}

/// Which of the raw tables and the games note their changes: by all of the triggers, with the function's own text, as
/// the table's owner.
pub fn captured(deployment: &Deployment, relations: &[String]) -> Result<Vec<String>> {
    let (mut names, mut bodies) = (Vec::new(), Vec::new());
    for name in relations {
        let relation = Qualified::try_from(name.clone()).map_err(Failure::internal)?;
        if let Ok((capture, facts)) = deployment.capture(&relation) {
            names.push(name.clone());
            bodies.push(capture.body(&facts));
        }
    }
    let triggers: Vec<String> = TRIGGERS.map(str::to_owned).to_vec();
    sql::texts(
        "SELECT t.name
           FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($3::pg_catalog.text[])) t (name, body)
          WHERE (SELECT pg_catalog.count(*) FROM pg_catalog.pg_trigger g
                   JOIN pg_catalog.pg_proc p ON p.oid = g.tgfoid AND p.prosrc = t.body
                   JOIN pg_catalog.pg_class c ON c.oid = g.tgrelid AND c.relowner = p.proowner
                   JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                  WHERE n.nspname = pg_catalog.split_part(t.name, '.', 1)::pg_catalog.name
                    AND c.relname = pg_catalog.split_part(t.name, '.', 2)::pg_catalog.name AND g.tgname = ANY ($2::pg_catalog.name[])
                    AND g.tgenabled IN ('O', 'A')) = pg_catalog.cardinality($2)",
        &[names.into(), triggers.into(), bodies.into()],
    )
}

/// What has the name of one of a table's triggers, or of their function, and is not ours: `known` are functions that are,
/// and so is one that such a trigger runs.
pub fn strange(table: &Relation, capture: &Capture, facts: &Facts, known: &[u32]) -> Result<Option<String>> {
    let known: Vec<Oid> = known.iter().map(|oid| Oid::from(*oid)).collect();
    sql::first(
        "WITH f AS (SELECT pg_catalog.to_regprocedure($2)::pg_catalog.oid AS oid),
              own AS (SELECT g.oid, g.tgfoid FROM pg_catalog.pg_trigger g
                       WHERE g.tgrelid = $1 AND g.tgname = ANY ($3::pg_catalog.name[]))
         SELECT pg_catalog.pg_describe_object('pg_catalog.pg_trigger'::pg_catalog.regclass, own.oid, 0)
           FROM f, own WHERE own.tgfoid IS DISTINCT FROM f.oid AND NOT own.tgfoid = ANY ($5)
         UNION ALL
         SELECT pg_catalog.pg_describe_object('pg_catalog.pg_proc'::pg_catalog.regclass, p.oid, 0)
           FROM f JOIN pg_catalog.pg_proc p ON p.oid = f.oid AND p.prosrc <> $4
          WHERE NOT p.oid = ANY ($5) AND NOT EXISTS (SELECT FROM own WHERE own.tgfoid = p.oid)
          LIMIT 1",
        &[
            table.oid.into(),
            capture.signature().into(),
            TRIGGERS.map(str::to_owned).to_vec().into(),
            capture.body(facts).into(),
            known.into(),
        ],
        |row| required(row, 1),
    )
}

/// Columns, as `table column`, that no index begins with, so that a look-up by them may read the whole table.
pub fn unindexed(columns: &[(String, String)]) -> Result<Vec<(String, String)>> {
    let (tables, names): (Vec<String>, Vec<String>) = columns.iter().cloned().unzip();
    let args = [tables.into(), names.into()];
    OF_INDEXES.with(|query| query.rows(&args, |row| Ok((required(row, 1)?, required(row, 2)?))))
}

/// What a market's tables are, as two texts: the first is another once a column, a constraint, an index, a trigger or
/// its function is another, the second only for those that decide what rows and notes mean.
pub fn definition(market: Market) -> Result<(String, String)> {
    let relations = vec![market.raw(), market.staging(), GAMES.to_owned()];
    let texts = sql::first(
        "WITH r AS MATERIALIZED (
             SELECT pg_catalog.array_agg(pg_catalog.to_regclass(t.name)::pg_catalog.oid) AS oids
               FROM pg_catalog.unnest($1::pg_catalog.text[]) t (name))
         SELECT pg_catalog.md5(pg_catalog.string_agg(d.version, ' ' ORDER BY d.version)),
                pg_catalog.md5(pg_catalog.string_agg(d.version, ' ' ORDER BY d.version) FILTER (WHERE d.decides))
           FROM (SELECT pg_catalog.concat('a', a.attrelid, '/', a.attnum, '/', a.xmin), true
                   FROM pg_catalog.pg_attribute a WHERE a.attrelid = ANY ((SELECT oids FROM r)::pg_catalog.oid[]) AND a.attnum > 0
                 UNION ALL
                 SELECT pg_catalog.concat('t', g.oid, '/', g.xmin, '/', p.xmin), true FROM pg_catalog.pg_trigger g
                   JOIN pg_catalog.pg_proc p ON p.oid = g.tgfoid WHERE g.tgrelid = ANY ((SELECT oids FROM r)::pg_catalog.oid[])
                 UNION ALL
                 SELECT pg_catalog.concat('c', c.oid, '/', c.xmin), false
                   FROM pg_catalog.pg_constraint c WHERE c.conrelid = ANY ((SELECT oids FROM r)::pg_catalog.oid[])
                 UNION ALL
                 SELECT pg_catalog.concat('r', w.oid, '/', w.xmin), false
                   FROM pg_catalog.pg_rewrite w WHERE w.ev_class = ANY ((SELECT oids FROM r)::pg_catalog.oid[])
                 UNION ALL
                 SELECT pg_catalog.concat('i', i.indexrelid, '/', i.xmin), false
                   FROM pg_catalog.pg_index i WHERE i.indrelid = ANY ((SELECT oids FROM r)::pg_catalog.oid[])) d (version, decides)",
        &[relations.into()],
        |row| Ok((row.get::<String>(1)?, row.get::<String>(2)?)),
    )?;
    let (all, deciding) = texts.unwrap_or_default();
    Ok((all.unwrap_or_default(), deciding.unwrap_or_default()))
}
