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
    while let Some(character) = rest.next() {
        match character {
            ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}' => {}
            // A comment is as good as a space.
            '-' if rest.next_if_eq(&'-').is_some() => {
                while rest.next_if(|next| !matches!(next, '\n' | '\r')).is_some() {}
            }
            '/' if rest.next_if_eq(&'*').is_some() => skip_comment(&mut rest),
            '.' => found.push(Token::Point),
            '"' => {
                let mut name = String::new();
                while let Some(character) = rest.next() {
                    match character {
                        '"' if rest.peek() == Some(&'"') => {
                            rest.next();
                            name.push('"');
                        }
                        '"' => break,
                        _ => name.push(character),
                    }
                }
                found.push(Token::Name(name));
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
    found
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
