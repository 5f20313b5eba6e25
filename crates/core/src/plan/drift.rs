//! Whether what a change made is still what it was: known again by OID, so that a new name hides nothing, and what has
//! taken an old name is nobody's but its owner's.

use crate::names::Qualified;
use serde::{Deserialize, Serialize};

/// What a change made, as the catalogs had it then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// The cluster and database whose OIDs these are.
    pub home: String,
    /// The relation that it stands on, or is.
    pub relation: u32,
    /// The index or constraint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<u32>,
    /// The column's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<i16>,
    /// A column's type, or a view's query as PostgreSQL wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
    /// A checksum of a view's query as PostgreSQL keeps it, which new names of what it reads leave as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<String>,
}

/// What the catalogs have by these OIDs now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Now {
    /// The relation's name.
    pub relation: Option<Qualified>,
    /// The name of the index, constraint or column.
    pub object: Option<String>,
    /// As in [`Made`].
    pub definition: Option<String>,
    /// As in [`Made`].
    pub kept: Option<String>,
    /// `pg_class.relkind` of what has the relation's old name, where that is another one.
    pub namesake: Option<char>,
}

/// What has become of what a change made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Its OIDs tell nothing here; it is what has its name on that relation, if it says the same.
    ByName(Qualified),
    /// It is there.
    There {
        /// Its relation's name now.
        relation: Qualified,
        /// The name of the index, constraint or column now.
        object: Option<String>,
        /// What differs from what was made, in words; nothing where nothing does.
        difference: Option<String>,
        /// Whether somebody has given it another definition.
        edited: bool,
    },
    /// It is gone.
    Gone(String),
}

/// What has become of what a change made on, or by, the relation and object of these names.
#[must_use]
pub fn fate(made: &Made, home: &str, place: &Qualified, object: Option<&str>, now: &Now) -> Fate {
    if made.home != home {
        return Fate::ByName(place.clone());
    }
    let is_part = made.object.is_some() || made.column.is_some();
    let Some(relation) = &now.relation else {
        // A view may have been made again by what changed a column below it, and with it its indexes; a partitioned table
        // took the place of ours.
        return match now.namesake {
            Some('p' | 'm') => Fate::ByName(place.clone()),
            _ if !is_part => Fate::ByName(place.clone()),
            Some(_) => Fate::Gone(format!(
                "relation {place} was dropped, and what has its name now is left as it is"
            )),
            None => Fate::Gone(format!("relation {place} is gone")),
        };
    };
    if is_part && now.object.is_none() {
        // built again, on the same relation
        return Fate::ByName(relation.clone());
    }
    let mut differences = Vec::new();
    if relation != place {
        let taken = if now.namesake.is_some() { ", and another relation has its name" } else { "" };
        differences.push(format!("{place} was renamed to {relation}{taken}"));
    }
    if let (Some(was), Some(is)) = (object, &now.object)
        && was != is
    {
        differences.push(format!("{was} was renamed to {is}"));
    }
    let edited = edited(made, now);
    if edited {
        differences.push(match (&made.column, &made.definition, &now.definition) {
            (Some(_), Some(was), Some(is)) => format!("the column was made {was} and is {is}"),
            _ => "its definition was edited".to_owned(),
        });
    }
    Fate::There {
        relation: relation.clone(),
        object: now.object.clone(),
        difference: (!differences.is_empty()).then(|| differences.join("; ")),
        edited,
    }
}

fn edited(made: &Made, now: &Now) -> bool {
    made.definition != now.definition && (made.kept.is_none() || made.kept != now.kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Qualified {
        Qualified::try_from(text.to_owned()).unwrap()
    }

    fn made() -> Made {
        Made { home: "h".into(), relation: 1, object: None, column: None, definition: None, kept: None }
    }

    fn differs(fate: &Fate) -> String {
        match fate {
            Fate::There { difference, .. } => difference.clone().unwrap_or_default(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_new_name_is_followed() {
        let index = Made { object: Some(2), ..made() };
        let now = Now { relation: Some(name("s.u")), object: Some("mine".into()), ..Now::default() };
        let followed = fate(&index, "h", &name("s.t"), Some("i"), &now);
        assert_eq!(differs(&followed), "s.t was renamed to s.u; i was renamed to mine");
        let taken = Now { namesake: Some('r'), ..now };
        assert!(
            differs(&fate(&index, "h", &name("s.t"), Some("i"), &taken))
                .contains("another relation has its name")
        );
        let same = Now { relation: Some(name("s.t")), object: Some("i".into()), ..Now::default() };
        assert_eq!(differs(&fate(&index, "h", &name("s.t"), Some("i"), &same)), "");
    }

    #[test]
    fn what_has_an_old_name_is_not_ours() {
        let index = Made { object: Some(2), ..made() };
        let remade = Now { namesake: Some('r'), ..Now::default() };
        assert!(matches!(fate(&index, "h", &name("s.t"), Some("i"), &remade), Fate::Gone(_)));
        assert!(matches!(fate(&index, "h", &name("s.t"), Some("i"), &Now::default()), Fate::Gone(_)));
        // but for what we have put there ourselves
        let converted = Now { namesake: Some('p'), ..Now::default() };
        assert_eq!(fate(&index, "h", &name("s.t"), Some("i"), &converted), Fate::ByName(name("s.t")));
        assert_eq!(fate(&made(), "h", &name("s.v"), None, &remade), Fate::ByName(name("s.v")));
    }

    #[test]
    fn a_copy_goes_by_names() {
        let now = Now { relation: Some(name("s.other")), ..Now::default() };
        assert_eq!(fate(&made(), "copy", &name("s.t"), None, &now), Fate::ByName(name("s.t")));
    }

    #[test]
    fn an_index_that_was_built_again_is_looked_for_on_its_table() {
        let index = Made { object: Some(2), ..made() };
        let now = Now { relation: Some(name("s.u")), ..Now::default() };
        assert_eq!(fate(&index, "h", &name("s.t"), Some("i"), &now), Fate::ByName(name("s.u")));
    }

    #[test]
    fn what_was_edited_is_told_from_what_was_renamed() {
        let column = Made { column: Some(3), definition: Some("numeric(5,2)".into()), ..made() };
        let wider = Now {
            relation: Some(name("s.t")),
            object: Some("c".into()),
            definition: Some("numeric(8,3)".into()),
            ..Now::default()
        };
        let fate_of = fate(&column, "h", &name("s.t"), Some("c"), &wider);
        assert_eq!(differs(&fate_of), "the column was made numeric(5,2) and is numeric(8,3)");
        assert!(matches!(fate_of, Fate::There { edited: true, .. }));
        let view = Made { definition: Some("SELECT a".into()), kept: Some("x".into()), ..made() };
        let now = |definition: &str, kept: &str| Now {
            relation: Some(name("s.v")),
            definition: Some(definition.into()),
            kept: Some(kept.into()),
            ..Now::default()
        };
        let edited =
            |now: &Now| matches!(fate(&view, "h", &name("s.v"), None, now), Fate::There { edited: true, .. });
        assert!(!edited(&now("SELECT b AS a", "x")) && !edited(&now("SELECT a", "y")));
        assert!(edited(&now("SELECT b", "y")));
    }
}
