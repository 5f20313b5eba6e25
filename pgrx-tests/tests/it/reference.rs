//! The reference and the catalogs say the same: what a person calls, reads and sets.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use groundskeeper_tests::sql::texts;
use groundskeeper_tests::{Template, TestDb};

/// What is there, as rows of the reference: functions and procedures in the schemas that people look into, and relations that
/// members of `pg_monitor` may read.
const ROWS: &str = "
    WITH members AS (
        SELECT d.classid, d.objid
          FROM pg_depend d
          JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
         WHERE e.extname = 'pg_groundskeeper' AND d.deptype = 'e')
    SELECT format('| `%s(%s)` | `%s` | %s |', p.oid::regproc,
                  regexp_replace(pg_get_function_arguments(p.oid), '::[a-z]+( with time zone)?(\\[\\])?', '', 'g'),
                  coalesce(pg_get_function_result(p.oid), 'CALL'), obj_description(p.oid, 'pg_proc'))
      FROM members m JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
     WHERE p.pronamespace <> 'groundskeeper_internal'::regnamespace
    UNION ALL
    SELECT format('| `%s` | `%s` | %s |', c.oid::regclass, string_agg(a.attname, ', ' ORDER BY a.attnum),
                  obj_description(c.oid, 'pg_class'))
      FROM members m
      JOIN pg_class c ON m.classid = 'pg_class'::regclass AND m.objid = c.oid
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE has_table_privilege('pg_monitor', c.oid, 'SELECT')
     GROUP BY c.oid";

fn page(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name)).unwrap()
}

#[test]
fn the_reference_has_all_that_is_there_and_nothing_else() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let there: BTreeSet<String> = texts(&mut db.client().unwrap(), ROWS).unwrap().into_iter().collect();
    let written: BTreeSet<String> =
        page("reference.md").lines().filter(|line| line.starts_with("| `")).map(str::to_owned).collect();
    let of =
        |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).cloned().collect::<Vec<_>>().join("\n");
    let (missing, wrong) = (of(&there, &written), of(&written, &there));
    assert!(
        missing.is_empty() && wrong.is_empty(),
        "the reference lacks\n{missing}\nand should not have\n{wrong}"
    );
}

#[test]
fn the_guide_has_every_setting() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let there = "SELECT name FROM pg_settings WHERE name LIKE 'groundskeeper.%' ORDER BY 1";
    let mut client = db.client().unwrap();
    client.batch_execute("LOAD 'pg_groundskeeper'").unwrap();
    let there = texts(&mut client, there).unwrap();
    let guide = page("guide.md");
    let row = |line: &str| Some(line.strip_prefix("| `groundskeeper.")?.split_once('`')?.0.to_owned());
    let mut written: Vec<String> =
        guide.lines().filter_map(row).map(|name| format!("groundskeeper.{name}")).collect();
    written.sort();
    assert_eq!(there, written);
}
