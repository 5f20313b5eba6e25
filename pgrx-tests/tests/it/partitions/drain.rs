//! `drain_default`: rows change their place, and nothing else ever notices.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use groundskeeper_tests::sql::{text, texts};
use groundskeeper_tests::{SetAtEnd, Template, TestDb};
use postgres::Client;

use super::make;

/// Three months of 2025 in the default partition, with children, a parent of their own, and what stays.
const STRAYS: &str = "
    CREATE TABLE public.game (id int PRIMARY KEY);
    INSERT INTO public.game SELECT generate_series(1, 10);
    CREATE TABLE public.bet (id bigint, day date, game int REFERENCES public.game DEFERRABLE INITIALLY DEFERRED,
                             n bigint NOT NULL DEFAULT 0, twice bigint GENERATED ALWAYS AS (n * 2) STORED,
                             PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
    CREATE TABLE public.bet_default PARTITION OF public.bet DEFAULT;
    CREATE TABLE public.child (bet bigint, day date, FOREIGN KEY (bet, day) REFERENCES public.bet ON DELETE CASCADE);
    INSERT INTO public.bet (id, day, game) SELECT n, date '2025-02-01' + n % 89, n % 10 + 1 FROM generate_series(1, :rows) n;
    INSERT INTO public.bet (id, day) VALUES (-1, '2099-01-01'), (-2, 'infinity'), (-3, '-infinity');
    INSERT INTO public.child SELECT id, day FROM public.bet WHERE id % 100 = 0;
    SELECT groundskeeper.adopt_partitioned_table('public.bet');";

const ALL: &str = "SELECT md5(string_agg(b::text, ',' ORDER BY id)) FROM public.bet b";

fn strays(rows: u32) -> (TestDb, Client) {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    client.batch_execute(&STRAYS.replace(":rows", &rows.to_string())).unwrap();
    (db, client)
}

fn drain(db: &TestDb, client: &mut Client) -> String {
    let id = text(client, "SELECT groundskeeper.drain_default('public.bet')").unwrap();
    db.settle().unwrap();
    let state = format!("SELECT concat_ws(': ', state, error) FROM groundskeeper.jobs WHERE job_id = {id}");
    text(client, &state).unwrap()
}

#[test]
fn rows_move_and_children_stay() {
    let (db, mut client) = strays(5000);
    client
        .batch_execute(
            "CREATE TABLE public.fired (what text);
             CREATE FUNCTION public.fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.fired VALUES (TG_OP); RETURN NULL; END';
             CREATE TRIGGER fire AFTER INSERT OR UPDATE OR DELETE ON public.bet FOR EACH ROW EXECUTE FUNCTION public.fire()",
        )
        .unwrap();
    let before = text(&mut client, ALL).unwrap();
    assert_eq!(drain(&db, &mut client), "succeeded");
    assert_eq!(text(&mut client, ALL).unwrap(), before);
    assert_eq!(text(&mut client, "SELECT count(*) FROM public.child").unwrap(), "50");
    assert_eq!(text(&mut client, "SELECT count(*) FROM public.fired").unwrap(), "0");
    let places = "SELECT tableoid::regclass || ' ' || count(*) FROM public.bet GROUP BY tableoid ORDER BY 1";
    assert_eq!(
        texts(&mut client, places).unwrap(),
        ["bet_2025_02 1584", "bet_2025_03 1736", "bet_2025_04 1680", "bet_default 3"]
    );
    // Foreign keys hold both ways as they did.
    let orphan = groundskeeper_tests::sql::refusal(
        &mut client,
        "INSERT INTO public.child VALUES (7777777, '2025-02-02')",
    );
    assert_eq!(orphan.unwrap().code, "23503");
    let gone = groundskeeper_tests::sql::refusal(&mut client, "DELETE FROM public.game WHERE id = 1");
    assert_eq!(gone.unwrap().code, "23503");
    client.batch_execute("DELETE FROM public.bet WHERE id = 100").unwrap();
    assert_eq!(text(&mut client, "SELECT count(*) FROM public.child").unwrap(), "49");
    assert_eq!(text(&mut client, "SELECT count(*) FROM public.fired").unwrap(), "1", "triggers fire again");
    assert_eq!(drain(&db, &mut client), "succeeded", "nothing is left to do");
}

#[test]
fn a_month_that_rows_in_the_default_hold_up_is_made_by_draining() {
    let (db, mut client) = strays(100);
    client.batch_execute("INSERT INTO public.bet (id, day) SELECT 5000 + n, now()::date + n FROM generate_series(1, 100) n").unwrap();
    let said = make(&mut client, "3");
    assert!(said.iter().any(|s| s.contains("failed: rows of public.bet")), "{said:?}");
    let before = text(&mut client, ALL).unwrap();
    assert_eq!(drain(&db, &mut client), "succeeded");
    assert_eq!(text(&mut client, ALL).unwrap(), before);
    let said = make(&mut client, "3");
    assert!(said.iter().all(|s| !s.contains("failed")), "{said:?}");
    assert_eq!(text(&mut client, "SELECT count(*) FROM public.bet_default").unwrap(), "3");
}

#[test]
fn no_update_is_lost_and_no_writer_waits_long() {
    let (db, mut client) = strays(30_000);
    let stop = AtomicBool::new(false);
    let (added, longest) = (AtomicI64::new(0), AtomicI64::new(0));
    let state = thread::scope(|scope| {
        let _end = SetAtEnd(&stop);
        for writer in 0..3i64 {
            let (db, stop, added, longest) = (&db, &stop, &added, &longest);
            scope.spawn(move || {
                let mut client = db.client().unwrap();
                let mut update = None;
                let mut number = writer;
                let mut inserted = 0;
                while !stop.load(Ordering::Relaxed) {
                    number = (number * 7919 + 13) % 30_000;
                    let begun = Instant::now();
                    let id = number + 1;
                    // by simple, prepared and direct statements, with and without the key
                    let changed = match number % 3 {
                        0 => {
                            let by_id = format!("UPDATE public.bet SET n = n + 1 WHERE id = {id} RETURNING n");
                            let rows = client.simple_query(&by_id).unwrap();
                            rows.iter().filter(|m| matches!(m, postgres::SimpleQueryMessage::Row(_))).count()
                        }
                        1 => {
                            let statement = update.get_or_insert_with(|| {
                                client.prepare("UPDATE public.bet SET n = n + 1 WHERE id = $1").unwrap()
                            });
                            usize::try_from(client.execute(&*statement, &[&id]).unwrap()).unwrap()
                        }
                        _ => {
                            let sql = "UPDATE public.bet SET n = n + 1 WHERE id = $1 AND day = date '2025-02-01' + ($1 % 89)::int";
                            usize::try_from(client.execute(sql, &[&id]).unwrap()).unwrap()
                        }
                    };
                    longest.fetch_max(i64::try_from(begun.elapsed().as_millis()).unwrap(), Ordering::Relaxed);
                    assert_eq!(changed, 1, "the update of {id} met no row");
                    added.fetch_add(1, Ordering::Relaxed);
                    inserted += 1;
                    let fresh = 1_000_000 * (writer + 1) + inserted;
                    let insert = format!("INSERT INTO public.bet (id, day, n) VALUES ({fresh}, '2025-03-03', 0)");
                    client.batch_execute(&insert).unwrap();
                    if inserted % 2 == 0 {
                        let gone = format!("DELETE FROM public.bet WHERE id = {fresh}");
                        assert_eq!(client.execute(gone.as_str(), &[]).unwrap(), 1);
                    }
                    thread::sleep(Duration::from_millis(2));
                }
            });
        }
        thread::sleep(Duration::from_millis(200));
        let state = drain(&db, &mut client);
        thread::sleep(Duration::from_millis(200));
        stop.store(true, Ordering::Relaxed);
        state
    });
    assert_eq!(state, "succeeded");
    let sums =
        "SELECT concat_ws(' ', sum(n), count(*) FILTER (WHERE id <= 30000 AND id > 0)) FROM public.bet";
    assert_eq!(text(&mut client, sums).unwrap(), format!("{} 30000", added.load(Ordering::Relaxed)));
    assert_eq!(text(&mut client, "SELECT count(*) FROM public.child").unwrap(), "300");
    let twice = "SELECT count(*) FROM (SELECT id FROM public.bet GROUP BY id HAVING count(*) > 1) d";
    assert_eq!(text(&mut client, twice).unwrap(), "0");
    println!(
        "longest wait of a writer: {} ms of {} updates",
        longest.load(Ordering::Relaxed),
        added.load(Ordering::Relaxed)
    );
    assert!(longest.load(Ordering::Relaxed) < 5000);
}

#[test]
fn a_drain_that_was_killed_goes_on_from_whatever_there_is() {
    let (db, mut client) = strays(20_000);
    let before = text(&mut client, ALL).unwrap();
    let id = text(&mut client, "SELECT groundskeeper.drain_default('public.bet')").unwrap();
    let kill = format!(
        "SELECT count(pg_terminate_backend(worker_pid)) FROM groundskeeper.job WHERE job_id = {id} AND worker_pid IS NOT NULL"
    );
    let state = format!("SELECT state FROM groundskeeper.jobs WHERE job_id = {id}");
    let mut kills = 0;
    for pause in [5u64, 20, 40, 60, 80, 100, 130, 160] {
        thread::sleep(Duration::from_millis(pause));
        if text(&mut client, &state).unwrap() == "succeeded" {
            break;
        }
        kills += text(&mut client, &kill).unwrap().parse::<i32>().unwrap();
        assert_eq!(text(&mut client, ALL).unwrap(), before, "at any time all rows are there, once");
    }
    db.settle().unwrap();
    assert!(kills > 0, "the drain was over before it could be killed");
    assert_eq!(text(&mut client, &state).unwrap(), "succeeded");
    assert_eq!(text(&mut client, ALL).unwrap(), before);
    assert_eq!(text(&mut client, "SELECT count(*) FROM public.child").unwrap(), "200");
    let left = "SELECT count(*) FROM pg_class c WHERE relkind = 'r' AND relname LIKE 'bet\\_2%' AND NOT relispartition";
    assert_eq!(text(&mut client, left).unwrap(), "0");
    assert_eq!(text(&mut client, "SELECT count(*) FROM pg_constraint WHERE conname LIKE 'groundskeeper%' AND conrelid <> 0 AND conrelid::regclass::text LIKE 'bet%'").unwrap(), "0");
}

#[test]
fn a_table_without_a_key_is_drained_in_batches_or_not_at_all() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    client
        .batch_execute(
            "CREATE TABLE public.bet (id int, day timestamptz) PARTITION BY RANGE (day);
             CREATE TABLE public.bet_default PARTITION OF public.bet DEFAULT;
             SELECT groundskeeper.adopt_partitioned_table('public.bet');
             INSERT INTO public.bet SELECT 1, '2025-02-01 00:00 America/New_York'::timestamptz + n * interval '1 hour' FROM generate_series(0, 99) n",
        )
        .unwrap();
    let before =
        text(&mut client, "SELECT md5(string_agg(b::text, ',' ORDER BY day)) FROM public.bet b").unwrap();
    let id = text(&mut client, "SELECT groundskeeper.drain_default('public.bet', 50)").unwrap();
    db.settle().unwrap();
    let failed = format!("SELECT concat_ws(' ', state, error) FROM groundskeeper.jobs WHERE job_id = {id}");
    assert!(text(&mut client, &failed).unwrap().starts_with("failed more than 50 rows"));
    assert_eq!(text(&mut client, "SELECT count(*) FROM public.bet_default").unwrap(), "100");
    assert_eq!(drain(&db, &mut client), "succeeded", "what was left is taken up again");
    assert_eq!(
        text(&mut client, "SELECT md5(string_agg(b::text, ',' ORDER BY day)) FROM public.bet b").unwrap(),
        before
    );
    assert_eq!(text(&mut client, "SELECT count(*) FROM public.bet_2025_02").unwrap(), "100");
}

