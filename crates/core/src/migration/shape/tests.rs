use super::super::columns::Column;
use super::super::roles::roles;
use super::*;

fn table(name: &str, columns: &[(&str, &str)]) -> Table {
    let column = |(name, type_name): &(&str, &str)| Column {
        name: (*name).into(),
        type_name: (*type_name).into(),
        not_null: false,
        required: false,
        generated: false,
    };
    Table {
        name: name.into(),
        columns: columns.iter().map(column).collect(),
        status_check: None,
        rewrites_rows: false,
    }
}

const TIME: &str = "timestamp with time zone";
const NAME: &str = "character varying(100)";

fn raw() -> Table {
    table(
        "raw_data.totals_raw",
        &[
            ("id", "bigint"),
            ("source", NAME),
            ("game_external_id", NAME),
            ("sportsbook_id", "integer"),
            ("sportsbook_name", NAME),
            ("total_points", "numeric(4,1)"),
            ("over_odds", "integer"),
            ("under_odds", "integer"),
            ("raw_data", "jsonb"),
            ("collected_at", TIME),
            ("game_date", "date"),
            ("created_at", TIME),
            ("updated_at", TIME),
        ],
    )
}

fn staging(raw_id: &str, game_id: &str, line: &str, score: &str) -> Table {
    table(
        "staging.totals",
        &[
            (raw_id, "bigint"),
            ("game_id", game_id),
            ("sportsbook_id", "integer"),
            ("sportsbook_name", NAME),
            (line, "numeric(4,1)"),
            ("over_odds", "integer"),
            ("under_odds", "integer"),
            ("data_quality_score", score),
            ("validation_status", "character varying(20)"),
            ("validation_errors", "jsonb"),
            ("processed_at", TIME),
            ("updated_at", TIME),
        ],
    )
}

/// Spreads as they are deployed, each table with the columns that it has there.
pub fn shape_of_spreads(names: &ColumnNames) -> Shape {
    let mut raw = raw();
    raw.name = "raw_data.spreads_raw".into();
    raw.columns.retain(|column| !["total_points", "over_odds", "under_odds"].contains(&column.name.as_str()));
    let more = [
        ("spread_value", "numeric(5,2)"),
        ("spread_odds", "integer"),
        ("odds; --\"", "integer"),
        ("favorite_team", NAME),
        ("underdog_team", NAME),
    ];
    raw.columns.extend(table("", &more).columns);
    let mut staging = staging("raw_id", "integer", "spread_value", "numeric(5,2)");
    staging.name = "staging.spreads".into();
    let more =
        [("spread_odds", "integer"), ("favorite_team_normalized", NAME), ("underdog_team_normalized", NAME)];
    staging.columns.extend(table("", &more).columns);
    fit(Market::Spread, &raw, &staging, &games(), names).unwrap()
}

fn games() -> Table {
    table(
        "staging.games",
        &[
            ("id", "bigint"),
            ("external_id", NAME),
            ("home_team_normalized", NAME),
            ("away_team_normalized", NAME),
            ("game_date", "date"),
            ("season", "integer"),
            ("data_quality_score", "numeric(5,2)"),
            ("validation_status", "character varying(20)"),
            ("updated_at", TIME),
        ],
    )
}

fn fits(raw: &Table, staging: &Table) -> Result<Shape, Vec<String>> {
    fit(Market::Total, raw, staging, &games(), &ColumnNames::default())
        .map_err(|misfits| misfits.iter().map(ToString::to_string).collect())
}

