//! The statement that makes and mends games, one row for each external id, from what all raw tables tell.

use super::columns::Words;
use super::shape::{GAMES, Games, Source, Start};
use super::statement::{BLANKS, NAMING, RULES, club, given, in_words};

/// The keys under which feeds tell when a game starts.
const START_KEYS: [&str; 4] = ["date", "commence_time", "start_time", "game_datetime"];

/// What an ISO 8601 moment begins with; a date alone tells no time.
const MOMENT: &str =
    r"'^\s*[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[Tt ]([01][0-9]|2[0-3]):[0-5][0-9]'";

/// Games whose facts somebody else corrected are named by `$4` (teams), `$5` (moment) and `$7` (day); the plan's zone is
/// `$3`.
const ZONE: &str = "$3::pg_catalog.text";
const TEAMS_KEPT: &str = "$4::pg_catalog.text[]";
const TIME_KEPT: &str = "$5::pg_catalog.text[]";
const DATE_KEPT: &str = "$7::pg_catalog.text[]";

/// No more games than that are changed at once, so that nobody waits long for one.
const AT_ONCE: u32 = 5_000;

impl Source {
    /// When the game starts, as text, by a record's own account.
    fn start(&self) -> String {
        let mut ways = Vec::new();
        if let Start::Column(found) = &self.start {
            ways.push(format!(
                "pg_catalog.to_char(r.{}::pg_catalog.timestamptz, 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')",
                found.quoted
            ));
        }
        if let Some(payload) = &self.payload {
            let configured = match &self.start {
                Start::Key(key) => Some(key.as_str()),
                Start::Unsaid | Start::Column(_) => None,
            };
            let keys: Vec<String> = configured
                .into_iter()
                .chain(START_KEYS)
                .map(|key| format!("'{}'", key.replace('\'', "''")))
                .collect();
            // Nearly all moments have the first form, which is told several times as fast as by the expression.
            let of_key = |key: &String| {
                let text = format!("r.{} ->> {key}", payload.quoted);
                format!("CASE WHEN {text} LIKE '____-__-__T__:__%' OR {text} ~ {MOMENT} THEN {text} END")
            };
            let each: Vec<String> = keys.iter().map(of_key).collect();
            ways.push(format!(
                "CASE WHEN r.{} ?| ARRAY[{}] THEN COALESCE({}) END",
                payload.quoted,
                keys.join(", "),
                each.join(", ")
            ));
        }
        if ways.is_empty() {
            "NULL::pg_catalog.text".to_owned()
        } else {
            format!("COALESCE({})", ways.join(", "))
        }
    }

    /// The home team and the visitors, and whether the record says so itself: where it names favorite and underdog
    /// alone, the sign of the home side's line tells.
    fn matchup(&self) -> [String; 3] {
        match (&self.sides, &self.pair, &self.line) {
            (Some([home, away]), ..) => [
                format!("r.{}::pg_catalog.text", home.quoted),
                format!("r.{}::pg_catalog.text", away.quoted),
                "true".into(),
            ],
            (None, Some([favorite, underdog]), Some(line)) => {
                let by_sign = |negative: &str, positive: &str| {
                    format!(
                        "CASE WHEN r.{0} < 0 THEN r.{negative}::pg_catalog.text WHEN r.{0} > 0 THEN r.{positive}::pg_catalog.text END",
                        line.quoted
                    )
                };
                let (favorite, underdog) = (&favorite.quoted, &underdog.quoted);
                [by_sign(favorite, underdog), by_sign(underdog, favorite), "false".into()]
            }
            _ => ["NULL::pg_catalog.text".into(), "NULL::pg_catalog.text".into(), "false".into()],
        }
    }

