//! What a deployment calls clubs and sportsbooks, on top of the names that are built in.

mod books;
mod clubs;
mod error;
mod text;

use std::borrow::Cow;
use std::sync::LazyLock;

use crate::folding::{LONGEST, fold, plain};
use books::Books;
use clubs::Clubs;
pub use error::NamingError;

/// The names of a deployment.
///
/// All names and codes are bytes in the server's encoding. Two that fold alike are one, as with those built in.
#[derive(Debug, Default)]
pub struct Naming {
    clubs: Clubs,
    books: Books,
}

static BUILT_IN: LazyLock<Naming> = LazyLock::new(Naming::default);

impl Naming {
    /// The naming that adds nothing to what is built in.
    #[must_use]
    pub fn built_in() -> &'static Self {
        &BUILT_IN
    }

    /// Reads `{"clubs": {"<name>": "NYM"}, "codes": {"ATH": "OAK"}, "books": {"<name>": "DraftKings"}}`, a JSON text
    /// in any ASCII-based encoding. A key that is missing adds nothing.
    ///
    /// # Errors
    /// Where the text is something else, a name or code is no such thing, or two of them contradict each other. What
    /// is refused is refused for one entry, or for two that do not go together: with fewer entries it never gets worse.
    pub fn from_json(text: &[u8]) -> Result<Self, NamingError> {
        let document = text::read(text)?;
        Ok(Self { clubs: Clubs::new(&document.clubs, &document.codes)?, books: Books::new(&document.books)? })
    }

    /// The code in use for the club that the name means; nothing where it is no club's.
    #[must_use]
    pub fn team(&self, name: &[u8]) -> Option<&[u8]> {
        self.clubs.code(name)
    }

    /// The one spelling of the sportsbook's name; nothing for a blank one.
    #[must_use]
    pub fn book<'a>(&'a self, name: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        self.books.spelling(name)
    }
}

/// Calls `with` with what two names must have in common to be one: what they fold to or, where they hold more than
/// letters and digits, their plain form. No name is both.
fn with_key<T>(name: &[u8], with: impl FnOnce(&[u8]) -> T) -> T {
    let mut buffer = [0; LONGEST];
    match fold(name, &mut buffer) {
        Some(folded) => with(folded),
        None => with(&plain(name)),
    }
}

fn key(name: &[u8]) -> Box<[u8]> {
    with_key(name, |key| key.into())
}

#[cfg(test)]
mod tests;
