//! Bounds are the table's, whatever zone a session is in, and follow its clock over both changes.

use groundskeeper_tests::sql::{text, texts};
use groundskeeper_tests::{Template, TestDb};

use super::make;

const SESSIONS: [&str; 5] = ["UTC", "America/New_York", "Asia/Tokyo", "Pacific/Apia", "America/St_Johns"];

/// Neighbouring bounds of a table that are not the same point in time.
const GAPS: &str = "
    WITH b AS (
        SELECT (regexp_match(e, 'FROM \\(''(.*)''\\) TO'))[1]::timestamptz AS lower,
               (regexp_match(e, 'TO \\(''(.*)''\\)$'))[1]::timestamptz AS upper
          FROM (SELECT pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                 WHERE i.inhparent = 'public.:table'::regclass) x (e))
    SELECT count(*) FROM (SELECT lower, lag(upper) OVER (ORDER BY lower) AS before FROM b) n WHERE before <> lower";

#[test]
fn bounds_are_the_same_in_every_session_and_over_both_clock_changes() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    let zones = ["America/New_York", "America/Havana", "Australia/Lord_Howe", "Asia/Kathmandu"];
    let mut all: Vec<Vec<String>> = Vec::new();
    for (number, session) in SESSIONS.iter().enumerate() {
        for (zone, name) in zones.iter().enumerate() {
            client
                .batch_execute(&format!(
                    "CREATE TABLE public.t{number}_{zone} (id int, at timestamptz) PARTITION BY RANGE (at);
                     SELECT groundskeeper.adopt_partitioned_table('public.t{number}_{zone}', timezone => '{name}')"
                ))
                .unwrap();
        }
        // Each run sees the tables of the earlier ones in another session's zone, and finds nothing wrong.
        client.batch_execute(&format!("SET TimeZone = '{session}'; SET DateStyle = 'SQL, DMY'")).unwrap();
        assert!(make(&mut client, "7").iter().all(|s| !s.contains("failed")), "{session}");
        let later = make(&mut client, "14");
        assert!(later.iter().all(|s| !s.contains("failed")), "{session}: {later:?}");
        let list = format!(
            "SELECT concat_ws(' ', replace(partition, 't{number}', ''), range_start, range_end)
               FROM create_monthly_partitions(14) WHERE parent LIKE 'public.t{number}%'"
        );
        all.push(texts(&mut client, &list).unwrap());
        client.batch_execute("RESET DateStyle").unwrap();
        for zone in 0..zones.len() {
            let gaps = GAPS.replace(":table", &format!("t{number}_{zone}"));
            assert_eq!(text(&mut client, &gaps).unwrap(), "0", "{session} {zone}");
        }
    }
    assert_eq!(all[0].len(), 14 * zones.len());
    assert!(all.iter().all(|list| *list == all[0]));
    let offsets =
        |with: &str| all[0].iter().filter(|line| line.contains("_0_") && line.contains(with)).count();
    assert!(offsets("-04") > 0 && offsets("-05") > 0, "both sides of a change: {:?}", all[0]);
}

#[test]
fn every_hour_of_a_year_has_its_days_partition() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    client
        .batch_execute(
            "CREATE TABLE public.hours (at timestamptz) PARTITION BY RANGE (at);
             SELECT groundskeeper.adopt_partitioned_table('public.hours', 'day', 'America/Havana');
             SET TimeZone = 'Asia/Tokyo'",
        )
        .unwrap();
    make(&mut client, "13");
    // Clocks go back at 1:00 to 0:00 there, and forward at midnight.
    client
        .batch_execute(
            "INSERT INTO public.hours
             SELECT h FROM generate_series(date_trunc('day', now() AT TIME ZONE 'America/Havana') AT TIME ZONE 'America/Havana',
                                           now() + interval '360 days', '30 minutes') h",
        )
        .unwrap();
    assert_eq!(text(&mut client, &GAPS.replace(":table", "hours")).unwrap(), "0");
}

#[test]
fn another_zones_bounds_are_refused_and_named() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    client
        .batch_execute(
            "SET TimeZone = 'UTC';
             CREATE TABLE public.utc (at timestamptz) PARTITION BY RANGE (at);
             DO $$
             DECLARE m timestamptz := date_trunc('month', now());
             BEGIN
                 EXECUTE format('CREATE TABLE public.utc_now PARTITION OF public.utc FOR VALUES FROM (%L) TO (%L)', m, m + interval '1 month');
             END $$",
        )
        .unwrap();
    let refused = groundskeeper_tests::sql::refusal(
        &mut client,
        "SELECT groundskeeper.adopt_partitioned_table('public.utc')",
    )
    .unwrap();
    assert_eq!(refused.code, "55000", "{refused:?}");
    assert!(refused.detail.contains("public.utc_now"), "{refused:?}");
    client
        .batch_execute("SELECT groundskeeper.adopt_partitioned_table('public.utc', timezone => 'utc')")
        .unwrap();
    client.batch_execute("SET TimeZone = 'America/New_York'").unwrap();
    assert!(make(&mut client, "3").iter().all(|s| !s.contains("failed")));
}