    fn records(&self, touching: &str) -> String {
        let [home, away, sure] = self.matchup();
        format!(
            "SELECT r.{game}::pg_catalog.text AS external_id, r.{book}::pg_catalog.text AS book, r.{date} AS game_date,
                    {home} AS home, {away} AS away, {sure} AS sure, {start} AS start,
                    r.{collected}::pg_catalog.timestamptz AS collected_at
               FROM {table} r {touching}",
            game = self.game.quoted,
            book = self.book.quoted,
            date = self.game_date.quoted,
            start = self.start(),
            collected = self.collected_at.quoted,
            table = self.market.raw(),
            touching = if touching.is_empty() {
                String::new()
            } else {
                format!("JOIN touched t ON t.external_id = r.{}", self.game.quoted)
            },
        )
    }
}

/// What the raw tables tell of each game.
fn told(sources: &[Source], touched: Option<&str>) -> String {
    let touching = if touched.is_some() { "touched" } else { "" };
    let records: Vec<String> = sources.iter().map(|source| source.records(touching)).collect();
    // One pass counts each of these by itself: together they are nearly as many as the records.
    let parts = [("book", "book"), ("date", "game_date"), ("teams", "home, away, sure"), ("start", "start")];
    format!(
        "touched AS MATERIALIZED (
             SELECT DISTINCT t.external_id::pg_catalog.text AS external_id FROM ({touched}) t (external_id)
              WHERE t.external_id ~ {BLANKS}),
         seen AS MATERIALIZED (
             SELECT external_id, book, game_date, home, away, sure, start, pg_catalog.count(*) AS records,
                    pg_catalog.max(collected_at) AS collected_at, CASE {part} END AS part
               FROM ({records}) r
              WHERE external_id IS NOT NULL
              GROUP BY GROUPING SETS ({sets}))",
        touched = touched.unwrap_or("SELECT NULL::pg_catalog.text"),
        part = parts.map(|(part, columns)| format!("WHEN GROUPING({columns}) = 0 THEN '{part}'")).join(" "),
        sets = parts.map(|(_, columns)| format!("(external_id, {columns})")).join(", "),
        records = records.join(" UNION ALL "),
    )
}

/// Home and away come together, from one record: the one collected last of those that name two clubs. Who
/// disagrees with it makes the game one to be looked at.
fn matchups() -> String {
    format!(
        "named AS (
             -- however each source spells them
             SELECT n.external_id, n.sure, n.home_code, n.away_code, n.home_key, n.away_key, pg_catalog.min(n.home) AS home,
                    pg_catalog.min(n.away) AS away, pg_catalog.sum(n.records) AS records,
                    pg_catalog.max(n.collected_at) AS collected_at, pg_catalog.num_nonnulls(n.home_code, n.away_code) AS known
               FROM (SELECT s.*, COALESCE(s.home_code, pg_catalog.lower(s.home)) AS home_key,
                            COALESCE(s.away_code, pg_catalog.lower(s.away)) AS away_key
                       FROM (SELECT external_id, sure, records, collected_at, {home} AS home, {away} AS away,
                                    {home_code} AS home_code, {away_code} AS away_code
                               FROM seen WHERE part = 'teams' AND (home ~ {BLANKS} OR away ~ {BLANKS})) s) n
              GROUP BY n.external_id, n.sure, n.home_code, n.away_code, n.home_key, n.away_key),
         chosen AS (
             SELECT DISTINCT ON (external_id) external_id, home_code, away_code,
                    COALESCE(home_code, home) AS home, COALESCE(away_code, away) AS away
               FROM named
              WHERE home_key IS DISTINCT FROM away_key
              ORDER BY external_id, known DESC, sure DESC, collected_at DESC NULLS LAST, records DESC, home, away),
         disputed AS (
             SELECT n.external_id,
                    pg_catalog.bool_or(n.home_code = n.away_code
                        OR CASE WHEN n.sure THEN n.home_code <> c.home_code OR n.away_code <> c.away_code
                                ELSE n.home_code <> c.home_code AND n.home_code <> c.away_code
                                  OR n.away_code <> c.home_code AND n.away_code <> c.away_code END) AS disputed
               FROM named n LEFT JOIN chosen c USING (external_id) GROUP BY n.external_id)",
        home = given("home"),
        away = given("away"),
        home_code = club("home"),
        away_code = club("away"),
    )
}

