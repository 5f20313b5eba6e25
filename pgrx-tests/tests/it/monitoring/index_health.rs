//! `monitoring.index_health`.

use super::*;

const INDEXED: &str = r#"
    CREATE SCHEMA "we""ird.Schema";
    SET search_path = "we""ird.Schema";
    CREATE TABLE game (id integer PRIMARY KEY, home text, away text, played date, season integer);
    CREATE UNIQUE INDEX game_id ON game (id);
    CREATE INDEX game_id_again ON game (id);
    CREATE INDEX game_home ON game (home);
    CREATE INDEX game_home_away ON game (home, away);
    CREATE INDEX game_home_pattern ON game (home text_pattern_ops);
    CREATE INDEX game_home_desc ON game (home DESC);
    CREATE INDEX game_home_c ON game (home COLLATE "C");
    CREATE INDEX game_home_partial ON game (home) WHERE season > 2000;
    CREATE INDEX game_home_partial_2 ON game (home)   WHERE season > 2000;
    CREATE INDEX game_lower ON game (lower(away));
    CREATE INDEX game_lower_2 ON game (lower(away));
    CREATE INDEX game_upper ON game (upper(away));
    CREATE INDEX game_played ON game (played);
    CREATE INDEX game_played_covering ON game (played) INCLUDE (season);
    CREATE INDEX game_hash ON game USING hash (season);
    CREATE INDEX game_season ON game (season);
    CREATE TABLE "Bet" (id integer, game_id integer REFERENCES game, other integer REFERENCES game,
                        part integer REFERENCES game, third integer REFERENCES game);
    CREATE INDEX bet_game ON "Bet" (game_id);
    CREATE INDEX bet_part ON "Bet" (part) WHERE part > 5;
    CREATE TABLE quote (id integer, day date, game_id integer REFERENCES game) PARTITION BY RANGE (day);
    CREATE TABLE quote_1 PARTITION OF quote FOR VALUES FROM ('2025-01-01') TO ('2025-02-01');
    CREATE INDEX quote_day ON quote (day);
    CREATE INDEX quote_day_id ON quote (day, id);
    CREATE INDEX incomplete ON ONLY quote (id);
"#;

#[test]
fn what_is_wrong_with_indexes_is_found_and_mended() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    run_sql(&mut client, INDEXED);
    run_sql(&mut client, "INSERT INTO game SELECT n, 'x' FROM generate_series(1, 2) n");
    assert!(client.batch_execute("CREATE UNIQUE INDEX CONCURRENTLY game_broken ON game (home)").is_err());
    let found = "SELECT concat_ws(' ', kind, tablename, indexname, (regexp_match(detail, 'Schema\"\\.(\\S+?),?$|Schema\"\\.(\\S+), which'))[1])
                 FROM monitoring.index_health ORDER BY 1";
    let found: Vec<_> = column(&mut client, found).into_iter().flatten().collect();
    assert_eq!(
        found,
        [
            "duplicate game game_home_partial_2 game_home_partial",
            "duplicate game game_id game_pkey",
            "duplicate game game_lower_2 game_lower",
            "invalid game game_broken",
            "invalid quote incomplete",
            "missing_fk_index Bet",
            "missing_fk_index Bet",
            "missing_fk_index Bet",
            "missing_fk_index quote",
            "overlapping game game_home game_home_away",
            "overlapping game game_id_again",
            "overlapping game game_played",
            "overlapping quote quote_day quote_day_id",
        ]
    );
    let fixes = column(&mut client, "SELECT fix_sql FROM monitoring.index_health WHERE kind <> 'invalid'");
    assert_eq!(fixes.len(), 11);
    for fix in fixes.into_iter().flatten() {
        run_sql(&mut client, &fix);
    }
    run_sql(&mut client, "UPDATE game SET home = id::text");
    let fix = "SELECT fix_sql FROM monitoring.index_health WHERE indexname = 'game_broken'";
    let fix = value(&mut client, fix);
    assert!(fix.starts_with("REINDEX INDEX CONCURRENTLY"), "{fix}");
    run_sql(&mut client, &fix);
    let left = column(&mut client, "SELECT indexname FROM monitoring.index_health");
    assert_eq!(left, [Some("incomplete".to_owned())]);
}

#[test]
fn an_index_under_construction_is_not_called_broken() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    run_sql(&mut client, "CREATE TABLE game (id integer)");
    let mut writer = db.client().unwrap();
    run_sql(&mut writer, "BEGIN; INSERT INTO game VALUES (1)");
    let mut builder = db.client().unwrap();
    let build =
        std::thread::spawn(move || builder.batch_execute("CREATE INDEX CONCURRENTLY building ON game (id)"));
    let deadline = Instant::now() + Duration::from_secs(20);
    while value(&mut client, "SELECT count(*) FROM pg_index WHERE NOT indisvalid") == "0" {
        assert!(Instant::now() < deadline);
        sleep(Duration::from_millis(20));
    }
    assert!(column(&mut client, "SELECT indexname FROM monitoring.index_health").is_empty());
    run_sql(&mut writer, "COMMIT");
    build.join().unwrap().unwrap();
}
