//! The text format 0.0.4.

use super::{FAMILIES, Sample};
use std::fmt::Write as _;

/// The samples, which are in the order of their families; a family without any has its description all the same.
#[must_use]
pub fn text(samples: &[Sample]) -> String {
    let mut out = String::new();
    for family in &FAMILIES {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "# HELP {} {}", family.name, escaped(family.help, false));
        let _ = writeln!(out, "# TYPE {} {}", family.name, family.kind.name());
        for sample in samples.iter().filter(|sample| family.has(&sample.name)) {
            let _ = writeln!(out, "{}{} {}", sample.name, labels(sample), number(sample.value));
        }
    }
    out
}

fn labels(sample: &Sample) -> String {
    if sample.labels.is_empty() {
        return String::new();
    }
    let pair = |(name, value): (&String, &serde_json::Value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!("{name}=\"{}\"", escaped(&value, true))
    };
    format!("{{{}}}", sample.labels.iter().map(pair).collect::<Vec<_>>().join(","))
}

fn escaped(text: &str, quotes: bool) -> String {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    if quotes { text.replace('"', "\\\"") } else { text }
}

fn number(value: f64) -> String {
    match value {
        v if v.is_nan() => "NaN".to_owned(),
        v if v.is_infinite() => if v > 0.0 { "+Inf" } else { "-Inf" }.to_owned(),
        v => v.to_string(),
    }
}
