//! Texts of statements without what was looked for or written: literals are nobody's.

use crate::statement_text::without_constants;
use std::collections::HashSet;

/// What begins a statement whose constants pg_stat_statements takes out. It keeps those of all others.
const NORMALIZED: [&str; 8] = ["SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "VALUES", "WITH", "TABLE"];

/// What a command can be about: the second word of its name.
const OBJECTS: [&str; 23] = [
    "AGGREGATE",
    "COLLATION",
    "DATABASE",
    "DOMAIN",
    "EXTENSION",
    "FUNCTION",
    "INDEX",
    "MATERIALIZED",
    "POLICY",
    "PROCEDURE",
    "PUBLICATION",
    "ROLE",
    "RULE",
    "SCHEMA",
    "SEQUENCE",
    "SERVER",
    "STATISTICS",
    "SUBSCRIPTION",
    "TABLE",
    "TRIGGER",
    "TYPE",
    "USER",
    "VIEW",
];

/// Of a longer one, in characters, the rest is left out: some are megabytes.
const LONGEST: usize = 10_000;

/// A statement as it may be shown. Of one that keeps its constants the command alone; of others all but comments, and
/// but constants that are still there: an entry that was made again at the end of a statement has them.
#[must_use]
pub fn without_values(statement: &str) -> String {
    let end = statement.char_indices().nth(LONGEST).map_or(statement.len(), |(end, _)| end);
    let text = either_way(&statement[..end]);
    let mut words = text.split(|c: char| !is_of_word(c)).filter(|word| !word.is_empty());
    let first = words.next().unwrap_or_default().to_ascii_uppercase();
    if NORMALIZED.contains(&first.as_str()) {
        return text;
    }
    let second = words.next().unwrap_or_default().to_ascii_uppercase();
    if first.is_empty() {
        return "…".to_owned();
    }
    if OBJECTS.contains(&second.as_str()) { format!("{first} {second} …") } else { format!("{first} …") }
}

/// A statement without its constants, as far as that is the same whether backslashes escaped when it was run.
fn either_way(statement: &str) -> String {
    let shown = |escapes| {
        // a constant of one byte is replaced by a parameter's number
        let mut out = vec![0; statement.len() * 6];
        let length = without_constants(statement.as_bytes(), escapes, &mut out);
        out.truncate(length);
        String::from_utf8_lossy(&out).into_owned()
    };
    let (plain, escaped) = (shown(false), shown(true));
    if plain == escaped {
        return plain;
    }
    let same: String =
        plain.chars().zip(escaped.chars()).take_while(|(one, other)| one == other).map(|(c, _)| c).collect();
    format!("{} …", same.trim_end())
}

/// The words of a statement, its names among them, in lower case.
#[must_use]
pub fn words(statement: &str) -> HashSet<String> {
    let text = without_values(statement).to_lowercase();
    text.split(|c: char| !is_of_word(c)).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn utilities_are_their_command() {
        assert_eq!(without_values("ALTER ROLE joe PASSWORD 'hunter2'"), "ALTER ROLE …");
        assert_eq!(without_values("set my.token = 'x'"), "SET …");
        assert_eq!(without_values("/* a */ -- b\n COPY t FROM '/etc/passwd'"), "COPY …");
        assert_eq!(without_values("EXPLAIN SELECT 'secret'"), "EXPLAIN …");
        assert_eq!(without_values("CREATE TABLE t AS SELECT 'secret'"), "CREATE TABLE …");
        assert_eq!(without_values("<insufficient privilege>"), "INSUFFICIENT …");
        assert_eq!(without_values(""), "…");
    }

    #[test]
    fn constants_that_are_left_are_taken_out() {
        let said = |text| without_values(text);
        assert_eq!(
            said("SELECT a FROM t1 WHERE b = $1 AND c = 'it''s' LIMIT 20"),
            "SELECT a FROM t1 WHERE b = $1 AND c = $2 LIMIT $3"
        );
        assert_eq!(
            said(r"SELECT E'a\'secret', U&'secret', $x$ secret $x$ + 1.5e3"),
            "SELECT $1, $2, $3 + $4"
        );
        assert_eq!(said(r"SELECT 'a\' OR secret"), "SELECT $1 …");
        assert_eq!(said("SELECT \"x 1\" /* secret /* nested */ */ FROM\n\tt"), "SELECT \"x 1\" FROM t");
        assert_eq!(said("(SELECT 1) UNION TABLE t"), "(SELECT $1) UNION TABLE t");
    }

    #[test]
    fn words_are_whole() {
        let words = words("SELECT * FROM staging.Totals t WHERE t.game_id = $1 AND a = 'secret'");
        assert!(["totals", "game_id"].iter().all(|word| words.contains(*word)));
        assert!(["total", "id", "secret", ""].iter().all(|word| !words.contains(*word)));
    }

    #[test]
    fn what_is_very_long_is_cut() {
        let long = format!("SELECT {}", "$a$ $b$ ".repeat(500_000));
        assert!(without_values(&long).len() < 20_000);
    }

    proptest! {
        #[test]
        fn no_literal_is_shown(before in "[a-z ,()]{0,20}", literal in "[^'\\\\$\"]{0,20}") {
            let shown = without_values(&format!("SELECT {before} 'k{literal}k9secret' FROM t"));
            prop_assert!(!shown.contains("k9secret"), "{}", shown);
        }
    }
}
