//! Two intervals side by side.

use super::absent;
use super::table::{Align, Column, table};
use crate::report::data::{Figure, Report};
use crate::report::markup::Markup;
use crate::report::units::{Unit, figure};

/// No more are compared.
const FIGURES: usize = 30;

/// The figures of both, where there are two.
pub fn draw(out: &mut Markup, report: &Report) {
    let Some(other) = &report.figures_compared else { return };
    out.raw("<section id=\"compared\" aria-labelledby=\"compared-heading\"><h2 id=\"compared-heading\">Compared</h2>");
    match (&report.figures.data, &other.data) {
        (Some(now), Some(then)) => side_by_side(out, now, then),
        (now, _) => {
            let part = if now.is_none() { &report.figures } else { other };
            absent(out, part.reason.as_deref().unwrap_or("no reason is known"));
        }
    }
    out.raw("</section>");
}

fn side_by_side(out: &mut Markup, now: &[Figure], then: &[Figure]) {
    let columns = [
        Column("Figure", Align::Left),
        Column("Then", Align::Right),
        Column("Now", Align::Right),
        Column("Change", Align::Right),
    ];
    table(out, "Figures of the two intervals", &columns, now, FIGURES, |cells, figure| {
        let before = then.iter().find(|other| other.name == figure.name).and_then(|other| other.value);
        let unit = Unit::named(&figure.unit);
        cells.text(&figure.name);
        cells.figure(before, |value| unit.of(value));
        cells.figure(figure.value, |value| unit.of(value));
        cells.cell(|out| match (before, figure.value) {
            (Some(before), Some(now)) => change(out, unit, before, now, figure.better.as_deref()),
            _ => out.text("–"),
        });
    });
}

fn change(out: &mut Markup, unit: Unit, before: f64, now: f64, better: Option<&str>) {
    let more = now - before;
    let said = match unit {
        Unit::Percent => format!("{}{} points", sign(more), figure((more * 10.0).round() / 10.0)),
        _ if before == 0.0 => return out.text(if now == 0.0 { "none" } else { "new" }),
        _ => format!("{}{} %", sign(more), figure((1000.0 * more / before.abs()).round() / 10.0)),
    };
    let matters = if unit == Unit::Percent { more.abs() >= 0.5 } else { more.abs() >= 0.05 * before.abs() };
    let class = match better {
        Some(better) if matters && (better == "more") == (more > 0.0) => "status good",
        Some(_) if matters => "status bad",
        _ => "plain",
    };
    out.said("span", &[("class", &class)], said);
}

fn sign(value: f64) -> &'static str {
    if value > 0.0 { "+" } else { "" }
}
