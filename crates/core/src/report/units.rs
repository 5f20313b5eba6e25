//! Figures as a person reads them.

/// A figure with three digits that count, and no more.
pub fn figure(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return "–".to_owned();
    }
    let digits = match size {
        s if s >= 100.0 || s == 0.0 => 0,
        s if s >= 10.0 => 1,
        s if s >= 0.1 => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    grouped(text)
}

/// Thousands apart, by a thin space that breaks no line.
fn grouped(text: &str) -> String {
    let (sign, rest) = text.strip_prefix('-').map_or(("", text), |rest| ("−", rest));
    let (whole, fraction) = rest.split_once('.').map_or((rest, None), |(a, b)| (a, Some(b)));
    let mut out = String::from(sign);
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    if let Some(fraction) = fraction {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

/// A whole number.
pub fn count(value: i64) -> String {
    grouped(&value.to_string())
}

/// A number of things, of which one is called otherwise than several.
pub fn of_things(value: i64, one: &str, several: &str) -> String {
    format!("{} {}", count(value), if value == 1 { one } else { several })
}

/// An interval as PostgreSQL writes it, in whole seconds.
pub fn whole_seconds(interval: &str) -> &str {
    interval.split_once('.').map_or(interval, |(whole, _)| whole)
}

/// A length of time, given in milliseconds.
pub fn milliseconds(value: f64) -> String {
    match value.abs() {
        v if v < 1.0 && v > 0.0 => format!("{} µs", figure(value * 1e3)),
        v if v < 1e3 => format!("{} ms", figure(value)),
        v if v < 120e3 => format!("{} s", figure(value / 1e3)),
        v if v < 7_200e3 => format!("{} min", figure(value / 60e3)),
        v if v < 172_800e3 => format!("{} h", figure(value / 3_600e3)),
        _ => format!("{} d", figure(value / 86_400e3)),
    }
}

/// A size, in PostgreSQL's units.
pub fn bytes(value: f64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    let mut size = value;
    let mut unit = 0;
    while size.abs() >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    format!("{} {}", figure(size), UNITS[unit])
}

/// A share of a hundred. All is said only of all.
pub fn percent(value: f64) -> String {
    if value < 100.0 && value > 99.9 {
        return "> 99.9 %".to_owned();
    }
    format!("{} %", figure((value * 10.0).round() / 10.0))
}

/// How a figure is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Count,
    /// Milliseconds.
    Milliseconds,
    /// Bytes.
    Bytes,
    /// A share of a hundred.
    Percent,
}

impl Unit {
    /// By the name that it has in the data.
    pub fn named(name: &str) -> Self {
        match name {
            "ms" => Self::Milliseconds,
            "bytes" => Self::Bytes,
            "percent" => Self::Percent,
            _ => Self::Count,
        }
    }

    /// The figure in it.
    pub fn of(self, value: f64) -> String {
        match self {
            Self::Count => figure(value),
            Self::Milliseconds => milliseconds(value),
            Self::Bytes => bytes(value),
            Self::Percent => percent(value),
        }
    }

    /// What an axis is called.
    pub fn axis(self) -> &'static str {
        match self {
            Self::Count => "number",
            Self::Milliseconds => "time",
            Self::Bytes => "bytes",
            Self::Percent => "percent",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_the_digits_that_count() {
        let said: Vec<String> = [0.0, 0.01234, 1.5, 12.34, 1234.5, -1_234_567.0, f64::NAN].map(figure).into();
        assert_eq!(said, ["0", "0.012", "1.5", "12.3", "1\u{202f}234", "−1\u{202f}234\u{202f}567", "–"]);
        assert_eq!([0.25, 12.0, 2500.0, 600_000.0].map(milliseconds), ["250 µs", "12 ms", "2.5 s", "10 min"]);
        assert_eq!(bytes(1_572_864.0), "1.5 MB");
        assert_eq!([99.96, 100.0, 12.34].map(percent), ["> 99.9 %", "100 %", "12.3 %"]);
        assert_eq!(of_things(1, "row", "rows"), "1 row");
        assert_eq!(["1 day 02:03:04.567", "01:00:00"].map(whole_seconds), ["1 day 02:03:04", "01:00:00"]);
    }
}
