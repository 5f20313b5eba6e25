//! What `create_monthly_partitions()` would make, and gaps that it leaves until it is asked.

use groundskeeper_tests::sql::{text, texts};
use groundskeeper_tests::{Template, TestDb};
use postgres::Client;

use super::{bets, bounds, make, month};

#[test]
fn a_dry_run_foretells_and_changes_nothing() {
    let (db, mut client) = bets();
    // what would fail, each in another way
    client
        .batch_execute(
            "CREATE TABLE public.late (id int, day date) PARTITION BY RANGE (day);
             CREATE TABLE public.late_default PARTITION OF public.late DEFAULT;
             SELECT groundskeeper.adopt_partitioned_table('public.late');
             INSERT INTO public.late SELECT 1, date_trunc('month', now() AT TIME ZONE 'America/New_York') + interval '45 days';
             CREATE TABLE public.taken (id int, day date) PARTITION BY RANGE (day);
             SELECT groundskeeper.adopt_partitioned_table('public.taken');
             CREATE TABLE public.odd (id int, day date) PARTITION BY RANGE (day);
             CREATE TABLE public.odd_one PARTITION OF public.odd FOR VALUES FROM ('2020-01-02') TO ('2100-01-05');
             SELECT groundskeeper.adopt_partitioned_table('public.odd', 'day')",
        )
        .unwrap();
    client
        .batch_execute(
            "UPDATE groundskeeper.managed_tables SET \"interval\" = 'month' WHERE parent = 'public.odd'",
        )
        .unwrap();
    let taken = month(&mut client, "taken", 1);
    client.batch_execute(&format!("CREATE TABLE public.{taken} ()")).unwrap();
    let before = db.dump().unwrap();

    let mut open = client.transaction().unwrap();
    open.batch_execute("SET TRANSACTION READ ONLY").unwrap();
    let said: Vec<String> = open
        .query("SELECT concat_ws(' ', coalesce(partition, parent), action) FROM create_monthly_partitions(3, true)", &[])
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    let held = "SELECT count(*)::text FROM pg_locks JOIN pg_class c ON c.oid = relation
                 WHERE pid = pg_backend_pid() AND c.relnamespace = 'public'::regnamespace";
    assert_eq!(open.query_one(held, &[]).unwrap().get::<_, String>(0), "0", "no lock stays");
    open.commit().unwrap();
    assert!(db.dump().unwrap() == before, "nothing is changed");

    assert_eq!(said.iter().filter(|s| s.ends_with("would create")).count(), 3 + 2 + 2, "{said:?}");
    assert!(said.iter().all(|s| !s.ends_with(" created")), "{said:?}");
    let deed = make(&mut client, "3");
    let foretold: Vec<String> = said.iter().map(|s| s.replace("would create", "created")).collect();
    let plain = |said: &[String]| -> Vec<String> {
        said.iter()
            .map(|s| {
                s.replace("\"", "").replace(&format!("public.{taken} already"), &format!("{taken} already"))
            })
            .collect()
    };
    assert_eq!(plain(&foretold), plain(&deed), "what is done is what was foretold");
}

#[test]
fn a_dry_run_waits_for_nobody() {
    let (db, mut client) = bets();
    let mut busy = db.client().unwrap();
    let mut open = busy.transaction().unwrap();
    open.batch_execute("LOCK TABLE public.bets IN ACCESS EXCLUSIVE MODE").unwrap();
    assert_eq!(make(&mut client, "3, dry_run => true").len(), 4);
    open.commit().unwrap();
}

/// A set that ended so many months ago, a table of its own.
fn left_alone(client: &mut Client, table: &str, months: i32) {
    client
        .batch_execute(&format!(
            "CREATE TABLE public.{table} (id int, day date) PARTITION BY RANGE (day);
             DO $$
             DECLARE
                 m date := date_trunc('month', now() AT TIME ZONE 'America/New_York') - interval '{months} months';
             BEGIN
                 EXECUTE format('CREATE TABLE public.{table}_%s PARTITION OF public.{table} FOR VALUES FROM (%L) TO (%L)',
                                to_char(m, 'YYYY_MM'), m, m + interval '1 month');
             END
             $$;
             SELECT groundskeeper.adopt_partitioned_table('public.{table}')"
        ))
        .unwrap();
}

#[test]
fn gaps_of_long_ago_are_left_until_they_are_asked_for() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    left_alone(&mut client, "old", 52);
    left_alone(&mut client, "recent", 25);
    for run in ["3, true", "3", "3"] {
        let said = make(&mut client, run);
        let left: Vec<&String> = said.iter().filter(|s| s.contains("left: ")).collect();
        assert_eq!(left.len(), 1, "{said:?}");
        assert!(left[0].starts_with("public.old left: 27 without a partition"), "{left:?}");
        assert!(left[0].contains("SET groundskeeper.max_gap_partitions = 51"), "{left:?}");
        assert!(said.iter().all(|s| !s.contains("failed")), "{said:?}");
    }
    for table in ["old", "recent"] {
        assert_eq!(bounds(&mut client, table).len(), 1 + 24 + 3, "{table}");
    }
    let gaps = "SELECT string_agg(gap_count::text, ' ' ORDER BY parent) FROM monitoring.partition_health";
    assert_eq!(text(&mut client, gaps).unwrap(), "27 0");

    client.batch_execute("SET groundskeeper.max_gap_partitions = 51").unwrap();
    let said = make(&mut client, "3");
    assert_eq!(said.iter().filter(|s| s.ends_with("created")).count(), 27, "{said:?}");
    assert!(said.iter().all(|s| !s.contains("left: ")), "{said:?}");
    assert_eq!(text(&mut client, gaps).unwrap(), "0 0");
}

#[test]
fn none_is_filled_where_none_may_be() {
    let (_db, mut client) = bets();
    client.batch_execute("SET groundskeeper.max_gap_partitions = 0").unwrap();
    let said = make(&mut client, "1");
    assert!(said.iter().any(|s| s.starts_with("public.bets left: 1 without")), "{said:?}");
    let query = "SELECT action FROM create_monthly_partitions() WHERE partition IS NOT NULL";
    assert_eq!(texts(&mut client, query).unwrap(), ["exists"; 3]);
}
