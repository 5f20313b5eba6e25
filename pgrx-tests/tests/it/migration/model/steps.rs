//! What happens: each step is SQL in a log, so that a failure can be replayed by hand as well as by its seed.

mod interrupted;

use groundskeeper_sandbox::raw::Market;
use groundskeeper_tests::sql::texts;
use postgres::{Client, Config, NoTls};

use super::{invariants, records};
use crate::chance::Chance;

/// A database to which things happen.
pub struct World {
    config: Config,
    client: Client,
    /// A collector that has not committed yet.
    late: Option<Client>,
    chance: Chance,
    shape_b: bool,
    seed: u64,
    games: Vec<String>,
    /// For ids and names that nobody had before.
    number: i32,
    /// Something happened that no trigger saw.
    sweep_due: bool,
    /// Cancelled calls that were not written down at once.
    left_open: u32,
    log: Vec<String>,
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let shape = if self.shape_b { "B" } else { "A" };
            let steps = self.log.join(";\n");
            eprintln!("-- Shape {shape}, seed {}, {} steps:\n{steps};", self.seed, self.log.len());
        }
    }
}

impl World {
    pub fn new(config: Config, shape_b: bool, seed: u64) -> Self {
        let client = connect(&config);
        let games = (0..12).map(|n| format!("game-{n}")).collect();
        let (chance, number, sweep_due) = (Chance::new(seed), 0, false);
        Self {
            config,
            client,
            late: None,
            chance,
            shape_b,
            seed,
            games,
            number,
            sweep_due,
            left_open: 0,
            log: Vec::new(),
        }
    }

    pub fn step(&mut self) {
        let (late, again) = (self.late.is_some(), self.chance.below(3) > 0);
        match self.chance.below(100) {
            0..34 => self.now(Self::insert),
            34..48 => self.now(Self::update),
            48..53 => self.now(Self::delete),
            53..57 => self.now(Self::delete_games),
            57 => self.now(Self::truncate_games),
            58..61 => self.now(Self::renumber),
            61..64 => self.now(Self::rename),
            64..67 => self.now(Self::merge),
            67..70 => self.now(Self::correct),
            70..74 => self.now(Self::enrich),
            74..82 if !late => self.begin_late(),
            74..82 if again => self.write_late(),
            74..82 => self.commit_late(),
            82..85 => self.unseen(),
            85 => self.unstage(),
            86..92 => {
                let call = self.call();
                self.run(call);
            }
            92..96 => self.interrupted("terminate"),
            96..98 => self.interrupted("cancel"),
            _ => {
                let all = self.full_call(false);
                self.run(all);
            }
        }
    }

    /// One full call, after which everything is as the raw tables say, and one that finds nothing.
    pub fn settle(&mut self) {
        if self.chance.percent(60) && self.late.is_some() {
            self.commit_late();
        }
        let sweep_due = std::mem::take(&mut self.sweep_due);
        let call = self.full_call(sweep_due);
        self.run(call);
        invariants::check(&mut self.client, self.shape_b);
        let before = invariants::versions(&mut self.client);
        let call = self.full_call(false);
        self.run(call);
        let last = "SELECT bet_type || ' ' || processed FROM groundskeeper.migration_runs
                     WHERE execution_id = (SELECT execution_id FROM groundskeeper.migration_runs ORDER BY run_id DESC LIMIT 1)
                     ORDER BY run_id";
        assert_eq!(texts(&mut self.client, last).unwrap(), ["moneyline 0", "spread 0", "total 0"]);
        assert_eq!(invariants::versions(&mut self.client), before, "written without need");
    }

    fn run(&mut self, sql: String) {
        self.log.push(sql);
        let sql = &self.log[self.log.len() - 1];
        if let Err(error) = self.client.batch_execute(sql) {
            panic!("{error:?} in\n{sql}");
        }
    }

    fn now(&mut self, what: fn(&mut Self) -> String) {
        let sql = what(self);
        self.run(sql);
    }

    fn fresh(&mut self) -> i32 {
        self.number += 1;
        self.number
    }

    fn market(&mut self) -> Market {
        Market::ALL[self.chance.below(3)]
    }

    fn a_game(&mut self) -> String {
        self.games[self.chance.below(self.games.len())].clone()
    }

    /// Some rows of a raw table that nobody else holds. Who stages one holds its key.
    fn some(&mut self, raw: &str, most: usize) -> String {
        let (salt, rows) = (self.chance.next() % 1000, 1 + self.chance.below(most));
        format!(
            "SELECT id FROM {raw} ORDER BY md5(id::text || '{salt}') LIMIT {rows} FOR NO KEY UPDATE SKIP LOCKED"
        )
    }

    fn insert(&mut self) -> String {
        let low = self.chance.percent(12);
        self.rows(low)
    }