#[test]
fn who_refers_to_the_default_partition_itself_is_an_obstacle() {
    let (db, mut client) = strays(100);
    let direct = "CREATE TABLE public.direct (id bigint, day date, FOREIGN KEY (id, day) REFERENCES public.bet_default)";
    client.batch_execute(direct).unwrap();
    let state = drain(&db, &mut client);
    assert!(
        state.starts_with("failed") && state.contains("refers to the default partition itself"),
        "{state}"
    );
    assert_eq!(text(&mut client, "SELECT count(*) FROM public.bet_default").unwrap(), "103");
}

#[test]
fn a_default_partition_of_partitions_is_refused() {
    let (db, mut client) = super::bets();
    client
        .batch_execute(
            "CREATE TABLE public.bets_default PARTITION OF public.bets DEFAULT PARTITION BY LIST (stake);
             CREATE TABLE public.bets_rest PARTITION OF public.bets_default DEFAULT; INSERT INTO public.bets VALUES (1, '2020-01-01')",
        )
        .unwrap();
    let health =
        "SELECT concat_ws(' ', default_rows, status ~ 'default_rows') FROM monitoring.partition_health";
    assert_eq!(text(&mut client, health).unwrap(), "1 t");
    client.batch_execute("SELECT groundskeeper.drain_default('public.bets')").unwrap();
    db.settle().unwrap();
    let outcome = "SELECT concat_ws(' ', state, error) FROM groundskeeper.jobs WHERE kind = 'drain_default'";
    let outcome = text(&mut client, outcome).unwrap();
    assert!(outcome.starts_with("failed") && outcome.contains("partitions of its own"), "{outcome}");
}