/// What a game is by what is told of it.
fn game(words: Words) -> String {
    let status = format!("groundskeeper.game_validation_status(books, records, {RULES})");
    let status =
        format!("CASE WHEN disputed AND {status} = 'validated' THEN 'needs_review' ELSE {status} END");
    format!(
        "started AS (
             SELECT DISTINCT ON (external_id) external_id, at
               FROM (SELECT external_id, collected_at, start,
                            COALESCE(groundskeeper_internal.moment_of(start), groundskeeper_internal.local_time_of(start) AT TIME ZONE {ZONE}) AS at
                       FROM seen WHERE part = 'start' AND start IS NOT NULL) s
              WHERE at IS NOT NULL ORDER BY external_id, collected_at DESC NULLS LAST, at DESC),
         counted AS (
             SELECT external_id,
                    pg_catalog.count(DISTINCT groundskeeper.sportsbook(book, {NAMING})) FILTER (WHERE part = 'book') AS books,
                    pg_catalog.sum(records) FILTER (WHERE part = 'book')::pg_catalog.int8 AS records,
                    (pg_catalog.array_agg(game_date ORDER BY collected_at DESC NULLS LAST, game_date DESC)
                     FILTER (WHERE game_date IS NOT NULL))[1] AS told_date,
                    pg_catalog.array_agg(game_date ORDER BY game_date) FILTER (WHERE game_date IS NOT NULL) AS dates
               FROM seen WHERE external_id ~ {BLANKS} GROUP BY external_id),
         game AS MATERIALIZED (
             SELECT external_id, home, away, disputed, game_date, at, dates,
                    CASE WHEN pg_catalog.isfinite(game_date)
                         THEN EXTRACT(year FROM game_date)::pg_catalog.int4 END AS season,
                    groundskeeper.game_quality_score(books, records, {RULES}) AS score, {status} AS status
               FROM (SELECT c.*, o.home, o.away, COALESCE(d.disputed, false) AS disputed, s.at,
                            COALESCE((s.at AT TIME ZONE {ZONE})::pg_catalog.date, c.told_date) AS game_date
                       FROM counted c LEFT JOIN chosen o USING (external_id) LEFT JOIN disputed d USING (external_id)
                       LEFT JOIN started s USING (external_id)) g)",
        status = in_words(words, &status),
    )
}

/// Midnight of a game's day in the plan's zone, or its time of day where that is known; nothing beyond what a moment
/// can be.
fn on_the_day(date: &str, time: Option<&str>) -> String {
    let time = time.map_or_else(String::new, |time| format!(" + COALESCE({time}, '00:00'::pg_catalog.time)"));
    format!(
        "CASE WHEN {date} > '4714-11-24 BC'::pg_catalog.date AND {date} < '294276-12-30'::pg_catalog.date
              THEN ({date}::pg_catalog.timestamp{time}) AT TIME ZONE {ZONE} END"
    )
}

