//! The SQLSTATEs that are raised, by the names that PostgreSQL has for them.

/// The names of PL/pgSQL; those in C are the same in capitals, but for a few.
const STATES: [(&str, &str); 39] = [
    ("successful_completion", "00000"),
    ("warning", "01000"),
    ("feature_not_supported", "0A000"),
    ("data_exception", "22000"),
    ("string_data_right_truncation", "22001"),
    ("numeric_value_out_of_range", "22003"),
    ("null_value_not_allowed", "22004"),
    ("datetime_field_overflow", "22008"),
    ("invalid_parameter_value", "22023"),
    ("foreign_key_violation", "23503"),
    ("unique_violation", "23505"),
    ("check_violation", "23514"),
    ("read_only_sql_transaction", "25006"),
    ("invalid_authorization_specification", "28000"),
    ("invalid_transaction_termination", "2D000"),
    ("dependent_objects_still_exist", "2BP01"),
    ("external_routine_invocation_exception", "39000"),
    ("t_r_serialization_failure", "40001"),
    ("serialization_failure", "40001"),
    ("t_r_deadlock_detected", "40P01"),
    ("insufficient_privilege", "42501"),
    ("undefined_column", "42703"),
    ("undefined_object", "42704"),
    ("duplicate_object", "42710"),
    ("wrong_object_type", "42809"),
    ("undefined_function", "42883"),
    ("undefined_table", "42P01"),
    ("duplicate_table", "42P07"),
    ("insufficient_resources", "53000"),
    ("out_of_memory", "53200"),
    ("configuration_limit_exceeded", "53400"),
    ("program_limit_exceeded", "54000"),
    ("object_not_in_prerequisite_state", "55000"),
    ("object_in_use", "55006"),
    ("lock_not_available", "55P03"),
    ("query_canceled", "57014"),
    ("raise_exception", "P0001"),
    ("internal_error", "XX000"),
    ("data_corrupted", "XX001"),
];

/// The SQLSTATE of that name, in PL/pgSQL or in C.
pub fn state(name: &str) -> Option<&'static str> {
    let name = name.trim_start_matches("ERRCODE_").to_lowercase();
    STATES.iter().find(|(known, _)| *known == name).map(|(_, state)| *state)
}
