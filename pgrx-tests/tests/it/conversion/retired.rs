//! The old months of a converted table retire, with the keys of their rows; what foreign keys need stays.

use groundskeeper_tests::TestDb;
use groundskeeper_tests::sql::{refusal, text, texts};
use postgres::Client;

use super::{assert_keys, convert, differing, finalize, leftovers, undo, with};

/// Ten months with rows, the oldest of which a child refers to, and a copy of all of them.
const TABLE: &str = "
    CREATE TABLE public.t (id bigint PRIMARY KEY, day date);
    CREATE TABLE public.child (t_id bigint REFERENCES public.t ON DELETE CASCADE);
    INSERT INTO t SELECT i, date_trunc('month', current_date) - i % 10 * interval '1 month' FROM generate_series(1, 100) i;
    INSERT INTO child VALUES (9);
    CREATE TABLE was AS TABLE t;";

fn converted() -> (TestDb, Client) {
    let (db, mut client) = with(TABLE);
    convert(&mut client, "t", "day");
    (db, client)
}

/// Policy and what comes of it, without the partitions' names.
fn retire(client: &mut Client, keep: &str, action: &str, dry_run: bool) -> Vec<String> {
    let policy = format!("SELECT groundskeeper.set_retention('t', '{keep}', '{action}')");
    client.batch_execute(&policy).unwrap();
    let outcomes = format!(
        "SELECT concat_ws(' ', action, regexp_replace(detail, '\\d{{4}}_\\d\\d', 'YYYY_MM'))
           FROM groundskeeper.apply_retention({dry_run}) ORDER BY partition"
    );
    texts(client, &outcomes).unwrap()
}

const NEEDED: &str = "kept rows of public.child still refer to rows of public.t_YYYY_MM";

#[test]
fn rows_go_with_their_keys_by_each_action() {
    let (_db, mut client) = converted();
    client.batch_execute("CREATE SCHEMA attic; SET groundskeeper.archive_schema = 'attic'").unwrap();
    let would = retire(&mut client, "7 months", "drop", true);
    assert_eq!(would, [NEEDED, "would drop"]);
    assert_eq!(text(&mut client, "SELECT count(*) FROM t").unwrap(), "100", "a dry run");
    assert_eq!(retire(&mut client, "7 months", "drop", false), [NEEDED, "dropped"]);
    assert_eq!(retire(&mut client, "6 months", "detach", false), [NEEDED, "detached"]);
    let archived = retire(&mut client, "5 months", "archive", false);
    assert_eq!(archived, [NEEDED, "archived attic.t_YYYY_MM"]);
    assert_eq!(text(&mut client, "SELECT count(*) FROM t").unwrap(), "70");
    assert_keys(&mut client, "t", "t_key", "retiring");
    assert_eq!(text(&mut client, "SELECT count(*) FROM child").unwrap(), "1", "nothing cascades");
    // A key that went may be given again, and nothing refers to one that is not there.
    client.batch_execute("INSERT INTO t VALUES (8, current_date)").unwrap();
    assert_eq!(refusal(&mut client, "INSERT INTO child VALUES (7)").unwrap().code, "23503");
    assert_keys(&mut client, "t", "t_key", "a key given again");
    // By hand it is refused as before: only ours looks after the keys.
    let name = "SELECT relid FROM pg_partition_tree('t') WHERE isleaf AND relid::text ~ '\\d' ORDER BY relid::text DESC LIMIT 1";
    let newest = text(&mut client, name).unwrap();
    let refused = refusal(&mut client, &format!("ALTER TABLE t DETACH PARTITION {newest}")).unwrap();
    assert_eq!(refused.code, "55000");
}

#[test]
fn what_has_retired_does_not_come_back() {
    let (_db, mut client) = converted();
    assert_eq!(retire(&mut client, "7 months", "drop", false), [NEEDED, "dropped"]);
    let left = "SELECT * FROM was WHERE id % 10 <> 8";
    undo(&mut client, "t");
    assert_eq!(differing(&mut client, "TABLE t", left), "0");
    assert_eq!(leftovers(&mut client), [""; 0]);
    convert(&mut client, "t", "day");
    finalize(&mut client, "t");
    client.batch_execute("DELETE FROM child").unwrap();
    assert_eq!(retire(&mut client, "6 months", "drop", false), ["dropped"; 3]);
    let left = "SELECT * FROM was WHERE id % 10 < 7";
    assert_eq!(differing(&mut client, "TABLE t", left), "0");
    assert_keys(&mut client, "t", "t_key", "retiring when finalized");
}