impl Games {
    /// What each game that is there should be, where it is not. What somebody else has corrected stays. Home and away
    /// change together or not at all; a time of day that is known already stays while the day is right.
    fn wanted(&self) -> String {
        let [home, away] = self.sides.each_ref().map(|found| format!("g.{}::pg_catalog.text", found.quoted));
        let date = format!("g.{}", self.game_date.quoted);
        let time = self.game_time.as_ref().map(|found| format!("g.{}", found.quoted));
        let columns = self.compared();
        let known =
            self.game_datetime.as_ref().map(|found| format!("g.{}::pg_catalog.timestamptz", found.quoted));
        let at = known.as_ref().map_or_else(
            || "NULL::pg_catalog.timestamptz".to_owned(),
            |known| {
                format!(
                    "CASE WHEN k.time_kept THEN {known}
                          WHEN n.at IS NOT NULL AND (n.at AT TIME ZONE {ZONE})::pg_catalog.date = e.game_date THEN n.at
                          WHEN f.day = e.game_date AND (f.clock <> '00:00' OR {dawn}) THEN {known}
                          ELSE COALESCE({day}, {known}) END",
                    dawn = time.as_ref().map_or_else(|| "true".to_owned(), |time| format!("{time} IS NULL")),
                    day = on_the_day("e.game_date", time.as_deref())
                )
            },
        );
        let now: Vec<String> = columns.iter().map(|(now, _)| now.clone()).collect();
        let then: Vec<&str> = columns.iter().map(|(_, then)| *then).collect();
        format!(
            "known AS MATERIALIZED (
                 SELECT g.{external_id}::pg_catalog.text AS external_id, pg_catalog.min(g.{id}) AS id, pg_catalog.count(*) AS copies,
                        g.{external_id}::pg_catalog.text = ANY ({TEAMS_KEPT}) AS teams_kept,
                        g.{external_id}::pg_catalog.text = ANY ({TIME_KEPT}) AS time_kept,
                        g.{external_id}::pg_catalog.text = ANY ({DATE_KEPT}) AS date_kept
                   FROM {GAMES} g WHERE g.{external_id} IN (SELECT external_id FROM game) GROUP BY g.{external_id}),
             wanted AS MATERIALIZED (
                 SELECT g.{id} AS id, n.external_id, w.*, ({home}, {away}) IS DISTINCT FROM (w.home, w.away) AS teams_changed
                   FROM game n JOIN known k USING (external_id) JOIN {GAMES} g ON g.{id} = k.id
                  CROSS JOIN LATERAL (
                       SELECT (({known}) AT TIME ZONE {ZONE})::pg_catalog.date AS day,
                              (({known}) AT TIME ZONE {ZONE})::pg_catalog.time AS clock) f
                  CROSS JOIN LATERAL (
                       SELECT NOT k.teams_kept AND (n.home IS NOT NULL AND n.away IS NOT NULL OR {home} IS NULL AND {away} IS NULL) AS renamed,
                              CASE WHEN k.date_kept THEN {date}
                                   WHEN k.time_kept THEN COALESCE(f.day, {date})
                                   ELSE COALESCE(n.game_date, {date}) END AS game_date) e
                  CROSS JOIN LATERAL (
                       SELECT CASE WHEN e.renamed THEN n.home ELSE {home} END AS home,
                              CASE WHEN e.renamed THEN n.away ELSE {away} END AS away,
                              e.game_date, {at} AS at,
                              CASE WHEN k.time_kept OR k.date_kept THEN g.{season} ELSE COALESCE(n.season, g.{season}) END AS season,
                              n.score::{score_type} AS score, n.status) w
                  WHERE ({now}) IS DISTINCT FROM ({then})),
             locked AS MATERIALIZED (
                 -- never waits: an application may hold one game and want the next
                 SELECT g.{id} AS id FROM {GAMES} g
                  WHERE g.{id} IN (SELECT id FROM wanted ORDER BY id LIMIT {AT_ONCE}) FOR NO KEY UPDATE SKIP LOCKED),
             updated AS (
                 UPDATE {GAMES} g SET {set}, {updated_at} = pg_catalog.now()
                   FROM wanted w JOIN locked l USING (id) WHERE g.{id} = w.id
                 RETURNING w.external_id, w.teams_changed)",
            known = known.as_deref().unwrap_or("NULL::pg_catalog.timestamptz"),
            external_id = self.external_id.quoted,
            id = self.id.quoted,
            season = self.season.quoted,
            score_type = self.score.type_name,
            now = now.join(", "),
            then = then.join(", "),
            set = self.set().join(", "),
            updated_at = self.updated_at.quoted,
        )
    }

    /// What a game is now, and what it should be, in the same types.
    fn compared(&self) -> Vec<(String, &'static str)> {
        let [home, away] = self.sides.each_ref().map(|found| format!("g.{}::pg_catalog.text", found.quoted));
        let mut columns = vec![
            (home, "w.home"),
            (away, "w.away"),
            (format!("g.{}", self.game_date.quoted), "w.game_date"),
            (format!("g.{}", self.season.quoted), "w.season"),
            (format!("g.{}", self.score.quoted), "w.score"),
            (format!("g.{}::pg_catalog.text", self.status.quoted), "w.status"),
        ];
        if let Some(at) = &self.game_datetime {
            columns.push((format!("g.{}::pg_catalog.timestamptz", at.quoted), "w.at"));
        }
        columns
    }

    fn set(&self) -> Vec<String> {
        let [home, away] = &self.sides;
        let mut columns = vec![
            (home, "w.home"),
            (away, "w.away"),
            (&self.game_date, "w.game_date"),
            (&self.season, "w.season"),
            (&self.score, "w.score"),
            (&self.status, "w.status"),
        ];
        columns.extend(self.game_datetime.iter().map(|at| (at, "w.at")));
        columns.iter().map(|(column, value)| format!("{} = {value}", column.quoted)).collect()
    }

    fn inserted(&self) -> String {
        let names: Vec<&str> = self.written().iter().map(|found| found.quoted.as_str()).collect();
        let at = self.game_datetime.as_ref();
        let at = at.map(|_| format!(", COALESCE(n.at, {})", on_the_day("n.game_date", None)));
        format!(
            "inserted AS (
                 INSERT INTO {GAMES} ({names})
                 SELECT n.external_id, n.home, n.away, n.game_date, n.season, n.score, n.status{at}
                   FROM game n LEFT JOIN known k USING (external_id)
                  WHERE k.id IS NULL ORDER BY n.game_date, n.external_id
                 RETURNING 1)",
            names = names.join(", "),
            at = at.unwrap_or_default(),
        )
    }
}

