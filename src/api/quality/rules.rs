//! The quality rules as SQL sees them: JSON from outside, the defaults from within.

use groundskeeper_core::quality::{DEFINITIONS, Rules};
use pgrx::name;
use pgrx::pg_sys::panic::{ErrorReport, ErrorReportable};
use pgrx::prelude::*;
use serde_json::{Map, Value};

use super::arguments::JsonbArgument;
use super::call_site::numeric_from_hundredths;
use crate::error::{Failure, Result};

const HINT: &str = "See SELECT * FROM groundskeeper.default_quality_rules().";

/// The built-in rules, as they stand in `groundskeeper.quality_rules` until they are edited.
#[pg_extern(schema = "groundskeeper", immutable, parallel_safe)]
fn default_quality_rules() -> TableIterator<
    'static,
    (name!(rule, &'static str), name!(points, AnyNumeric), name!(description, &'static str)),
> {
    TableIterator::new(DEFINITIONS.iter().filter_map(|definition| {
        let points = numeric_from_hundredths(definition.default.into());
        // SAFETY: a numeric just made, and not NULL.
        let points = unsafe { AnyNumeric::from_datum(points, false) }?;
        Some((definition.name, points, definition.description))
    }))
}

/// True, or an error that says which rule is wrong: for a CHECK constraint.
#[pg_extern(schema = "groundskeeper_internal", immutable, parallel_safe)]
fn check_quality_rules(rules: Option<JsonbArgument<'_>>) -> bool {
    if let Some(image) = rules.and_then(JsonbArgument::image) {
        read_or_raise(image);
    }
    true
}

/// The rules that the content of a jsonb asks for, or the error that it deserves.
pub fn read_or_raise(image: &[u8]) -> Rules {
    read(image).map_err(ErrorReport::from).unwrap_or_report()
}

/// The built-in rules with those replaced that the content of a jsonb names.
fn read(image: &[u8]) -> Result<Rules> {
    let text = JsonbArgument::text_of(image).unwrap_or_default();
    let object: Map<String, Value> = serde_json::from_str(&text.to_string_lossy()).map_err(|error| {
        invalid("quality rules must be a JSON object of numbers".into())
            .detail(format!("Read as JSON: {error}."))
    })?;
    let mut rules = Rules::DEFAULT;
    for (name, value) in &object {
        rules
            .set(name, &value.to_string())
            .map_err(|error| invalid(error.to_string()).detail(error.detail()))?;
    }
    Ok(rules)
}

fn invalid(message: String) -> Failure {
    Failure::new(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, message).hint(HINT)
}
