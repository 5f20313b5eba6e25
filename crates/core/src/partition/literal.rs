//! Points in time as texts that mean the same in every session.

/// A local date and time with its distance from UTC, in seconds, written as PostgreSQL does: `-04`, `+05:30`.
#[must_use]
pub fn with_offset(local: &str, seconds: i32) -> String {
    let sign = if seconds < 0 { '-' } else { '+' };
    let all = seconds.unsigned_abs();
    let (hours, minutes, seconds) = (all / 3600, all / 60 % 60, all % 60);
    match (minutes, seconds) {
        (0, 0) => format!("{local}{sign}{hours:02}"),
        (_, 0) => format!("{local}{sign}{hours:02}:{minutes:02}"),
        _ => format!("{local}{sign}{hours:02}:{minutes:02}:{seconds:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_written_as_postgresql_does() {
        assert_eq!(with_offset("2025-07-01 00:00:00", -4 * 3600), "2025-07-01 00:00:00-04");
        assert_eq!(with_offset("2025-07-01 00:00:00", 19_800), "2025-07-01 00:00:00+05:30");
        assert_eq!(with_offset("1880-07-01 00:00:00", -17_762), "1880-07-01 00:00:00-04:56:02");
        assert_eq!(with_offset("2025-07-01 00:00:00", 0), "2025-07-01 00:00:00+00");
    }
}
