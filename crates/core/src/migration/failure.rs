//! Errors by SQLSTATE: which are one record's, and what they are called.

/// Whether an error is about the values of a record, so that the others can go on without it. All else (rights,
/// locks, space, a shutdown) would fail any record and ends the run. A SQLSTATE that a user's trigger made up
/// arrives as XX000.
#[must_use]
pub fn is_of_a_record(sqlstate: &str) -> bool {
    // invalid values; integrity; CHECK OPTION; values too large for an index or a row; what triggers raise, on purpose
    // or because a row is not what they expect
    let classes = ["22", "23", "44", "54", "P0", "20", "21", "2F", "38", "39"];
    classes.iter().any(|class| sqlstate.starts_with(class)) && sqlstate != "54001"
        || ["55000", "XX000"].contains(&sqlstate)
}

/// The code under which `migration_failures` knows the error.
#[must_use]
pub fn reason(sqlstate: &str) -> String {
    let known = match sqlstate {
        "22001" => "value_too_long",
        "22003" => "value_out_of_range",
        "22008" => "date_out_of_range",
        "22P02" => "invalid_text",
        "23502" => "not_null_violation",
        "23503" => "foreign_key_violation",
        "23505" => "unique_violation",
        "23514" => "check_violation",
        "23P01" => "exclusion_violation",
        "44000" => "check_option_violation",
        "54000" => "value_too_large",
        "P0001" => "raised_by_trigger",
        "XX000" => "other_error",
        _ => return format!("sqlstate_{sqlstate}"),
    };
    known.to_owned()
}

/// Whether a batch that failed so has met somebody else's transaction, which goes first: the batch is tried again.
#[must_use]
pub fn is_worth_another_try(sqlstate: &str) -> bool {
    ["40P01", "40001", "55P03"].contains(&sqlstate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_records_values_cost_the_record_and_all_else_ends_the_run() {
        for sqlstate in [
            "22003", "22001", "23514", "23502", "23505", "44000", "P0001", "54000", "XX000", "20000",
            "21000", "38000", "55000",
        ] {
            assert!(is_of_a_record(sqlstate), "{sqlstate}");
        }
        for sqlstate in [
            "42501", "42P01", "42703", "55P03", "40P01", "40001", "53100", "53200", "57014", "57P01",
            "25006", "XX001", "58030", "0A000", "54001", "08006",
        ] {
            assert!(!is_of_a_record(sqlstate), "{sqlstate}");
        }
    }

    #[test]
    fn a_reason_is_a_word() {
        assert_eq!(reason("23514"), "check_violation");
        assert_eq!(reason("22012"), "sqlstate_22012");
    }
}
