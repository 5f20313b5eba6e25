//! Moments in ISO 8601, as feeds write them.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};

/// A moment that a text tells, in microseconds since 2000-01-01 00:00, as PostgreSQL counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Iso {
    /// With its offset from UTC: the moment itself.
    Moment(i64),
    /// Without: what clocks showed somewhere.
    Local(i64),
}

const EPOCH: NaiveDateTime = match NaiveDate::from_ymd_opt(2000, 1, 1) {
    Some(day) => NaiveDateTime::new(day, NaiveTime::MIN),
    None => NaiveDateTime::MIN,
};

/// Reads a date with a time of day, and perhaps an offset; nothing where it is another text or no such moment.
#[must_use]
pub fn iso(text: &str) -> Option<Iso> {
    let text = text.trim();
    let since = |at: NaiveDateTime| at.signed_duration_since(EPOCH).num_microseconds();
    // Between date and time stands a T, or a blank.
    let separator = text.as_bytes().get(10)?;
    if !matches!(separator, b'T' | b't' | b' ') || !text.is_char_boundary(11) {
        return None;
    }
    let text = format!("{}T{}", &text[..10], &text[11..]);
    let zoned = text.strip_suffix(['Z', 'z']).map(|text| format!("{text}+00:00"));
    let zoned = zoned.as_deref().unwrap_or(&text);
    for format in ["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M%#z"] {
        if let Ok(at) = DateTime::parse_from_str(zoned, format) {
            return since(at.naive_utc()).map(Iso::Moment);
        }
    }
    for format in ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"] {
        if let Ok(at) = NaiveDateTime::parse_from_str(&text, format) {
            return since(at).map(Iso::Local);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn moments_are_read_in_the_forms_that_feeds_have() {
        let expected = Some(Iso::Moment(803_182_200_000_000));
        for text in [
            "2025-06-14T02:10:00Z",
            "2025-06-14T02:10Z",
            " 2025-06-14t02:10:00.000z ",
            "2025-06-14 02:10:00+00",
            "2025-06-13T22:10:00-04:00",
            "2025-06-13T22:10:00.000000-0400",
            "2025-06-13T22:10-04",
        ] {
            assert_eq!(iso(text), expected, "{text}");
        }
        assert_eq!(iso("2025-06-14T02:10:00"), Some(Iso::Local(803_182_200_000_000)));
        assert_eq!(iso("2025-06-14 02:10"), Some(Iso::Local(803_182_200_000_000)));
    }

    #[test]
    fn what_tells_no_time_of_day_or_none_that_there_is_tells_nothing() {
        for text in ["", "2025-06-14", "2025-13-14T02:10:00Z", "2025-06-14T25:10:00Z", "tomorrow", "20250614T021000Z", "1749867000"] {
            assert_eq!(iso(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}", date in "[0-9]{4}-[0-9]{2}-[0-9]{2}", rest in "\\PC{0,20}") {
            let _ = (iso(&text), iso(&format!("{date}T{rest}")), iso(&format!("{date}{rest}")));
        }
    }
}
