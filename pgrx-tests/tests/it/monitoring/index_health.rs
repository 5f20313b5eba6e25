//! `monitoring.index_health`.

use super::*;
use groundskeeper_tests::PATIENCE;

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
    let deadline = Instant::now() + PATIENCE;
    while value(&mut client, "SELECT count(*) FROM pg_index WHERE NOT indisvalid") == "0" {
        assert!(Instant::now() < deadline);
        sleep(Duration::from_millis(20));
    }
    assert!(column(&mut client, "SELECT indexname FROM monitoring.index_health").is_empty());
    run_sql(&mut writer, "COMMIT");
    build.join().unwrap().unwrap();
}

#[test]
fn advice_never_weakens_a_schema() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    run_sql(
        &mut client,
        "CREATE SCHEMA app; SET search_path = app;
         CREATE TABLE late (id integer NOT NULL, CONSTRAINT late_id UNIQUE (id) DEFERRABLE INITIALLY DEFERRED);
         CREATE UNIQUE INDEX late_at_once ON late (id);
         CREATE TABLE both_late (id integer, CONSTRAINT both_1 UNIQUE (id) DEFERRABLE);
         ALTER TABLE both_late ADD CONSTRAINT both_2 UNIQUE (id) DEFERRABLE;
         CREATE TABLE quote (id integer NOT NULL, day date NOT NULL, note text) PARTITION BY RANGE (day);
         CREATE TABLE quote_1 PARTITION OF quote FOR VALUES FROM ('2025-01-01') TO ('2025-02-01');
         CREATE TABLE quote_2 PARTITION OF quote FOR VALUES FROM ('2025-02-01') TO ('2025-03-01');
         CREATE INDEX quote_first ON quote (note);
         CREATE INDEX quote_second ON quote (note);
         ALTER TABLE quote_1 CLUSTER ON quote_1_note_idx1;
         CREATE INDEX quote_1_alone ON quote_1 (note);
         CREATE INDEX quote_2_a ON quote_2 (day); CREATE INDEX quote_2_b ON quote_2 (day)",
    );
    let found = "SELECT concat_ws('|', indexname, fix_sql) FROM monitoring.index_health
                  WHERE kind IN ('duplicate', 'overlapping') ORDER BY 1";
    let found: Vec<_> = column(&mut client, found).into_iter().flatten().collect();
    assert_eq!(
        found,
        [
            "both_2",
            "quote_1_alone|DROP INDEX CONCURRENTLY app.quote_1_alone",
            "quote_2_b|DROP INDEX CONCURRENTLY app.quote_2_b",
            // the younger one is what a partition is clustered on
            "quote_first|DROP INDEX app.quote_first",
        ]
    );
    for fix in column(
        &mut client,
        "SELECT fix_sql FROM monitoring.index_health WHERE kind = 'duplicate' AND fix_sql IS NOT NULL",
    ) {
        run_sql(&mut client, &fix.unwrap());
    }
    let kept = "SELECT count(*) FROM pg_index WHERE indisclustered AND indrelid = 'app.quote_1'::regclass";
    assert_eq!(value(&mut client, kept), "1");
    // Had the plain one gone, this would be refused.
    run_sql(&mut client, "CREATE TABLE app.refers (id integer REFERENCES app.late (id))");
    assert!(client.batch_execute("INSERT INTO app.late VALUES (1), (1)").is_err());
}

