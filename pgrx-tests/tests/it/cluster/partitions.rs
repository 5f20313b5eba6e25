//! A partitioned table in shards: its months are made, drained, detached and retired.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use groundskeeper_tests::sql::{refusal, text, texts};
use postgres::Client;

use super::{Cluster, done, from_workers};

/// Bets of this month and of the month before the last, in shards, with a default partition.
const BETS: &str = "
    CREATE TABLE public.bets (id bigint NOT NULL, day date, stake integer DEFAULT 1 CHECK (stake >= 0), note text)
        PARTITION BY RANGE (day);
    CREATE INDEX ON public.bets (day, stake);
    SELECT create_distributed_table('public.bets', 'id');
    CREATE TABLE public.bets_default PARTITION OF public.bets DEFAULT;
    DO $$
    DECLARE
        m date := date_trunc('month', now() AT TIME ZONE 'America/New_York');
    BEGIN
        EXECUTE format('CREATE TABLE public.bets_%s PARTITION OF public.bets FOR VALUES FROM (%L) TO (%L)',
                       to_char(m - interval '2 months', 'YYYY_MM'), m - interval '2 months', m - interval '1 month');
        EXECUTE format('CREATE TABLE public.bets_%s PARTITION OF public.bets FOR VALUES FROM (%L) TO (%L)',
                       to_char(m, 'YYYY_MM'), m, m + interval '1 month');
    END
    $$;
    SELECT groundskeeper.adopt_partitioned_table('public.bets');";

/// The first day of a month, so many months from the current one.
fn first(client: &mut Client, months: i32) -> String {
    let query = format!(
        "SELECT (date_trunc('month', now() AT TIME ZONE 'America/New_York') + interval '{months} months')::date"
    );
    text(client, &query).unwrap()
}

fn month(client: &mut Client, months: i32) -> String {
    format!("public.bets_{}", first(client, months)[..7].replace('-', "_"))
}

fn make(client: &mut Client) -> Vec<String> {
    texts(client, "SELECT concat_ws(' ', partition, action) FROM create_monthly_partitions()").unwrap()
}

/// The partitions that have rows, and how many. Which one a row is in only its node knows, by an OID of its own.
fn rows(client: &mut Client) -> Vec<String> {
    let partitions =
        "SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'public.bets'::regclass ORDER BY 1";
    let counted = texts(client, partitions).unwrap().into_iter().map(|partition| {
        let rows = text(client, &format!("SELECT count(*) FROM {partition}")).unwrap();
        format!("{partition} {rows}")
    });
    counted.filter(|line| !line.ends_with(" 0")).collect()
}

#[test]
fn months_are_made_in_shards_beside_a_default_partition() {
    let Some((cluster, mut client)) = Cluster::installed() else { return };
    cluster.run(BETS);
    let names: Vec<String> = (-1..3).map(|m| month(&mut client, m)).collect();
    let made: Vec<String> = names
        .iter()
        .enumerate()
        .map(|(at, name)| format!("{name} {}", if at == 1 { "exists" } else { "created" }))
        .collect();
    let looked = "SELECT action FROM create_monthly_partitions(dry_run => true) WHERE action <> 'exists'";
    assert_eq!(texts(&mut client, looked).unwrap(), ["would create"; 3]);
    assert_eq!(make(&mut client), made);
    let spread = "SELECT count(DISTINCT colocationid) || ' ' || count(*) FROM pg_dist_partition
                   WHERE logicalrelid::text LIKE 'bets%'";
    assert_eq!(text(&mut client, spread).unwrap(), "1 7", "the parent and its partitions lie together");
    client
        .batch_execute(
            "INSERT INTO public.bets SELECT n, now()::date + n % 30 FROM generate_series(1, 300) n",
        )
        .unwrap();
    let in_default = "SELECT count(*) FROM public.bets_default";
    assert_eq!(text(&mut client, in_default).unwrap(), "0");
    let health = "SELECT status FROM monitoring.partition_health";
    client.batch_execute("ANALYZE public.bets").unwrap();
    assert_eq!(text(&mut client, health).unwrap(), "ok");
}

