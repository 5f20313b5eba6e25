//! `create_monthly_partitions()`: what it makes, what it leaves alone, and whom it does not hold up.

use std::thread;
use std::time::{Duration, Instant};

use groundskeeper_tests::sql::{refusal, text, texts};
use groundskeeper_tests::{Template, TestDb};

use super::{bets, bounds, make, month};

#[test]
fn what_is_missing_is_made_and_gaps_are_filled() {
    let (_db, mut client) = bets();
    let names: Vec<String> = (-1..3).map(|m| month(&mut client, "bets", m)).collect();
    let expected: Vec<String> = names
        .iter()
        .enumerate()
        .map(|(at, name)| format!("public.{name} {}", if at == 1 { "exists" } else { "created" }))
        .collect();
    assert_eq!(make(&mut client, ""), expected);
    let again: Vec<String> = names[1..].iter().map(|name| format!("public.{name} exists")).collect();
    assert_eq!(make(&mut client, "3"), again, "nothing is left to do");
    let before = bounds(&mut client, "public.bets");
    assert_eq!(make(&mut client, "1"), again, "three are kept ready whatever is asked for");
    assert_eq!(make(&mut client, "5").len(), 5);
    assert_eq!(bounds(&mut client, "public.bets").len(), before.len() + 2);
    // Every row of five months finds its partition, and none two.
    client
        .batch_execute(
            "INSERT INTO public.bets SELECT n, now()::date - 20 + n FROM generate_series(1, 120) n",
        )
        .unwrap();
}

#[test]
fn a_new_partition_is_like_the_newest_one() {
    let (db, mut client) = bets();
    let newest = month(&mut client, "bets", 0);
    let mut db = db;
    let reader = db.role("reader").unwrap();
    client
        .batch_execute(&format!(
            "ALTER TABLE {newest} ADD PRIMARY KEY (id), SET (fillfactor = 70, toast.autovacuum_enabled = off),
                 ALTER note SET STATISTICS 7, ALTER note SET STORAGE EXTERNAL, REPLICA IDENTITY FULL,
                 ENABLE ROW LEVEL SECURITY, ADD CHECK (id > 0),
                 ADD CHECK (day < '2999-01-01');
             CREATE UNIQUE INDEX ON {newest} (note) WHERE stake > 5;
             CREATE POLICY mine ON {newest} FOR SELECT TO {reader} USING (stake < 100);
             GRANT SELECT, UPDATE (note) ON {newest} TO {reader}"
        ))
        .unwrap();
    make(&mut client, "2");
    let next = month(&mut client, "bets", 1);
    let mut shape = |table: &str| {
        let query = format!(
            "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = '{table}'::regclass
             UNION ALL SELECT pg_get_constraintdef(oid) FROM pg_constraint
                        WHERE conrelid = '{table}'::regclass AND pg_get_constraintdef(oid) NOT LIKE '%2999%'
             UNION ALL SELECT concat_ws(' ', reloptions, relreplident, relrowsecurity, relacl::text)
                         FROM pg_class WHERE oid = '{table}'::regclass
             UNION ALL SELECT reloptions::text FROM pg_class
                        WHERE oid = (SELECT reltoastrelid FROM pg_class WHERE oid = '{table}'::regclass)
             UNION ALL SELECT concat_ws(' ', attname, attstattarget, attstorage, attnotnull, attacl::text)
                         FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attnum > 0
             UNION ALL SELECT concat_ws(' ', polname, polcmd, pg_get_expr(polqual, polrelid))
                         FROM pg_policy WHERE polrelid = '{table}'::regclass
             ORDER BY 1"
        );
        let found = texts(&mut client, &query).unwrap();
        found.into_iter().map(|line| line.replace(table, "it")).collect::<Vec<_>>()
    };
    assert_eq!(shape(&newest), shape(&next));
    assert!(shape(&next).iter().any(|line| line == "PRIMARY KEY (id)"));
    // What binds the newest one's dates does not bind the next one's.
    assert_eq!(
        text(&mut client, &format!("SELECT count(*) FROM pg_constraint WHERE conrelid = '{next}'::regclass AND pg_get_constraintdef(oid) LIKE '%day%'")).unwrap(),
        "0"
    );
}