#[test]
fn both_shapes_fit_as_they_are_deployed() {
    let a = fits(&raw(), &staging("raw_id", "integer", "total_points", "numeric(5,2)")).unwrap().staging;
    assert_eq!((a.raw_id.name.as_str(), a.by_external_id, a.words), ("raw_id", false, Words::Plan));
    assert_eq!(a.line.unwrap().name, "total_points");
    let mut b = staging("raw_totals_id", "character varying(255)", "line_value", "numeric(6,3)");
    let check = "CHECK (((validation_status)::text = ANY (ARRAY['pending', 'valid', 'invalid', 'warning'])))";
    b.status_check = Some(check.into());
    let b = fits(&raw(), &b).unwrap().staging;
    assert_eq!((b.raw_id.name.as_str(), b.by_external_id, b.words), ("raw_totals_id", true, Words::Validity));
    assert_eq!(b.line.unwrap().name, "line_value");
}

#[test]
fn what_does_not_fit_is_named_with_its_remedy() {
    let mut unfit = staging("raw_id", "boolean", "total_points", "numeric(4,3)");
    unfit.columns.retain(|column| column.name != "validation_errors");
    unfit.status_check = Some("CHECK (validation_status = 'x')".into());
    assert_eq!(
        fits(&raw(), &unfit).unwrap_err(),
        [
            "staging.totals.game_id is boolean, not an integer",
            "staging.totals.data_quality_score is numeric(4,3), which cannot hold scores up to 99.99",
            "staging.totals.validation_errors does not exist",
            "staging.totals.validation_status admits other words: CHECK (validation_status = 'x')",
        ]
    );
    let narrow = staging("raw_id", "integer", "total_points", "numeric(4,3)");
    let found = fit(Market::Total, &raw(), &narrow, &games(), &ColumnNames::default()).unwrap_err();
    let remedy = "ALTER TABLE staging.totals ALTER COLUMN data_quality_score TYPE numeric(6, 3)";
    assert_eq!(found[0].remedy.as_deref(), Some(remedy));
    let mut strict = staging("raw_id", "integer", "total_points", "numeric(5,2)");
    let required = |name: &str| Column {
        name: name.into(),
        type_name: "integer".into(),
        not_null: true,
        required: true,
        generated: false,
    };
    strict.columns.push(required("tenant"));
    strict.status_check = Some("CHECK (validation_status <> '')".into());
    assert_eq!(
        fits(&raw(), &strict).unwrap_err(),
        ["staging.totals.tenant is NOT NULL without a default, and the migration has no value for it"]
    );
    let gone = table("raw_data.totals_raw", &[]);
    let a = staging("raw_id", "integer", "total_points", "numeric(5,2)");
    assert_eq!(fits(&gone, &a).unwrap_err(), ["raw_data.totals_raw does not exist"]);
}

#[test]
fn a_renamed_column_is_found_by_its_configured_name() {
    let mut other = raw();
    other.columns.iter_mut().filter(|c| c.name == "total_points").for_each(|c| c.name = "runs".into());
    let a = staging("raw_id", "integer", "total_points", "numeric(5,2)");
    assert_eq!(fits(&other, &a).unwrap_err(), ["raw_data.totals_raw.total_points does not exist"]);
    let names = ColumnNames::new(vec![
        ("raw_data.totals_raw".into(), "total_points".into(), "runs".into()),
        ("raw_data.totals_raw".into(), "start_time".into(), "tip_off".into()),
    ]);
    let shape = fit(Market::Total, &other, &a, &games(), &names).unwrap();
    assert_eq!(shape.raw.tells.line.unwrap().quoted, "\"runs\"");
    assert_eq!(shape.raw.tells.start, Start::Key("tip_off".into()));
}

#[test]
fn every_role_that_is_looked_for_can_be_configured() {
    for (relation, role) in [
        ("raw_data.moneylines_raw", "home_odds"),
        ("raw_data.spreads_raw", "favorite_team"),
        ("raw_data.totals_raw", "start_time"),
        ("staging.spreads", "raw_id"),
        ("staging.spreads", "spread_odds"),
        ("staging.games", "game_datetime"),
    ] {
        assert!(roles(relation).unwrap().contains(&role), "{relation} {role}");
    }
    assert_eq!(roles("raw_data.moneylines"), None);
}
