//! Items that users add: read field by field, so that what is wrong is named, and written in the plan file's form.

use super::item::{Action, Item};
use crate::names::Qualified;
use crate::partition::Interval;
use serde_json::{Map, Value, json};
use std::fmt;

/// The section of an item that names none.
pub const SECTION: &str = "own";

/// Why something cannot be an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// The field that is wrong.
    pub field: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Unfit {
    fn new(field: &str, reason: impl Into<String>) -> Self {
        Self { field: field.to_owned(), reason: reason.into() }
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "field \"{}\" {}", self.field, self.reason)
    }
}

impl std::error::Error for Unfit {}

/// What a field holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    Text,
    Name,
    Texts,
    Relation,
    Whole,
    Flag,
}

/// A kind's fields, those that it must have first.
type Fields = (&'static [(&'static str, Holds)], &'static [(&'static str, Holds)]);

const INDEX: Fields = (
    &[("name", Holds::Name)],
    &[
        ("keys", Holds::Texts),
        ("references", Holds::Relation),
        ("or_first_of", Holds::Texts),
        ("predicate", Holds::Text),
        ("unique", Holds::Flag),
        ("unless_served", Holds::Flag),
    ],
);

/// What every item has.
const COMMON: &[(&str, Holds)] = &[
    ("section", Holds::Name),
    ("relation", Holds::Relation),
    ("kind", Holds::Text),
    ("needs", Holds::Texts),
];

const KINDS: [(&str, Fields); 8] = [
    (
        "widen_numeric",
        (&[("column", Holds::Name), ("precision", Holds::Whole), ("scale", Holds::Whole)], &[]),
    ),
    ("check_constraint", (&[("name", Holds::Name), ("expression", Holds::Text)], &[])),
    ("index", INDEX),
    ("expression_index", INDEX),
    ("view", (&[("query", Holds::Text)], &[("options", Holds::Text), ("accepts", Holds::Texts)])),
    ("materialized_view", (&[("query", Holds::Text)], &[("accepts", Holds::Texts)])),
    ("partitioned_table", (&[("key", Holds::Name)], &[("interval", Holds::Text)])),
    ("statistics", (&[], &[])),
];

/// Kinds of the built-in plan that are carried out otherwise.
const ELSEWHERE: [(&str, &str); 3] = [
    ("monitoring_view", "is of the extension itself: its monitoring views come and go with it"),
    ("role_setting", "is applied by groundskeeper.apply_server_settings(), a role at a time"),
    ("migration", "is about the tables of the migration, which the built-in plan names"),
];

/// Reads an item: an object with the fields of the plan file, or a word of its `statistics`.
///
/// # Errors
/// The first field that is wrong, and why.
pub fn read(value: &Value) -> Result<Item, Unfit> {
    let Value::Object(given) = value else { return Err(Unfit::new("item", "is no object")) };
    // what is null is not given
    let mut fields: Map<String, Value> =
        given.iter().filter(|(_, value)| !value.is_null()).map(|(k, v)| (k.clone(), v.clone())).collect();
    if let Some(relation) = fields.remove("statistics") {
        fields.insert("relation".to_owned(), the_one(relation)?);
        fields.entry("kind").or_insert_with(|| json!("statistics"));
    }
    let kind = match fields.get("kind") {
        Some(Value::String(kind)) => kind.clone(),
        Some(_) => return Err(Unfit::new("kind", "is no text")),
        None => return Err(Unfit::new("kind", format!("is missing; it is one of {}", kinds()))),
    };
    let (required, optional) = fields_of(&kind)?;
    fields.entry("section").or_insert_with(|| json!(SECTION));
    if kind == "partitioned_table" {
        fields.entry("interval").or_insert_with(|| json!("month"));
    }
    for (field, value) in &fields {
        let known = COMMON.iter().chain(required).chain(optional).find(|(name, _)| name == field);
        let Some((_, holds)) = known else {
            let names = COMMON.iter().chain(required).chain(optional).map(|(name, _)| *name);
            let names = names.collect::<Vec<_>>().join(", ");
            return Err(Unfit::new(field, format!("is none of the kind {kind}, which has {names}")));
        };
        check(field, value, *holds)?;
    }
    let needed = COMMON.iter().filter(|(name, _)| *name == "relation").chain(required);
    if let Some((missing, _)) = needed.into_iter().find(|(name, _)| !fields.contains_key(*name)) {
        return Err(Unfit::new(missing, format!("is missing: the kind {kind} must have it")));
    }
    let item: Item = serde_json::from_value(Value::Object(fields))
        .map_err(|error| Unfit::new("item", format!("cannot be read: {error}")))?;
    sensible(&item)?;
    Ok(item)
}

