//! Bloat of tables, and verdicts on indexes with their statements.

use super::table::{Align, Column, table};
use super::{absent, code, known, note, section};
use crate::report::data::{Bloat, IndexFinding, Report};
use crate::report::markup::Markup;
use crate::report::units::{bytes, count, percent};

/// Tables with the most room that is of no use.
pub fn bloat(out: &mut Markup, report: &Report, rows: usize) {
    section(out, "bloat", "Room in tables that is of no use, the worst first.", |out| {
        known(out, &report.bloat, |out, tables| {
            let (judged, rest): (Vec<&Bloat>, Vec<&Bloat>) =
                tables.iter().partition(|table| table.percent.is_some());
            if judged.is_empty() {
                let reason = rest.iter().find_map(|table| table.reason.as_deref());
                return absent(out, reason.unwrap_or("the schemas that are watched have no tables"));
            }
            let columns = [
                Column("Table", Align::Left),
                Column("Size", Align::Right),
                Column("Bloat", Align::Right),
                Column("Dead rows", Align::Right),
                Column("How it is known", Align::Left),
            ];
            table(out, "Bloat of tables", &columns, &judged, rows.min(15), |cells, one| {
                cells.name(Some(&one.relation));
                cells.figure(one.bytes, |size| bytes(size as f64));
                cells.figure(one.percent, percent);
                cells.figure(one.dead_rows, count);
                cells.name(one.method.as_deref());
            });
            if !rest.is_empty() {
                note(
                    out,
                    &format!(
                        "{} tables have no figure that can be trusted; monitoring.table_bloat has the reasons.",
                        count(rest.len() as i64)
                    ),
                );
            }
        });
    });
}

/// Indexes that something is to be done about: what was seen, why it matters, what to run.
pub fn draw(out: &mut Markup, report: &Report, rows: usize) {
    section(out, "indexes", "Indexes that are broken, missing, repeated or unused.", |out| {
        known(out, &report.indexes, |out, findings| {
            if findings.is_empty() {
                return absent(out, "no index is broken, missing, repeated or unused");
            }
            out.raw("<ul class=\"findings\">");
            for finding in findings.iter().take(rows.min(20)) {
                out.element("li", &[], |out| one(out, finding));
            }
            out.raw("</ul>");
            if findings.len() > rows.min(20) {
                let rest = findings.len() - rows.min(20);
                note(
                    out,
                    &format!(
                        "{} more: monitoring.index_health and monitoring.unused_indexes have all.",
                        count(rest as i64)
                    ),
                );
            }
        });
    });
}

fn one(out: &mut Markup, finding: &IndexFinding) {
    let (word, why) = meaning(&finding.kind);
    out.element("p", &[("class", &"seen")], |out| {
        out.said(
            "span",
            &[("class", &if finding.kind == "invalid" { "status bad" } else { "status watch" })],
            word,
        );
        out.text(" ");
        match &finding.index {
            Some(index) => {
                out.name(index);
                out.text(" on ");
                out.name(&finding.relation);
            }
            None => out.name(&finding.relation),
        }
        if let Some(size) = finding.bytes {
            out.text(format!(", {}", bytes(size as f64)));
        }
    });
    out.element("p", &[("class", &"why")], |out| {
        if let Some(detail) = &finding.detail {
            out.name(detail);
            out.text(". ");
        }
        out.text(why);
    });
    if let Some(run) = &finding.run {
        code(out, run);
    }
}

fn meaning(kind: &str) -> (&'static str, &'static str) {
    match kind {
        "invalid" => ("Invalid", "Writes keep it up to date, and no query uses it."),
        "duplicate" => {
            ("Repeated", "It is written with every row and gives nothing that the other does not.")
        }
        "overlapping" => ("Overlapping", "Another index answers the same questions."),
        "missing_fk_index" => ("Missing", "A deletion there reads all of this table, row by row."),
        "unused" => ("Unused", "It is written with every row and read by nobody."),
        _ => ("Look", "It is not as it should be."),
    }
}
