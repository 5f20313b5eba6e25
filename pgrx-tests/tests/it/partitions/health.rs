//! `monitoring.partition_health`.

use groundskeeper_tests::sql::text;

use super::{bets, make};

#[test]
fn what_is_wrong_is_said() {
    let (mut db, mut client) = bets();
    let health = "SELECT concat_ws('|', parent, partition_key, partitions, default_rows, gap_count, status)
                    FROM monitoring.partition_health";
    assert_eq!(text(&mut client, health).unwrap(), "public.bets|day|2|0|1|missing, gaps, never_analyzed");
    let next = "SELECT next_missing_month = date_trunc('month', now() AT TIME ZONE 'America/New_York') + interval '1 month'
                  FROM monitoring.partition_health";
    assert_eq!(text(&mut client, next).unwrap(), "true");
    make(&mut client, "3");
    client
        .batch_execute(
            "CREATE TABLE public.bets_default PARTITION OF public.bets DEFAULT;
             INSERT INTO public.bets SELECT n, NULL FROM generate_series(1, 7) n; ANALYZE public.bets",
        )
        .unwrap();
    assert_eq!(
        text(&mut client, health).unwrap(),
        "public.bets|day|5|7|0|ok",
        "rows of no date are where they belong"
    );
    // A row that no partition can be made for yet is no trouble, and said.
    client.batch_execute("INSERT INTO public.bets VALUES (8, '2100-01-01')").unwrap();
    let said = "SELECT concat_ws('|', status, detail) FROM monitoring.partition_health";
    assert_eq!(
        text(&mut client, said).unwrap(),
        "ok|1 rows in the default partition are dated more than two years ahead, and stay until their time comes nearer"
    );
    client
        .batch_execute(
            "DELETE FROM public.bets WHERE id = 8; INSERT INTO public.bets VALUES (9, '2001-01-01');
             CREATE TABLE public.bets_odd PARTITION OF public.bets FOR VALUES FROM ('2002-01-15') TO ('2002-02-01')",
        )
        .unwrap();
    let monitor = db.role("monitor").unwrap();
    client.batch_execute(&format!("GRANT pg_monitor TO {monitor}")).unwrap();
    assert!(text(&mut client, health).unwrap().ends_with("default_rows, misaligned"));
    // A member of pg_monitor sees the same but for the rows, of which there is the server's estimate.
    let mut seen = db.client_as(&monitor).unwrap();
    assert!(text(&mut seen, health).unwrap().ends_with("misaligned"));
    // Nobody waits behind a lock.
    let mut other = db.client().unwrap();
    let mut open = other.transaction().unwrap();
    open.batch_execute("LOCK TABLE public.bets_default").unwrap();
    client.batch_execute("SET statement_timeout = '5s'").unwrap();
    text(&mut client, health).unwrap();
    drop(open);
    client
        .batch_execute(
            "ALTER EVENT TRIGGER groundskeeper_follow_dropped DISABLE; DROP TABLE public.bets;
             ALTER EVENT TRIGGER groundskeeper_follow_dropped ENABLE",
        )
        .unwrap();
    assert_eq!(text(&mut client, "SELECT status FROM monitoring.partition_health").unwrap(), "unknown");
}
