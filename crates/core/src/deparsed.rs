//! PostgreSQL's text of a definition, made to read back as the very same definition.
//!
//! `status IN ('a', 'b')` over a varchar column is written `= ANY ((ARRAY['a'::character varying, ...])::text[])`.
//! Read back, the cast moves into the array, and from then on the definition is written differently: a view that
//! was dropped and made again would show up in a schema dump. A cast to the array's own type in between keeps the
//! outer one where it is, and leaves no trace itself.

/// The text with a cast to its own type put around each array of constants that is cast as a whole.
#[must_use]
pub fn read_back_same(definition: &str) -> String {
    let mut out = String::with_capacity(definition.len());
    let mut rest = definition;
    while let Some(next) = rest.chars().next() {
        if let Some(array) = cast_array(rest) {
            let (whole, own_type) = array;
            out.push_str(&format!("({whole}::{own_type}[])"));
            rest = &rest[whole.len()..];
        } else {
            let token = quoted_token(rest).unwrap_or(next.len_utf8());
            out.push_str(&rest[..token]);
            rest = &rest[token..];
        }
    }
    out
}

/// `(ARRAY[...])` at the start of the text, if a cast follows and its elements are constants of one type:
/// the construct and that type.
fn cast_array(text: &str) -> Option<(&str, &str)> {
    let elements = text.strip_prefix("(ARRAY[")?;
    let end = closing_bracket(elements)?;
    let whole_length = "(ARRAY[".len() + end + "])".len();
    text[whole_length - 2..].strip_prefix("])::")?;
    let own_type = common_type(&elements[..end])?;
    Some((&text[..whole_length], own_type))
}

/// The type of `'...'::type, '...'::type, ...` where it is one.
fn common_type(mut elements: &str) -> Option<&str> {
    let mut common = None;
    loop {
        let literal = quoted_token(elements).filter(|_| !elements.starts_with('"'))?;
        let rest = elements[literal..].strip_prefix("::")?;
        let end = rest.find(", '").or_else(|| rest.find(", E'")).unwrap_or(rest.len());
        let type_name = &rest[..end];
        if *common.get_or_insert(type_name) != type_name || type_name.contains(['\'', '"', '[']) {
            return None;
        }
        if end == rest.len() {
            return common;
        }
        elements = &rest[end + 2..];
    }
}

/// Where the bracket that the text is inside of is closed.
fn closing_bracket(text: &str) -> Option<usize> {
    let mut depth = 0;
    let mut at = 0;
    while let Some(next) = text[at..].chars().next() {
        match next {
            ']' if depth == 0 => return Some(at),
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        at += quoted_token(&text[at..]).unwrap_or(next.len_utf8());
    }
    None
}

/// The length of the string literal or quoted identifier at the start of the text, if there is one.
fn quoted_token(text: &str) -> Option<usize> {
    let (prefix, quote, backslashes) = match text.as_bytes() {
        [b'\'', ..] => (1, '\'', false),
        [b'"', ..] => (1, '"', false),
        [b'E', b'\'', ..] => (2, '\'', true),
        _ => return None,
    };
    let mut chars = text[prefix..].char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c == '\\' && backslashes {
            chars.next();
        } else if c == quote {
            // a doubled quote stands for itself
            if chars.next_if(|(_, c)| *c == quote).is_none() {
                return Some(prefix + at + 1);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_cast_array_of_constants_keeps_its_cast() {
        assert_eq!(
            read_back_same(
                "(s)::text = ANY ((ARRAY['a'::character varying, 'it''s, ''b'::character varying])::text[])"
            ),
            "(s)::text = ANY (((ARRAY['a'::character varying, 'it''s, ''b'::character varying])::character varying[])::text[])"
        );
    }

    #[test]
    fn everything_else_stays_as_it_is() {
        for text in [
            "x = ANY (ARRAY[1, 2])",
            "x = ANY ((ARRAY[a, b])::text[])",
            "x = ANY ((ARRAY['a'::character varying, 'b'::text])::text[])",
            "x = '(ARRAY[''a''::character varying])::text[]'",
            "\"(ARRAY['a'::character varying])::text[]\" > 0",
            "E'\\'(ARRAY[' || 'b'",
            "(ARRAY['unclosed",
        ] {
            assert_eq!(read_back_same(text), text);
        }
    }

    proptest! {
        #[test]
        fn nothing_but_casts_is_added(text in "[(ARRAY\\[\\]):'\", a-z]{0,60}") {
            let out = read_back_same(&text);
            prop_assert!(out.len() >= text.len());
            prop_assert_eq!(out.matches("ARRAY").count(), text.matches("ARRAY").count());
        }
    }
}