#[test]
fn who_reads_a_shard_is_not_waited_for_longer_than_who_reads_the_table() {
    let Some((cluster, mut client)) = Cluster::installed() else { return };
    cluster.run(BETS);
    let shards = "SELECT string_agg(format('LOCK TABLE %s IN ACCESS SHARE MODE', shard_name), ';')
                    FROM citus_shards WHERE table_name = 'public.bets'::regclass AND nodeport = (SELECT min(nodeport) FROM pg_dist_node WHERE groupid > 0)";
    let lock = text(&mut client, shards).unwrap();
    let reader = cluster.workers.iter().min_by_key(|server| server.port()).unwrap();
    let mut reader = reader.connect(super::BETTING, "postgres").unwrap();
    reader
        .batch_execute(&format!(
            "SET citus.enable_manual_changes_to_shards = on; SET citus.override_table_visibility = off; BEGIN; {lock}"
        ))
        .unwrap();
    let old = month(&mut client, -2);
    client.batch_execute("SELECT groundskeeper.set_retention('public.bets', '10 days', 'detach')").unwrap();
    let retired = "SELECT concat_ws(' ', partition, action, detail) FROM groundskeeper.apply_retention()";
    let kept = text(&mut client, retired).unwrap();
    assert!(kept.starts_with(&format!("{old} kept")) && kept.contains("lock timeout"), "{kept}");
    reader.batch_execute("COMMIT").unwrap();
    assert_eq!(text(&mut client, retired).unwrap(), format!("{old} detached"));
    assert_eq!(text(&mut client, "SELECT current_setting('lock_timeout')").unwrap(), "0");
}

#[test]
fn the_default_partition_is_drained_as_far_as_the_caller_says() {
    let Some((cluster, mut client)) = Cluster::installed() else { return };
    cluster.run(BETS);
    make(&mut client);
    let before = first(&mut client, -4);
    cluster.run(&format!(
        "INSERT INTO public.bets SELECT n, date '{before}' + n % 50, n, repeat('x', n % 9) FROM generate_series(1, 500) n;
         INSERT INTO public.bets (id, day) VALUES (501, NULL), (502, 'infinity');"
    ));
    let all = "SELECT md5(string_agg(b::text, ' ' ORDER BY b.id)) FROM public.bets b";
    let content = text(&mut client, all).unwrap();
    let at_most = |client: &mut Client, rows: i32| {
        let job =
            text(client, &format!("SELECT groundskeeper.drain_default('public.bets', {rows})")).unwrap();
        done(client, &job)
    };
    let refused = at_most(&mut client, 100);
    assert!(refused.starts_with("failed: ") && refused.contains("more than 100 rows"), "{refused}");
    assert_eq!(at_most(&mut client, 1000), "succeeded");
    assert_eq!(text(&mut client, all).unwrap(), content);
    let rows = rows(&mut client);
    assert!(rows.contains(&"bets_default 2".to_owned()), "{rows:?}");
    assert_eq!(rows.len(), 3, "two months more: {rows:?}");
    let apart = "SELECT conname FROM pg_constraint WHERE conname LIKE 'groundskeeper%'";
    assert_eq!(texts(&mut client, apart).unwrap(), [""; 0]);
    assert_eq!(from_workers(&mut client, &apart.replace("conname FROM", "count(*) FROM")), ["0", "0"]);

    // A foreign key would take what refers to a moved row along.
    cluster.run(&format!(
            "CREATE TABLE public.slips (id bigint, bet bigint, day date);
             ALTER TABLE public.bets ADD UNIQUE (id, day);
             SELECT create_distributed_table('public.slips', 'bet', colocate_with => 'public.bets');
             ALTER TABLE public.slips ADD FOREIGN KEY (bet, day) REFERENCES public.bets (id, day) ON DELETE CASCADE;
             INSERT INTO public.bets (id, day) VALUES (503, date '{before}' - 60);
             INSERT INTO public.slips SELECT 1, id, day FROM public.bets WHERE id = 503;"
    ));
    let refused = at_most(&mut client, 1000);
    assert!(refused.contains("cannot be drained on a cluster"), "{refused}");
    assert_eq!(text(&mut client, "SELECT count(*) FROM public.slips").unwrap(), "1");
}

