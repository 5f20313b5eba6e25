//! What an item's words may name: every name in them that has a schema before it. Names without one are PostgreSQL's own,
//! as an item is read with no other schema on its path.

use super::Item;
use super::own::definition;
use serde_json::Value;
use std::collections::BTreeSet;
use std::iter::Peekable;
use std::str::Chars;

/// Pairs of names with a point between them, as PostgreSQL would read them. What stands in a literal is among them, which
/// may be a name to somebody.
///
/// # Errors
/// None that an item could cause.
pub fn qualified_names(item: &Item) -> Result<BTreeSet<(String, String)>, serde_json::Error> {
    let mut found = BTreeSet::new();
    collect(&definition(item)?, &mut found);
    found.insert((item.relation.schema.clone(), item.relation.name.clone()));
    Ok(found)
}

fn collect(value: &Value, found: &mut BTreeSet<(String, String)>) {
    match value {
        Value::String(text) => found.extend(pairs(text)),
        Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
        Value::Object(fields) => fields.values().for_each(|value| collect(value, found)),
        _ => {}
    }
}

#[derive(PartialEq)]
enum Token {
    Name(String),
    Point,
    Other,
}

fn pairs(text: &str) -> Vec<(String, String)> {
    let tokens = tokens(text);
    let pair = |three: &[Token]| match three {
        [Token::Name(schema), Token::Point, Token::Name(name)] => Some((schema.clone(), name.clone())),
        _ => None,
    };
    tokens.windows(3).filter_map(pair).collect()
}

fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut rest = text.chars().peekable();
    loop {
        skip_blanks(&mut rest);
        let Some(character) = rest.next() else { return found };
        match character {
            '.' => found.push(Token::Point),
            '"' => found.push(Token::Name(quoted(&mut rest))),
            'u' | 'U' if begins_escaped(&rest) => {
                rest.by_ref().take(2).for_each(drop);
                let name = quoted(&mut rest);
                let escape = escape_after(&mut rest).unwrap_or('\\');
                // What cannot be read is a syntax error to PostgreSQL, too.
                found.push(unescaped(&name, escape).map_or(Token::Other, Token::Name));
            }
            _ if starts_name(character) => {
                let mut name = character.to_ascii_lowercase().to_string();
                while let Some(next) = rest.next_if(|next| continues_name(*next)) {
                    name.push(next.to_ascii_lowercase());
                }
                found.push(Token::Name(name));
            }
            _ => found.push(Token::Other),
        }
    }
}

/// The rest of a quoted name.
fn quoted(rest: &mut Peekable<Chars>) -> String {
    let mut name = String::new();
    while let Some(character) = rest.next() {
        if character == '"' && rest.next_if_eq(&'"').is_none() {
            break;
        }
        name.push(character);
    }
    name
}

/// Whether a `U` begins a name like `U&"\0441\043B"`.
fn begins_escaped(rest: &Peekable<Chars>) -> bool {
    let mut next = rest.clone();
    next.next() == Some('&') && next.next() == Some('"')
}

/// The escape character that a name with escapes says itself, with `UESCAPE '!'` behind it.
fn escape_after(rest: &mut Peekable<Chars>) -> Option<char> {
    let mut next = rest.clone();
    skip_blanks(&mut next);
    for letter in "uescape".chars() {
        next.next_if(|character| character.eq_ignore_ascii_case(&letter))?;
    }
    skip_blanks(&mut next);
    next.next_if_eq(&'\'')?;
    let escape = next.next()?;
    next.next_if_eq(&'\'')?;
    *rest = next;
    Some(escape)
}

/// Blanks, and comments, which are as good as blanks.
fn skip_blanks(rest: &mut Peekable<Chars>) {
    loop {
        let mut next = rest.clone();
        match (next.next(), next.next()) {
            (Some(blank), _) if blank.is_ascii_whitespace() || blank == '\u{b}' => {
                rest.next();
            }
            (Some('-'), Some('-')) => while rest.next_if(|next| !matches!(next, '\n' | '\r')).is_some() {},
            (Some('/'), Some('*')) => {
                skip_comment(&mut next);
                *rest = next;
            }
            _ => return,
        }
    }
}

/// A name without its escapes: four digits, six behind a `+`, and UTF-16's pairs of them.
fn unescaped(name: &str, escape: char) -> Option<String> {
    let mut units = Vec::new();
    let mut rest = name.chars().peekable();
    while let Some(character) = rest.next() {
        let mut unit = [0; 2];
        if character != escape || rest.next_if_eq(&escape).is_some() {
            units.extend_from_slice(character.encode_utf16(&mut unit));
            continue;
        }
        let digits = if rest.next_if_eq(&'+').is_some() { 6 } else { 4 };
        let digits: String = rest.by_ref().take(digits).collect();
        let code = u32::from_str_radix(&digits, 16).ok()?;
        match u16::try_from(code) {
            Ok(code) => units.push(code),
            Err(_) => units.extend_from_slice(char::from_u32(code)?.encode_utf16(&mut unit)),
        }
    }
    String::from_utf16(&units).ok()
}

/// To its end; comments may be nested.
fn skip_comment(rest: &mut Peekable<Chars>) {
    let mut depth = 1;
    while depth > 0 {
        match rest.next() {
            Some('*') if rest.next_if_eq(&'/').is_some() => depth -= 1,
            Some('/') if rest.next_if_eq(&'*').is_some() => depth += 1,
            Some(_) => {}
            None => return,
        }
    }
}

fn starts_name(character: char) -> bool {
    character.is_ascii_alphabetic() || character == '_' || !character.is_ascii()
}

fn continues_name(character: char) -> bool {
    starts_name(character) || character.is_ascii_digit() || character == '$'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_postgresql_reads_them() {
        let read = |text: &str| pairs(text).into_iter().map(|(a, b)| format!("{a}|{b}")).collect::<Vec<_>>();
        assert_eq!(read("'{x}'::app.Sly[] = a . b"), ["app|sly", "a|b"]);
        assert_eq!(read(r#""My ""s""" . "T""#), [r#"My "s"|T"#]);
        assert_eq!(read("db.s.t"), ["db|s", "s|t"]);
        assert_eq!(read("1.5 + t.c.x(y)"), ["t|c", "c|x"]);
        assert_eq!(read("größe.maß$1"), ["größe|maß$1"]);
        assert_eq!(read("a -- b.c\n . d, e/* /* f.g */ */.h"), ["a|d", "e|h"]);
        assert!(read("'a' || count(*) - 1 / 2").is_empty());
        assert_eq!(read(r#"U&"\0061pp" . u&"\+000053ly""#), ["app|Sly"]);
        assert_eq!(read(r#"U&"d!0061t!!a" /* ! */ uEscape '!'.x"#), ["dat!a|x"]);
        assert_eq!(read(r#"u.v, u & "a".b, U&"\D83D\DE00".c, U&"\D83D".d"#), ["u|v", "a|b", "😀|c"]);
    }

    #[test]
    fn every_field_is_read() {
        let item = super::super::own::read(&serde_json::json!({
            "relation": "public.v", "kind": "view", "query": "SELECT 1::a.b", "accepts": ["SELECT 2::c.d"]
        }));
        let names = qualified_names(&item.unwrap()).unwrap();
        for (schema, name) in [("public", "v"), ("a", "b"), ("c", "d")] {
            assert!(names.contains(&(schema.to_owned(), name.to_owned())), "{names:?}");
        }
    }
}