#[test]
fn attaching_reads_nothing() {
    let (db, mut client) = bets();
    client.batch_execute("ALTER TABLE public.bets ADD UNIQUE (id, day)").unwrap();
    let mut psql = db.server().client_program("psql", db.name());
    psql.args(["--no-psqlrc", "--command=SET client_min_messages = debug1"])
        .arg("--command=SELECT * FROM create_monthly_partitions(4)");
    let output = psql.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said.matches("is implied by existing constraints").count(), 4, "{said}");
    assert!(!said.contains("verifying"), "{said}");
    let helpers = "SELECT count(*) FROM pg_constraint WHERE conname LIKE 'groundskeeper%'";
    assert_eq!(text(&mut client, helpers).unwrap(), "0");
}

#[test]
fn one_bad_table_does_not_keep_the_others_from_theirs() {
    let (_db, mut client) = bets();
    client
        .batch_execute(
            "CREATE TABLE public.aa (id int, at timestamptz) PARTITION BY RANGE (at);
             SELECT groundskeeper.adopt_partitioned_table('public.aa');
             CREATE TABLE public.ab (id int, at timestamptz) PARTITION BY RANGE (at);
             SELECT groundskeeper.adopt_partitioned_table('public.ab');
             CREATE TABLE public.ac (id int, at timestamptz) PARTITION BY RANGE (at);
             SELECT groundskeeper.adopt_partitioned_table('public.ac');
             ALTER EVENT TRIGGER groundskeeper_follow_dropped DISABLE;
             DROP TABLE public.ab;
             ALTER EVENT TRIGGER groundskeeper_follow_dropped ENABLE;
             SET TimeZone = 'UTC';
             CREATE TABLE public.aa_hand PARTITION OF public.aa
                 FOR VALUES FROM ('2026-01-01') TO ('2099-01-01');
             CREATE TABLE public.zz (id int, day date) PARTITION BY RANGE (day);
             CREATE TABLE public.zz_default PARTITION OF public.zz DEFAULT;
             SELECT groundskeeper.adopt_partitioned_table('public.zz');
             INSERT INTO public.zz SELECT 1, date_trunc('month', now() AT TIME ZONE 'America/New_York') + interval '45 days';",
        )
        .unwrap();
    let taken = month(&mut client, "ac", 2);
    client.batch_execute(&format!("CREATE TABLE public.{taken} ()")).unwrap();
    let said = make(&mut client, "3");
    let of = |table: &str| said.iter().filter(|s| s.contains(&format!(".{table}"))).collect::<Vec<_>>();
    let misaligned = of("aa");
    assert_eq!(misaligned.len(), 1, "{said:?}");
    assert!(
        misaligned[0].contains("failed: bounds of public.aa") && misaligned[0].contains("aa_hand"),
        "{said:?}"
    );
    assert_eq!(of("ab").len(), 1, "{said:?}");
    assert!(of("ab")[0].contains("failed: public.ab is no table"), "{said:?}");
    let ac = of("ac");
    assert!(
        ac[0].ends_with("created") && ac[1].ends_with("created") && ac[2].contains("already exists"),
        "{ac:?}"
    );
    let zz = of("zz");
    assert!(zz[0].ends_with("created") && zz[2].ends_with("created"), "{zz:?}");
    assert!(
        zz[1].contains("failed: rows of public.zz") && zz[1].contains("drain_default('public.zz')"),
        "{zz:?}"
    );
    assert_eq!(of("bets").len(), 4, "{said:?}");
    assert!(of("bets").iter().all(|s| !s.contains("failed")), "{said:?}");
}

