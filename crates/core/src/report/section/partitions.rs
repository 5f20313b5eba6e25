//! Managed tables: a calendar of months for each.

use super::table::{Align, Column, table};
use super::{absent, known, note, section, status};
use crate::report::chart::{Field, calendar};
use crate::report::data::{Partitioned, Report};
use crate::report::markup::Markup;
use crate::report::units::{bytes, count, of_things};

/// How many years of a table are drawn.
const YEARS: i32 = 4;
/// For how many tables.
const CALENDARS: usize = 8;

/// A table of all, and calendars of the first.
pub fn draw(out: &mut Markup, report: &Report, rows: usize) {
    let lead = "Partitions are made ahead; a month without one sends its rows to the default partition.";
    section(out, "partitions", lead, |out| {
        known(out, &report.partitions, |out, tables| {
            if tables.is_empty() {
                return absent(
                    out,
                    "no table is managed: partition_table() converts one, adopt_partitioned_table() takes one over",
                );
            }
            overview(out, tables, rows);
            out.element("div", &[("class", &"charts")], |out| {
                for one in tables.iter().take(rows.min(CALENDARS)) {
                    months(out, one);
                }
            });
            note(out, "The darker the more rows, by the server's estimate. A dashed month has no partition.");
        });
    });
}

fn overview(out: &mut Markup, tables: &[Partitioned], rows: usize) {
    let columns = [
        Column("Table", Align::Left),
        Column("Status", Align::Left),
        Column("Partitions", Align::Right),
        Column("Next missing", Align::Moment),
        Column("Default rows", Align::Right),
        Column("What is wrong", Align::Left),
        Column("What helps", Align::Left),
    ];
    table(out, "Managed tables", &columns, tables, rows, |cells, one| {
        cells.name(Some(&one.parent));
        cells.cell(|out| status(out, &one.status));
        cells.text(count(one.partitions));
        cells.name(one.next_missing.as_deref());
        cells.figure(one.default_rows, count);
        cells.name(one.problem.as_deref());
        cells.name(one.remedy.as_deref());
    });
}

fn months(out: &mut Markup, one: &Partitioned) {
    let mut fields: Vec<Field> = Vec::new();
    for month in &one.months {
        let Some((year, at)) = month.at.month() else { continue };
        let rows =
            month.rows.map_or_else(|| "rows not known".to_owned(), |rows| of_things(rows, "row", "rows"));
        let size = month.bytes.map_or_else(|| "size not known".to_owned(), |size| bytes(size as f64));
        // Never analyzed, it is still a partition.
        let value = month.rows.or(month.bytes).unwrap_or(0);
        fields.push(Field {
            year,
            month: at,
            value,
            title: format!("{year}-{:02}: about {rows}, {size}", at + 1),
        });
    }
    out.element("figure", &[], |out| {
        out.element("figcaption", &[], |out| {
            out.name(&one.parent);
            out.text(" by ");
            out.name(&one.partition_key);
            out.text(format!(", a {} each", one.covers));
        });
        if fields.is_empty() {
            return absent(out, "it has no partition whose bounds are moments");
        }
        let words = format!(
            "Calendar of the partitions of {}: {}",
            one.parent,
            of_things(one.partitions, "partition", "partitions")
        );
        calendar(out, &words, &fields, YEARS);
    });
}
