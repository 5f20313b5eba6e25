//! Updates from what was released. `cargo xtask test` puts the released install scripts where CREATE EXTENSION finds them;
//! the library is this one, as it is once a package has been updated.

mod between;
mod catalog;
mod data;
mod grants;
mod major;
mod refused;

use groundskeeper_tests::{Template, TestDb};
use postgres::Client;

/// A database with the extension as it was released, and a superuser in it.
fn released(version: &str) -> (TestDb, Client) {
    let db = TestDb::new(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    client.batch_execute(&format!("CREATE EXTENSION pg_groundskeeper VERSION '{version}'")).unwrap();
    (db, client)
}

/// What an administrator does.
fn update(client: &mut Client) {
    client.batch_execute("ALTER EXTENSION pg_groundskeeper UPDATE").unwrap();
}
