//! The extension installs at all.

use groundskeeper_tests::{Template, TestDb};

#[test]
fn it_installs_into_an_empty_database() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    let row = client.query_one("SELECT count(*) FROM groundskeeper.plan_status()", &[]).unwrap();
    assert!(row.get::<_, i64>(0) > 0, "the plan has items");
}

#[test]
fn databases_of_one_server_are_apart() {
    let one = TestDb::installed(Template::ShapeA).unwrap();
    let other = TestDb::new(Template::ShapeA).unwrap();
    one.settle().unwrap();
    let installed = "SELECT count(*) FROM pg_extension WHERE extname = 'pg_groundskeeper'";
    let count = |db: &TestDb| db.client().unwrap().query_one(installed, &[]).unwrap().get::<_, i64>(0);
    assert_eq!((count(&one), count(&other)), (1, 0));
}

#[test]
fn roles_are_gone_with_their_database() {
    let mut db = TestDb::new(Template::Empty).unwrap();
    let role = db.role("writer").unwrap();
    db.client().unwrap().batch_execute(&format!("CREATE SCHEMA own AUTHORIZATION {role}")).unwrap();
    let row = db.client_as(&role).unwrap().query_one("SELECT current_user::text", &[]).unwrap();
    assert_eq!(row.get::<_, String>(0), role);
    let other = TestDb::new(Template::Empty).unwrap();
    drop(db);
    let gone = other.client().unwrap().query("SELECT FROM pg_roles WHERE rolname = $1", &[&role]).unwrap();
    assert!(gone.is_empty());
}
