//! Texts of statements without what was looked for or written: literals are nobody's.

use std::collections::HashSet;
use std::iter::Peekable;
use std::str::Chars;

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
    let mut reader = Reader { rest: statement[..end].chars().peekable(), out: String::new() };
    reader.run();
    let text = reader.out.trim().to_owned();
    let mut words = text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
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

/// The words of a statement, its names among them, in lower case.
#[must_use]
pub fn words(statement: &str) -> HashSet<String> {
    let text = without_values(statement).to_lowercase();
    text.split(|c: char| !is_of_word(c)).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    out: String,
}

impl Reader<'_> {
    fn run(&mut self) {
        while let Some(next) = self.rest.next() {
            match next {
                '\'' => self.literal(),
                '"' => self.name(),
                '-' if self.rest.peek() == Some(&'-') => {
                    while self.rest.next_if(|c| *c != '\n' && *c != '\r').is_some() {}
                }
                '/' if self.rest.next_if_eq(&'*').is_some() => self.comment(),
                '$' => self.dollar(),
                c if c.is_ascii_digit() => self.number(),
                c if is_of_word(c) => self.word(c),
                c if c.is_whitespace() => self.space(),
                c => self.out.push(c),
            }
        }
    }

    fn space(&mut self) {
        if !self.out.ends_with(' ') {
            self.out.push(' ');
        }
    }

    fn word(&mut self, first: char) {
        let mut word = String::from(first);
        while let Some(c) = self.rest.next_if(|c| is_of_word(*c) || *c == '$') {
            word.push(c);
        }
        // E'…' and its like: a letter of the literal's own.
        let prefix = ["e", "b", "x", "n", "u"].contains(&word.to_ascii_lowercase().as_str());
        if prefix && self.rest.next_if_eq(&'\'').is_some() {
            if word.eq_ignore_ascii_case("e") { self.escaped() } else { self.literal() }
        } else {
            self.out.push_str(&word);
        }
    }

    /// As standard_conforming_strings reads it. With that off a backslash before the quote would go on: what follows
    /// then counts as a literal too, or what was one as words; so a backslash in one ends the showing.
    fn literal(&mut self) {
        self.out.push('?');
        while let Some(c) = self.rest.next() {
            match c {
                '\'' if self.rest.next_if_eq(&'\'').is_none() => return,
                '\\' => return self.give_up(),
                _ => {}
            }
        }
    }

    fn escaped(&mut self) {
        self.out.push('?');
        while let Some(c) = self.rest.next() {
            match c {
                '\\' => drop(self.rest.next()),
                '\'' if self.rest.next_if_eq(&'\'').is_none() => return,
                _ => {}
            }
        }
    }

    fn give_up(&mut self) {
        self.out.push_str(" …");
        self.rest = "".chars().peekable();
    }

    fn name(&mut self) {
        self.out.push('"');
        for c in self.rest.by_ref() {
            self.out.push(c);
            if c == '"' {
                return;
            }
        }
    }

    fn comment(&mut self) {
        let mut depth = 1;
        while depth > 0
            && let Some(c) = self.rest.next()
        {
            if c == '*' && self.rest.next_if_eq(&'/').is_some() {
                depth -= 1;
            } else if c == '/' && self.rest.next_if_eq(&'*').is_some() {
                depth += 1;
            }
        }
        self.space();
    }

    /// A parameter, `$1`, or a literal, `$tag$…$tag$`.
    fn dollar(&mut self) {
        let mut tag = String::new();
        while let Some(c) = self.rest.next_if(|c| is_of_word(*c)) {
            tag.push(c);
        }
        if self.rest.next_if_eq(&'$').is_none() {
            self.out.push('$');
            self.out.push_str(&tag);
            return;
        }
        self.out.push('?');
        let end = format!("${tag}$");
        let rest: String = self.rest.clone().collect();
        match rest.find(&end) {
            Some(at) => drop(self.rest.by_ref().nth(rest[..at].chars().count() + end.chars().count() - 1)),
            None => self.give_up(),
        }
    }

    fn number(&mut self) {
        while self.rest.next_if(|c| is_of_word(*c) || *c == '.').is_some() {}
        self.out.push('?');
    }
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
            "SELECT a FROM t1 WHERE b = $1 AND c = ? LIMIT ?"
        );
        assert_eq!(said(r"SELECT E'a\'secret', U&'secret', $x$ secret $x$ + 1.5e3"), "SELECT ?, U&?, ? + ?");
        assert_eq!(said(r"SELECT 'a\' OR secret"), "SELECT ? …");
        assert_eq!(said("SELECT \"x 1\" /* secret /* nested */ */ FROM\n\tt"), "SELECT \"x 1\" FROM t");
        assert_eq!(said("(SELECT 1) UNION TABLE t"), "(SELECT ?) UNION TABLE t");
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