#[test]
fn draining_loses_no_update_of_writers_on_any_node() {
    let Some((cluster, mut client)) = Cluster::installed() else { return };
    cluster.run(BETS);
    let before = first(&mut client, -4);
    client
        .batch_execute(&format!(
            "INSERT INTO public.bets SELECT n, date '{before}' + n % 50, 0 FROM generate_series(1, 400) n"
        ))
        .unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = cluster
        .at_workers()
        .into_iter()
        .chain([cluster.client()])
        .map(|mut client| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                let mut written = 0;
                while !stop.load(Ordering::Relaxed) {
                    let bet = i64::from(written * 7 % 400) + 1;
                    let changed =
                        client.execute("UPDATE public.bets SET stake = stake + 1 WHERE id = $1", &[&bet]);
                    assert_eq!(changed.unwrap(), 1, "the row is always there");
                    written += 1;
                }
                i64::from(written)
            })
        })
        .collect();
    let job = text(&mut client, "SELECT groundskeeper.drain_default('public.bets')").unwrap();
    let drained = done(&mut client, &job);
    stop.store(true, Ordering::Relaxed);
    let written: i64 =
        writers.into_iter().map(|writer: thread::JoinHandle<i64>| writer.join().unwrap()).sum();
    assert_eq!(drained, "succeeded");
    let found = text(&mut client, "SELECT count(*) || ' ' || sum(stake) FROM public.bets").unwrap();
    assert_eq!(found, format!("400 {written}"));
    assert_eq!(text(&mut client, "SELECT count(*) FROM public.bets_default").unwrap(), "0");
}

#[test]
fn months_leave_by_detaching_dropping_and_archiving() {
    let Some((cluster, mut client)) = Cluster::installed() else { return };
    cluster.run(BETS);
    make(&mut client);
    let (old, next) = (month(&mut client, -2), month(&mut client, 2));
    client
        .batch_execute(
            "INSERT INTO public.bets SELECT n, now()::date - 70 + n FROM generate_series(1, 100) n",
        )
        .unwrap();
    let job = text(&mut client, &format!("SELECT groundskeeper.detach_partition('{next}')")).unwrap();
    assert_eq!(done(&mut client, &job), "succeeded");
    let inherits = format!("SELECT count(*) FROM pg_inherits WHERE inhrelid = '{next}'::regclass");
    assert_eq!(text(&mut client, &inherits).unwrap(), "0");

    cluster.run(
        "CREATE SCHEMA archive; SELECT groundskeeper.set_retention('public.bets', '10 days', 'archive');",
    );
    client.batch_execute("SET groundskeeper.archive_schema = 'archive'").unwrap();
    let rows = text(&mut client, &format!("SELECT count(*) FROM {old}")).unwrap();
    let mut apply = |dry: bool| {
        let call = format!(
            "SELECT partition || ' ' || action FROM groundskeeper.apply_retention({dry}) WHERE partition = '{old}'"
        );
        text(&mut client, &call).unwrap()
    };
    assert_eq!(apply(true), format!("{old} would archive"));
    assert_eq!(apply(false), format!("{old} archived"));
    let archived = old.replace("public.", "archive.");
    assert_eq!(text(&mut client, &format!("SELECT count(*) FROM {archived}")).unwrap(), rows);
    let ahead = month(&mut client, 1);
    let job = text(&mut client, &format!("SELECT groundskeeper.drop_partition('{ahead}')")).unwrap();
    assert_eq!(done(&mut client, &job), "succeeded");
}

#[test]
fn what_needs_triggers_is_refused_with_the_reason() {
    let Some((cluster, mut client)) = Cluster::installed() else { return };
    cluster.run(BETS);
    let preflight = "SELECT severity || ': ' || detail FROM groundskeeper.partition_preflight('raw_data.moneylines_raw', 'game_date')
                      WHERE check_name = 'distributed'";
    let said = text(&mut client, preflight).unwrap();
    assert_eq!(said, "blocker: it is a distributed table, on which triggers are refused");
    let convert = "SELECT groundskeeper.partition_table('raw_data.moneylines_raw', 'game_date')";
    assert!(refusal(&mut client, convert).unwrap().detail.contains("triggers are refused"));
    let (from, to) = (first(&mut client, 5), first(&mut client, 6));
    client
        .batch_execute(&format!(
            "CREATE TABLE public.more (LIKE public.bets INCLUDING ALL, CHECK (day >= '{from}' AND day < '{to}'))"
        ))
        .unwrap();
    let attach = "SELECT groundskeeper.attach_partition('public.bets', 'public.more')";
    let refused = refusal(&mut client, attach).unwrap();
    assert_eq!(refused.code, "0A000", "{refused:?}");
    assert!(refused.detail.contains("triggers"), "{refused:?}");
}
