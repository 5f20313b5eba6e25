//! After an update the catalogs say what they say after an installation.

use groundskeeper_tests::sql::{text, texts};
use groundskeeper_tests::{Template, TestDb, difference};
use postgres::Client;

use super::{released, update};
use crate::rights::assert_passes_the_checker;

/// All that the catalogs have of the extension.
pub fn catalog(client: &mut Client) -> String {
    let facts = client.query(include_str!("catalog.sql"), &[]).unwrap();
    facts.iter().map(|fact| format!("{}\n", fact.get::<_, &str>(0))).collect()
}

#[test]
fn an_updated_catalog_is_a_fresh_one() {
    let fresh = TestDb::installed(Template::Empty).unwrap();
    let fresh = catalog(&mut fresh.client().unwrap());
    let (_db, mut client) = released("0.1.0");
    assert_ne!(catalog(&mut client), fresh);
    update(&mut client);
    let differs = difference(&fresh, &catalog(&mut client));
    assert!(differs.is_empty(), "`cargo xtask upgrade-script` writes the script anew:\n{differs}");
    assert!(fresh.lines().count() > 5000, "the catalogs say little of the extension:\n{fresh}");
}

#[test]
fn the_target_schema_may_be_any() {
    let made = |client: &mut Client, version: &str| {
        client
            .batch_execute(&format!(
                "CREATE SCHEMA \"Odd one\"; CREATE EXTENSION pg_groundskeeper SCHEMA \"Odd one\" {version}"
            ))
            .unwrap();
    };
    let [fresh, old] = [Template::Empty; 2].map(|template| TestDb::new(template).unwrap());
    let [mut there, mut client] = [&fresh, &old].map(|db| db.client().unwrap());
    made(&mut there, "");
    made(&mut client, "VERSION '0.1.0'");
    update(&mut client);
    let differs = difference(&catalog(&mut there), &catalog(&mut client));
    assert!(differs.is_empty(), "{differs}");
    let commands = "SELECT command FROM groundskeeper.schedule ORDER BY job_name";
    assert_eq!(texts(&mut client, commands).unwrap(), texts(&mut there, commands).unwrap());
}

#[test]
fn defaults_that_nobody_has_edited_are_the_new_ones() {
    let fresh = TestDb::installed(Template::Empty).unwrap();
    let mut there = fresh.client().unwrap();
    let (_db, mut client) = released("0.1.0");
    update(&mut client);
    for table in ["alert_rules", "kpi_targets", "quality_rules", "schedule"] {
        let rows = format!("SELECT t FROM groundskeeper.{table} t ORDER BY 1");
        assert_eq!(texts(&mut client, &rows).unwrap(), texts(&mut there, &rows).unwrap(), "{table}");
    }
}

#[test]
fn no_function_names_a_folder() {
    let (_db, mut client) = released("0.1.0");
    update(&mut client);
    let libraries = "SELECT DISTINCT probin FROM pg_proc WHERE probin ~ 'groundskeeper'";
    assert_eq!(texts(&mut client, libraries).unwrap(), ["pg_groundskeeper"]);
}

/// Functions of both versions that call the same symbol of the library with other arguments or columns.
#[test]
fn a_symbol_keeps_its_arguments_and_columns() {
    let symbols = "SELECT format('%s(%s) %s strict %s', p.prosrc, pg_get_function_identity_arguments(p.oid),
                                 pg_get_function_result(p.oid), p.proisstrict)
                     FROM pg_proc p WHERE p.probin ~ 'groundskeeper' ORDER BY 1";
    let (_db, mut client) = released("0.1.0");
    let before = texts(&mut client, symbols).unwrap();
    update(&mut client);
    let name = |symbol: &str| symbol.split('(').next().unwrap_or_default().to_owned();
    for symbol in texts(&mut client, symbols).unwrap() {
        let known = before.iter().any(|old| name(old) == name(&symbol));
        assert!(!known || before.contains(&symbol), "{symbol} is another in 0.1.0: see src/api/released.rs");
    }
}

#[test]
fn the_script_passes_the_checker_of_scripts() {
    let (_db, mut client) = released("0.1.0");
    let script = "SELECT p.setting || '/extension/pg_groundskeeper--0.1.0--0.2.0.sql' FROM pg_config p WHERE p.name = 'SHAREDIR'";
    let script = text(&mut client, script).unwrap();
    // What was the extension's before may be replaced: PostgreSQL refuses to where somebody else has made it.
    assert_passes_the_checker(&script, &["PS002", "PS015"]);
}
