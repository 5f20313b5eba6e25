//! Partitions that are made ahead, retired, drained, and looked at.

mod ahead;
mod attach;
mod before;
mod drain;
mod health;
mod kept;
mod keys;
mod names;
mod premake;
mod retention;
mod rights;
mod stalls;
mod zones;

use groundskeeper_tests::Template;
use groundskeeper_tests::TestDb;
use groundskeeper_tests::sql::{text, texts};
use postgres::Client;

/// Bets of this month and of the month before the last, the one between missing; a key of its own on each
/// partition, as a converted table has.
const BETS: &str = "
    CREATE ROLE :reader;
    CREATE TABLE public.bets (id bigint NOT NULL, day date, stake integer DEFAULT 1 CHECK (stake >= 0), note text)
        PARTITION BY RANGE (day);
    CREATE INDEX ON public.bets (day, stake);
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

/// The name of the table of bets, so many months from the current one.
fn month(client: &mut Client, table: &str, months: i32) -> String {
    let query = format!(
        "SELECT '{table}_' || to_char(date_trunc('month', now() AT TIME ZONE 'America/New_York')
                                     + interval '{months} months', 'YYYY_MM')"
    );
    text(client, &query).unwrap()
}

/// An installation with the table of bets.
fn bets() -> (TestDb, Client) {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    client.batch_execute(&BETS.replace("CREATE ROLE :reader;", "")).unwrap();
    (db, client)
}

/// What `create_monthly_partitions()` says: partition and action.
fn make(client: &mut Client, arguments: &str) -> Vec<String> {
    let query = format!(
        "SELECT concat_ws(' ', coalesce(partition, parent), action) FROM create_monthly_partitions({arguments})"
    );
    texts(client, &query).unwrap()
}

/// The partitions of a table with their bounds.
fn bounds(client: &mut Client, table: &str) -> Vec<String> {
    let query = format!(
        "SELECT c.relname || ' ' || pg_get_expr(c.relpartbound, c.oid)
           FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
          WHERE i.inhparent = '{table}'::regclass ORDER BY 1"
    );
    texts(client, &query).unwrap()
}
