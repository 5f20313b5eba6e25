//! A day of traffic, fast-forwarded: a minute and less of queries, whose samples are then spread over 24 hours, so that the
//! report has something to draw.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use groundskeeper_sandbox::server::{SUPERUSER, Server};
use postgres::Client;

use super::DATABASE;
use super::progress::Bar;
use super::queries::Query;
use crate::process::{announce, target_dir};

/// Samples of the day: one each quarter of an hour.
const SAMPLES: u32 = 96;
/// Queries between two samples in the quietest hour, and in the busiest.
const QUIET: u32 = 30;
const BUSY: u32 = 60;
/// Clients that are connected in the busiest hour.
const CLIENTS: u32 = 12;

/// Each sample is moved to where it stands in the day that ends now; each stretch begins where the one before it ends.
const SPREAD: &str = "
    DO $$
    DECLARE
        day date;
        name text;
    BEGIN
        FOR day IN SELECT ((now() AT TIME ZONE 'UTC')::date - n) FROM generate_series(0, 1) n LOOP
            name := to_char(day, '\"metrics_\"YYYY_MM_DD');
            IF to_regclass('groundskeeper.' || name) IS NULL THEN
                EXECUTE format('CREATE TABLE groundskeeper.%I PARTITION OF groundskeeper.metrics FOR VALUES FROM (%L) TO (%L)',
                               name, day || ' 00:00:00+00', day || ' 24:00:00+00');
                EXECUTE format('ALTER EXTENSION pg_groundskeeper ADD TABLE groundskeeper.%I', name);
            END IF;
        END LOOP;
    END $$;
    DELETE FROM groundskeeper.metrics
     WHERE sampled_at NOT IN (SELECT sampled_at FROM groundskeeper.metrics ORDER BY sampled_at DESC LIMIT 96);
    UPDATE groundskeeper.metrics m
       SET sampled_at = now() - s.place * interval '15 minutes', since = now() - (s.place + 1) * interval '15 minutes'
      FROM (SELECT sampled_at, row_number() OVER (ORDER BY sampled_at DESC) - 1 AS place FROM groundskeeper.metrics) s
     WHERE s.sampled_at = m.sampled_at";

/// Lets a day go by.
pub fn pass(server: &Server, client: &mut Client, queries: &[Query]) -> Result<()> {
    announce(format!("a day of traffic, fast-forwarded: {SAMPLES} samples"));
    let bar = Bar::percent();
    // Where its library is loaded, slow statements are shown with their texts.
    let loaded = "SELECT current_setting('shared_preload_libraries') LIKE '%pg_stat_statements%'";
    if client.query_one(loaded, &[])?.get(0) {
        client.batch_execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")?;
    }
    // What came before is no part of the day.
    client.batch_execute("SELECT groundskeeper.record_metrics()")?;
    for sample in 0..SAMPLES {
        let load = load(sample);
        let clients = (0..1 + (load * f64::from(CLIENTS)) as u32)
            .map(|_| server.connect(DATABASE, SUPERUSER))
            .collect::<Result<Vec<_>>>()?;
        let calls = QUIET + (load * f64::from(BUSY - QUIET)) as u32;
        for call in 0..calls {
            if let Some(query) = queries.get(((sample * 7 + call) as usize) % queries.len().max(1)) {
                client.batch_execute(&format!("BEGIN; {}; ROLLBACK", query.now()))?;
            }
        }
        // An export that nobody has tuned.
        if sample % 12 == 7 {
            client.batch_execute("SELECT pg_sleep(0.6)")?;
        }
        client.batch_execute("SELECT pg_stat_force_next_flush()")?;
        client.batch_execute("SELECT groundskeeper.record_metrics()")?;
        drop(clients);
        bar.set((100 * sample / SAMPLES).into(), String::new());
    }
    bar.done();
    client.batch_execute(
        "SELECT groundskeeper.update_table_statistics(true); SELECT groundskeeper.check_alerts()",
    )?;
    client.batch_execute(SPREAD)?;
    // From here on the day goes on by itself.
    Ok(client.batch_execute("SELECT FROM groundskeeper.schedule_maintenance()")?)
}

/// From 0 in the small hours to 1 before the games begin.
fn load(sample: u32) -> f64 {
    let of_day = f64::from(sample) / f64::from(SAMPLES);
    (0.5 - 0.5 * (of_day * std::f64::consts::TAU).cos()).powi(2)
}

/// Writes the report, and says where.
pub fn report(client: &mut Client) -> Result<PathBuf> {
    announce("the performance report of that day");
    let page: String = client.query_one("SELECT groundskeeper.performance_report_html()", &[])?.get(0);
    let path = target_dir().join("demo-report.html");
    fs::create_dir_all(target_dir())?;
    fs::write(&path, page)?;
    Ok(path)
}
