//! What becomes of a partition whose time is over.

use serde::{Deserialize, Serialize};

/// What becomes of a partition whose time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It becomes a table of its own.
    Detach,
    /// It is dropped with its rows.
    Drop,
    /// It becomes a table of its own in another schema.
    Archive,
}

impl Action {
    /// The action of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "detach" => Some(Self::Detach),
            "drop" => Some(Self::Drop),
            "archive" => Some(Self::Archive),
            _ => None,
        }
    }

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Detach => "detach",
            Self::Drop => "drop",
            Self::Archive => "archive",
        }
    }

    /// What is said of it once it is done.
    #[must_use]
    pub fn done(self) -> &'static str {
        match self {
            Self::Detach => "detached",
            Self::Drop => "dropped",
            Self::Archive => "archived",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_known_by_their_names() {
        for action in [Action::Detach, Action::Drop, Action::Archive] {
            assert_eq!(Action::parse(action.as_str()), Some(action));
            assert!(action.done().starts_with(action.as_str()));
        }
        assert_eq!(Action::parse("burn"), None);
    }
}
