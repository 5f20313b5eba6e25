//! The names of sportsbooks.

use std::borrow::Cow;
use std::collections::HashMap;

use super::error::shown;
use super::text::Pair;
use super::{NamingError, key, with_key};
use crate::folding::{LONGEST, fold, plain};
use crate::sportsbooks::{self, SPORTSBOOKS, without_sportsbook};

/// A deployment's spellings: of built-in sportsbooks by their place, of others by what their names fold to.
///
/// The maps' hasher is the standard one: who chooses the names must not choose how long a look-up takes.
#[derive(Debug, Default)]
pub struct Books {
    known: HashMap<usize, Box<[u8]>>,
    others: HashMap<Box<[u8]>, Box<[u8]>>,
}

/// Which sportsbook a name means, whatever it is spelled like.
#[derive(PartialEq, Eq, Hash)]
enum Identity {
    Known(usize),
    Other(Box<[u8]>),
}

impl Books {
    pub fn new(pairs: &[Pair]) -> Result<Self, NamingError> {
        let mut named: HashMap<Identity, &Pair> = HashMap::new();
        let mut spelled: HashMap<Identity, &Pair> = HashMap::new();
        let differs = |other: &&Pair, pair: &Pair| other.1 != pair.1;
        for pair in pairs {
            check(pair)?;
            if let Some(other) = named.insert(identity(&pair.0), pair).filter(|other| differs(other, pair)) {
                return Err(NamingError::new(
                    format!("the names {} and {} are one sportsbook's", shown(&other.0), shown(&pair.0)),
                    format!("They would be spelled {} and {}.", shown(&other.1), shown(&pair.1)),
                ));
            }
            // What a sportsbook is to be called is its name as well.
            if let Some(other) = spelled.insert(identity(&pair.1), pair).filter(|other| differs(other, pair))
            {
                return Err(two_spellings(other, pair));
            }
        }
        let mut books = Self::default();
        for pair in pairs {
            let of_itself = identity(&pair.1);
            if let Some(other) = named.get(&of_itself).filter(|other| differs(other, pair)) {
                return Err(two_spellings(other, pair));
            }
            books.add(identity(&pair.0), &pair.1);
            books.add(of_itself, &pair.1);
        }
        Ok(books)
    }

    fn add(&mut self, identity: Identity, spelling: &[u8]) {
        match identity {
            Identity::Known(place) => self.known.insert(place, spelling.into()),
            Identity::Other(key) => self.others.insert(key, spelling.into()),
        };
    }

    /// The one spelling of a name; nothing for a blank one.
    pub fn spelling<'a>(&'a self, name: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        let mut buffer = [0; LONGEST];
        let folded = fold(name, &mut buffer);
        if let Some(place) = folded.and_then(sportsbooks::place) {
            let own = || SPORTSBOOKS.get(place).map(|book| book.name.as_bytes());
            return self.known.get(&place).map(|spelling| &**spelling).or_else(own).map(Cow::Borrowed);
        }
        let plain = plain(name);
        if plain.is_empty() {
            return None;
        }
        if self.others.is_empty() {
            return Some(plain);
        }
        let configured = match folded {
            Some(folded) => self.others.get(folded).or_else(|| self.others.get(without_sportsbook(folded)?)),
            None => self.others.get(&*plain),
        };
        Some(configured.map_or(plain, |spelling| Cow::Borrowed(spelling)))
    }
}

fn identity(name: &[u8]) -> Identity {
    match with_key(name, sportsbooks::place) {
        Some(place) => Identity::Known(place),
        None => Identity::Other(key(name)),
    }
}

fn check((name, spelling): &Pair) -> Result<(), NamingError> {
    if plain(name).is_empty() {
        return Err(NamingError::new(
            format!("the name given for sportsbook {} is blank", shown(spelling)),
            "A name is what sources write for the sportsbook.",
        ));
    }
    let refused = |what: &str, detail: &str| {
        Err(NamingError::new(format!("the sportsbook that {} stands for {what}", shown(name)), detail))
    };
    if plain(spelling).is_empty() {
        return refused("is blank", "It is what is written for the name.");
    }
    if spelling.trim_ascii().len() < spelling.len() {
        return refused("has blanks at its ends", "It is written as it is given.");
    }
    Ok(())
}

/// The error for names that stand for one sportsbook, or one for the other's, and have it spelled in two ways.
fn two_spellings((one, its): &Pair, (other, others): &Pair) -> NamingError {
    NamingError::new(
        format!("{} and {} are two spellings of one sportsbook", shown(its), shown(others)),
        format!("They are given for the names {} and {}.", shown(one), shown(other)),
    )
}