    /// New rows, in one statement; where `low`, with ids below all others, some of which were there before.
    fn rows(&mut self, low: bool) -> String {
        let market = self.market();
        let raw = market.raw_table();
        let rows: Vec<String> = (0..=self.chance.below(6))
            .map(|_| {
                let id = match low {
                    true => format!("-{}", 1 + self.chance.below(40)),
                    false => format!("nextval('{raw}_id_seq')"),
                };
                records::row(&mut self.chance, market, &id, &self.games, self.shape_b)
            })
            .collect();
        format!(
            "INSERT INTO {raw} ({}) VALUES {} ON CONFLICT (id) DO NOTHING",
            records::columns(market),
            rows.join(",\n ")
        )
    }

    fn update(&mut self) -> String {
        let market = self.market();
        let raw = market.raw_table();
        let game = records::game(&mut self.chance, &self.games);
        let [one, other] = records::teams(&mut self.chance, &game);
        let [odds, names] = match market {
            Market::Moneyline => ["home_odds", "home_team_name away_team_name"],
            Market::Spread => ["spread_odds", "favorite_team underdog_team"],
            Market::Total => ["over_odds", "id id"],
        };
        let (left, right) = names.split_once(' ').unwrap();
        let mut set = vec![match self.chance.below(10) {
            0..3 => format!("{odds} = -{}", 110 + self.chance.below(60)),
            3..5 => format!("game_external_id = {game}"),
            5 => format!("sportsbook_name = {}", records::book(&mut self.chance)),
            6 => format!("raw_data = {}", records::payload(&mut self.chance)),
            7 => format!("collected_at = {}", records::collected(&mut self.chance)),
            8 => format!("game_date = {}", records::day(&mut self.chance)),
            _ if market == Market::Total => "source = source".to_owned(),
            _ if self.chance.percent(50) => format!("{left} = {right}, {right} = {left}"),
            _ => format!("{left} = {one}, {right} = {other}"),
        }];
        if self.chance.percent(60) {
            set.push(format!("updated_at = {}", records::touched(&mut self.chance, self.shape_b)));
        }
        let some = self.some(&raw, 8);
        format!("UPDATE {raw} SET {} WHERE id IN ({some})", set.join(", "))
    }

    fn delete(&mut self) -> String {
        let market = self.market();
        let (raw, staging) = (market.raw_table(), market.table());
        let gone = self.some(&raw, 4);
        if self.shape_b {
            return format!("DELETE FROM {raw} WHERE id IN ({gone})");
        }
        format!(
            "WITH gone AS MATERIALIZED ({gone}),
                  staged AS (DELETE FROM staging.{staging} WHERE raw_id IN (SELECT id FROM gone))
             DELETE FROM {raw} WHERE id IN (SELECT id FROM gone)"
        )
    }

    fn delete_games(&mut self) -> String {
        let [one, other] = [self.a_game(), self.a_game()];
        format!(
            "DELETE FROM staging.games WHERE external_id IN ('{one}', '{other}');
             DELETE FROM model.hand WHERE game IN ('{one}', '{other}')"
        )
    }

    fn truncate_games(&mut self) -> String {
        "TRUNCATE staging.games RESTART IDENTITY CASCADE; TRUNCATE model.hand".to_owned()
    }

    fn renumber(&mut self) -> String {
        let ([one, other], far) = ([self.a_game(), self.a_game()], 1_000_000 + self.fresh());
        let number = |game: &str| format!("SELECT min(id) FROM staging.games WHERE external_id = '{game}'");
        match self.chance.below(3) {
            0 => format!("UPDATE staging.games SET id = {far} WHERE external_id = '{one}'"),
            1 => format!("UPDATE staging.games SET id = -{far} WHERE external_id = '{one}'"),
            _ if one == other => "SELECT 1".to_owned(),
            _ => format!(
                "CREATE TEMP TABLE swap AS SELECT ({}) AS one, ({}) AS other;
                 DELETE FROM swap WHERE one IS NULL OR other IS NULL;
                 UPDATE staging.games SET id = {far} FROM swap WHERE id = one;
                 UPDATE staging.games SET id = one FROM swap WHERE id = other;
                 UPDATE staging.games SET id = other FROM swap WHERE id = {far};
                 DROP TABLE swap",
                number(&one),
                number(&other)
            ),
        }
    }

    /// A game is given another external id: one that nobody has, or another game's, which gets this one's.
    fn rename(&mut self) -> String {
        let [one, other] = [self.a_game(), self.a_game()];
        let loose = "ON CONFLICT (game) DO UPDATE SET home = NULL, away = NULL, day = NULL, loose = true";
        if one != other && self.chance.percent(50) {
            return format!(
                "UPDATE staging.games SET external_id = CASE external_id WHEN '{one}' THEN '{other}' ELSE '{one}' END
                  WHERE external_id IN ('{one}', '{other}');
                 INSERT INTO model.hand (game, loose) VALUES ('{one}', true), ('{other}', true) {loose}"
            );
        }
        let name = format!("renamed-{}", self.fresh());
        if self.games.len() < 16 {
            self.games.push(name.clone());
        }
        format!(
            "UPDATE staging.games SET external_id = '{name}' WHERE external_id = '{one}';
             DELETE FROM model.hand WHERE game = '{one}';
             INSERT INTO model.hand (game, loose) VALUES ('{name}', true) {loose}"
        )
    }

