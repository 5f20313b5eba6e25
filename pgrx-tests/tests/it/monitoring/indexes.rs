//! The verdicts of `monitoring.unused_indexes`.

use super::*;
use groundskeeper_tests::PATIENCE;

/// Tables and indexes for the verdicts; `venue` is what only the plain index covers.
const INDEXED: &str = r#"
    CREATE SCHEMA league;
    SET search_path = league;
    CREATE TABLE game (
        id integer PRIMARY KEY, external_id text UNIQUE, played int4range, season integer NOT NULL, week integer,
        venue text, score integer, EXCLUDE USING gist (played WITH &&));
    CREATE UNIQUE INDEX game_season ON game (season);
    ALTER TABLE game REPLICA IDENTITY USING INDEX game_season;
    CREATE INDEX game_week ON game (week);
    ALTER TABLE game CLUSTER ON game_week;
    CREATE INDEX game_expression ON game (lower(venue));
    CREATE INDEX game_score ON game (score);
    CREATE INDEX "game ""venue"".x" ON game (venue);
    CREATE TABLE bet (id integer, game_id integer REFERENCES game, odds integer);
    CREATE INDEX bet_game ON bet (game_id, odds);
    CREATE INDEX bet_odds ON bet (odds, game_id);
    CREATE TABLE quote (id integer, day date, book integer) PARTITION BY RANGE (day);
    CREATE INDEX quote_day ON quote (day);
    CREATE INDEX quote_book ON quote (book);
    CREATE TABLE quote_2025_01 PARTITION OF quote FOR VALUES FROM ('2025-01-01') TO ('2025-02-01');
    CREATE TABLE quote_2025_02 PARTITION OF quote FOR VALUES FROM ('2025-02-01') TO ('2025-03-01');
    INSERT INTO game SELECT n, n, int4range(n, n + 1), n, n, n, n FROM generate_series(1, 1000) n;
    ANALYZE game;
    SET enable_seqscan = off;
    SET enable_bitmapscan = off;
    DO $$
    BEGIN
        FOR n IN 1 .. 5000 LOOP
            PERFORM FROM league.game WHERE score = -n;
        END LOOP;
        PERFORM FROM league.quote WHERE day = '2025-01-15';
    END $$;
    SELECT pg_stat_force_next_flush();
"#;

#[test]
fn an_index_is_unused_only_when_nothing_speaks_for_it() {
    let db = TestDb::installed(Template::Empty).unwrap();
    run_sql(&mut db.client().unwrap(), INDEXED);
    let mut client = db.client().unwrap();
    let verdict = |client: &mut Client, index: &str| {
        let sql = "SELECT verdict || ': ' || evidence FROM monitoring.unused_indexes
                   WHERE schemaname = 'league' AND indexname = $1";
        client
            .query_one(sql, &[&index])
            .unwrap_or_else(|error| panic!("{index}: {error}"))
            .get::<_, String>(0)
    };

    let plain = "game \"venue\".x";
    assert!(verdict(&mut client, plain).starts_with("too_early: "));
    let offered = "SELECT drop_sql FROM monitoring.unused_indexes WHERE drop_sql IS NOT NULL";
    assert!(column(&mut client, offered).is_empty());

    run_sql(&mut client, "SET groundskeeper.index_observation = '0'");
    for (index, reason) in [
        ("game_pkey", "primary key"),
        ("game_external_id_key", "enforces uniqueness"),
        ("game_played_excl", "exclusion constraint"),
        ("game_season", "replica identity"),
        ("game_week", "clustered"),
        ("game_expression", "statistics of its expression"),
        ("game_score", "scans: 5000"),
        ("bet_game", "foreign key bet_game_id_fkey"),
        ("quote_day", "scans: 1"),
    ] {
        let found = verdict(&mut client, index);
        assert!(found.starts_with("needed: ") && found.contains(reason), "{index}: {found}");
    }
    let read = "SELECT idx_tup_read FROM monitoring.unused_indexes WHERE indexname = 'game_score'";
    assert_eq!(value(&mut client, read), "0", "what the plan's view would have gone by");
    let own = "SELECT indexname FROM monitoring.unused_indexes
               WHERE schemaname = 'groundskeeper' AND verdict <> 'needed'";
    assert!(column(&mut client, own).is_empty());

    let drops: Vec<_> = column(&mut client, &format!("{offered} ORDER BY 1")).into_iter().flatten().collect();
    let expected = [
        "DROP INDEX CONCURRENTLY league.\"game \"\"venue\"\".x\"",
        "DROP INDEX CONCURRENTLY league.bet_odds",
        "DROP INDEX league.quote_book",
    ];
    assert_eq!(drops.len(), expected.len(), "{drops:?}");
    for drop in expected {
        assert!(drops.iter().any(|offered| offered == drop), "{drop} is not in {drops:?}");
        run_sql(&mut client, drop);
    }
    assert!(column(&mut client, offered).is_empty());
}

#[test]
fn an_invalid_index_and_one_that_is_not_counted_are_not_judged() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    run_sql(&mut client, "CREATE TABLE quote (id integer, day date) PARTITION BY RANGE (day)");
    run_sql(
        &mut client,
        "CREATE TABLE quote_2025 PARTITION OF quote FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')",
    );
    run_sql(&mut client, "CREATE INDEX incomplete ON ONLY quote (id); CREATE INDEX whole ON quote (day)");
    run_sql(&mut client, "SET groundskeeper.index_observation = '0'");
    let verdicts = "SELECT indexname || ' ' || verdict FROM monitoring.unused_indexes
                    WHERE schemaname = 'public' ORDER BY 1";
    let found: Vec<_> = column(&mut client, verdicts).into_iter().flatten().collect();
    assert_eq!(found, ["incomplete too_early", "whole unused"]);
    run_sql(&mut client, "SET track_counts = off");
    let found: Vec<_> = column(&mut client, verdicts).into_iter().flatten().collect();
    assert_eq!(found, ["incomplete too_early", "whole too_early"]);
}

