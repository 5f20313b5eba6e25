//! Which game of a doubleheader a name speaks of, so that the name can be read without it.

use crate::folding::trim_end;

/// What stands before the number of a game, the longer before what it begins with.
const WORDS: [&[u8]; 4] = [b"game", b"gm", b"dh", b"g"];

/// The name before "G2", "(Game 1)", "gm2", "DH 1" or "#2" at its end, where there is such a thing and it stands
/// apart: of "MetsG2" or "SFG 2" nobody knows what is meant.
pub fn without_game(name: &[u8]) -> Option<&[u8]> {
    let rest = trim_end(name);
    let rest = match rest {
        [inside @ .., b')' | b']'] => trim_end(inside),
        _ => rest,
    };
    let [before_number @ .., b'1' | b'2'] = rest else { return None };
    let before_number = trim_end(before_number);
    let (rest, is_numbered) = match before_number {
        [before_sign @ .., b'#'] => (trim_end(before_sign), true),
        _ => (before_number, false),
    };
    let before_game = match before_word(rest) {
        Some(before_word) => before_word,
        None if is_numbered => trim_apart(rest),
        None => return None,
    };
    (!before_game.is_empty()).then_some(before_game)
}

/// What stands apart from one of the words.
fn before_word(name: &[u8]) -> Option<&[u8]> {
    let name = match name {
        [word @ .., b'.' | b'-'] => word,
        _ => name,
    };
    WORDS.iter().find_map(|word| {
        let (before, last) = name.split_at_checked(name.len().checked_sub(word.len())?)?;
        let apart = trim_apart(before);
        (last.eq_ignore_ascii_case(word) && apart.len() < before.len()).then_some(apart)
    })
}

/// A name without the blanks, dashes and the like that set off what follows it.
fn trim_apart(mut name: &[u8]) -> &[u8] {
    loop {
        name = match trim_end(name) {
            [rest @ .., b'(' | b'[' | b'-' | b',' | b':' | b'/' | b'_']
            | [rest @ .., 0xe2, 0x80, 0x90..=0x95] => rest,
            trimmed => return trimmed,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn games_are_cut_off() {
        for name in [
            "Mets G2",
            "Mets G1 ",
            "Mets (G1)",
            "Mets(g2)",
            "Mets Game 2",
            "Mets gm2",
            "Mets Gm. 2",
            "Mets GAME #1",
            "Mets #2",
            "Mets#2",
            "Mets - Game 2",
            "Mets \u{2013} Game\u{a0}2",
            "Mets, G2",
            "Mets [DH 2]",
            "Mets-G2",
            "Mets\u{a0}G2\u{a0}",
            "Mets (#1)",
        ] {
            assert_eq!(without_game(name.as_bytes()), Some(&b"Mets"[..]), "{name}");
        }
        assert_eq!(without_game(b"Mets\xa0G2\xa0"), Some(&b"Mets"[..]));
    }

    #[test]
    fn what_does_not_stand_apart_or_is_no_game_stays() {
        for name in [
            "",
            "1",
            "G2",
            "#2",
            "(G1)",
            "Mets",
            "Mets 2",
            "MetsG2",
            "SFG 2",
            "SFG2",
            "Mets (2)",
            "Mets G3",
            "Mets G12",
            "Mets G0",
            "Mets G",
            "Mets Inning 2",
            "Mets Game",
            "Mets dog 2",
        ] {
            assert_eq!(without_game(name.as_bytes()), None, "{name}");
        }
    }
}
