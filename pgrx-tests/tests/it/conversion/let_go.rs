//! Converted tables that are no longer managed, because somebody said so or dropped them.

use groundskeeper_tests::TestDb;
use groundskeeper_tests::sql::{refusal, text, texts};
use postgres::Client;

use super::{assert_keys, carry_out, convert, finalize, undo, with};

fn converted() -> (TestDb, Client) {
    let (db, mut client) = with(
        "CREATE TABLE public.t (id bigint PRIMARY KEY, day date);
         CREATE TABLE public.child (t_id bigint REFERENCES public.t);
         INSERT INTO t SELECT i, current_date - i FROM generate_series(1, 60) i;",
    );
    convert(&mut client, "t", "day");
    (db, client)
}

fn managed(client: &mut Client) -> Vec<String> {
    texts(client, "SELECT parent FROM groundskeeper.managed_tables").unwrap()
}

#[test]
fn while_the_unpartitioned_table_is_kept_it_is_refused() {
    let (_db, mut client) = converted();
    let refused = refusal(&mut client, "SELECT groundskeeper.stop_managing('t')").unwrap();
    assert_eq!(refused.code, "55000", "{refused:?}");
    assert!(refused.message.contains("t_unpartitioned is kept"), "{refused:?}");
    assert!(
        refused.hint.contains("finalize_partitioning('public.t')")
            && refused.hint.contains("undo_partitioning('public.t')"),
        "{refused:?}"
    );
    assert_eq!(managed(&mut client), ["public.t"]);
    // the way back is as it was, and so is the other one
    undo(&mut client, "t");
    assert_eq!(refusal(&mut client, "SELECT groundskeeper.stop_managing('t')").unwrap().code, "55000");
}

#[test]
fn partitions_take_their_keys_along_all_the_same() {
    let (_db, mut client) = converted();
    finalize(&mut client, "t");
    client.batch_execute("SELECT groundskeeper.stop_managing('public.t')").unwrap();
    assert_eq!(managed(&mut client), [""; 0]);
    let oldest = r"SELECT min(relid::text) FROM pg_partition_tree('t') WHERE isleaf AND relid::text ~ '\d'";
    for call in ["detach_partition", "drop_partition"] {
        let oldest = text(&mut client, oldest).unwrap();
        assert_ne!(text(&mut client, &format!("SELECT count(*) FROM {oldest}")).unwrap(), "0");
        carry_out(&mut client, &format!("{call}('{oldest}')"));
        assert_keys(&mut client, "t", "t_key", call);
    }
    client.batch_execute("SELECT groundskeeper.adopt_partitioned_table('t')").unwrap();
    let keys = "SELECT concat_ws(' ', key_table, former) FROM groundskeeper.managed_tables";
    assert_eq!(text(&mut client, keys).unwrap(), "public.t_key");
}

#[test]
fn what_was_dropped_is_forgotten_and_its_name_is_free() {
    let (_db, mut client) = converted();
    client.batch_execute("DROP TABLE child").unwrap();
    finalize(&mut client, "t");
    client.batch_execute("DROP TABLE t CASCADE").unwrap();
    assert_eq!(managed(&mut client), [""; 0]);
    // a new one by its name, with what is left of the old one in its way
    client
        .batch_execute(
            "CREATE TABLE public.t (id bigint PRIMARY KEY, day date);
             INSERT INTO t SELECT i, current_date - i FROM generate_series(1, 10) i",
        )
        .unwrap();
    convert(&mut client, "t", "day");
    assert_keys(&mut client, "t", "t_key", "the second conversion");
}

#[test]
fn a_schema_that_is_dropped_takes_all_of_it_along() {
    let (_db, mut client) = with(
        "CREATE SCHEMA s; CREATE TABLE s.t (id bigint PRIMARY KEY, day date); INSERT INTO s.t VALUES (1, current_date);
         CREATE TABLE s.u (id bigint, day date, PRIMARY KEY (id, day)); INSERT INTO s.u VALUES (1, current_date)",
    );
    for table in ["s.t", "s.u"] {
        convert(&mut client, table, "day");
        finalize(&mut client, table);
    }
    client.batch_execute("DROP SCHEMA s CASCADE").unwrap();
    assert_eq!(managed(&mut client), [""; 0]);
    assert_eq!(text(&mut client, "SELECT count(*) FROM groundskeeper.conversion").unwrap(), "0");
}

#[test]
fn a_table_that_is_gone_with_its_unpartitioned_one_kept_is_cleared_away_first() {
    let (_db, mut client) = converted();
    client.batch_execute("DROP TABLE child; ALTER EVENT TRIGGER groundskeeper_follow_dropped DISABLE; DROP TABLE t CASCADE").unwrap();
    client.batch_execute("ALTER EVENT TRIGGER groundskeeper_follow_dropped ENABLE").unwrap();
    let refused = refusal(&mut client, "SELECT groundskeeper.stop_managing('t')").unwrap();
    assert_eq!(refused.code, "55000", "{refused:?}");
    assert!(refused.hint.contains("undo_partitioning('public.t_unpartitioned')"), "{refused:?}");
    client.batch_execute("DROP TABLE t_unpartitioned CASCADE").unwrap();
    client.batch_execute("SELECT groundskeeper.stop_managing('t')").unwrap();
    assert_eq!(managed(&mut client), [""; 0]);
    assert_eq!(text(&mut client, "SELECT count(*) FROM groundskeeper.conversion").unwrap(), "0");
}
