//! What a statement says, without what it says it of: constants are replaced by parameters, as they may be secrets, and
//! comments are left out. For statements that no one else keeps the text of.
//!
//! It is read byte by byte: in every encoding of a server the bytes of ASCII stand for themselves only.

/// How much of a text is kept, in bytes.
pub const LONGEST: usize = 512;

/// Writes a statement without its constants into `out`, as much of it as there is room for; how many bytes.
/// `escapes` says whether a backslash in a plain literal escapes what follows it. Nothing is allocated.
pub fn without_constants(source: &[u8], escapes: bool, out: &mut [u8]) -> usize {
    let mut writer = Writer { out, length: 0, parameter: highest_parameter(source) };
    let mut rest = source;
    let mut before = b' ';
    while let Some(&byte) = rest.first() {
        let length = match byte {
            _ if byte.is_ascii_whitespace() => {
                writer.space();
                1
            }
            b'-' if rest.get(1) == Some(&b'-') => {
                writer.space();
                rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len())
            }
            b'/' if rest.get(1) == Some(&b'*') => {
                writer.space();
                comment(rest)
            }
            b'\'' => {
                writer.constant();
                literal(rest, escapes)
            }
            b'"' => {
                let length = quoted(rest);
                writer.put(&rest[..length]);
                length
            }
            b'$' if !is_part_of_name(before) => match dollar_quoted(rest) {
                Some(length) => {
                    writer.constant();
                    length
                }
                None => {
                    writer.put(&rest[..1]);
                    1
                }
            },
            b'0'..=b'9' if !is_part_of_name(before) => {
                writer.constant();
                number(rest)
            }
            b'.' if !is_part_of_name(before) && rest.get(1).is_some_and(u8::is_ascii_digit) => {
                writer.constant();
                number(rest)
            }
            _ if is_part_of_name(byte) => {
                let length = rest.iter().position(|byte| !is_part_of_name(*byte)).unwrap_or(rest.len());
                // E'...', B'...' and the like: the letter is part of the literal.
                if let Some(literal) = prefixed(rest, length, escapes) {
                    writer.constant();
                    literal
                } else {
                    writer.put(&rest[..length]);
                    length
                }
            }
            _ => {
                writer.put(&rest[..1]);
                1
            }
        };
        let length = length.clamp(1, rest.len());
        before = rest[length - 1];
        rest = &rest[length..];
    }
    writer.end()
}

/// Where the text goes.
struct Writer<'a> {
    out: &'a mut [u8],
    length: usize,
    parameter: u32,
}

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) {
        let room = self.out.len() - self.length;
        let bytes = &bytes[..bytes.len().min(room)];
        self.out[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }

    /// One for however many there were, and none in front.
    fn space(&mut self) {
        if self.length > 0 && self.out[self.length - 1] != b' ' {
            self.put(b" ");
        }
    }

    /// The next parameter in place of a constant.
    fn constant(&mut self) {
        self.parameter = self.parameter.saturating_add(1);
        let mut digits = [0; 10];
        let (mut at, mut number) = (digits.len(), self.parameter);
        while number > 0 {
            at -= 1;
            digits[at] = b'0' + (number % 10) as u8;
            number /= 10;
        }
        self.put(b"$");
        self.put(&digits[at..]);
    }

    fn end(self) -> usize {
        let written = &self.out[..self.length];
        written.len() - usize::from(written.last() == Some(&b' '))
    }
}

/// What names, numbers and parameters go on with; every byte that is not ASCII is part of a name.
fn is_part_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || !byte.is_ascii()
}

/// The highest number of a parameter that stands there; what looks like one in a literal does no harm.
fn highest_parameter(source: &[u8]) -> u32 {
    let parameters = source.split(|byte| *byte == b'$').skip(1).map(|rest| {
        let digits = rest.iter().take(5).take_while(|byte| byte.is_ascii_digit());
        digits.fold(0u32, |number, digit| number * 10 + u32::from(digit - b'0'))
    });
    parameters.max().unwrap_or(0)
}

/// How long a comment is that may hold others.
fn comment(text: &[u8]) -> usize {
    let (mut depth, mut at) = (0u32, 0);
    while at < text.len() {
        match &text[at..] {
            [b'/', b'*', ..] => {
                depth += 1;
                at += 2;
            }
            [b'*', b'/', ..] => {
                depth = depth.saturating_sub(1);
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    text.len()
}

/// How long a literal is that begins with its quote.
fn literal(text: &[u8], escapes: bool) -> usize {
    let mut at = 1;
    while at < text.len() {
        match &text[at..] {
            [b'\\', _, ..] if escapes => at += 2,
            [b'\'', b'\'', ..] => at += 2,
            [b'\'', ..] => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

/// How long a literal is whose quote comes behind a word, if the word makes it one.
fn prefixed(text: &[u8], word: usize, escapes: bool) -> Option<usize> {
    let (escapes, quote) = match &text[..word] {
        [b'e' | b'E'] => (true, word),
        [b'b' | b'B' | b'x' | b'X' | b'n' | b'N'] => (escapes, word),
        [b'u' | b'U'] if text.get(word) == Some(&b'&') => (false, word + 1),
        _ => return None,
    };
    (text.get(quote) == Some(&b'\'')).then(|| quote + literal(&text[quote..], escapes))
}

/// How long a quoted name is.
fn quoted(text: &[u8]) -> usize {
    text.iter().skip(1).position(|byte| *byte == b'"').map_or(text.len(), |at| at + 2)
}

/// How long a literal between two tags is, if it is one and no parameter.
fn dollar_quoted(text: &[u8]) -> Option<usize> {
    let tag = 2 + text.iter().skip(1).position(|byte| *byte == b'$')?;
    let inside = &text[1..tag - 1];
    let is_tag =
        inside.iter().all(|byte| is_part_of_name(*byte)) && !inside.first().is_some_and(u8::is_ascii_digit);
    if !is_tag {
        return None;
    }
    let end = text[tag..].windows(tag).position(|window| window == &text[..tag]);
    Some(end.map_or(text.len(), |at| tag + at + tag))
}

/// How long a number is, with its point and its exponent.
fn number(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        let is_sign = matches!(byte, b'+' | b'-')
            && at > 0
            && matches!(text[at - 1], b'e' | b'E')
            && text.get(at + 1).is_some_and(u8::is_ascii_digit);
        if !(byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.') || is_sign) {
            break;
        }
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests;
