//! Whatever the extension brings says what it is.

use groundskeeper_tests::{Template, TestDb};

/// Members without a comment, but for sequences that came with an identity column.
const UNCOMMENTED: &str = "
    SELECT pg_describe_object(d.classid, d.objid, 0)
      FROM pg_depend d
      JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
     WHERE e.extname = 'pg_groundskeeper' AND d.deptype = 'e'
       AND obj_description(d.objid, d.classid::regclass::text) IS NULL
       AND NOT EXISTS (SELECT FROM pg_depend o
                        WHERE o.classid = d.classid AND o.objid = d.objid AND o.objsubid = 0
                          AND o.deptype IN ('i', 'a'))
     ORDER BY 1";

#[test]
fn every_object_of_the_extension_has_a_comment() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let rows = db.client().unwrap().query(UNCOMMENTED, &[]).unwrap();
    let uncommented: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert!(uncommented.is_empty(), "without a comment:\n{}", uncommented.join("\n"));
}