#[test]
fn a_date_far_ahead_makes_no_partitions() {
    let (_db, mut client) = bets();
    client
        .batch_execute(
            "CREATE TABLE public.bets_default PARTITION OF public.bets DEFAULT;
             INSERT INTO public.bets VALUES (1, '2099-05-05'), (2, 'infinity'), (3, NULL), (4, '-infinity')",
        )
        .unwrap();
    make(&mut client, "3");
    assert_eq!(bounds(&mut client, "public.bets").len(), 6, "two there, three made, one default");
    let status = "SELECT concat_ws(' ', default_rows, status) FROM monitoring.partition_health";
    // Nothing can be done about it yet, so it is no trouble.
    assert_eq!(text(&mut client, status).unwrap(), "4 never_analyzed");
    client
        .batch_execute("CREATE TABLE public.far PARTITION OF public.bets FOR VALUES FROM ('2150-01-01') TO ('2150-02-01')")
        .unwrap();
    assert!(make(&mut client, "3").iter().all(|s| s.ends_with("exists")));
    // nor does a table take more than are allowed
    client.batch_execute("SET groundskeeper.max_partitions = 8").unwrap();
    let refused = make(&mut client, "12");
    assert!(refused.len() == 1 && refused[0].contains("would have"), "{refused:?}");
}

#[test]
fn intervals_other_than_the_month_cover_the_same_span() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    for interval in ["day", "week", "quarter", "year"] {
        client
            .batch_execute(&format!(
                "CREATE TABLE public.by_{interval} (id int, at timestamp) PARTITION BY RANGE (at);
                 SELECT groundskeeper.adopt_partitioned_table('public.by_{interval}', '{interval}')"
            ))
            .unwrap();
    }
    assert!(make(&mut client, "3").iter().all(|s| s.ends_with("created")));
    for interval in ["day", "week", "quarter", "year"] {
        client
            .batch_execute(&format!(
                "INSERT INTO public.by_{interval}
                 SELECT 1, h FROM generate_series((now() AT TIME ZONE 'America/New_York')::date::timestamp,
                     date_trunc('month', now() AT TIME ZONE 'America/New_York') + interval '3 months - 1 second', '6 hours') h"
            ))
            .unwrap();
    }
    let days = bounds(&mut client, "public.by_day").len();
    assert!((60..=92).contains(&days), "{days}");
    assert!(bounds(&mut client, "public.by_quarter")[0].starts_with("by_quarter_20"));
}

#[test]
fn numbers_that_make_no_sense_are_refused() {
    let (_db, mut client) = bets();
    for (call, code) in [
        ("create_monthly_partitions(NULL)", "22004"),
        ("create_monthly_partitions(0)", "22023"),
        ("create_monthly_partitions(-3)", "22023"),
        ("create_monthly_partitions(100000)", "22023"),
        ("groundskeeper.adopt_partitioned_table('public.bets', 'fortnight')", "22023"),
        ("groundskeeper.adopt_partitioned_table('public.bets', timezone => 'Mars/Olympus')", "22023"),
        ("groundskeeper.adopt_partitioned_table('public.bets', premake => 0)", "22023"),
        ("groundskeeper.adopt_partitioned_table('pg_class')", "42809"),
    ] {
        let refused = refusal(&mut client, &format!("SELECT {call}")).unwrap();
        assert_eq!(refused.code, code, "{call}: {refused:?}");
    }
    client
        .batch_execute("CREATE TABLE public.by_id (id int) PARTITION BY RANGE (id); CREATE TABLE public.two (a date, b date) PARTITION BY RANGE (a, b)")
        .unwrap();
    for table in ["by_id", "two"] {
        let call = format!("SELECT groundskeeper.adopt_partitioned_table('public.{table}')");
        assert_eq!(refusal(&mut client, &call).unwrap().code, "42809");
    }
    assert_eq!(text(&mut client, "SELECT count(*) FROM groundskeeper.managed_tables").unwrap(), "1");
}