/// Makes and mends games, one row for each external id, from all of the raw tables: those that `touched` selects, or
/// all. Returns how many there are, were inserted, were updated, had more than one date, have more than one row, and
/// are disputed; examples of dates and of disputes as JSON; the games whose teams have changed; and those that are
/// yet to be changed, as others had them locked or as there were too many for one time.
#[must_use]
pub fn games(sources: &[Source], games: &Games, touched: Option<&str>) -> String {
    format!(
        "WITH {told}, {matchups}, {game}, {wanted}, {inserted}
         SELECT (SELECT pg_catalog.count(*) FROM game), (SELECT pg_catalog.count(*) FROM inserted),
                (SELECT pg_catalog.count(*) FROM updated),
                (SELECT pg_catalog.count(*) FROM game WHERE pg_catalog.cardinality(dates) > 1),
                (SELECT pg_catalog.count(*) FROM known WHERE copies > 1),
                (SELECT pg_catalog.count(*) FROM game WHERE disputed),
                (SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('game', c.external_id, 'dates', c.dates, 'kept', c.game_date)
                                             ORDER BY c.external_id)::pg_catalog.text
                   FROM (SELECT external_id, dates, game_date FROM game WHERE pg_catalog.cardinality(dates) > 1
                          ORDER BY external_id LIMIT 20) c),
                (SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('game', c.external_id, 'home', c.home, 'away', c.away)
                                             ORDER BY c.external_id)::pg_catalog.text
                   FROM (SELECT external_id, home, away FROM game WHERE disputed ORDER BY external_id LIMIT 20) c),
                (SELECT pg_catalog.array_agg(external_id) FROM updated WHERE teams_changed),
                (SELECT pg_catalog.array_agg(external_id)
                   FROM (SELECT external_id FROM wanted EXCEPT SELECT external_id FROM updated) l)",
        told = told(sources, touched),
        matchups = matchups(),
        game = game(games.words),
        wanted = games.wanted(),
        inserted = games.inserted(),
    )
}

#[cfg(test)]
mod tests {
    use super::super::columns::ColumnNames;
    use super::super::shape::tests::shape_of_spreads;
    use super::*;

    #[test]
    fn a_payloads_keys_are_looked_for_the_configured_one_first() {
        let names =
            ColumnNames::new(vec![("raw_data.spreads_raw".into(), "start_time".into(), "it's on".into())]);
        let shape = shape_of_spreads(&names);
        let statement = games(std::slice::from_ref(&shape.raw.tells), &shape.games, None);
        assert!(
            statement.contains("ARRAY['it''s on', 'date', 'commence_time', 'start_time', 'game_datetime']")
        );
    }
}
