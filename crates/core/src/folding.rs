//! Names folded to what tells them apart: letters and digits in lower case.
//!
//! A name is bytes in any of the server's encodings. Each of those keeps ASCII bytes to themselves.

use std::borrow::Cow;

/// Longer names are folded to nothing.
pub const LONGEST: usize = 40;

/// What becomes of each byte of a name: a letter or digit in lower case, nothing of what does not matter, or `OTHER`.
const FOLDED: [u8; 256] = {
    let mut folded = [OTHER; 256];
    let mut byte = 0;
    while byte < 256 {
        folded[byte] = match byte as u8 {
            b' ' | b'\t'..=b'\r' | b'.' | b'\'' | b'-' | b'_' | b'(' | b')' => NOTHING,
            // The no-break space and WIN1252's apostrophe, in encodings of one byte. In UTF-8 they only continue a
            // character, whose first byte has been refused by then.
            0xa0 | 0x92 => NOTHING,
            letter if letter.is_ascii_alphanumeric() => letter.to_ascii_lowercase(),
            _ => OTHER,
        };
        byte += 1;
    }
    folded
};
const NOTHING: u8 = 0;
const OTHER: u8 = 1;

/// A name's letters and digits in lower case; nothing where there are none, where they are too many, or where the
/// name holds anything that is neither these nor a blank, a dash or the like.
#[inline]
pub fn fold<'a>(name: &[u8], into: &'a mut [u8; LONGEST]) -> Option<&'a [u8]> {
    let mut length = 0;
    let mut rest = name;
    while let [first, tail @ ..] = rest {
        rest = tail;
        match FOLDED[usize::from(*first)] {
            NOTHING => {}
            OTHER => rest = after_what_does_not_matter(*first, tail)?,
            folded => {
                *into.get_mut(length)? = folded;
                length += 1;
            }
        }
    }
    into.get(..length).filter(|folded| !folded.is_empty())
}

/// What follows a character of UTF-8 that does not matter: a no-break space, one of typography's spaces, dashes and
/// marks without a width, an apostrophe, a byte order mark.
fn after_what_does_not_matter(first: u8, tail: &[u8]) -> Option<&[u8]> {
    match (first, tail) {
        (0xc2, [0xa0, rest @ ..])
        | (0xe2, [0x80, 0x80..=0x95 | 0x99 | 0xaf, rest @ ..])
        | (0xe2, [0x81, 0xa0, rest @ ..])
        | (0xef, [0xbb, 0xbf, rest @ ..]) => Some(rest),
        _ => None,
    }
}

/// A name without the blanks at its end, those of UTF-8 and the single byte of other encodings included.
pub fn trim_end(mut name: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t'..=b'\r']
    | [rest @ .., 0xc2, 0xa0]
    | [rest @ .., 0xe2, 0x80, 0x80..=0x8f | 0xaf]
    | [rest @ .., 0xe2, 0x81, 0xa0]
    | [rest @ .., 0xef, 0xbb, 0xbf]
    | [rest @ .., 0xa0] = name
    {
        name = rest;
    }
    name
}

/// A name in ASCII's lower case, without blanks at its ends and with one space for each run of them. All other bytes
/// are left alone, as they may be parts of characters.
pub fn plain(name: &[u8]) -> Cow<'_, [u8]> {
    let name = name.trim_ascii();
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    // Vertical tabs included, which `trim_ascii` leaves.
    let differs = |byte: &u8| byte.is_ascii_uppercase() || (is_blank(byte) && *byte != b' ');
    if !name.iter().any(differs) && !name.windows(2).any(|pair| pair == b"  ") {
        return Cow::Borrowed(name);
    }
    let mut plain = Vec::with_capacity(name.len());
    for word in name.split(is_blank).filter(|word| !word.is_empty()) {
        if !plain.is_empty() {
            plain.push(b' ');
        }
        plain.extend(word.iter().map(u8::to_ascii_lowercase));
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn folded(name: &[u8]) -> Option<Vec<u8>> {
        fold(name, &mut [0; LONGEST]).map(<[u8]>::to_vec)
    }

    #[test]
    fn what_does_not_matter_goes_and_other_characters_are_refused() {
        for name in [
            "A b-9",
            "a.B9",
            "(A)b_9",
            "A\u{a0}b9\u{a0}",
            "\u{feff}a\u{200b}b\u{2007}9",
            "a\u{202f}b\u{2019}9",
            "a\u{2013}b9\u{2060}",
        ] {
            assert_eq!(folded(name.as_bytes()).as_deref(), Some(&b"ab9"[..]), "{name:?}");
        }
        assert_eq!(folded(b"a\xa0b\x929").as_deref(), Some(&b"ab9"[..]));
        for name in ["", " -", "\u{a0}", "ab\u{e0}", "\u{2018}ab", "a/b", "ab\u{3000}", &"x".repeat(41)] {
            assert_eq!(folded(name.as_bytes()), None, "{name:?}");
        }
        assert_eq!(folded("x".repeat(40).as_bytes()).map(|name| name.len()), Some(40));
    }

    #[test]
    fn a_plain_name_has_one_case_and_single_spaces() {
        for (name, expected) in [
            ("  Foo\t\u{b}BAR \r\n", "foo bar"),
            ("foo bar", "foo bar"),
            ("\u{b}foo\u{b}", "foo"),
            ("foo  bar", "foo bar"),
            ("\u{c9}T\u{c9} ", "\u{c9}t\u{c9}"),
            (" \u{b} ", ""),
        ] {
            assert_eq!(plain(name.as_bytes()), expected.as_bytes(), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn folding_and_plain_names_are_at_rest(name in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Some(once) = folded(&name) {
                prop_assert_eq!(folded(&once), Some(once));
            }
            let once = plain(&name).into_owned();
            prop_assert_eq!(plain(&once), &*once);
            prop_assert!(once.iter().all(|byte| !byte.is_ascii_uppercase()));
            let others = |text: &[u8]| text.iter().copied().filter(|byte| !byte.is_ascii()).collect::<Vec<_>>();
            prop_assert_eq!(others(&once), others(&name));
        }

        #[test]
        fn trimming_takes_blanks_only(name in ".{0,20}", blanks in "[ \t\u{a0}\u{2007}\u{202f}\u{200b}\u{feff}]{0,5}") {
            let name = format!("{name}x");
            let padded = format!("{name}{blanks}");
            prop_assert_eq!(trim_end(padded.as_bytes()), name.as_bytes());
        }
    }
}
