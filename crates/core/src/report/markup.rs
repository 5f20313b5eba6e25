//! Markup that no value can become part of: what is not written in this source is escaped on its way in.

use std::fmt::{Display, Write as _};

/// An attribute: its name and its value.
pub type Attribute<'a> = (&'static str, &'a dyn Display);

/// Words of ours are shorter, in characters, unless there are names in them.
const SENTENCE: usize = 240;

/// A page as it grows.
pub struct Markup {
    out: String,
    /// How many characters of a text are shown.
    longest: usize,
}

impl Markup {
    /// An empty page that cuts texts at so many characters.
    pub fn new(longest: usize) -> Self {
        Self { out: String::new(), longest }
    }

    /// Something of our own, as it is; line breaks of the source are none of the page.
    pub fn raw(&mut self, markup: &'static str) {
        for (at, line) in markup.lines().map(str::trim).filter(|line| !line.is_empty()).enumerate() {
            if at > 0 {
                self.out.push(' ');
            }
            self.out.push_str(line);
        }
    }

    /// The beginning of an element.
    pub fn open(&mut self, tag: &'static str, attributes: &[Attribute]) {
        self.out.push('<');
        self.out.push_str(tag);
        for (name, value) in attributes {
            self.out.push(' ');
            self.out.push_str(name);
            self.out.push_str("=\"");
            // What a path runs through is as long as it is; all else is words or a figure.
            let longest = if *name == "d" { usize::MAX } else { SENTENCE };
            self.cut(&value.to_string(), longest, Encoding::Any);
            self.out.push('"');
        }
        self.out.push('>');
    }

    /// The end of one.
    pub fn close(&mut self, tag: &'static str) {
        self.out.push_str("</");
        self.out.push_str(tag);
        self.out.push('>');
    }

    /// An element with what `inside` writes.
    pub fn element(&mut self, tag: &'static str, attributes: &[Attribute], inside: impl FnOnce(&mut Self)) {
        self.open(tag, attributes);
        inside(self);
        self.close(tag);
    }

    /// An element with a text in it.
    pub fn said(&mut self, tag: &'static str, attributes: &[Attribute], text: impl Display) {
        self.element(tag, attributes, |out| out.text(text));
    }

    /// A shape of a drawing: there is nothing in it but, for whoever points at it, what it stands for.
    pub fn shape(&mut self, tag: &'static str, attributes: &[Attribute], title: Option<&dyn Display>) {
        self.element(tag, attributes, |out| {
            if let Some(title) = title {
                out.said("title", &[], title);
            }
        });
    }

    /// Words of ours, which may have a name in them.
    pub fn text(&mut self, text: impl Display) {
        self.cut(&text.to_string(), self.longest.max(SENTENCE), Encoding::Any);
    }

    fn cut(&mut self, text: &str, longest: usize, encoding: Encoding) {
        let end = text.char_indices().nth(longest).map(|(end, _)| end);
        self.value(&&text[..end.unwrap_or(text.len())], encoding);
        if end.is_some() {
            self.out.push_str("&#8230;");
        }
    }

    /// A name or words out of the database, cut where they are long. Whichever way they are written, they turn nothing
    /// around them.
    pub fn name(&mut self, name: &str) {
        self.element("bdi", &[], |out| out.cut(name, out.longest, Encoding::Servers));
    }

    fn value(&mut self, value: &dyn Display, encoding: Encoding) {
        // Writing to a string cannot fail.
        let _ = write!(Escaped { out: &mut self.out, encoding }, "{value}");
    }

    /// The page.
    pub fn finish(self) -> String {
        self.out
    }

    /// How many characters of a text are shown.
    pub fn longest(&self) -> usize {
        self.longest
    }
}

/// Which encodings can hold what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    /// That of the database, which it came from.
    Servers,
    /// Every one: signs of ours are not in all of them.
    Any,
}

/// Escapes what is written to it.
struct Escaped<'a> {
    out: &'a mut String,
    encoding: Encoding,
}

impl std::fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for c in text.chars() {
            match c {
                '&' => self.out.push_str("&amp;"),
                '<' => self.out.push_str("&lt;"),
                '>' => self.out.push_str("&gt;"),
                '"' => self.out.push_str("&quot;"),
                '\'' => self.out.push_str("&#39;"),
                // A reader that makes links of addresses makes none.
                '/' if self.out.ends_with(':') => self.out.push_str("&#47;"),
                c if breaks_lines(c) => self.out.push(' '),
                c if is_unseen(c) => write!(self.out, "&lt;U+{:04X}&gt;", u32::from(c))?,
                c if c.is_ascii() || self.encoding == Encoding::Servers => self.out.push(c),
                c => write!(self.out, "&#{};", u32::from(c))?,
            }
        }
        Ok(())
    }
}

/// Whether a page shows that text as it is: on one line, with nothing in it that cannot be seen.
pub fn is_plain(text: &str) -> bool {
    !text.contains(|c| breaks_lines(c) || is_unseen(c))
}

fn breaks_lines(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\t' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// What is not to be seen, or turns what stands around it; the last of each plane is no character.
fn is_unseen(c: char) -> bool {
    let is_mark = matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fdd0}'..='\u{fdef}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    );
    c.is_control() || is_mark || u32::from(c) & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(text: &str) -> String {
        let mut out = Markup::new(1000);
        out.text(text);
        out.finish()
    }

    #[test]
    fn what_is_not_ours_is_no_markup() {
        assert_eq!(text("<script>\"'&"), "&lt;script&gt;&quot;&#39;&amp;");
        assert_eq!(text("a\r\nb\tc"), "a  b c");
        assert_eq!(text("see http://example.org/x"), "see http:&#47;/example.org/x");
        assert_eq!(text("\u{202e}abc\u{2066}"), "&lt;U+202E&gt;abc&lt;U+2066&gt;");
        assert_eq!(text("≤ 5"), "&#8804; 5");
        let mut out = Markup::new(3);
        out.element("p", &[("title", &"\" onclick=\"x")], |out| out.name("äöüß"));
        assert_eq!(out.finish(), "<p title=\"&quot; onclick=&quot;x\"><bdi>äöü&#8230;</bdi></p>");
    }

    proptest! {
        #[test]
        fn nothing_that_is_written_leaves_its_place(value: String) {
            let escaped = text(&value);
            prop_assert!(!escaped.contains(['<', '>', '"', '\'', '\n', '\r']));
            prop_assert!(!escaped.contains("://"));
            prop_assert!(escaped.is_ascii() && escaped.chars().all(|c| !c.is_control()));
        }
    }
}
