//! The names and codes of clubs.

use std::collections::HashMap;

use super::error::shown;
use super::text::Pair;
use super::{NamingError, key, with_key};
use crate::folding::{LONGEST, fold, plain};
use crate::teams::{self, CLUBS, without_game};

/// The longest code: score boards have no more room, and neither have most columns.
const LONGEST_CODE: usize = 10;

/// A deployment's names, and its codes beside the places of their clubs among [`CLUBS`].
///
/// The map's hasher is the standard one: who chooses the names must not choose how long a look-up takes.
#[derive(Debug, Default)]
pub struct Clubs {
    named: HashMap<Box<[u8]>, usize>,
    codes: [Option<Box<[u8]>>; CLUBS.len()],
}

impl Clubs {
    pub fn new(names: &[Pair], codes: &[Pair]) -> Result<Self, NamingError> {
        let mut clubs = Self::default();
        for (club, code) in codes {
            clubs.add_code(place(club)?, code)?;
        }
        let mut seen: HashMap<Box<[u8]>, &[u8]> = HashMap::new();
        for (name, club) in names {
            let place = place(club)?;
            if plain(name).is_empty() {
                return Err(NamingError::new(
                    format!("the name given for club {} is blank", shown(club)),
                    "A name is what sources write for the club.",
                ));
            }
            let key = key(name);
            let before = seen.insert(key.clone(), name);
            match clubs.named.insert(key, place) {
                Some(other) if other != place => {
                    return Err(contradiction(name, before, CLUBS[other].code, CLUBS[place].code));
                }
                _ => {}
            }
        }
        Ok(clubs)
    }

    /// Has a code stand for a club, and mean it where it comes in.
    fn add_code(&mut self, place: usize, code: &[u8]) -> Result<(), NamingError> {
        let club = CLUBS[place].code;
        let of_club = format!("the code {} for club \"{club}\"", shown(code));
        let refused = |what: &str, detail: String| Err(NamingError::new(format!("{of_club} {what}"), detail));
        if plain(code).is_empty() {
            return refused("is blank", "A code is what is written for the club.".into());
        }
        if code.len() > LONGEST_CODE {
            return refused(
                &format!("is longer than {LONGEST_CODE} bytes"),
                format!("It has {}.", code.len()),
            );
        }
        if code.trim_ascii().len() < code.len() {
            return refused("has blanks at its ends", "It is written as it is given.".into());
        }
        if let Some(other) = with_key(code, teams::place).filter(|other| *other != place) {
            let other = CLUBS[other].code;
            return refused(
                &format!("is a name of club \"{other}\""),
                "Who reads it would take the one for the other.".into(),
            );
        }
        let key = key(code);
        if let Some(other) = self.named.insert(key, place).filter(|other| *other != place) {
            let other = CLUBS[other].code;
            return refused(
                &format!("is the code for club \"{other}\" too"),
                "Each club has a code of its own.".into(),
            );
        }
        if self.codes[place].as_ref().is_some_and(|other| **other != *code) {
            return refused("is not its only one", "Each club has one code.".into());
        }
        self.codes[place] = Some(code.into());
        Ok(())
    }

    /// The code in use for the club that the name means.
    pub fn code(&self, name: &[u8]) -> Option<&[u8]> {
        let place = self.place(name).or_else(|| self.place(without_game(name)?))?;
        let code = self.codes.get(place)?;
        code.as_deref().or_else(|| CLUBS.get(place).map(|club| club.code.as_bytes()))
    }

    fn place(&self, name: &[u8]) -> Option<usize> {
        let mut buffer = [0; LONGEST];
        match fold(name, &mut buffer) {
            Some(folded) if self.named.is_empty() => teams::place(folded),
            Some(folded) => self.named.get(folded).copied().or_else(|| teams::place(folded)),
            None if self.named.is_empty() => None,
            None => self.named.get(&*plain(name)).copied(),
        }
    }
}

/// The place of the club that has the built-in code.
fn place(code: &[u8]) -> Result<usize, NamingError> {
    let place = CLUBS.iter().position(|club| club.code.as_bytes() == code);
    place.ok_or_else(|| NamingError::unknown_club(code))
}

/// The error for a name that would mean two clubs. The one before was given as a name, or is a code in use.
fn contradiction(name: &[u8], before: Option<&[u8]>, other: &str, club: &str) -> NamingError {
    let detail = format!("They would mean {other} and {club}.");
    match before {
        Some(before) => {
            NamingError::new(format!("the names {} and {} are one", shown(before), shown(name)), detail)
        }
        None => NamingError::new(
            format!("the name {} is the code in use for club \"{other}\"", shown(name)),
            format!("It would mean {club} too."),
        ),
    }
}