fn kinds() -> String {
    KINDS.iter().map(|(kind, _)| *kind).collect::<Vec<_>>().join(", ")
}

fn fields_of(kind: &str) -> Result<Fields, Unfit> {
    if let Some((_, fields)) = KINDS.iter().find(|(name, _)| *name == kind) {
        return Ok(*fields);
    }
    Err(match ELSEWHERE.iter().find(|(name, _)| *name == kind) {
        Some((_, how)) => Unfit::new("kind", format!("cannot be \"{kind}\", which {how}")),
        None => Unfit::new("kind", format!("is \"{kind}\", and not one of {}", kinds())),
    })
}

/// One relation of a list, which `add_plan_item()` takes as it stands in the plan file.
fn the_one(relation: Value) -> Result<Value, Unfit> {
    match relation {
        Value::Array(mut list) if list.len() == 1 => Ok(list.remove(0)),
        Value::Array(_) => {
            Err(Unfit::new("statistics", "names not one relation: each is an item of its own"))
        }
        one => Ok(one),
    }
}

fn check(field: &str, value: &Value, holds: Holds) -> Result<(), Unfit> {
    match (holds, value) {
        (Holds::Text, Value::String(text)) => text_fits(field, text),
        (Holds::Name, Value::String(text)) => name_fits(field, text),
        (Holds::Texts, Value::Array(list)) => list.iter().try_for_each(|element| match element {
            Value::String(text) => text_fits(field, text),
            _ => Err(Unfit::new(field, "has an element that is no text")),
        }),
        (Holds::Relation, Value::String(text)) => {
            let name = Qualified::try_from(text.clone()).map_err(|_| {
                let reason = format!("is \"{text}\", and not of the form schema.relation");
                Unfit::new(field, format!("{reason}; names with dots are {{\"schema\": ..., \"name\": ...}}"))
            })?;
            name_fits(field, &name.schema).and_then(|()| name_fits(field, &name.name))
        }
        (Holds::Relation, Value::Object(pair)) => match (pair.get("schema"), pair.get("name")) {
            (Some(Value::String(schema)), Some(Value::String(name))) if pair.len() == 2 => {
                name_fits(field, schema).and_then(|()| name_fits(field, name))
            }
            _ => Err(Unfit::new(field, "is no name: it takes schema and name, both texts")),
        },
        (Holds::Whole, Value::Number(number))
            if number.as_i64().is_some_and(|n| i32::try_from(n).is_ok()) =>
        {
            Ok(())
        }
        (Holds::Flag, Value::Bool(_)) => Ok(()),
        (Holds::Text | Holds::Name, _) => Err(Unfit::new(field, "is no text")),
        (Holds::Texts, _) => Err(Unfit::new(field, "is no list of texts")),
        (Holds::Relation, _) => Err(Unfit::new(field, "is no name of a relation")),
        (Holds::Whole, _) => Err(Unfit::new(field, "is no whole number")),
        (Holds::Flag, _) => Err(Unfit::new(field, "is neither true nor false")),
    }
}

fn text_fits(field: &str, text: &str) -> Result<(), Unfit> {
    if text.trim().is_empty() {
        return Err(Unfit::new(field, "is empty"));
    }
    if text.contains('\0') { Err(Unfit::new(field, "contains a NUL byte")) } else { Ok(()) }
}

fn name_fits(field: &str, name: &str) -> Result<(), Unfit> {
    text_fits(field, name)?;
    if name.len() > 63 { Err(Unfit::new(field, "is a name of more than 63 bytes")) } else { Ok(()) }
}

