//! How tables grow.

use super::table::{Align, Column, table};
use super::{absent, known, section};
use crate::report::data::{Growth, Report};
use crate::report::markup::Markup;
use crate::report::units::{bytes, whole_seconds};

/// The largest first.
pub fn draw(out: &mut Markup, report: &Report, rows: usize) {
    section(
        out,
        "growth",
        "The largest tables with their indexes, and how large they will be if they go on growing like this.",
        |out| {
            known(out, &report.growth, |out, tables| {
                if tables.is_empty() {
                    return absent(out, "the schemas that are watched have no tables");
                }
                let columns = [
                    Column("Table", Align::Left),
                    Column("Size", Align::Right),
                    Column("Per day", Align::Right),
                    Column("In 30 days", Align::Right),
                    Column("Measured over", Align::Left),
                ];
                table(out, "Growth of tables", &columns, tables, rows.min(15), row);
            });
        },
    );
}

fn row(cells: &mut super::table::Cells, one: &Growth) {
    cells.name(Some(&one.relation));
    cells.figure(one.bytes, |size| bytes(size as f64));
    cells.figure(one.bytes_per_day, |rate| format!("{}{}", if rate > 0.0 { "+" } else { "" }, bytes(rate)));
    cells.figure(one.forecast_30d_bytes, bytes);
    cells.name(Some(one.measured_over.as_deref().map_or("not measured yet", whole_seconds)));
}
