//! What PL/pgSQL raises.

use crate::states::state;
use crate::texts::of_sql;
use crate::{ANY, Found};

/// The levels that clients are told of, with what PostgreSQL gives them for a SQLSTATE.
const LEVELS: [(&str, &str); 4] =
    [("EXCEPTION", "P0001"), ("WARNING", "01000"), ("NOTICE", "00000"), ("INFO", "00000")];

/// Adds what the statements `RAISE` of a text raise.
pub fn raised(file: &str, text: &str, found: &mut Found) {
    let code: Vec<&str> = text.lines().map(|line| if is_comment(line) { "" } else { line }).collect();
    let code = code.join("\n");
    for (at, word) in code.match_indices("RAISE ") {
        let starts = code[..at].ends_with(|before: char| before.is_whitespace());
        if !starts {
            continue;
        }
        let statement = statement(&code[at + word.len()..]);
        match read(statement) {
            Some(Raise::Told) => {}
            Some(Raise::As(state, message)) => {
                let remark = ["DETAIL", "HINT"].map(|name| option(statement, name).and_then(first_literal));
                let remark: Vec<&str> = remark.into_iter().flatten().collect();
                found.add((state, message), format!("{} ({file})", remark.join(" ")));
            }
            None => {
                let line = code[..at].matches('\n').count() + 1;
                found.unknown.insert(format!("{file}: {}", place(&code, line)));
            }
        }
    }
}

enum Raise {
    /// Nobody but the server's log is told.
    Told,
    As(String, String),
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("--") || line.trim_start().starts_with("//")
}

/// The function that a line is of, by the last name that was created before it; else the line's own text.
fn place(code: &str, line: usize) -> String {
    let created = |text: &&str| text.contains("CREATE FUNCTION ") || text.contains("CREATE PROCEDURE ");
    let lines: Vec<&str> = code.lines().take(line).collect();
    let name = lines.iter().rev().copied().find(created).and_then(|text| {
        let after = text.split_once("FUNCTION ").or_else(|| text.split_once("PROCEDURE "))?.1;
        after.split('(').next()
    });
    name.or(lines.last().copied()).unwrap_or_default().trim().to_owned()
}

/// Up to the semicolon that ends it.
fn statement(text: &str) -> &str {
    let mut quoted = false;
    let end = text.find(|letter| {
        quoted ^= letter == '\'';
        letter == ';' && !quoted
    });
    &text[..end.unwrap_or(text.len())]
}

/// What follows an option's name in USING.
fn option<'a>(statement: &'a str, name: &str) -> Option<&'a str> {
    let named = format!("{name} = ");
    statement.find(&named).map(|at| &statement[at + named.len()..])
}

/// The first text in quotes, as it stands there.
fn first_literal(text: &str) -> Option<&str> {
    let inside = &text[text.find('\'')? + 1..];
    let mut end = 0;
    loop {
        end += inside[end..].find('\'')?;
        if !inside[end + 1..].starts_with('\'') {
            return Some(&inside[..end]);
        }
        end += 2;
    }
}

fn read(statement: &str) -> Option<Raise> {
    let first = statement.split_whitespace().next()?;
    if first == "LOG" || first == "DEBUG" {
        return Some(Raise::Told);
    }
    let level = LEVELS.iter().find(|(level, _)| *level == first);
    let after = level.map_or(statement, |(level, _)| &statement.trim_start()[level.len()..]).trim_start();
    let own = match level {
        Some((_, state)) => Some((*state).to_owned()),
        None => state(first).map(str::to_owned),
    };
    let given = option(statement, "ERRCODE").map(|given| match first_literal(given) {
        Some(name) if given.starts_with('\'') => state(name).unwrap_or(name).to_owned(),
        _ => ANY.to_owned(),
    });
    let message = if after.starts_with('\'') {
        of_sql(&first_literal(after)?.replace("''", "'"), false)
    } else {
        message(option(statement, "MESSAGE")?)?
    };
    Some(Raise::As(given.or(own)?, message))
}

/// A literal, alone or in `format()`.
fn message(given: &str) -> Option<String> {
    let literal = || first_literal(given).map(|text| text.replace("''", "'"));
    if given.starts_with('\'') {
        return literal();
    }
    let call = given.strip_prefix("pg_catalog.").unwrap_or(given);
    if call.starts_with("format('") { literal().map(|text| of_sql(&text, true)) } else { None }
}

#[test]
fn what_is_raised_is_read() {
    let rows = |text: &str| {
        let mut found = Found::default();
        raised("x.sql", text, &mut found);
        (found.rows.into_keys().collect::<Vec<_>>(), found.unknown.len())
    };
    let one = |state: &str, message: &str| (vec![(state.to_owned(), message.to_owned())], 0);
    assert_eq!(
        rows(" RAISE EXCEPTION 'it''s % of 2; no' USING HINT = 'x';"),
        one("P0001", "it's … of 2; no")
    );
    assert_eq!(
        rows(" RAISE undefined_object USING MESSAGE = format('no \"%s\"', x);"),
        one("42704", "no \"…\"")
    );
    assert_eq!(rows(" RAISE WARNING '%' , a USING ERRCODE = SQLSTATE;"), one("…", "…"));
    assert_eq!(rows(" RAISE EXCEPTION USING ERRCODE = '22004', MESSAGE = 'm';"), one("22004", "m"));
    assert_eq!(rows(" RAISE insufficient_privilege USING MESSAGE = refused;"), (Vec::new(), 1));
    assert_eq!(rows(" RAISE LOG 'x';\n-- RAISE WARNING 'y';"), (Vec::new(), 0));
}
