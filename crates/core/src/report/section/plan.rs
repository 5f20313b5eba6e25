//! What the plan has changed, and what came of it.

use super::table::{Align, Column, table};
use super::{absent, known, moment, note, section, status};
use crate::report::data::{Change, Quantiles, Report};
use crate::report::markup::Markup;
use crate::report::units::{count, milliseconds};

/// Changes of the interval, and statements before and after.
pub fn draw(out: &mut Markup, report: &Report, rows: usize) {
    let lead = "Changes that carried out the plan, the newest first; and how the statements that an index serves did \
                before and after it.";
    section(out, "plan", lead, |out| {
        known(out, &report.plan, |out, changes| {
            if changes.is_empty() {
                return absent(out, "nothing of the plan was applied or taken back by this extension");
            }
            let measured: Vec<&Change> =
                changes.iter().filter(|change| change.before.is_some() && change.after.is_some()).collect();
            if measured.is_empty() {
                let reason = changes.iter().find_map(|change| change.reason.as_deref());
                absent(
                    out,
                    reason.unwrap_or(
                        "no applied index has statements that the history knows before and after it",
                    ),
                );
            } else {
                before_and_after(out, &measured, rows);
                note(
                    out,
                    "Statements whose texts name the index's table and its first column; as long after it as before.",
                );
            }
            let columns =
                [Column("Item", Align::Left), Column("Applied", Align::Moment), Column("State", Align::Left)];
            table(out, "Changes", &columns, changes, rows, |cells, change| {
                cells.name(Some(&change.item));
                cells.text(change.applied_at.full());
                cells.cell(|out| match &change.reverted_at {
                    None => status(out, "applied"),
                    Some(at) => out.text(format!("taken back {}", moment(Some(at)))),
                });
            });
        });
    });
}

fn before_and_after(out: &mut Markup, changes: &[&Change], rows: usize) {
    let columns = [
        Column("Index", Align::Left),
        Column("Statements", Align::Right),
        Column("Calls before", Align::Right),
        Column("after", Align::Right),
        Column("p95 before", Align::Right),
        Column("after", Align::Right),
        Column("Change", Align::Right),
    ];
    table(out, "Statements before and after an index", &columns, changes, rows, |cells, change| {
        let p95 = |quantiles: &Option<Quantiles>| quantiles.as_ref().and_then(|q| q.p95_ms);
        let calls = |quantiles: &Option<Quantiles>| quantiles.as_ref().map(|q| q.calls);
        cells.name(Some(&change.item));
        cells.figure(change.statements, count);
        cells.figure(calls(&change.before), count);
        cells.figure(calls(&change.after), count);
        cells.figure(p95(&change.before), milliseconds);
        cells.figure(p95(&change.after), milliseconds);
        cells.cell(|out| match (p95(&change.before), p95(&change.after)) {
            (Some(before), Some(after)) if before > 0.0 => {
                let percent = (100.0 * (after - before) / before).round();
                let class = if percent <= -5.0 {
                    "status good"
                } else if percent >= 5.0 {
                    "status bad"
                } else {
                    "plain"
                };
                out.said("span", &[("class", &class)], format!("{percent:+} %"));
            }
            _ => out.text("–"),
        });
    });
}
