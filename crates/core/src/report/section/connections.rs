//! Who is connected, and how full the server or its pool is.

use super::latency::legend;
use super::table::{Align, Column, table};
use super::{absent, drawn, figure, known, section};
use crate::report::chart::{Line, lines};
use crate::report::data::{Connections, Report};
use crate::report::markup::Markup;
use crate::report::units::{Unit, count, milliseconds, percent};

/// Now, and over time.
pub fn draw(out: &mut Markup, report: &Report, rows: usize) {
    section(
        out,
        "connections",
        "Client connections of the whole server, and those of this database that are busy.",
        |out| {
            known(out, &report.connections, |out, connections| {
                facts(out, connections);
                out.element("div", &[("class", &"charts")], |out| over_time(out, report, connections));
                if connections.states.is_empty() {
                    return;
                }
                let columns = [
                    Column("State", Align::Left),
                    Column("Connections", Align::Right),
                    Column("Longest", Align::Right),
                ];
                table(
                    out,
                    "Connections to this database now",
                    &columns,
                    &connections.states,
                    rows,
                    |cells, state| {
                        cells.name(Some(state.state.as_deref().unwrap_or("hidden")));
                        cells.text(count(state.connections));
                        cells.figure(state.longest_seconds, |seconds| milliseconds(seconds * 1e3));
                    },
                );
            });
        },
    );
}

fn facts(out: &mut Markup, connections: &Connections) {
    let said = |value: Option<i64>| value.map_or_else(|| "–".to_owned(), count);
    let facts = [
        ("Busy, at most", said(connections.peak_busy)),
        ("Connected, at most", said(connections.peak)),
        ("Pool", connections.pool_size.map_or_else(|| "not set".to_owned(), count)),
        ("Slots", said(connections.usable_slots)),
        ("Taken now", connections.utilization_percent.map_or_else(|| "–".to_owned(), percent)),
    ];
    out.open("dl", &[("class", &"facts")]);
    for (name, value) in facts {
        out.element("div", &[], |out| {
            out.said("dt", &[], name);
            out.said("dd", &[], value);
        });
    }
    out.close("dl");
}

fn over_time(out: &mut Markup, report: &Report, connections: &Connections) {
    let steps = drawn(report.samples.data.as_deref().unwrap_or_default());
    let begins: Vec<f64> = steps.iter().filter_map(|step| step.at.seconds()).collect();
    if begins.len() < 2 || begins.len() != steps.len() || steps.iter().all(|step| step.connections.is_none())
    {
        let reason = report.samples.reason.as_deref();
        return absent(out, reason.unwrap_or("no samples in this time: record_metrics() takes them"));
    }
    let step = begins[1] - begins[0];
    let drawn = [
        Line { name: "connected", class: "c", values: steps.iter().map(|step| step.connections).collect() },
        Line { name: "busy", class: "a", values: steps.iter().map(|step| step.busy).collect() },
    ];
    let pool = connections.pool_size.map(|size| (size as f64, "pool"));
    figure(out, "Connections over time, at most in each step", |out| {
        legend(out, &[("c", "connected"), ("a", "busy")]);
        lines(out, "Lines of connections over time", &begins, step, &drawn, Unit::Count, pool);
    });
    let commits = [Line {
        name: "commits",
        class: "a",
        values: steps.iter().map(|step| step.commits_per_second).collect(),
    }];
    figure(out, "Transactions committed per second", |out| {
        lines(
            out,
            "Line of transactions committed per second over time",
            &begins,
            step,
            &commits,
            Unit::Count,
            None,
        );
    });
}
