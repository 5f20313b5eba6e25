//! What was watched, and what happened.

use super::table::{Align, Column, table};
use super::{absent, known, moment, note, section, status};
use crate::report::data::Report;
use crate::report::markup::Markup;
use crate::report::units::figure;

/// How rules stand, and their history.
pub fn draw(out: &mut Markup, report: &Report, rows: usize) {
    section(out, "alerts", "How each rule stands, and what fired or was resolved in this time.", |out| {
        known(out, &report.alerts, |out, alerts| {
            if alerts.rules.is_empty() {
                absent(out, "no rule is enabled");
            } else {
                let columns = [
                    Column("Rule", Align::Left),
                    Column("State", Align::Left),
                    Column("Value", Align::Right),
                    Column("Threshold", Align::Right),
                    Column("Since", Align::Moment),
                    Column("In words", Align::Left),
                ];
                table(out, "Rules", &columns, &alerts.rules, rows, |cells, alert| {
                    cells.name(Some(&alert.rule));
                    cells.cell(|out| status(out, &alert.state));
                    cells.figure(alert.value, figure);
                    cells.figure(alert.threshold, figure);
                    cells.text(moment(alert.since.as_ref()));
                    cells.name(alert.detail.as_deref());
                });
            }
            if alerts.history.is_empty() {
                return note(out, "Nothing fired or was resolved in this time.");
            }
            let columns = [
                Column("When", Align::Moment),
                Column("Rule", Align::Left),
                Column("Became", Align::Left),
                Column("Value", Align::Right),
                Column("In words", Align::Left),
            ];
            table(out, "History of alerts", &columns, &alerts.history, rows.min(20), |cells, event| {
                cells.text(event.happened_at.full());
                cells.name(Some(&event.rule));
                cells.cell(|out| status(out, &event.state));
                cells.figure(event.value, figure);
                cells.name(event.detail.as_deref());
            });
        });
    });
}