    /// Two games turn out to be one.
    fn merge(&mut self) -> String {
        let [one, other] = [self.a_game(), self.a_game()];
        if one == other {
            return "SELECT 1".to_owned();
        }
        let touched = self.chance.pick(&["", ", updated_at = now()"]);
        let mut statements = vec!["BEGIN".to_owned()];
        for market in Market::ALL {
            let (raw, staging) = (market.raw_table(), market.table());
            statements.push(format!(
                "UPDATE {raw} SET game_external_id = '{other}'{touched}
                  WHERE id IN (SELECT id FROM {raw} WHERE game_external_id = '{one}' FOR NO KEY UPDATE SKIP LOCKED)"
            ));
            statements.push(match self.shape_b {
                true => format!("UPDATE staging.{staging} SET game_id = '{other}' WHERE game_id = '{one}'"),
                false => format!(
                    "UPDATE staging.{staging} SET game_id = (SELECT min(id) FROM staging.games WHERE external_id = '{other}')
                      WHERE game_id IN (SELECT id FROM staging.games WHERE external_id = '{one}')"
                ),
            });
        }
        statements.push(format!("DELETE FROM staging.games WHERE external_id = '{one}'"));
        statements.push(format!("DELETE FROM model.hand WHERE game = '{one}'"));
        statements.push("COMMIT".to_owned());
        statements.join(";\n")
    }

    /// Somebody knows better. The teams are none of the collectors', so what is found of them is theirs.
    fn correct(&mut self) -> String {
        let game = self.a_game();
        let (set, column) = match self.chance.below(2) {
            0 => ("home_team_normalized = 'HOU', away_team_normalized = 'SEA'", "home, away"),
            _ => ("game_date = '2030-01-01'", "day"),
        };
        let values = if column == "day" { "date '2030-01-01'" } else { "'HOU', 'SEA'" };
        let kept: Vec<String> = column.split(", ").map(|c| format!("{c} = excluded.{c}")).collect();
        format!(
            "WITH corrected AS (UPDATE staging.games SET {set} WHERE external_id = '{game}' RETURNING external_id)
             INSERT INTO model.hand (game, {column}) SELECT external_id, {values} FROM corrected
                 ON CONFLICT (game) DO UPDATE SET {}",
            kept.join(", ")
        )
    }

    fn enrich(&mut self) -> String {
        let (venue, part) = (self.fresh(), 1 + self.chance.below(4));
        format!("UPDATE staging.games SET venue = 'park {venue}', updated_at = now() WHERE id % {part} = 0")
    }

    fn begin_late(&mut self) {
        self.late = Some(connect(&self.config));
        self.in_late("BEGIN".to_owned());
        self.write_late();
    }

    fn write_late(&mut self) {
        let sql = if self.chance.percent(60) { self.rows(false) } else { self.update() };
        self.in_late(sql);
    }

    fn commit_late(&mut self) {
        self.in_late("COMMIT".to_owned());
        self.late = None;
    }

    fn in_late(&mut self, sql: String) {
        let late = self.late.as_mut().unwrap();
        let done = late.batch_execute(&sql);
        self.log.push(format!("/* late */ {sql}"));
        done.unwrap();
    }

    /// With triggers off, as a restore or a replica does it.
    fn unseen(&mut self) {
        let change = match self.chance.below(4) {
            0 => self.insert(),
            1 => self.update(),
            2 => self.delete(),
            _ => self.delete_games(),
        };
        self.sweep_due = true;
        self.run(format!("SET session_replication_role = replica; {change}; RESET session_replication_role"));
    }

    fn unstage(&mut self) {
        let staging = self.market().table();
        self.sweep_due = true;
        self.run(format!("DELETE FROM staging.{staging} WHERE id % 7 = {}", self.number % 7));
    }

    fn full_call(&mut self, sweep: bool) -> String {
        let batch = self.chance.pick(&["4", "9", "40", "1000"]);
        let sweep = if sweep { ", sweep => true" } else { "" };
        format!("CALL groundskeeper.migrate_to_staging(batch_size => {batch}{sweep})")
    }

    fn call(&mut self) -> String {
        let market = self.chance.pick(&["moneyline", "spread", "total"]);
        let batch = self.chance.pick(&["4", "9", "40"]);
        format!("CALL groundskeeper.migrate_to_staging('{market}', {batch})")
    }
}

/// Nothing here waits for long: a statement that does is a failure, not a hanging test.
fn connect(config: &Config) -> Client {
    let mut client = config.connect(NoTls).unwrap();
    client.batch_execute("SET statement_timeout = '60s'").unwrap();
    client
}
