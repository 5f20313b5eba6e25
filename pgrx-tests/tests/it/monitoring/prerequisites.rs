//! What is missing, and whether the line that is said to fix it does.

use super::*;

#[test]
fn the_line_for_preloading_keeps_what_is_preloaded() {
    if groundskeeper_tests::lacks("auto_explain") || groundskeeper_tests::lacks("pg_stat_statements") {
        return;
    }
    let (_server, db) = private(Options::default().preload("auto_explain").preload("pg_stat_statements"));
    let mut client = db.client().unwrap();
    let remedy = "SELECT remedy FROM groundskeeper.prerequisites() WHERE component = 'pg_groundskeeper'";
    let remedy = value(&mut client, remedy);
    run_sql(&mut client, &remedy);
    let written = "SELECT setting FROM pg_file_settings WHERE name = 'shared_preload_libraries'
                   ORDER BY seqno DESC LIMIT 1";
    let written = value(&mut client, written);
    let libraries: Vec<_> = written.split(", ").collect();
    assert_eq!(libraries[..2], ["auto_explain", "pg_stat_statements"], "{remedy} wrote {written}");
    assert!(libraries[2..].contains(&"pg_groundskeeper"), "{remedy} wrote {written}");
}

#[test]
fn what_prerequisites_says_fixes_what_it_names() {
    let mut db = TestDb::installed(Template::Empty).unwrap();
    let owner = db.role("ow\"ner").unwrap();
    let mut client = db.client().unwrap();
    let quoted = quote_ident(&owner);
    run_sql(&mut client, &format!("ALTER ROLE {quoted} NOLOGIN; CREATE SCHEMA staging"));
    run_sql(
        &mut client,
        &format!("CREATE TABLE staging.game (); ALTER TABLE staging.game OWNER TO {quoted}"),
    );
    let login = format!("login of {quoted}");
    let look = "SELECT state, remedy FROM groundskeeper.prerequisites() WHERE component = $1";
    for component in [login.as_str(), "pgstattuple"] {
        let row = client.query_one(look, &[&component]).unwrap();
        assert_eq!(row.get::<_, &str>(0), "missing", "{component}");
        let remedy: String = row.get(1);
        if remedy.starts_with("apt ") {
            continue;
        }
        run_sql(&mut client, &remedy);
        let row = client.query_one(look, &[&component]).unwrap();
        assert_eq!((row.get::<_, &str>(0), row.get::<_, Option<&str>>(1)), ("ok", None), "{component}");
    }
}

#[test]
fn a_schema_of_the_users_gets_no_grant_from_the_install() {
    let db = TestDb::new(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    run_sql(&mut client, "CREATE SCHEMA monitoring");
    db.install().unwrap();
    // Such a grant would be taken for the extension's own and vanish from dumps.
    let recorded = "SELECT 1 FROM pg_init_privs
                    WHERE classoid = 'pg_namespace'::regclass AND objoid = 'monitoring'::regnamespace";
    assert!(column(&mut client, recorded).is_empty());
    let look = "SELECT remedy FROM groundskeeper.prerequisites() WHERE component = 'access of pg_monitor'";
    let remedy = value(&mut client, look);
    run_sql(&mut client, &remedy);
    assert_eq!(value(&mut client, look), "");
}

#[test]
fn a_library_of_another_version_than_the_extension_is_named() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    let told = "SELECT state || ': ' || coalesce(remedy, '') FROM groundskeeper.prerequisites()
                 WHERE component = 'version of pg_groundskeeper'";
    assert_eq!(value(&mut client, told), "ok: ");
    let objects = |version: &str| {
        format!("UPDATE pg_extension SET extversion = '{version}' WHERE extname = 'pg_groundskeeper'")
    };
    run_sql(&mut client, &objects("0.0.9"));
    assert_eq!(value(&mut client, told), "partial: ALTER EXTENSION pg_groundskeeper UPDATE;");
    run_sql(&mut client, &objects("99.0"));
    assert_eq!(
        value(&mut client, told),
        "partial: install pg_groundskeeper 99.0 again, and restart the server"
    );
    // As where the library is one that has never heard of the function.
    run_sql(
        &mut client,
        "UPDATE pg_proc SET prosrc = 'nobody_knows' WHERE oid = 'groundskeeper_internal.library_version()'::regprocedure",
    );
    let needed = "SELECT needed_for FROM groundskeeper.prerequisites() WHERE component = 'version of pg_groundskeeper'";
    assert_eq!(
        value(&mut client, needed),
        "everything: the extension is 99.0, the library that is loaded 0.1.0"
    );
}
