//! What is known of a text in the source: the words of a literal, with `…` for what is put in, or a parameter's.

use crate::ANY;

/// Stands for the text of a parameter.
pub const HOLE: char = '\u{0}';

/// A parameter of a function, by its number in the signature.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Parameter {
    pub function: usize,
    pub number: usize,
}

/// A text that an expression may be.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Text {
    pub words: String,
    /// Whose text is to be put where the words have a hole.
    pub of: Option<Parameter>,
}

impl Text {
    pub fn plain(words: impl Into<String>) -> Self {
        Self { words: words.into(), of: None }
    }

    pub fn parameter(of: Parameter) -> Self {
        Self { words: HOLE.to_string(), of: Some(of) }
    }

    /// Whether the words say anything without what is put in.
    pub fn says_something(&self) -> bool {
        self.words.chars().any(char::is_alphabetic)
    }

    /// What it is where the parameter is one of these texts; nothing, where nothing is known of it that it says.
    pub fn with(&self, given: &[Self]) -> Vec<Self> {
        if given.is_empty() && self.says_something() {
            return vec![Self::plain(self.words.replace(HOLE, ANY))];
        }
        let put = |text: &Self| Self { words: self.words.replace(HOLE, &text.words), of: text.of };
        given.iter().map(put).collect()
    }
}

/// The literal pieces of a format, and what is put between them: a name, or nothing for the next argument.
pub struct Format {
    pub pieces: Vec<String>,
    pub names: Vec<String>,
}

impl Format {
    /// Reads what `format!` takes.
    pub fn of_rust(text: &str) -> Self {
        let (mut pieces, mut names, mut piece) = (Vec::new(), Vec::new(), String::new());
        let mut rest = text.chars().peekable();
        while let Some(letter) = rest.next() {
            match letter {
                '{' | '}' if rest.next_if_eq(&letter).is_some() => piece.push(letter),
                '{' => {
                    let inside: String = rest.by_ref().take_while(|letter| *letter != '}').collect();
                    names.push(inside.split(':').next().unwrap_or_default().to_owned());
                    pieces.push(std::mem::take(&mut piece));
                }
                other => piece.push(other),
            }
        }
        pieces.push(piece);
        Self { pieces, names }
    }

    /// With `…` for all that is put in.
    pub fn shown(&self) -> String {
        self.pieces.join(ANY)
    }

    /// With a hole for one of the things that are put in.
    pub fn with_hole(&self, at: usize) -> String {
        [self.pieces[..=at].join(ANY), self.pieces[at + 1..].join(ANY)].join(&HOLE.to_string())
    }
}

/// What PL/pgSQL's `RAISE` and `format()` make of a text: `%`, `%s`, `%I`, `%L` and `%1$s` are something put in.
pub fn of_sql(text: &str, in_format: bool) -> String {
    let mut out = String::new();
    let mut rest = text.chars().peekable();
    while let Some(letter) = rest.next() {
        if letter != '%' {
            out.push(letter);
        } else if rest.next_if_eq(&'%').is_some() {
            out.push('%');
        } else {
            out.push_str(ANY);
            if in_format {
                rest.by_ref().find(|letter| letter.is_alphabetic());
            }
        }
    }
    out.replace(&format!("{ANY}.{ANY}"), ANY)
}

#[test]
fn formats_are_read() {
    assert_eq!(Format::of_rust("role {role} has {{1}} of {:?}").shown(), "role … has {1} of …");
    assert_eq!(Format::of_rust("{name:>3}").names, ["name"]);
    assert_eq!(of_sql("job % is 100%% done", false), "job … is 100% done");
    assert_eq!(of_sql("a partition of %I.%I, %1$s", true), "a partition of …, …");
}

#[test]
fn parameters_are_put_in() {
    let of = Parameter { function: 1, number: 0 };
    let text = Text { words: format!("cannot {HOLE}"), of: Some(of) };
    assert_eq!(text.with(&[Text::plain("go")]), [Text::plain("cannot go")]);
    assert_eq!(text.with(&[]), [Text::plain("cannot …")]);
    assert!(Text::parameter(of).with(&[]).is_empty());
}