/// What the fields say together.
fn sensible(item: &Item) -> Result<(), Unfit> {
    if item.section.chars().any(char::is_control) {
        return Err(Unfit::new("section", "contains a control character"));
    }
    match &item.action {
        Action::WidenNumeric { precision, .. } if !(1..=1000).contains(precision) => {
            Err(Unfit::new("precision", "is not between 1 and 1000"))
        }
        Action::WidenNumeric { precision, scale, .. } if !(0..=*precision).contains(scale) => {
            Err(Unfit::new("scale", "is not between 0 and the precision"))
        }
        Action::Index(index) | Action::ExpressionIndex(index)
            if index.keys.is_empty() == index.references.is_none() =>
        {
            Err(Unfit::new("keys", "or else references must be given, and not both"))
        }
        Action::PartitionedTable { interval, .. } if Interval::parse(interval).is_none() => Err(Unfit::new(
            "interval",
            format!("is \"{interval}\", and not day, week, month, quarter or year"),
        )),
        _ => Ok(()),
    }
}

/// What is kept of an item: its fields, as they are read again.
///
/// # Errors
/// None that a field could cause.
pub fn definition(item: &Item) -> Result<Value, serde_json::Error> {
    serde_json::to_value(item)
}

/// Items in the form of the plan file.
///
/// # Errors
/// Says what has no place in TOML.
pub fn export(items: &[Item]) -> Result<String, String> {
    // a word of the list has no more to say
    let is_listed =
        |item: &&Item| item.action == Action::Statistics && item.section == SECTION && item.needs.is_empty();
    let listed: Vec<Value> = items
        .iter()
        .filter(is_listed)
        .map(|item| Ok(definition(item)?["relation"].clone()))
        .collect::<Result<_, serde_json::Error>>()
        .map_err(|error| error.to_string())?;
    let others: Vec<Value> = items
        .iter()
        .filter(|item| !is_listed(item))
        .map(definition)
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())?;
    let mut plan = Map::new();
    if !listed.is_empty() {
        plan.insert("statistics".to_owned(), Value::Array(listed));
    }
    if !others.is_empty() {
        plan.insert("items".to_owned(), Value::Array(others));
    }
    let plan = toml::Value::try_from(Value::Object(plan)).map_err(|error| error.to_string())?;
    toml::to_string(&plan).map_err(|error| error.to_string())
}

/// The items of a plan file.
///
/// # Errors
/// Says what is wrong, and where: it is not TOML, has what is no user's to say, or an item is unfit.
pub fn import(text: &str) -> Result<Vec<Item>, Unfit> {
    let plan: Map<String, Value> = toml::from_str(text)
        .map_err(|error| Unfit::new("plan", format!("is no TOML: {}", error.to_string().trim())))?;
    let mut items = Vec::new();
    for (field, value) in plan {
        let Value::Array(list) = value else {
            return Err(Unfit::new(&field, "is no list: a plan to be imported has statistics and items"));
        };
        match field.as_str() {
            "statistics" => {
                for relation in list {
                    items.push(
                        read(&json!({ "kind": "statistics", "relation": relation }))
                            .map_err(|unfit| Unfit { field: "statistics".to_owned(), ..unfit })?,
                    );
                }
            }
            "items" => {
                for (place, item) in list.iter().enumerate() {
                    items.push(read(item).map_err(|unfit| Unfit {
                        field: format!("items[{}].{}", place + 1, unfit.field),
                        ..unfit
                    })?);
                }
            }
            // the file's own list of the sections of its items
            "sections" => {}
            _ => {
                return Err(Unfit::new(
                    &field,
                    "is none of a plan to be imported, which has statistics and items",
                ));
            }
        }
    }
    let mut seen = std::collections::HashSet::new();
    match items.iter().find(|item| !seen.insert(item.id())) {
        Some(twice) => Err(Unfit::new("items", format!("has {} twice", twice.id()))),
        None => Ok(items),
    }
}

#[cfg(test)]
mod tests;
