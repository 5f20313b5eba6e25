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

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The check.
    pub check: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What was found.
    pub detail: String,
    /// What helps.
    pub remedy: Option<String>,
    /// Whether a warning must be acknowledged.
    pub needs_answer: bool,
}

impl Finding {
    /// Nothing to do about.
    #[must_use]
    pub fn ok(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, severity: Severity::Ok, detail: detail.into(), remedy: None, needs_answer: false }
    }

    /// Something to know, and what helps.
    #[must_use]
    pub fn warning(check: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        let severity = Severity::Warning;
        Self { check, severity, detail: detail.into(), remedy: Some(remedy.into()), needs_answer: false }
    }

    /// Something in the way, and what takes it away.
    #[must_use]
    pub fn blocker(check: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { severity: Severity::Blocker, ..Self::warning(check, detail, remedy) }
    }

    /// The same, which has to be acknowledged by the name of its check.
    #[must_use]
    pub fn to_accept(self) -> Self {
        Self { needs_answer: true, ..self }
    }
}

/// What to acknowledge besides: the warnings that nobody has, and all names that do for them, those that were given
/// among them.
#[must_use]
pub fn unanswered<'a>(findings: &'a [Finding], accepted: &[String]) -> (Vec<&'a Finding>, Vec<String>) {
    let is_open = |f: &&Finding| f.needs_answer && !accepted.iter().any(|name| name == f.check);
    let open: Vec<&Finding> = findings.iter().filter(is_open).collect();
    let mut names: Vec<String> = Vec::new();
    for name in accepted.iter().map(String::as_str).chain(open.iter().map(|f| f.check)) {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    (open, names)
}

/// All checks, in the order in which they are shown.
pub const CHECKS: [&str; 33] = [
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
    "owner",
    "indexes",
    "functions",
    "statements",
    "rehearsal",
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

    #[test]
    fn what_is_to_be_accepted_is_named_once_with_what_was() {
        let warned = |check| Finding::warning(check, "d", "r").to_accept();
        let findings = [
            warned("on_conflict"),
            warned("on_conflict"),
            warned("triggers"),
            Finding::warning("rows", "d", "r"),
            Finding::ok("names", "d"),
        ];
        let (open, names) = unanswered(&findings, &["publications".to_owned()]);
        assert_eq!(
            (open.len(), names),
            (3, ["publications", "on_conflict", "triggers"].map(str::to_owned).to_vec())
        );
        let all = ["triggers".to_owned(), "on_conflict".to_owned()];
        assert_eq!(unanswered(&findings, &all), (Vec::new(), all.to_vec()));
    }
}
