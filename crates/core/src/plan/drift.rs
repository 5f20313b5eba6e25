//! Whether what a change made is still what it was: known again by OID, so that a new name hides nothing, and what has
//! taken an old name is nobody's but its owner's.

use crate::names::Qualified;
use serde::{Deserialize, Serialize};

/// What a change made, as the catalogs had it then.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// The cluster and database whose OIDs these are.
    pub home: String,
    /// The relation that it stands on, or is.
    pub relation: u32,
    /// The index, constraint or function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<u32>,
    /// The function's name, which no item says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// The column's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<i16>,
    /// A column's type, a view's query as PostgreSQL wrote it, or a checksum of a function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
    /// A checksum of a view's query as PostgreSQL keeps it, which new names of what it reads leave as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<String>,
    /// The triggers that run the object, where that is a function.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub triggers: Vec<Trigger>,
}

/// A trigger of the relation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    /// Its OID.
    pub oid: u32,
    /// Its name.
    pub name: String,
    /// A checksum of what it is, but for its name.
    pub definition: String,
    /// Whether it is switched off.
    #[serde(default)]
    pub off: bool,
}

/// What the catalogs have by these OIDs now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Now {
    /// The relation's name.
    pub relation: Option<Qualified>,
    /// The name of the index, constraint, column or function.
    pub object: Option<String>,
    /// As in [`Made`].
    pub definition: Option<String>,
    /// As in [`Made`].
    pub kept: Option<String>,
    /// As in [`Made`]: those that are there still.
    pub triggers: Vec<Trigger>,
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
    let is_view = !is_part && made.definition.is_some();
    let Some(relation) = &now.relation else {
        // A view may have been made again by what changed a column below it, and with it its indexes; a partitioned table
        // took the place of ours.
        return match now.namesake {
            Some('p' | 'm') => Fate::ByName(place.clone()),
            _ if is_view => Fate::ByName(place.clone()),
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
    if let (Some(was), Some(is)) = (object.or(made.function.as_deref()), &now.object)
        && was != is
    {
        differences.push(format!("{was} was renamed to {is}"));
    }
    differences.extend(made.triggers.iter().filter_map(|was| changed(was, &now.triggers)));
    let edited = edited(made, now);
    if edited {
        match (&made.column, &made.definition, &now.definition) {
            (Some(_), Some(was), Some(is)) => {
                differences.push(format!("the column was made {was} and is {is}"));
            }
            (_, was, is) if was != is => differences.push("its definition was edited".to_owned()),
            // one of its triggers was, as has been said
            _ => {}
        }
    }
    Fate::There {
        relation: relation.clone(),
        object: now.object.clone(),
        difference: (!differences.is_empty()).then(|| differences.join("; ")),
        edited,
    }
}

/// What has become of a trigger that is there. One that is gone is missed by who looks for it.
fn changed(was: &Trigger, now: &[Trigger]) -> Option<String> {
    let is = now.iter().find(|trigger| trigger.oid == was.oid)?;
    let renamed = (is.name != was.name).then(|| format!("was renamed to {}", is.name));
    let edited = (is.definition != was.definition).then(|| "was edited".to_owned());
    let off = (is.off && !was.off).then(|| "was switched off".to_owned());
    let words: Vec<String> = renamed.into_iter().chain(edited).chain(off).collect();
    (!words.is_empty()).then(|| format!("trigger {} {}", was.name, words.join(" and ")))
}

fn edited(made: &Made, now: &Now) -> bool {
    let other =
        |was: &Trigger| now.triggers.iter().any(|is| is.oid == was.oid && is.definition != was.definition);
    let is_other = made.definition.is_some()
        && made.definition != now.definition
        && (made.kept.is_none() || made.kept != now.kept);
    is_other || made.triggers.iter().any(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Qualified {
        Qualified::try_from(text.to_owned()).unwrap()
    }

    fn made() -> Made {
        Made { home: "h".into(), relation: 1, ..Made::default() }
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
        let view = Made { definition: Some("SELECT 1".into()), ..made() };
        assert_eq!(fate(&view, "h", &name("s.v"), None, &remade), Fate::ByName(name("s.v")));
        // what is only known of a relation is not true of another
        assert!(matches!(fate(&made(), "h", &name("s.t"), None, &remade), Fate::Gone(_)));
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
    fn triggers_are_followed_with_their_function() {
        let trigger =
            |oid, name: &str| Trigger { oid, name: name.into(), definition: "x".into(), off: false };
        let made = Made {
            object: Some(2),
            function: Some("note".into()),
            triggers: vec![trigger(7, "on_insert"), trigger(8, "on_update"), trigger(9, "on_delete")],
            ..made()
        };
        let off = Trigger { off: true, ..trigger(8, "on_update") };
        let now = Now {
            relation: Some(name("s.t")),
            object: Some("write_down".into()),
            triggers: vec![trigger(7, "mine"), off],
            ..Now::default()
        };
        let fate = super::fate(&made, "h", &name("s.t"), None, &now);
        assert_eq!(
            differs(&fate),
            "note was renamed to write_down; trigger on_insert was renamed to mine; trigger on_update was switched off"
        );
        assert!(matches!(fate, Fate::There { edited: false, .. }));
        let other = Trigger { definition: "y".into(), ..trigger(9, "on_delete") };
        let now = Now { triggers: vec![other], object: Some("note".into()), ..now };
        let fate = super::fate(&made, "h", &name("s.t"), None, &now);
        assert_eq!(differs(&fate), "trigger on_delete was edited");
        assert!(matches!(fate, Fate::There { edited: true, .. }));
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
