//! What a person reads in the end.

use anyhow::Result;
use comfy_table::{CellAlignment, Table, presets};
use groundskeeper_sandbox::old_pipeline::Outcome;
use groundskeeper_sandbox::raw::Market;
use postgres::Client;
use rust_decimal::Decimal;

use super::queries::{Cost, Query};

/// The states of plan items, in the order of interest.
const STATES: [&str; 6] = ["applied", "queued", "pending", "blocked", "conflict", "not_applicable"];

/// How many items of each section are in which state, and why some are not applied.
pub fn plan(client: &mut Client) -> Result<()> {
    let counts = "SELECT section, array(SELECT (SELECT count(*) FROM groundskeeper.plan_status() i
                                               WHERE i.section = s.section AND i.state = state.name)
                                       FROM unnest($1::text[]) WITH ORDINALITY AS state (name, place)
                                       ORDER BY place)
                  FROM (SELECT DISTINCT section FROM groundskeeper.plan_status()) s ORDER BY section";
    let rows = client.query(counts, &[&STATES.as_slice()])?;
    let mut table = table("plan section", &STATES, "");
    for row in &rows {
        let counts: Vec<i64> = row.get(1);
        let cells = counts.iter().map(|count| if *count == 0 { String::new() } else { count.to_string() });
        table.add_row(std::iter::once(row.get::<_, String>(0)).chain(cells));
    }
    println!("\n{table}");

    let open = "SELECT state, coalesce(detail, ''), count(*), min(item) FROM groundskeeper.plan_status()
                WHERE state <> 'applied' GROUP BY state, detail ORDER BY state, min(item)";
    for row in client.query(open, &[])? {
        let (state, detail, count): (String, String, i64) = (row.get(0), row.get(1), row.get(2));
        let item: String = row.get(3);
        let others = if count > 1 { format!(" and {} more", count - 1) } else { String::new() };
        println!("  {state}: {item}{others}: {detail}");
    }
    Ok(())
}

/// The queries side by side, the plan after below the plan before.
pub fn comparison(queries: &[Query], before: &[Cost], after: &[Cost]) {
    let mut table = table("query", &["before ms", "after ms"], "plan before and after");
    for (query, (before, after)) in queries.iter().zip(before.iter().zip(after)) {
        table.add_row([
            query.purpose.to_owned(),
            milliseconds(before.milliseconds),
            milliseconds(after.milliseconds),
            format!("{}\n{}", before.plan, after.plan),
        ]);
    }
    println!("\n{table}");
}

/// How raw records score on the plan's scale, and what became of them before, where they were staged.
pub fn scores(client: &mut Client, before: Option<&Outcome>) -> Result<()> {
    let mut table = table("scores", &["records", "validated", "needs_review", "invalid"], "distribution");
    let (mut all, mut overflowing) = (0, 0);
    for market in Market::ALL {
        let rows = client.query(&distribution(market), &[])?;
        let records = |status: &str| -> i64 {
            rows.iter().filter(|row| row.get::<_, &str>(1) == status).map(|row| row.get::<_, i64>(2)).sum()
        };
        let statuses = ["validated", "needs_review", "invalid"].map(records);
        let total: i64 = statuses.iter().sum();
        let cells = std::iter::once(total).chain(statuses).map(|count| count.to_string());
        let name = std::iter::once(market.table().to_owned());
        table.add_row(name.chain(cells).chain([top_scores(&rows)]));
        all += total;
        overflowing += rows
            .iter()
            .filter(|row| row.get::<_, Decimal>(0) >= Decimal::TEN)
            .map(|row| row.get::<_, i64>(2))
            .sum::<i64>();
    }
    println!("\n{table}");
    println!("  {overflowing} of {all} scores do not fit numeric(3,2), the type before the plan.");
    if let Some(before) = before {
        println!("  {}", old_failures(before));
    }
    Ok(())
}

fn old_failures(before: &Outcome) -> String {
    let share = 100.0 * before.failed as f64 / before.processed.max(1) as f64;
    let Outcome { processed, failed } = before;
    let lost = format!("The old rules lost {failed} of {processed} records ({share:.1} %)");
    if *failed == 0 {
        format!("{lost}.")
    } else {
        format!("{lost}: totals of games that no moneyline mentions.")
    }
}

/// What to run to have it all as it was.
pub fn way_back() {
    println!("\nTake it back:");
    println!("  SELECT * FROM groundskeeper.rollback_plan(dry_run => true);    shows each step");
    println!("  SELECT * FROM groundskeeper.rollback_plan();                   takes them");
}

/// Score, status and number of records, the most frequent first.
fn distribution(market: Market) -> String {
    let (stem, quote) = match market {
        Market::Moneyline => ("moneyline", "home_odds, away_odds"),
        Market::Spread => ("spread", "spread_value, spread_odds"),
        Market::Total => ("total", "total_points, over_odds, under_odds"),
    };
    let arguments =
        format!("sportsbook_name, game_external_id, {quote}, source, raw_data, collected_at, created_at");
    format!(
        "SELECT score, groundskeeper.validation_status(score, issues), count(*)
         FROM {table}
         CROSS JOIN LATERAL (SELECT groundskeeper.{stem}_quality_score({arguments}) AS score,
                                    groundskeeper.{stem}_quality_issues({arguments}) AS issues) judged
         GROUP BY 1, 2 ORDER BY 3 DESC, 1 DESC",
        table = market.raw_table()
    )
}

/// `40 at 99.99, 20 at 77.99`
fn top_scores(rows: &[postgres::Row]) -> String {
    const SHOWN: usize = 3;
    let mut counts: Vec<(Decimal, i64)> = Vec::new();
    for row in rows {
        let (score, count): (Decimal, i64) = (row.get(0), row.get(2));
        match counts.iter_mut().find(|(known, _)| *known == score) {
            Some((_, sum)) => *sum += count,
            None => counts.push((score, count)),
        }
    }
    counts.sort_by_key(|(score, count)| (-count, -score));
    let rest: i64 = counts.iter().skip(SHOWN).map(|(_, count)| count).sum();
    let mut parts: Vec<_> =
        counts.iter().take(SHOWN).map(|(score, count)| format!("{count} at {score}")).collect();
    if rest > 0 {
        parts.push(format!("{rest} others"));
    }
    parts.join(", ")
}

fn milliseconds(value: f64) -> String {
    if value < 10.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}

/// A table without frames: a name, figures to the right, and perhaps a text.
pub fn table(name: &str, figures: &[&str], text: &str) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    let text = Some(text).filter(|text| !text.is_empty());
    table.set_header(std::iter::once(name).chain(figures.iter().copied()).chain(text));
    for column in table.column_iter_mut().skip(1).take(figures.len()) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
