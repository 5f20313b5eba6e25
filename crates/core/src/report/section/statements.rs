//! Statements that took the most time.

use super::table::{Align, Column, table};
use super::{absent, known, note, section};
use crate::report::data::{Report, Statement};
use crate::report::markup::Markup;
use crate::report::units::{count, milliseconds, percent};

/// The first of them.
pub fn draw(out: &mut Markup, report: &Report, rows: usize) {
    let lead = "The statements that took the most time together since pg_stat_statements was reset; p95 is of the interval.";
    section(out, "statements", lead, |out| {
        known(out, &report.statements, |out, statements| {
            if statements.is_empty() {
                return absent(out, "pg_stat_statements is not to be had, or has counted nothing");
            }
            let columns = [
                Column("Statement", Align::Left),
                Column("Share", Align::Right),
                Column("Calls", Align::Right),
                Column("Mean", Align::Right),
                Column("p95", Align::Right),
                Column("Total", Align::Right),
                Column("Cache", Align::Right),
                Column("Role", Align::Left),
            ];
            table(out, "Statements by total time", &columns, statements, rows.min(20), |cells, statement| {
                cells.cell(|out| text(out, statement));
                cells.figure(statement.share, percent);
                cells.text(count(statement.calls));
                cells.text(milliseconds(statement.mean_ms));
                cells.figure(statement.p95_ms, milliseconds);
                cells.text(milliseconds(statement.total_ms));
                cells.figure(statement.hit_percent, percent);
                cells.name(statement.role_name.as_deref());
            });
            if !report.about.sees_all_statements {
                note(out, "Others' texts are for members of pg_read_all_stats.");
            }
        });
    });
}

fn text(out: &mut Markup, statement: &Statement) {
    match &statement.query {
        Some(query) => out.element("code", &[("class", &"sql")], |out| out.name(query)),
        None => {
            out.said("span", &[("class", &"plain")], "text hidden");
            if let Some(queryid) = &statement.queryid {
                out.text(" ");
                out.said("code", &[], queryid);
            }
        }
    }
}
