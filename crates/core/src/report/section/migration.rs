//! What became of raw records.

use super::table::{Align, Column, table};
use super::{absent, known, moment, note, section};
use crate::report::data::{Migration, Report};
use crate::report::markup::Markup;
use crate::report::units::{count, percent};

/// By market, and what failed by reason.
pub fn draw(out: &mut Markup, report: &Report, rows: usize) {
    section(
        out,
        "migration",
        "From RAW to STAGING, in runs of migrate_to_staging() that ended in this time.",
        |out| {
            known(out, &report.migration, |out, migration| {
                if migration.markets.is_empty() {
                    absent(out, "no run of migrate_to_staging() ended in this time");
                } else {
                    markets(out, migration, rows);
                }
                failures(out, migration, rows);
            });
        },
    );
}

fn markets(out: &mut Markup, migration: &Migration, rows: usize) {
    let columns = [
        Column("Market", Align::Left),
        Column("Runs", Align::Right),
        Column("Failed runs", Align::Right),
        Column("Records", Align::Right),
        Column("Staged", Align::Right),
        Column("Success", Align::Right),
        Column("Last run ended", Align::Moment),
        Column("Last error", Align::Left),
    ];
    table(out, "Migration by market", &columns, &migration.markets, rows, |cells, market| {
        cells.name(Some(&market.bet_type));
        cells.text(count(market.runs));
        cells.text(count(market.failed_runs));
        cells.text(count(market.processed));
        cells.text(count(market.successful));
        cells.figure((market.processed > 0).then_some(()), |()| {
            percent(100.0 * market.successful as f64 / market.processed as f64)
        });
        cells.text(moment(market.last_finished.as_ref()));
        cells.name(market.last_error.as_deref());
    });
}

fn failures(out: &mut Markup, migration: &Migration, rows: usize) {
    if migration.failures.is_empty() {
        return note(out, "No record stands failed.");
    }
    let columns = [
        Column("Raw table", Align::Left),
        Column("Reason", Align::Left),
        Column("Records", Align::Right),
        Column("Last tried", Align::Moment),
    ];
    table(
        out,
        "Records that stand failed, by reason",
        &columns,
        &migration.failures,
        rows,
        |cells, failure| {
            cells.name(Some(&failure.raw_table));
            cells.name(Some(&failure.reason));
            cells.text(count(failure.records));
            cells.text(moment(failure.last_tried.as_ref()));
        },
    );
}
