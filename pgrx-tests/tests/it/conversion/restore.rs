//! Dumps of converted tables, and what is restored from them.

use groundskeeper_tests::sql::text;
use groundskeeper_tests::{Template, TestDb};
use postgres::Client;

use super::keys::twins;
use super::{assert_keys, finalize, leftovers, undo};

fn assert_works(client: &mut Client, what: &str) {
    assert_keys(client, "parted.t", "parted.t_key", what);
    let rows = "SELECT format('%s %s', count(*), (SELECT count(*) FROM parted.cascading)) FROM parted.t";
    let before = text(client, rows).unwrap();
    client
        .batch_execute(
            "INSERT INTO parted.t VALUES (9001, NULL), (9002, current_date); INSERT INTO parted.cascading VALUES (9001);
             UPDATE parted.t SET day = current_date - 30 WHERE id = 9001; DELETE FROM parted.t WHERE id IN (9001, 9002)",
        )
        .unwrap();
    assert_eq!(text(client, rows).unwrap(), before, "{what}");
    for refused in ["INSERT INTO parted.t VALUES (7, NULL)", "INSERT INTO parted.cascading VALUES (77777)"] {
        assert!(client.batch_execute(refused).is_err(), "{what}: {refused}");
    }
    assert_keys(client, "parted.t", "parted.t_key", what);
}

#[test]
fn a_converted_table_is_dumped_and_restored_whole() {
    for finalized in [false, true] {
        let (db, mut client) = twins();
        client.batch_execute("UPDATE parted.t SET n = -n WHERE id < 9").unwrap();
        if finalized {
            finalize(&mut client, "parted.t");
        }
        let copy = TestDb::new(Template::Empty).unwrap();
        copy.server().restore(copy.name(), &db.dump().unwrap()).unwrap();
        let mut there = copy.client().unwrap();
        assert_works(&mut there, &format!("full restore, finalized: {finalized}"));
        there.batch_execute("SELECT groundskeeper.resume()").unwrap();
        if finalized {
            assert_eq!(
                text(&mut there, "SELECT to_regclass('parted.t_unpartitioned') IS NULL").unwrap(),
                "true"
            );
        } else {
            undo(&mut there, "parted.t");
            assert_eq!(leftovers(&mut there), [""; 0]);
            assert_eq!(
                text(&mut there, "SELECT sum(n) FROM parted.t").unwrap(),
                text(&mut client, "SELECT sum(n) FROM parted.t").unwrap()
            );
        }
    }
}

#[test]
fn data_alone_is_restored_into_a_restored_schema() {
    // What disables triggers leaves ours on, and the keys that they make are not made twice.
    for (finalized, options) in [
        (false, &["--data-only"][..]),
        (true, &["--data-only"]),
        (false, &["--data-only", "--disable-triggers"]),
        (true, &["--data-only", "--disable-triggers"]),
    ] {
        let (db, mut client) = twins();
        if finalized {
            finalize(&mut client, "parted.t");
        }
        let copy = TestDb::new(Template::Empty).unwrap();
        copy.server().restore(copy.name(), &db.dump_schema().unwrap()).unwrap();
        let data = db.server().dump(db.name(), options).unwrap();
        copy.server().restore(copy.name(), &data).unwrap();
        let mut there = copy.client().unwrap();
        assert_works(&mut there, &format!("{options:?}, finalized: {finalized}"));
        there.batch_execute("SELECT groundskeeper.resume()").unwrap();
        if !finalized {
            finalize(&mut there, "parted.t");
            assert_works(&mut there, "finalized where it was restored");
        }
    }
}
