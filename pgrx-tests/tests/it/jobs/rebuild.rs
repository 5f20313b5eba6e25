//! `reindex` and `detach_partition`: concurrent commands on what is there already.

use groundskeeper_tests::sql::{refusal, text};
use groundskeeper_tests::{Template, TestDb};
use postgres::Client;

use super::{in_transaction, invalid_indexes, prepare, until, until_state};

const PARTITIONED: &str = "
    CREATE TABLE public.measured (id bigint, day date) PARTITION BY RANGE (day);
    CREATE TABLE public.measured_1 PARTITION OF public.measured FOR VALUES FROM ('2025-01-01') TO ('2025-02-01');
    CREATE TABLE public.measured_2 PARTITION OF public.measured FOR VALUES FROM ('2025-02-01') TO ('2025-03-01');
    INSERT INTO public.measured SELECT n, date '2025-01-01' + n % 50 FROM generate_series(1, 100) n";

fn call(client: &mut Client, function: &str) -> i64 {
    client.query_one(&format!("SELECT groundskeeper.{function}"), &[]).unwrap().get(0)
}

fn index_oid(client: &mut Client) -> String {
    text(client, "SELECT 'staging.moneylines_pkey'::regclass::oid").unwrap()
}

#[test]
fn an_index_is_built_anew_beside_the_old_one_and_after_an_interruption_once() {
    let db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = prepare(&db);
    let before = index_oid(&mut client);
    // A writer keeps the first run waiting until it is ended in the middle, which leaves an INVALID twin behind.
    let (mut writer, _) = in_transaction(&db, "BEGIN; UPDATE staging.moneylines SET home_odds = home_odds");
    let id = call(&mut client, "reindex('staging.moneylines_pkey')");
    until_state(&mut client, id, "waiting");
    let worker =
        format!("SELECT pg_terminate_backend(worker_pid) FROM groundskeeper.job WHERE job_id = {id}");
    until("the worker to be ended", || (text(&mut client, &worker).unwrap() == "true").then_some(()));
    assert_eq!(index_oid(&mut client), before);
    writer.batch_execute("COMMIT").unwrap();
    until_state(&mut client, id, "succeeded");
    assert_ne!(index_oid(&mut client), before);
    assert_eq!(invalid_indexes(&mut client), [""; 0]);
    let twins = "SELECT count(*) FROM pg_class WHERE relname ~ '_cc(new|old)'";
    assert_eq!(text(&mut client, twins).unwrap(), "0");
}

#[test]
fn a_partition_is_detached_concurrently_or_beside_a_default_for_a_moment() {
    let db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = prepare(&db);
    client.batch_execute(PARTITIONED).unwrap();
    // A reader makes the concurrent way wait between its two transactions; ended there, it is taken up again.
    let (mut reader, _) = in_transaction(&db, "BEGIN; SELECT count(*) FROM public.measured");
    let id = call(&mut client, "detach_partition('public.measured_1')");
    let pending = "SELECT count(*) FROM pg_inherits WHERE inhdetachpending";
    until("the detach to be pending", || (text(&mut client, pending).unwrap() == "1").then_some(()));
    client
        .batch_execute(&format!(
            "SELECT pg_terminate_backend(worker_pid) FROM groundskeeper.job WHERE job_id = {id}"
        ))
        .unwrap();
    reader.batch_execute("COMMIT").unwrap();
    until_state(&mut client, id, "succeeded");
    client
        .batch_execute("CREATE TABLE public.measured_default PARTITION OF public.measured DEFAULT")
        .unwrap();
    let id = call(&mut client, "detach_partition('public.measured_2')");
    until_state(&mut client, id, "succeeded");
    let left = "SELECT string_agg(inhrelid::regclass::text, ' ') FROM pg_inherits WHERE inhparent = 'measured'::regclass";
    assert_eq!(text(&mut client, left).unwrap(), "measured_default");
    let kept = "SELECT (SELECT count(*) FROM measured_1) + (SELECT count(*) FROM measured_2)";
    assert_eq!(text(&mut client, kept).unwrap(), "100");
}

#[test]
fn what_is_no_index_or_partition_is_refused() {
    let db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = prepare(&db);
    for call in ["reindex('staging.moneylines')", "detach_partition('staging.moneylines')"] {
        let refused = refusal(&mut client, &format!("SELECT groundskeeper.{call}")).unwrap();
        assert_eq!(refused.code, "42809", "{call}: {refused:?}");
    }
}
