//! The six KPIs: value, target, status, and how they went.

use super::{absent, drawn, section, status};
use crate::kpi::KPIS;
use crate::report::chart::spark;
use crate::report::data::{Kpi, Report};
use crate::report::markup::Markup;
use crate::report::units::{figure, milliseconds, of_things, percent, whole_seconds};
use crate::report::verdict::{is_percentage, title};

/// A card for each.
pub fn draw(out: &mut Markup, report: &Report) {
    section(out, "kpis", "Each is measured over the time that its target states.", |out| {
        if report.kpis.is_empty() {
            return absent(out, "kpi_report() may not be called");
        }
        out.raw("<ul class=\"kpis\">");
        for kpi in report.kpis.iter().take(KPIS.len()) {
            out.element("li", &[], |out| card(out, report, kpi));
        }
        out.raw("</ul>");
    });
}

fn card(out: &mut Markup, report: &Report, kpi: &Kpi) {
    let said = if is_percentage(&kpi.kpi) { percent } else { milliseconds };
    out.element("h3", &[], |out| out.text(title(&kpi.kpi)));
    out.element("p", &[("class", &"value")], |out| {
        match kpi.value.as_ref().and_then(serde_json::Number::as_f64) {
            Some(value) => out.said("strong", &[], said(value)),
            None => out.said("strong", &[("class", &"mute")], "unknown"),
        }
        status(out, &kpi.status);
    });
    out.element("p", &[("class", &"target")], |out| {
        out.said("code", &[], &kpi.kpi);
        out.text(format!(" {}{}", kpi.target, if is_percentage(&kpi.kpi) { " %" } else { " ms" }));
    });
    trend(out, report, kpi);
    if let Some(detail) = &kpi.detail {
        out.element("p", &[("class", &"note")], |out| out.name(detail));
    }
    let over = kpi.measured_over.as_deref().map(|over| format!(" over {}", whole_seconds(over)));
    let samples = format!("{}{}", of_things(kpi.samples, "sample", "samples"), over.unwrap_or_default());
    out.said("p", &[("class", &"note")], samples);
}

fn trend(out: &mut Markup, report: &Report, kpi: &Kpi) {
    let values = values(report, kpi);
    let known: Vec<f64> = values.iter().flatten().copied().collect();
    if known.len() < 2 {
        let reason = match kpi.kpi.as_str() {
            "table_bloat_max" => "No trend: bloat is measured now, and no history of it is kept.",
            _ => "No trend: fewer than two samples in this time.",
        };
        return out.said("p", &[("class", &"note")], reason);
    }
    let target = kpi.target.split_whitespace().last().and_then(|target| target.parse().ok());
    let (first, last) = (known.first().copied().unwrap_or(0.0), known.last().copied().unwrap_or(0.0));
    let words = format!("{} over time, from {} to {}", title(&kpi.kpi), figure(first), figure(last));
    spark(out, &words, &values, target);
}

fn values(report: &Report, kpi: &Kpi) -> Vec<Option<f64>> {
    let steps = drawn(report.samples.data.as_deref().unwrap_or_default());
    match kpi.kpi.as_str() {
        "query_latency_p95_ms" => {
            let latency = report.latency.data.iter().flat_map(|latency| drawn(&latency.steps));
            latency.map(|step| step.quantiles.as_ref()?.p95_ms).collect()
        }
        "migration_success_rate" => {
            // Runs are rarer than samples: what was true goes on to be.
            let mut last = None;
            steps
                .iter()
                .map(|step| {
                    last = step.migration_success.or(last);
                    last
                })
                .collect()
        }
        "connection_pool_utilization" => {
            let connections = report.connections.data.as_ref();
            let pool = connections.and_then(|connections| connections.pool_size).map(|size| size as f64);
            steps
                .iter()
                .map(|step| {
                    share(
                        step.busy.filter(|_| pool.is_some()).or(step.connections),
                        pool.or(step.usable_slots),
                    )
                })
                .collect()
        }
        "index_hit_ratio" => steps.iter().map(|step| step.index_hit).collect(),
        "cache_hit_ratio" => steps.iter().map(|step| step.cache_hit).collect(),
        _ => Vec::new(),
    }
}

fn share(part: Option<f64>, whole: Option<f64>) -> Option<f64> {
    Some(100.0 * part? / whole.filter(|whole| *whole > 0.0)?)
}
