//! What the catalog tells of tables and their columns, what a deployment calls them, and what does not fit.

use std::fmt;

/// A column as the catalog tells of it.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type as PostgreSQL spells it, with its digits or length.
    pub type_name: String,
    /// Whether it is NOT NULL.
    pub not_null: bool,
    /// Whether a row cannot be without a value that somebody gives.
    pub required: bool,
    /// Whether its value is computed, so that none can be given.
    pub generated: bool,
}

/// A table and its columns.
#[derive(Debug, Clone)]
pub struct Table {
    /// `schema.name`.
    pub name: String,
    /// Its columns; none where there is no such table.
    pub columns: Vec<Column>,
    /// The CHECK constraints on the status alone, as one text.
    pub status_check: Option<String>,
    /// Whether triggers may change a row before it is written.
    pub rewrites_rows: bool,
}

impl Table {
    /// The column of that name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// What a deployment calls columns, where that is not what the plan calls them.
#[derive(Debug, Clone, Default)]
pub struct ColumnNames(Vec<(String, String, String)>);

impl ColumnNames {
    /// From rows of relation, role and column.
    #[must_use]
    pub fn new(rows: Vec<(String, String, String)>) -> Self {
        Self(rows)
    }

    /// What the column of that role is called.
    #[must_use]
    pub fn of(&self, relation: &str, role: &str) -> Option<&str> {
        let found = self.0.iter().find(|(table, of, _)| table == relation && of == role);
        found.map(|(.., column)| column.as_str())
    }
}

/// What makes a table unfit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// The table, or its column.
    pub what: String,
    /// Why.
    pub why: String,
    /// What helps.
    pub remedy: Option<String>,
    /// Whether the plan itself mends it.
    pub planned: bool,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.what, self.why)
    }
}

impl Misfit {
    fn new(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into(), remedy: None, planned: false }
    }
}

/// The families of types that a column may be of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// A whole number.
    Integer,
    /// An exact number.
    Number,
    /// A text of any length.
    Text,
    /// A jsonb.
    Json,
    /// A date.
    Date,
    /// A moment, with or without a zone.
    Time,
    /// A number that holds scores.
    Score,
}

impl Family {
    fn admits(self, type_name: &str) -> Result<(), String> {
        let base = type_name.split('(').next().unwrap_or(type_name);
        let (fits, wanted) = match self {
            Self::Integer => (matches!(base, "smallint" | "integer" | "bigint"), "an integer"),
            Self::Number => {
                (matches!(base, "smallint" | "integer" | "bigint" | "numeric"), "an exact number")
            }
            Self::Text => (matches!(base, "text" | "character varying"), "text"),
            Self::Json => (base == "jsonb", "jsonb"),
            Self::Date => (base == "date", "a date"),
            Self::Time => (type_name.starts_with("timestamp"), "a timestamp"),
            Self::Score => return score_fits(type_name),
        };
        if fits { Ok(()) } else { Err(format!("is {type_name}, not {wanted}")) }
    }
}

/// A score needs two digits before the point and two after it.
fn score_fits(type_name: &str) -> Result<(), String> {
    let fits = match type_name {
        "numeric" | "real" | "double precision" => true,
        _ => digits(type_name).is_some_and(|(precision, scale)| precision - scale >= 2 && scale >= 2),
    };
    if fits { Ok(()) } else { Err(format!("is {type_name}, which cannot hold scores up to 99.99")) }
}

/// The digits of a numeric type: all of them, and those after the point.
#[must_use]
pub fn digits(type_name: &str) -> Option<(i32, i32)> {
    let (precision, scale) = type_name.strip_prefix("numeric(")?.strip_suffix(')')?.split_once(',')?;
    Some((precision.parse().ok()?, scale.parse().ok()?))
}

/// The characters that a text type takes, where there is a limit.
#[must_use]
pub fn longest(type_name: &str) -> Option<i32> {
    type_name.strip_prefix("character varying(")?.strip_suffix(')')?.parse().ok()
}

/// The words that a status column admits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Words {
    /// `validated`, `needs_review`, `invalid`, `low_coverage`.
    Plan,
    /// `valid`, `warning`, `invalid`.
    Validity,
}

/// Whether a constraint names words at all.
fn names_words(check: &str) -> bool {
    check.split('\'').skip(1).step_by(2).any(|word| word.bytes().any(|byte| byte.is_ascii_alphanumeric()))
}

/// Looks tables over and collects what does not fit.
pub struct Inspection<'a> {
    names: &'a ColumnNames,
    /// What did not fit so far.
    pub misfits: Vec<Misfit>,
}

/// A column that was found, its name quoted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its name, quoted.
    pub quoted: String,
    /// Its name.
    pub name: String,
    /// Its type.
    pub type_name: String,
    /// Whether it is NOT NULL.
    pub not_null: bool,
}

impl<'a> Inspection<'a> {
    /// Nothing was looked at yet.
    #[must_use]
    pub fn new(names: &'a ColumnNames) -> Self {
        Self { names, misfits: Vec::new() }
    }