#[test]
fn a_crash_ends_the_observation_only_where_nobody_had_looked() {
    let (server, db) = private(Options::default());
    let mut client = db.client().unwrap();
    run_sql(&mut client, "CREATE TABLE game (id integer); CREATE INDEX game_id ON game (id)");
    let since = "SELECT verdict || ' ' || idx_scan || ' ' || (now() - observed_since > '9 days')
                 FROM monitoring.unused_indexes WHERE indexname = 'game_id'";
    record(&mut client);
    observed_for(&mut client, "10 days");
    run_sql(
        &mut client,
        "UPDATE groundskeeper.index_observation SET idx_scan = 7, scans = 7, last_scan = now() - interval '60 days'",
    );
    assert_eq!(value(&mut client, since), "unused 7 true", "the counter went from 7 to 0: it was reset");
    let started = value(&mut client, "SELECT pg_postmaster_start_time()");
    // A backend that is killed takes the others with it, but not the postmaster.
    let pid = value(&mut client, "SELECT pg_backend_pid()");
    succeed(Command::new("kill").args(["-9", &pid]));
    drop(client);
    let deadline = Instant::now() + PATIENCE;
    let mut client = loop {
        // Until then a new session would be ended with the others.
        if server.log().contains("reinitializing")
            && let Ok(client) = db.client()
        {
            break client;
        }
        assert!(Instant::now() < deadline, "{}", server.log());
        sleep(Duration::from_millis(50));
    };
    assert_eq!(value(&mut client, "SELECT pg_postmaster_start_time()"), started);
    assert_eq!(value(&mut client, since), "unused 7 true");
    run_sql(&mut client, "DELETE FROM groundskeeper.metrics");
    assert_eq!(value(&mut client, since), "too_early 7 false");
    record(&mut client);
    assert_eq!(value(&mut client, since), "too_early 7 false");
}

/// One look, which sees all that this session has done.
fn record(client: &mut Client) {
    run_sql(client, "SELECT pg_stat_force_next_flush()");
    run_sql(client, "SELECT groundskeeper.record_metrics()");
}

/// As if all indexes had been there that long.
fn observed_for(client: &mut Client, time: &str) {
    let back = format!(
        "UPDATE groundskeeper.index_observation
            SET first_seen = first_seen - interval '{time}', last_scan = last_scan - interval '{time}'"
    );
    run_sql(client, &back);
}

#[test]
fn scans_are_those_of_the_observed_time() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    run_sql(&mut client, INDEXED);
    let verdict = |client: &mut Client, index: &str| {
        let sql = format!(
            "SELECT concat_ws(' ', verdict, idx_scan, create_sql) FROM monitoring.unused_indexes
             WHERE schemaname = 'league' AND indexname = '{index}'"
        );
        value(client, &sql)
    };
    let create = "CREATE INDEX bet_odds ON league.bet USING btree (odds, game_id)";
    assert_eq!(verdict(&mut client, "bet_odds"), "too_early 0", "nobody has looked yet");
    record(&mut client);
    assert_eq!(verdict(&mut client, "bet_odds"), "too_early 0");
    observed_for(&mut client, "6 days");
    assert_eq!(verdict(&mut client, "bet_odds"), "too_early 0");
    observed_for(&mut client, "1 day 1 minute");
    assert_eq!(verdict(&mut client, "bet_odds"), format!("unused 0 {create}"));
    assert_eq!(verdict(&mut client, "game_score"), "needed 5000");
    // What nobody has scanned for a month was of use once.
    observed_for(&mut client, "25 days");
    assert!(verdict(&mut client, "game_score").starts_with("unused 5000 CREATE INDEX"));
    run_sql(&mut client, "SELECT FROM league.game WHERE score = 1");
    run_sql(&mut client, "SELECT pg_stat_force_next_flush()");
    assert_eq!(verdict(&mut client, "game_score"), "needed 5001", "seen without another look");
    record(&mut client);
    // A reset takes nothing away.
    run_sql(&mut client, "SELECT pg_stat_reset()");
    assert_eq!(verdict(&mut client, "game_score"), "needed 5001");
    record(&mut client);
    run_sql(&mut client, "SELECT FROM league.game WHERE score = 1");
    record(&mut client);
    assert_eq!(verdict(&mut client, "game_score"), "needed 5002");
    // The whole is as old as the whole, whatever its partitions are.
    run_sql(
        &mut client,
        "CREATE TABLE league.quote_2025_03 PARTITION OF league.quote FOR VALUES FROM ('2025-03-01') TO ('2025-04-01')",
    );
    assert!(
        verdict(&mut client, "quote_book")
            .starts_with("unused 0 CREATE INDEX quote_book ON ONLY league.quote")
    );
    run_sql(&mut client, "DROP INDEX league.bet_odds");
    record(&mut client);
    let forgotten = "SELECT count(*) FROM groundskeeper.index_observation o
                     WHERE NOT EXISTS (SELECT FROM pg_index i WHERE i.indexrelid = o.indexrelid)";
    assert_eq!(value(&mut client, forgotten), "0");
    // A look that finds nothing new writes nothing.
    let written = "SELECT count(DISTINCT xmin::text) FROM groundskeeper.index_observation";
    let before = value(&mut client, written);
    record(&mut client);
    assert_eq!(value(&mut client, written), before);
}
