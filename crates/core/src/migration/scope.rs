//! Which raw rows a statement is about.

/// The raw rows that a statement is about; `r` is the raw table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Numbers above the first argument, up to the second, but for those in the third.
    Range,
    /// The numbers in the argument.
    Ids,
}

impl Scope {
    /// The condition in a statement whose first two arguments are rules and names.
    #[must_use]
    pub fn condition(self, id: &str) -> String {
        self.from(id, 3)
    }

    /// The same in one that has no others.
    #[must_use]
    pub fn plain_condition(self, id: &str) -> String {
        self.from(id, 1)
    }

    fn from(self, id: &str, first: usize) -> String {
        let (second, third) = (first + 1, first + 2);
        match self {
            Self::Range => format!("r.{id} > ${first} AND r.{id} <= ${second} AND r.{id} <> ALL (${third})"),
            Self::Ids => format!("r.{id} = ANY (${first})"),
        }
    }
}
