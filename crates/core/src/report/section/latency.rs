//! How long clients waited: over time, as a histogram, and as a heat map.

use super::{absent, drawn, figure, known, note, section};
use crate::report::chart::{Band, Bar, Line, bars, heat, lines};
use crate::report::data::{Latency, LatencyStep, Quantiles, Report};
use crate::report::markup::Markup;
use crate::report::units::{Unit, count, milliseconds, percent};

const OBJECTIVE_MS: f64 = 500.0;

/// All of it.
pub fn draw(out: &mut Markup, report: &Report) {
    let lead = "Statements of clients, from their arrival to their end, failed ones among them. \
                The objective is 500 ms.";
    section(out, "latency", lead, |out| {
        known(out, &report.latency, |out, latency| {
            if latency.total.calls == 0 {
                return absent(out, "no statement was counted in this time");
            }
            summary(out, &latency.total);
            if let Some(Some(other)) = report.latency_compared.as_ref().map(|part| &part.data) {
                note(out, &format!("In the interval that it is compared with: {}.", in_words(&other.total)));
            }
            out.element("div", &[("class", &"charts")], |out| charts(out, latency));
            note(
                out,
                "A gap is a time without samples. Percentiles come from a histogram and are at most 6.25 % off; \
                       what took 500 ms or longer is counted exactly.",
            );
        });
    });
}

fn in_words(total: &Quantiles) -> String {
    let said = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), milliseconds);
    format!(
        "{} calls, p50 {}, p95 {}, p99 {}",
        count(total.calls),
        said(total.p50_ms),
        said(total.p95_ms),
        said(total.p99_ms)
    )
}

fn summary(out: &mut Markup, total: &Quantiles) {
    let over = 100.0 * total.over_objective as f64 / total.calls.max(1) as f64;
    let said = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), milliseconds);
    let facts = [
        ("Calls", count(total.calls)),
        ("p50", said(total.p50_ms)),
        ("p95", said(total.p95_ms)),
        ("p99", said(total.p99_ms)),
        ("Over 500 ms", percent(over)),
        ("Failed", count(total.failed)),
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

/// How many columns a heat map has at most: each of its fields is a mark.
const COLUMNS: usize = 32;

fn charts(out: &mut Markup, latency: &Latency) {
    let steps = drawn(&latency.steps);
    let begins: Vec<f64> = steps.iter().filter_map(|step| step.at.seconds()).collect();
    if begins.len() != steps.len() || begins.len() < 2 {
        return histogram(out, latency);
    }
    let step = begins[1] - begins[0];
    over_time(out, latency, steps, &begins, step);
    histogram(out, latency);
    over_objective(out, steps, &begins, step);
    let together = steps.len().div_ceil(COLUMNS);
    let begins: Vec<f64> = begins.iter().step_by(together).copied().collect();
    let bands: Vec<Band> = (0..latency.bands.len().min(COLUMNS))
        .map(|band| {
            let calls = |steps: &[LatencyStep]| steps.iter().filter_map(|step| step.bands.get(band)).sum();
            Band { name: band_name(latency, band), counts: steps.chunks(together).map(calls).collect() }
        })
        .collect();
    figure(out, "When calls took how long", |out| {
        let words = "Heat map of calls by time of day and by how long they took";
        heat(out, words, &begins, step * together as f64, &bands);
    });
}

fn over_time(out: &mut Markup, latency: &Latency, steps: &[LatencyStep], begins: &[f64], step: f64) {
    type Pick = fn(&Quantiles) -> Option<f64>;
    let quantiles: [(&'static str, &'static str, Pick); 3] =
        [("p50", "c", |q| q.p50_ms), ("p95", "a", |q| q.p95_ms), ("p99", "b", |q| q.p99_ms)];
    let all = quantiles.map(|(name, class, pick)| Line {
        name,
        class,
        values: steps.iter().map(|step| step.quantiles.as_ref().and_then(pick)).collect(),
    });
    let most = all.iter().flat_map(|line| line.values.iter().flatten()).fold(0.0_f64, |a, b| a.max(*b));
    // A line that all others would lie at the bottom of is not drawn.
    let objective = (most > OBJECTIVE_MS / 4.0).then_some((OBJECTIVE_MS, "objective 500 ms"));
    figure(out, "p50, p95 and p99 over time", |out| {
        legend(out, &[("c", "p50"), ("a", "p95"), ("b", "p99")]);
        let words = format!("Lines of latency over time. All together: {}", in_words(&latency.total));
        lines(out, &words, begins, step, &all, Unit::Milliseconds, objective);
    });
}

fn over_objective(out: &mut Markup, steps: &[LatencyStep], begins: &[f64], step: f64) {
    let share = |step: &LatencyStep| {
        let counted = step.quantiles.as_ref().filter(|counted| counted.calls > 0)?;
        Some(100.0 * counted.over_objective as f64 / counted.calls as f64)
    };
    let line = [Line { name: "500 ms or longer", class: "b", values: steps.iter().map(share).collect() }];
    figure(out, "Share of calls of 500 ms or longer", |out| {
        let words = "Line of the share of calls that took 500 ms or longer, over time";
        lines(out, words, begins, step, &line, Unit::Percent, None);
    });
}

/// Which line is which.
pub fn legend(out: &mut Markup, names: &[(&'static str, &'static str)]) {
    out.open("p", &[("class", &"legend")]);
    for (class, name) in names {
        out.element("span", &[], |out| {
            out.shape("i", &[("class", class)], None);
            out.text(name);
        });
    }
    out.close("p");
}

fn histogram(out: &mut Markup, latency: &Latency) {
    let calls = latency.total.calls.max(1) as f64;
    let all: Vec<Bar> = latency
        .bands
        .iter()
        .enumerate()
        .take(COLUMNS)
        .map(|(band, calls_in)| {
            let below = latency.bounds_ms.get(band).is_some_and(|bound| *bound <= OBJECTIVE_MS);
            let share = 100.0 * *calls_in as f64 / calls;
            let name = band_name(latency, band);
            Bar {
                title: format!("{name}: {} calls, {}", count(*calls_in), percent(share)),
                name,
                class: if below { "bar" } else { "bar over" },
                value: share,
            }
        })
        .collect();
    let over = percent(100.0 * latency.total.over_objective as f64 / calls);
    figure(out, "Share of calls by how long they took", |out| {
        let words = format!("Histogram of latency: {over} of the calls took 500 ms or longer");
        bars(out, &words, &all, Unit::Percent);
    });
}

/// `≤ 5 ms`, without the sign, which would stand at each.
fn band_name(latency: &Latency, band: usize) -> String {
    match latency.bounds_ms.get(band) {
        Some(bound) => milliseconds(*bound).replace(' ', "\u{a0}"),
        None => {
            format!("> {}", latency.bounds_ms.last().map_or_else(String::new, |last| milliseconds(*last)))
        }
    }
}
