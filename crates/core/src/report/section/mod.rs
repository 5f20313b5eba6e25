//! The sections of the page, in the order of what they are worth.

mod about;
mod alerts;
mod compared;
mod connections;
mod growth;
mod indexes;
mod kpis;
mod latency;
mod migration;
mod partitions;
mod plan;
mod statements;
mod table;
mod verdicts;
mod work;

use super::data::{Part, Report};
use super::markup::{Markup, is_plain};
use super::time::Moment;

/// What the sections are called, by the names that verdicts refer to.
const SECTIONS: [(&str, &str); 13] = [
    ("kpis", "KPIs"),
    ("latency", "Latency"),
    ("plan", "Plan"),
    ("migration", "Migration"),
    ("partitions", "Partitions"),
    ("work", "Jobs and maintenance"),
    ("statements", "Slow statements"),
    ("bloat", "Bloat"),
    ("indexes", "Indexes"),
    ("connections", "Connections"),
    ("growth", "Growth"),
    ("alerts", "Alerts"),
    ("settings", "Settings and limits"),
];

/// The steps of a chart; were there more, the last of them.
fn drawn<T>(steps: &[T]) -> &[T] {
    const MOST: usize = 120;
    &steps[steps.len().saturating_sub(MOST)..]
}

/// The whole page, with so many rows of a table.
pub fn draw(out: &mut Markup, report: &Report, rows: usize) {
    out.raw("<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">");
    out.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    out.raw(
        "<meta name=\"referrer\" content=\"no-referrer\"><meta name=\"color-scheme\" content=\"light dark\">",
    );
    out.element("title", &[], |out| {
        out.text("Performance of ");
        out.text(&report.about.database);
    });
    out.raw("<style>");
    out.raw(include_str!("../style.css"));
    out.raw("</style></head><body>");
    out.raw("<a class=\"skip\" href=\"#main\">Skip to the report</a>");
    about::header(out, report);
    contents(out);
    out.raw("<main id=\"main\">");
    verdicts::draw(out, report);
    kpis::draw(out, report);
    compared::draw(out, report);
    latency::draw(out, report);
    plan::draw(out, report, rows);
    migration::draw(out, report, rows);
    partitions::draw(out, report, rows);
    work::draw(out, report, rows);
    statements::draw(out, report, rows);
    indexes::bloat(out, report, rows);
    indexes::draw(out, report, rows);
    connections::draw(out, report, rows);
    growth::draw(out, report, rows);
    alerts::draw(out, report, rows);
    about::settings(out, report, rows);
    out.raw("</main>");
    about::footer(out, report);
    out.raw("</body></html>");
}

fn contents(out: &mut Markup) {
    out.raw("<nav aria-label=\"Sections\"><ul>");
    for (id, title) in SECTIONS {
        out.element("li", &[], |out| out.said("a", &[("href", &format!("#{id}"))], title));
    }
    out.raw("</ul></nav>");
}

/// A section with its heading and what it is about.
fn section(out: &mut Markup, id: &'static str, lead: &str, inside: impl FnOnce(&mut Markup)) {
    let title = SECTIONS.iter().find(|(known, _)| *known == id).map_or(id, |(_, title)| *title);
    let heading = format!("{id}-heading");
    out.element("section", &[("id", &id), ("aria-labelledby", &heading)], |out| {
        out.said("h2", &[("id", &heading)], title);
        if !lead.is_empty() {
            out.said("p", &[("class", &"lead")], lead);
        }
        inside(out);
    });
}

/// What is known of something, or why nothing is.
fn known<T>(out: &mut Markup, part: &Part<T>, inside: impl FnOnce(&mut Markup, &T)) {
    match &part.data {
        Some(data) => inside(out, data),
        None => absent(out, part.reason.as_deref().unwrap_or("no reason is known")),
    }
}

/// Why there is nothing to see.
fn absent(out: &mut Markup, reason: &str) {
    out.element("p", &[("class", &"absent")], |out| {
        out.raw("<b>Nothing to show:</b> ");
        out.text(" ");
        out.name(reason);
    });
}

/// A note below something.
fn note(out: &mut Markup, text: &str) {
    out.said("p", &[("class", &"note")], text);
}

/// A drawing with its caption.
fn figure(out: &mut Markup, caption: &str, inside: impl FnOnce(&mut Markup)) {
    out.element("figure", &[], |out| {
        out.said("figcaption", &[], caption);
        inside(out);
    });
}

/// A statement to run. One that a page would show otherwise than it is, or not all of, is not shown.
fn code(out: &mut Markup, statement: &str) {
    const LONGEST: usize = 400;
    if !is_plain(statement) {
        note(out, "The statement is not shown: a name in it has characters that cannot be seen.");
    } else if statement.chars().count() > LONGEST.min(out.longest()) {
        note(out, "The statement is too long to be shown here.");
    } else {
        out.element("pre", &[], |out| out.said("code", &[], statement));
    }
}

/// A moment as a cell shows it.
fn moment(at: Option<&Moment>) -> String {
    at.map_or_else(|| "–".to_owned(), Moment::full)
}

/// A word that is a status, with a sign beside its colour.
fn status(out: &mut Markup, word: &str) {
    let class = match word {
        "pass" | "ok" | "succeeded" | "applied" | "resolved" | "good" | "analyzed" | "refreshed" => {
            "status good"
        }
        "fail" | "failed" | "firing" | "invalid" | "act" => "status bad",
        "unknown" | "no_data" | "cancelled" | "running" | "queued" => "status mute",
        _ => "status watch",
    };
    out.said("span", &[("class", &class)], word.replace('_', " "));
}