    /// What the column of a role is called in the table, if it is there at all.
    #[must_use]
    pub fn name<'t>(&self, table: &'t Table, role: &str) -> Option<&'t str> {
        table.column(self.names.of(&table.name, role).unwrap_or(role)).map(|column| column.name.as_str())
    }

    /// Whether the table is there.
    pub fn exists(&mut self, table: &Table) -> bool {
        if table.columns.is_empty() {
            self.misfits.push(Misfit::new(&table.name, "does not exist"));
        }
        !table.columns.is_empty()
    }

    /// The column of a role, which the market cannot do without: the configured one, else the first of the names
    /// that the table has.
    pub fn column(&mut self, table: &Table, roles: &[&str], family: Family) -> Option<Found> {
        let found = self.optional(table, roles, family);
        if found.is_none() {
            let role = roles.first().copied().unwrap_or_default();
            let name = self.names.of(&table.name, role).unwrap_or(role);
            if table.column(name).is_none() {
                self.misfits.push(Misfit::new(format!("{}.{name}", table.name), "does not exist"));
            }
        }
        found
    }

    /// The same for a column that the market can do without; one that is there must fit all the same.
    pub fn optional(&mut self, table: &Table, roles: &[&str], family: Family) -> Option<Found> {
        let configured = roles.iter().find_map(|role| self.names.of(&table.name, role));
        let column = match configured {
            Some(name) => table.column(name),
            None => roles.iter().find_map(|name| table.column(name)),
        }?;
        if let Err(why) = family.admits(&column.type_name) {
            let mut misfit = Misfit::new(format!("{}.{}", table.name, column.name), why);
            if family == Family::Score {
                let scale = digits(&column.type_name).map_or(2, |(_, scale)| scale);
                misfit.planned = scale == 2;
                misfit.remedy = Some(format!(
                    "ALTER TABLE {} ALTER COLUMN {} TYPE numeric({}, {})",
                    table.name,
                    column.name,
                    scale.max(2) + 3,
                    scale.max(2)
                ));
            }
            self.misfits.push(misfit);
            return None;
        }
        Some(Found {
            quoted: quote(&column.name),
            name: column.name.clone(),
            type_name: column.type_name.clone(),
            not_null: column.not_null,
        })
    }

    /// Columns that must be given a value, and are not among those that are written; and those that are, and cannot be.
    pub fn required(&mut self, table: &Table, written: &[&str]) {
        let computed = table.columns.iter().filter(|c| c.generated && written.contains(&c.name.as_str()));
        self.misfits.extend(computed.map(|column| {
            Misfit::new(
                format!("{}.{}", table.name, column.name),
                "is generated, and the migration writes it",
            )
        }));
        let unknown = table.columns.iter().filter(|c| c.required && !written.contains(&c.name.as_str()));
        self.misfits.extend(unknown.map(|column| {
            Misfit::new(
                format!("{}.{}", table.name, column.name),
                "is NOT NULL without a default, and the migration has no value for it",
            )
        }));
    }

    /// The words of a status column, by the CHECK constraint on it.
    pub fn words(&mut self, table: &Table) -> Words {
        match table.status_check.as_deref() {
            None => Words::Plan,
            Some(check) if check.contains("'validated'") || !names_words(check) => Words::Plan,
            Some(check) if check.contains("'valid'") && check.contains("'warning'") => Words::Validity,
            Some(check) => {
                let what = format!("{}.validation_status", table.name);
                self.misfits.push(Misfit::new(what, format!("admits other words: {check}")));
                Words::Plan
            }
        }
    }
}

/// A name as SQL takes it, whatever it holds.
#[must_use]
pub fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &[(&str, &str)]) -> Table {
        let column = |(name, type_name): &(&str, &str)| Column {
            name: (*name).into(),
            type_name: (*type_name).into(),
            not_null: false,
            required: false,
            generated: false,
        };
        Table {
            name: "raw_data.t".into(),
            columns: columns.iter().map(column).collect(),
            status_check: None,
            rewrites_rows: false,
        }
    }

    #[test]
    fn a_configured_name_goes_before_the_plans() {
        let names =
            ColumnNames::new(vec![("raw_data.t".into(), "spread_odds".into(), "the \"odds\"".into())]);
        let mut look = Inspection::new(&names);
        let both = table(&[("spread_odds", "integer"), ("the \"odds\"", "bigint")]);
        let found = look.column(&both, &["spread_odds"], Family::Integer).unwrap();
        assert_eq!((found.quoted.as_str(), found.type_name.as_str()), ("\"the \"\"odds\"\"\"", "bigint"));
        assert_eq!(
            look.column(&table(&[("spread_odds", "integer")]), &["spread_odds"], Family::Integer),
            None
        );
        assert_eq!(look.misfits[0].to_string(), "raw_data.t.the \"odds\" does not exist");
    }

    #[test]
    fn what_can_be_done_without_is_no_misfit_unless_it_is_of_another_type() {
        let names = ColumnNames::default();
        let mut look = Inspection::new(&names);
        assert_eq!(look.optional(&table(&[]), &["home_team_name"], Family::Text), None);
        assert!(look.misfits.is_empty());
        assert_eq!(look.optional(&table(&[("home", "bytea")]), &["home"], Family::Text), None);
        assert_eq!(look.misfits[0].to_string(), "raw_data.t.home is bytea, not text");
    }

    #[test]
    fn scores_that_the_plan_widens_are_told_from_those_that_it_cannot() {
        let names = ColumnNames::default();
        for (type_name, planned) in [("numeric(3,2)", true), ("numeric(4,3)", false)] {
            let mut look = Inspection::new(&names);
            look.column(&table(&[("s", type_name)]), &["s"], Family::Score);
            assert_eq!(look.misfits.iter().map(|m| m.planned).collect::<Vec<_>>(), [planned], "{type_name}");
        }
        assert_eq!(longest("character varying(100)"), Some(100));
        assert_eq!(longest("text"), None);
    }
}