#[test]
fn foreign_keys_are_served_by_whatever_serves_them() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    run_sql(
        &mut client,
        "CREATE SCHEMA app; SET search_path = app;
         CREATE TABLE game (id integer PRIMARY KEY, other integer, UNIQUE (id, other));
         CREATE TABLE partial (g integer REFERENCES game); CREATE INDEX ON partial (g) WHERE g IS NOT NULL;
         CREATE TABLE hashed (g integer REFERENCES game); CREATE INDEX ON hashed USING hash (g);
         CREATE TABLE pair (a integer, b integer, FOREIGN KEY (a, b) REFERENCES game (id, other));
         CREATE INDEX ON pair (b, a) WHERE a IS NOT NULL AND b IS NOT NULL;
         CREATE TABLE quote (g integer REFERENCES game, day date) PARTITION BY RANGE (day);
         CREATE TABLE quote_1 PARTITION OF quote FOR VALUES FROM ('2025-01-01') TO ('2025-02-01');
         CREATE TABLE quote_2 (day date, more text, g integer); ALTER TABLE quote_2 DROP COLUMN more;
         ALTER TABLE quote ATTACH PARTITION quote_2 FOR VALUES FROM ('2025-02-01') TO ('2025-03-01');
         CREATE INDEX ON quote_1 (g); CREATE INDEX ON quote_2 USING hash (g);
         CREATE TABLE parent (id integer PRIMARY KEY) PARTITION BY RANGE (id);
         CREATE TABLE parent_1 PARTITION OF parent FOR VALUES FROM (0) TO (10);
         CREATE TABLE child (p integer REFERENCES parent); CREATE INDEX ON child (p);

         CREATE TABLE in_part (g integer REFERENCES game); CREATE INDEX ON in_part (g) WHERE g > 5;
         CREATE TABLE in_part_too (g integer REFERENCES game, x integer); CREATE INDEX ON in_part_too (g) WHERE g IS NOT NULL AND x IS NOT NULL;
         CREATE TABLE where_null (g integer REFERENCES game); CREATE INDEX ON where_null (g) WHERE g IS NULL;
         CREATE TABLE either (g integer REFERENCES game, x integer); CREATE INDEX ON either (g) WHERE g IS NOT NULL OR x IS NOT NULL;
         CREATE TABLE summed (g integer REFERENCES game); CREATE INDEX ON summed USING brin (g);
         CREATE TABLE half (g integer REFERENCES game, day date) PARTITION BY RANGE (day);
         CREATE TABLE half_1 PARTITION OF half FOR VALUES FROM ('2025-01-01') TO ('2025-02-01');
         CREATE TABLE half_2 PARTITION OF half FOR VALUES FROM ('2025-02-01') TO ('2025-03-01');
         CREATE INDEX half_1_g ON half_1 (g);
         CREATE TABLE none_yet (g integer REFERENCES game) PARTITION BY RANGE (g);
         CREATE TABLE behind (x integer, g integer REFERENCES game); CREATE INDEX ON behind (x, g)",
    );
    let found = "SELECT tablename FROM monitoring.index_health WHERE kind = 'missing_fk_index' ORDER BY 1";
    let found: Vec<_> = column(&mut client, found).into_iter().flatten().collect();
    assert_eq!(
        found,
        ["behind", "either", "half", "in_part", "in_part_too", "none_yet", "summed", "where_null"]
    );
    let half = "SELECT detail FROM monitoring.index_health WHERE tablename = 'half'";
    let half = value(&mut client, half);
    assert!(
        half.starts_with("no index of 1 of 2 partitions leads") && half.ends_with("such as app.half_2"),
        "{half}"
    );
    let skipped =
        "SELECT detail ~ 'may be skipped through' FROM monitoring.index_health WHERE tablename = 'behind'";
    let since_18 = value(&mut client, "SELECT current_setting('server_version_num')::integer >= 180000");
    assert_eq!(value(&mut client, skipped), since_18);
    for fix in
        column(&mut client, "SELECT fix_sql FROM monitoring.index_health WHERE kind = 'missing_fk_index'")
    {
        run_sql(&mut client, &fix.unwrap());
    }
    assert!(
        column(&mut client, "SELECT 1 FROM monitoring.index_health WHERE kind = 'missing_fk_index'")
            .is_empty()
    );
    // The index of the partition that had one is part of the new one, which is no other.
    let attached = "SELECT relispartition FROM pg_class WHERE oid = 'app.half_1_g'::regclass";
    assert_eq!(value(&mut client, attached), "true");
}

#[test]
fn what_a_rebuild_leaves_on_toast_is_named_and_can_go() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    run_sql(
        &mut client,
        "CREATE TABLE note (id integer PRIMARY KEY, t text); INSERT INTO note VALUES (1, 'x')",
    );
    let mut reader = db.client().unwrap();
    run_sql(&mut reader, "BEGIN; SELECT count(*) FROM note");
    let mut builder = db.client().unwrap();
    run_sql(&mut builder, "SET statement_timeout = '500ms'");
    assert!(builder.batch_execute("REINDEX TABLE CONCURRENTLY note").is_err());
    run_sql(&mut reader, "ROLLBACK");
    let invalid = "SELECT count(*) FROM pg_index WHERE NOT indisvalid";
    // By when it was cancelled it is the new one or the old one that is left.
    let found =
        "SELECT concat_ws(' ', schemaname, tablename, regexp_replace(indexname, '\\d+|new$|old$', '', 'g'))
                   FROM monitoring.index_health WHERE kind = 'invalid' ORDER BY 1";
    let found: Vec<_> = column(&mut client, found).into_iter().flatten().collect();
    assert_eq!(found, ["public note note_pkey_cc", "public note pg_toast__index_cc"]);
    for fix in column(&mut client, "SELECT fix_sql FROM monitoring.index_health WHERE kind = 'invalid'") {
        run_sql(&mut client, &fix.unwrap());
    }
    assert_eq!(value(&mut client, invalid), "0");
}