#[test]
fn readers_and_writers_go_on_and_a_held_default_partition_fails_alone() {
    let (db, mut client) = bets();
    client
        .batch_execute(
            "CREATE TABLE public.held (id int, day date) PARTITION BY RANGE (day);
             CREATE TABLE public.held_default PARTITION OF public.held DEFAULT;
             SELECT groundskeeper.adopt_partitioned_table('public.held')",
        )
        .unwrap();
    let mut busy = db.client().unwrap();
    let mut open = busy.transaction().unwrap();
    open.batch_execute(
        "INSERT INTO public.bets VALUES (1, now()::date); INSERT INTO public.held VALUES (1, NULL)",
    )
    .unwrap();
    let begun = Instant::now();
    let said = make(&mut client, "3");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(said.iter().filter(|s| s.contains("bets")).all(|s| !s.contains("failed")), "{said:?}");
    assert!(
        said.iter()
            .filter(|s| s.contains("held"))
            .all(|s| s.contains("failed: canceling statement due to lock timeout")),
        "{said:?}"
    );
    open.commit().unwrap();
    let left = "SELECT count(*) FROM pg_class WHERE relname LIKE 'held_2%'";
    assert_eq!(text(&mut client, left).unwrap(), "0", "what was not attached is not left behind");
    assert!(make(&mut client, "3").iter().all(|s| !s.contains("failed")));
}

#[test]
fn two_at_once_make_each_partition_once() {
    let (db, mut client) = bets();
    for number in 0..20 {
        client
            .batch_execute(&format!(
                "CREATE TABLE public.t{number} (id int, day date) PARTITION BY RANGE (day);
                 SELECT groundskeeper.adopt_partitioned_table('public.t{number}')"
            ))
            .unwrap();
    }
    client.batch_execute("SET groundskeeper.lock_timeout = '60s'").unwrap();
    let said: Vec<Vec<String>> = thread::scope(|scope| {
        let runs: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = db.client().unwrap();
                    client.batch_execute("SET groundskeeper.lock_timeout = '60s'").unwrap();
                    make(&mut client, "6")
                })
            })
            .collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    let failed: Vec<&String> = said.iter().flatten().filter(|s| s.contains("failed")).collect();
    assert!(failed.is_empty(), "{failed:?}");
    assert_eq!(said.iter().flatten().filter(|s| s.ends_with("created")).count(), 20 * 6 + 6);
}

#[test]
fn a_twin_made_by_hand_as_the_plan_wrote_it_is_taken_over() {
    let db = TestDb::installed(Template::ShapeA).unwrap();
    db.settle().unwrap();
    let mut client = db.client().unwrap();
    client
        .batch_execute(
            "CREATE TABLE raw_data.twin_partitioned (id bigint, game_date date) PARTITION BY RANGE (game_date);
             CREATE TABLE raw_data.twin_2025_07 PARTITION OF raw_data.twin_partitioned
                 FOR VALUES FROM ('2025-07-01') TO ('2025-08-01');
             CREATE TABLE raw_data.twin_2025_08 PARTITION OF raw_data.twin_partitioned
                 FOR VALUES FROM ('2025-08-01') TO ('2025-09-01');
             CREATE TABLE raw_data.twin_default PARTITION OF raw_data.twin_partitioned DEFAULT;
             SELECT groundskeeper.adopt_partitioned_table('raw_data.twin_partitioned')",
        )
        .unwrap();
    let said = make(&mut client, "3");
    let next = month(&mut client, "twin", 2);
    assert!(said.contains(&format!("raw_data.{next} created")), "{said:?}");
    assert!(
        said.contains(&"raw_data.twin_2025_09 created".to_owned()),
        "the gap up to now is filled: {said:?}"
    );
    let health = "SELECT concat_ws(' ', gap_count, default_rows, status) FROM monitoring.partition_health";
    assert_eq!(text(&mut client, health).unwrap(), "0 0 never_analyzed");
}
