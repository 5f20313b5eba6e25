//! What is looked at before a table is partitioned, and how much a finding matters.

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Nothing is wrong.
    Ok,
    /// Something to know.
    Warning,
    /// It cannot be done like this.
    Blocker,
}

impl Severity {
    /// As it is shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Blocker => "blocker",
        }
    }

    /// The way back; none for a word that is none of these. Whoever reads one must not take it for `ok`.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Ok, Self::Warning, Self::Blocker].into_iter().find(|severity| severity.as_str() == word)
    }
}

/// All checks, in the order in which they are shown.
pub const CHECKS: [&str; 28] = [
    "ordinary_table",
    "extension_member",
    "partition_key",
    "primary_key",
    "on_conflict",
    "key_table",
    "unique_constraints",
    "exclusion_constraints",
    "invalid_indexes",
    "clustered",
    "checks",
    "incoming_foreign_keys",
    "outgoing_foreign_keys",
    "triggers",
    "row_security",
    "rules",
    "inheritance",
    "publications",
    "replica_identity",
    "subscription",
    "views",
    "other_dependents",
    "security_labels",
    "distributed",
    "schema_privilege",
    "names",
    "rows",
    "free_space",
];

/// The check of that name.
#[must_use]
pub fn check_named(name: &str) -> Option<&'static str> {
    CHECKS.into_iter().find(|check| *check == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_a_severity_or_none() {
        assert_eq!(Severity::parse("blocker"), Some(Severity::Blocker));
        assert_eq!(Severity::parse("blocked"), None);
        assert_eq!(check_named("rows"), Some("rows"));
        assert_eq!(check_named("row"), None);
    }
}
