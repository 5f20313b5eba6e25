//! Settings of a role in this database: what is done about each, and what is taken back.

use super::decide::{State, Verdict};
use serde::{Deserialize, Serialize};

/// A parameter and its value.
pub type Pair = (String, String);

/// A setting that was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// The parameter.
    pub name: String,
    /// The value that the role had in this database; none where it had none.
    pub before: Option<String>,
    /// The value that it was given.
    pub after: String,
}

/// What takes a change back, setting by setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Restoration {
    /// The value that was there before.
    Set(Pair),
    /// There was none.
    Reset(String),
    /// It has been changed by somebody else since, and is theirs.
    Left(String),
}

fn value_of<'a>(settings: &'a [Pair], name: &str) -> Option<&'a str> {
    // PostgreSQL keeps a parameter in its own spelling: timezone as TimeZone.
    settings.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// What giving a role these settings changes.
#[must_use]
pub fn changes(wanted: &[Pair], now: &[Pair]) -> Vec<Changed> {
    let change = |(name, value): &Pair| Changed {
        name: name.clone(),
        before: value_of(now, name).map(str::to_owned),
        after: value.clone(),
    };
    wanted.iter().map(change).collect()
}

/// What taking back a change takes now.
#[must_use]
pub fn restorations(change: &[Changed], now: &[Pair]) -> Vec<Restoration> {
    let mut out = Vec::new();
    for Changed { name, before, after } in change {
        match (value_of(now, name), before) {
            (None, None) => {}
            (Some(value), Some(before)) if value == before => {}
            (Some(value), before) if value == after => out.push(match before {
                Some(before) => Restoration::Set((name.clone(), before.clone())),
                None => Restoration::Reset(name.clone()),
            }),
            // A restored copy has none of the settings: a dump of one database does not carry them.
            (None, Some(_)) => {}
            (Some(_), _) => out.push(Restoration::Left(name.clone())),
        }
    }
    out
}

/// How a role stands that has been given settings by these changes, oldest first.
#[must_use]
pub fn standing(changes: &[Changed], now: &[Pair]) -> Verdict {
    let is_last = |(place, change): &(usize, &Changed)| {
        !changes[place + 1..].iter().any(|later| later.name == change.name)
    };
    let (mut missing, mut others) = (Vec::new(), Vec::new());
    for (_, change) in changes.iter().enumerate().filter(is_last) {
        match value_of(now, &change.name) {
            Some(value) if value == change.after => {}
            Some(value) => others.push(format!("{} is {value} and not {}", change.name, change.after)),
            None => missing.push(change.name.as_str()),
        }
    }
    if !others.is_empty() {
        Verdict::because(State::Conflict, format!("changed since and left as it is: {}", others.join(", ")))
    } else if !missing.is_empty() {
        Verdict::because(State::Pending, format!("not set in this database: {}", missing.join(", ")))
    } else {
        Verdict::plain(State::Applied)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pair(name: &str, value: &str) -> Pair {
        (name.to_owned(), value.to_owned())
    }

    /// What the role has after a restoration.
    fn restore(restorations: &[Restoration], now: &[Pair]) -> Vec<Pair> {
        let mut out = now.to_vec();
        for restoration in restorations {
            match restoration {
                Restoration::Set((name, value)) => put(&mut out, name, value),
                Restoration::Reset(name) => out.retain(|(known, _)| known != name),
                Restoration::Left(_) => {}
            }
        }
        out
    }

    fn put(settings: &mut Vec<Pair>, name: &str, value: &str) {
        match settings.iter_mut().find(|(known, _)| known == name) {
            Some(found) => value.clone_into(&mut found.1),
            None => settings.push(pair(name, value)),
        }
    }

    proptest! {
        #[test]
        fn what_was_there_comes_back(
            before in prop::collection::btree_map("[a-d]", "[0-3]", 0..4),
            wanted in prop::collection::btree_map("[a-d]", "[0-3]", 0..4),
        ) {
            let before: Vec<Pair> = before.into_iter().collect();
            let wanted: Vec<Pair> = wanted.into_iter().collect();
            let made = changes(&wanted, &before);
            let mut now = before.clone();
            wanted.iter().for_each(|(name, value)| put(&mut now, name, value));
            prop_assert_eq!(standing(&made, &now).state, State::Applied);
            prop_assert_eq!(restore(&restorations(&made, &now), &now), before);
        }
    }

    #[test]
    fn what_somebody_changed_since_is_theirs() {
        let made = changes(&[pair("a", "2"), pair("b", "2")], &[pair("a", "1")]);
        let now = [pair("a", "3"), pair("b", "2")];
        let left = [Restoration::Left("a".into()), Restoration::Reset("b".into())];
        assert_eq!(restorations(&made, &now), left);
        assert_eq!(standing(&made, &now).state, State::Conflict);
    }

    #[test]
    fn a_copy_without_the_settings_has_nothing_to_take_back() {
        let made = changes(&[pair("a", "2"), pair("b", "2")], &[pair("a", "1")]);
        assert_eq!(restorations(&made, &[]), []);
        assert_eq!(standing(&made, &[]).state, State::Pending);
    }

    #[test]
    fn the_last_of_several_changes_counts() {
        let mut made = changes(&[pair("a", "2")], &[]);
        made.extend(changes(&[pair("a", "3")], &[pair("a", "2")]));
        assert_eq!(standing(&made, &[pair("A", "3")]).state, State::Applied);
        assert_eq!(standing(&made, &[pair("a", "2")]).state, State::Conflict);
    }
}
