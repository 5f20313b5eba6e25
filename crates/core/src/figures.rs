//! Figures as people read them.

/// A time in milliseconds with three digits that count: what is behind them is noise.
#[must_use]
pub fn milliseconds(time: f64) -> f64 {
    let decimals = match time.abs() {
        t if t < 1.0 => 3,
        t if t < 10.0 => 2,
        t if t < 100.0 => 1,
        _ => 0,
    };
    let unit = 10_f64.powi(decimals);
    (time * unit).round() / unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_count() {
        for (time, rounded) in
            [(4.4459, 4.45), (0.012_345, 0.012), (44.459, 44.5), (4445.9, 4446.0), (0.0, 0.0)]
        {
            assert!((milliseconds(time) - rounded).abs() < 1e-9, "{time}");
        }
    }
}
