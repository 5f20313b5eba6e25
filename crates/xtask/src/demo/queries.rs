//! The queries that the plan is about, and what they cost.

use anyhow::{Context as _, Result};
use postgres::Client;
use serde_json::Value;

use super::Shape;
use crate::process::announce;

/// Runs of each query, of which the median counts.
const RUNS: usize = 7;
/// A slow query is run less often.
const ENOUGH_MS: f64 = 2_000.0;

/// A query, in the words of someone who needs its answer.
pub struct Query {
    /// What it is for.
    pub purpose: &'static str,
    /// As it had to be asked before.
    pub before: &'static str,
    /// As it can be asked since.
    pub after: &'static str,
    /// The rows to ask for.
    sample: Sample,
}

impl Query {
    /// The query as it is asked since the plan, about what was drawn for it.
    pub fn now(&self) -> String {
        self.sample.fill(self.after)
    }
}

/// What stands for each of [`NAMES`], as far as the shape has it.
#[derive(Clone)]
struct Sample(Vec<(&'static str, String)>);

/// A game, a book that quotes it and its day, and its rows in `staging` and `curated`.
const NAMES: [&str; 5] = ["$game", "$book", "$date", "$staged", "$enhanced"];

/// The queries, about a game that is in the database.
pub fn all(client: &mut Client, shape: Shape) -> Result<Vec<Query>> {
    let sample = Sample::draw(client, shape)?;
    let (fit, rest): (Vec<&Text>, Vec<&Text>) =
        TEXTS.iter().partition(|(_, before, _)| shape == Shape::A || reads_raw_only(before));
    for (purpose, ..) in rest {
        announce(format!("skipped: {purpose}, as nothing is staged before the plan"));
    }
    Ok(fit
        .into_iter()
        .map(|&(purpose, before, after)| Query {
            purpose,
            before,
            after: if after.is_empty() { before } else { after },
            sample: sample.clone(),
        })
        .collect())
}

/// Without the pipeline before the plan, only the raw tables have rows.
fn reads_raw_only(sql: &str) -> bool {
    !["staging.", "curated."].iter().any(|schema| sql.contains(schema))
}

/// Purpose, query before, and query after where the plan gives a better way to ask.
type Text = (&'static str, &'static str, &'static str);

/// All of them, in the order of the pipeline's stages.
const TEXTS: [Text; 11] = [
    (
        "odds history of a game",
        "SELECT * FROM raw_data.moneylines_raw WHERE game_external_id = $game ORDER BY collected_at",
        "",
    ),
    (
        "spreads of a game at one book",
        "SELECT * FROM raw_data.spreads_raw WHERE game_external_id = $game AND sportsbook_name = $book",
        "",
    ),
    (
        "totals of a game on its day",
        "SELECT * FROM raw_data.totals_raw WHERE game_external_id = $game AND game_date = $date",
        "",
    ),
    ("a game by its external id", "SELECT * FROM staging.games WHERE external_id = $game", ""),
    (
        "records that lack something, 7 days",
        "SELECT r.id, g.id FROM raw_data.moneylines_raw r
         LEFT JOIN staging.games g ON r.game_external_id = g.external_id
         WHERE r.game_external_id IS NOT NULL AND r.collected_at >= CURRENT_DATE - INTERVAL '7 days'
           AND (r.home_odds IS NULL OR r.away_odds IS NULL OR r.sportsbook_name IS NULL)",
        "SELECT id, staging_game_id FROM staging.migration_ready_records WHERE base_quality_factor = 0",
    ),
    (
        "best validated lines of a game",
        "SELECT * FROM staging.moneylines WHERE game_id = $staged AND validation_status = 'validated'
         ORDER BY data_quality_score DESC, processed_at DESC LIMIT 20",
        "",
    ),
    (
        "best bets on a game",
        "SELECT * FROM curated.betting_analysis
         WHERE game_id = $enhanced AND bet_type = 'moneyline' AND recommendation IN ('bet', 'strong_bet')
         ORDER BY confidence_score DESC LIMIT 10",
        "",
    ),
    (
        "a strategy's results, 7 days",
        "SELECT result_status, count(*) FROM curated.strategy_results
         WHERE strategy_name = 'value' AND execution_timestamp >= now() - interval '7 days' GROUP BY 1",
        "",
    ),
    (
        "the strongest steam moves",
        "SELECT * FROM curated.movement_analysis WHERE movement_pattern = 'steam'
         ORDER BY magnitude DESC, market_impact_score DESC LIMIT 20",
        "",
    ),
    (
        "delete 100 staged rows (rolled back)",
        "DELETE FROM staging.moneylines WHERE id IN
           (SELECT id FROM staging.moneylines WHERE validation_status <> 'validated' ORDER BY id LIMIT 100)",
        "",
    ),
    (
        "statistics of 30 days",
        "SELECT g.game_date, count(DISTINCT g.id), count(DISTINCT m.sportsbook_name), avg(m.data_quality_score)
         FROM staging.games g LEFT JOIN staging.moneylines m ON g.id = m.game_id
         WHERE g.game_date >= CURRENT_DATE - INTERVAL '30 days' GROUP BY g.game_date ORDER BY g.game_date DESC",
        "SELECT * FROM staging.daily_game_stats ORDER BY game_date DESC",
    ),
];

/// All of [`NAMES`]: a well-quoted game among the latest that are staged.
const STAGED_GAME: &str = "
    SELECT quote_literal(g.external_id), quote_literal(m.sportsbook_name), quote_literal(g.game_date), g.id::text,
           e.id::text
      FROM staging.games g
      JOIN staging.moneylines m ON m.game_id = g.id
      JOIN curated.enhanced_games e ON e.staging_game_id = g.id
     WHERE btrim(m.sportsbook_name) <> ''
     ORDER BY g.game_date DESC, g.id, m.id
     LIMIT 1 OFFSET (SELECT count(*) / 20 FROM staging.moneylines)";

/// Those of [`NAMES`] that raw rows tell of.
const RAW_GAME: &str = "
    SELECT quote_literal(game_external_id), quote_literal(sportsbook_name), quote_literal(game_date)
      FROM raw_data.moneylines_raw
     WHERE btrim(game_external_id) <> '' AND btrim(sportsbook_name) <> '' AND game_date IS NOT NULL
     ORDER BY game_date DESC, id
     LIMIT 1 OFFSET (SELECT count(*) / 20 FROM raw_data.moneylines_raw)";

impl Sample {
    fn draw(client: &mut Client, shape: Shape) -> Result<Self> {
        let sql = match shape {
            Shape::A => STAGED_GAME,
            Shape::B => RAW_GAME,
        };
        let row = client.query_opt(sql, &[])?.context("no game is well quoted: the data is too small")?;
        let known = NAMES.into_iter().take(row.len()).enumerate();
        Ok(Self(known.map(|(column, name)| (name, row.get(column))).collect()))
    }

    fn fill(&self, sql: &str) -> String {
        self.0.iter().fold(sql.to_owned(), |sql, (name, value)| sql.replace(name, value))
    }
}

/// What a query cost, and how it went about it.
pub struct Cost {
    /// The median of its execution times.
    pub milliseconds: f64,
    /// What it read, and how.
    pub plan: String,
}

/// Runs each query some times, each time undone.
pub fn measure(
    client: &mut Client,
    queries: &[Query],
    text: impl Fn(&Query) -> &'static str,
) -> Result<Vec<Cost>> {
    queries
        .iter()
        .map(|query| cost(client, &query.sample.fill(text(query))).with_context(|| query.purpose.to_owned()))
        .collect()
}

fn cost(client: &mut Client, sql: &str) -> Result<Cost> {
    let mut times = Vec::new();
    let mut plan = Value::Null;
    while times.len() < RUNS && times.iter().sum::<f64>() < ENOUGH_MS {
        let mut transaction = client.transaction()?;
        let explain = format!("EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {sql}");
        plan = transaction.query_one(&explain, &[])?.get(0);
        transaction.rollback()?;
        times.push(plan[0]["Execution Time"].as_f64().context("EXPLAIN gives no time")?);
    }
    times.sort_by(f64::total_cmp);
    Ok(Cost { milliseconds: times[times.len() / 2], plan: describe(&plan[0]) })
}

/// What a plan reads, and how; for a deletion, how many foreign keys it checks.
fn describe(explained: &Value) -> String {
    let triggers = explained["Triggers"].as_array().into_iter().flatten();
    let checks = triggers.filter_map(|trigger| trigger["Calls"].as_f64()).sum::<f64>();
    let mut parts = Vec::new();
    collect_scans(&explained["Plan"], &mut parts);
    if checks > 0.0 {
        parts.push(format!("{checks} foreign-key checks"));
    }
    parts.dedup();
    parts.join(", ")
}

/// Of a bitmap scan, the part below it names the index.
fn collect_scans(node: &Value, scans: &mut Vec<String>) {
    let text = |key: &str| node[key].as_str().unwrap_or_default();
    let (kind, index, relation) = (text("Node Type"), text("Index Name"), text("Relation Name"));
    let what = if index.is_empty() { relation } else { index };
    if kind.ends_with("Scan") && kind != "Bitmap Heap Scan" && !what.is_empty() {
        scans.push(format!("{kind} {what}"));
    }
    for child in node["Plans"].as_array().into_iter().flatten() {
        collect_scans(child, scans);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{TEXTS, describe, reads_raw_only};

    #[test]
    fn what_reads_raw_rows_only_asks_for_nothing_that_is_staged() {
        let raw: Vec<_> = TEXTS.iter().filter(|(_, before, _)| reads_raw_only(before)).collect();
        assert_eq!(raw.len(), 3);
        for (purpose, before, after) in raw {
            assert!(reads_raw_only(after), "{purpose}");
            for name in ["$staged", "$enhanced"] {
                assert!(!before.contains(name) && !after.contains(name), "{purpose}: {name}");
            }
        }
    }

    #[test]
    fn a_plan_is_described_by_what_it_reads() {
        let plan = json!({"Plan": {"Node Type": "Sort", "Plans": [{"Node Type": "Hash Join", "Plans": [
            {"Node Type": "Seq Scan", "Relation Name": "large", "Plans": [
                {"Node Type": "Index Scan", "Index Name": "in_subplan", "Relation Name": "other"},
            ]},
            {"Node Type": "Bitmap Heap Scan", "Relation Name": "small", "Plans": [
                {"Node Type": "Bitmap Index Scan", "Index Name": "small_idx"},
            ]},
        ]}]}});
        let scans = "Seq Scan large, Index Scan in_subplan, Bitmap Index Scan small_idx";
        assert_eq!(describe(&plan), scans);
        let delete = json!({"Plan": {"Node Type": "ModifyTable", "Plans": [
            {"Node Type": "Seq Scan", "Relation Name": "t"},
        ]}, "Triggers": [{"Calls": 3}, {"Calls": 4}]});
        assert_eq!(describe(&delete), "Seq Scan t, 7 foreign-key checks");
    }
}
