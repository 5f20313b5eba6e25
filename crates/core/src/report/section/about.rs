//! What the page tells of, what the server is set to, and what limits the view.

use super::table::{Align, Column, table};
use super::{absent, known, note, section};
use crate::report::data::Report;
use crate::report::markup::Markup;

/// Above all.
pub fn header(out: &mut Markup, report: &Report) {
    let about = &report.about;
    out.raw("<header><p class=\"brand\">pg_groundskeeper</p><h1>Performance of ");
    out.text(" ");
    out.name(&about.database);
    out.raw("</h1>");
    out.element("p", &[("class", &"period")], |out| {
        out.text(format!("{} to {} UTC", report.interval.begins.full(), report.interval.ends.full()));
        if let Some(other) = &report.compared_with {
            out.text(format!(", compared with {} to {}", other.begins.full(), other.ends.full()));
        }
    });
    out.element("p", &[("class", &"made")], |out| {
        out.text("PostgreSQL ");
        out.name(&about.server_version);
        out.text(if about.on_standby { ", a standby" } else { "" });
        out.text(format!(
            " · up since {} · made {} for ",
            about.server_started_at.full(),
            about.generated_at.full()
        ));
        out.name(&about.role);
    });
    out.raw("</header>");
}

/// What the server is set to, and what one does not see.
pub fn settings(out: &mut Markup, report: &Report, rows: usize) {
    let lead = "What the figures above rest on, and what keeps more from being seen.";
    section(out, "settings", lead, |out| {
        limits(out, report);
        known(out, &report.prerequisites, |out, parts| {
            if parts.is_empty() {
                return note(out, "All optional parts are in place.");
            }
            let columns = [
                Column("Part", Align::Left),
                Column("State", Align::Left),
                Column("Needed for", Align::Left),
                Column("What helps", Align::Left),
            ];
            table(out, "Optional parts that are not in place", &columns, parts, rows, |cells, part| {
                cells.name(Some(&part.component));
                cells.name(Some(&part.state));
                cells.name(part.needed_for.as_deref());
                cells.name(part.remedy.as_deref());
            });
        });
        known(out, &report.settings, |out, settings| {
            if settings.is_empty() {
                return absent(out, "no setting may be read");
            }
            let columns =
                [Column("Setting", Align::Left), Column("Value", Align::Left), Column("From", Align::Left)];
            table(out, "Settings", &columns, settings, rows.max(10), |cells, setting| {
                cells.name(Some(&setting.name));
                cells.name(Some(&setting.value));
                cells.name(Some(&setting.source));
            });
        });
    });
}

fn limits(out: &mut Markup, report: &Report) {
    let about = &report.about;
    let mut limits = Vec::new();
    if !about.preloaded {
        limits.push(
            "The library is not in shared_preload_libraries: the latency of statements is not counted.",
        );
    }
    if about.on_standby {
        limits.push("This is a standby: jobs, migration, alerts and the plan are those of the primary, and it keeps no samples of its own.");
    }
    if !about.sees_all_statements {
        limits.push("The role may not read others' statements (pg_read_all_stats): their texts and their sessions are hidden.");
    }
    limits.push("Values in statements are left out, and so is all of a utility statement but its command.");
    out.raw("<ul class=\"limits\">");
    for limit in limits {
        out.said("li", &[], limit);
    }
    out.raw("</ul>");
}

/// Below all.
pub fn footer(out: &mut Markup, report: &Report) {
    out.element("footer", &[], |out| {
        out.text("pg_groundskeeper ");
        out.text(&report.about.extension_version);
        out.text(". All times are UTC. The figures of this page as JSON: ");
        out.said("code", &[], "SELECT groundskeeper.performance_report();");
    });
}
