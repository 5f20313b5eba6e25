//! The words of a function, whatever language it is in: SQL, PL/pgSQL and their like. Comments are left out; what stands
//! in a literal is read as well, as it may be a statement.

use std::iter::Peekable;
use std::str::Chars;

/// A word or a sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// A word, folded as PostgreSQL does unless it is quoted; or a sign.
    pub text: String,
    /// Whether it is in double quotes.
    pub quoted: bool,
    /// Whether it is, with what qualifies it, all of a literal.
    pub alone: bool,
}

impl Token {
    /// Whether it is that word, unquoted, or that sign.
    pub fn is(&self, text: &str) -> bool {
        !self.quoted && self.text == text
    }
}

/// The tokens of a source.
pub fn tokens(source: &str) -> Vec<Token> {
    let mut reader = Reader { rest: source.chars().peekable(), found: Vec::new(), literal: None };
    while let Some(next) = reader.rest.next() {
        reader.take(next);
    }
    reader.found
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    found: Vec<Token>,
    /// Where the literal that is being read began among the tokens.
    literal: Option<usize>,
}

impl Reader<'_> {
    fn take(&mut self, next: char) {
        match next {
            '\'' => self.quote(),
            '"' => self.quoted_name(),
            '-' if self.comes('-') => while self.rest.next_if(|c| *c != '\n').is_some() {},
            '/' if self.comes('*') => self.comment(),
            ':' if self.rest.next_if_eq(&'=').is_some() => self.push(":=".to_owned(), false),
            '$' => {}
            c if is_of_word(c) => {
                let mut word = String::from(c.to_ascii_lowercase());
                while let Some(c) = self.rest.next_if(|c| is_of_word(*c)) {
                    word.push(c.to_ascii_lowercase());
                }
                self.push(word, false);
            }
            c if c.is_whitespace() => {}
            c => self.push(c.to_string(), false),
        }
    }

    /// Whether a comment begins. There are none in literals, whose dashes and slashes may be anything.
    fn comes(&mut self, second: char) -> bool {
        self.literal.is_none() && self.rest.peek() == Some(&second)
    }

    fn push(&mut self, text: String, quoted: bool) {
        self.found.push(Token { text, quoted, alone: false });
    }

    /// Begins or ends a literal; a doubled quote in one does neither.
    fn quote(&mut self) {
        match self.literal.take() {
            None => self.literal = Some(self.found.len()),
            Some(began) if self.rest.next_if_eq(&'\'').is_some() => self.literal = Some(began),
            Some(began) => match &mut self.found[began..] {
                [name] => name.alone = true,
                [_, dot, name] if dot.is(".") => name.alone = true,
                _ => {}
            },
        }
    }

    fn quoted_name(&mut self) {
        let mut name = String::new();
        while let Some(c) = self.rest.next() {
            if c == '"' && self.rest.next_if_eq(&'"').is_none() {
                break;
            }
            name.push(c);
        }
        self.push(name, true);
    }

    fn comment(&mut self) {
        let mut depth = 0;
        let mut before = '/';
        for c in self.rest.by_ref() {
            match (before, c) {
                ('/', '*') => depth += 1,
                ('*', '/') => depth -= 1,
                _ => {
                    before = c;
                    continue;
                }
            }
            if depth == 0 {
                return;
            }
            before = ' ';
        }
    }
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || !c.is_ascii() && !c.is_whitespace()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(source: &str) -> Vec<String> {
        tokens(source).into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn comments_are_left_out_and_literals_are_read() {
        assert_eq!(
            words("NEW.At := now(); -- NEW.x := 1\nRETURN"),
            ["new", ".", "at", ":=", "now", "(", ")", ";", "return"]
        );
        assert_eq!(words("a /* b /* c */ d */ e"), ["a", "e"]);
        assert_eq!(
            words("EXECUTE 'DELETE FROM \"T t\" -- it''s'"),
            ["execute", "delete", "from", "T t", "-", "-", "it", "s"]
        );
        assert_eq!(words("\"a\"\"b\" = 1"), ["a\"b", "=", "1"]);
    }

    #[test]
    fn a_literal_that_is_a_name_is_told() {
        let alone = |source: &str| {
            tokens(source).into_iter().filter(|token| token.alone).map(|t| t.text).collect::<Vec<_>>()
        };
        assert_eq!(alone("format('%I', 't')"), ["t"]);
        assert_eq!(alone("to_regclass('public.t')"), ["t"]);
        assert_eq!(alone("'delete from t'"), [""; 0]);
    }

    proptest! {
        #[test]
        fn any_text_has_tokens(source in "[-'\"$/* a:=.\n]{0,60}") {
            prop_assert!(tokens(&source).len() <= source.len());
        }
    }
}
