//! What makes each rule of `prometheus/alerts.yml` fire.

use groundskeeper_tests::prometheus::{Prometheus, Running, until};
use groundskeeper_tests::sql::refusal;

use super::world::{World, make_due, queue};
use super::*;

/// What goes wrong, one after the other.
pub struct Causes<'a> {
    pub world: &'a mut World,
    pub prometheus: &'a Prometheus,
    pub seen: Vec<String>,
}

impl Causes<'_> {
    /// Waits until that rule fires, while what causes it goes on.
    fn fires(&mut self, alert: &str, mut cause: impl FnMut(&mut World)) {
        let fired = until(alert, || {
            cause(self.world);
            Ok(self.prometheus.firing()?.iter().any(|firing| firing == alert))
        });
        fired.unwrap_or_else(|error| panic!("{error:#}; {:?}", self.prometheus.firing()));
        self.seen.push(alert.to_owned());
    }

    pub fn all(&mut self, manager: &Running) {
        self.of_clients();
        self.of_the_migration();
        self.of_relations(manager);
        self.of_a_server_without_workers();
    }

    fn run(&mut self, sql: &str) {
        run_sql(&mut self.world.client, sql);
    }

    fn of_clients(&mut self) {
        self.fires("GroundskeeperStatementsSlow", |world| {
            let clients: Vec<Client> = (0..12).map(|_| world.db.client().unwrap()).collect();
            let asking = clients.into_iter().map(|mut client| {
                std::thread::spawn(move || (0..4).for_each(|_| run_sql(&mut client, "SELECT pg_sleep(0.51)")))
            });
            asking.collect::<Vec<_>>().into_iter().for_each(|thread| thread.join().unwrap());
        });
        self.fires("GroundskeeperStatementsFail", |world| {
            for _ in 0..100 {
                refusal(&mut world.client, "SELECT 1 / 0").unwrap();
            }
        });
        let mut idle = self.world.db.client().unwrap();
        run_sql(&mut idle, "BEGIN; SELECT");
        self.fires("GroundskeeperTransactionIdle", |_| ());
        drop(idle);
        let mut clients = Vec::new();
        self.fires("GroundskeeperConnectionsExhausted", |world| {
            // Whoever else comes and goes leaves room for one.
            clients.extend(world.db.client().ok());
        });
    }

    fn of_the_migration(&mut self) {
        self.run("ALTER TABLE staging.moneylines ADD CONSTRAINT all_of_them CHECK (raw_id < 0) NOT VALID");
        self.fires("GroundskeeperMigrationRejects", |world| {
            let touch =
                "UPDATE raw_data.moneylines_raw SET home_odds = -105 - (-home_odds) % 7, updated_at = now()";
            run_sql(&mut world.client, touch);
            run_sql(&mut world.client, "CALL groundskeeper.migrate_to_staging()");
        });
        self.fires("GroundskeeperKpiMissed", |world| {
            let check = "UPDATE groundskeeper.kpi_targets SET min_samples = 1; UPDATE groundskeeper.alert_rules SET min_samples = 1;
                         SELECT groundskeeper.check_alerts()";
            run_sql(&mut world.client, check);
        });
        self.run("ALTER TABLE raw_data.totals_raw RENAME over_odds TO over");
        self.fires("GroundskeeperMigrationFails", |world| {
            refusal(&mut world.client, "CALL groundskeeper.migrate_to_staging()").unwrap();
        });
    }

    fn of_relations(&mut self, manager: &Running) {
        self.run("CREATE TABLE staging.broken (n integer); INSERT INTO staging.broken VALUES (1), (1)");
        queue(&mut self.world.client, "staging.broken", "now()");
        self.fires("GroundskeeperJobsFailed", |_| ());
        let build = "CREATE UNIQUE INDEX CONCURRENTLY broken_again ON staging.broken (n)";
        refusal(&mut self.world.client, build).unwrap();
        self.fires("GroundskeeperIndexesInvalid", |_| ());
        until("the alertmanager knows of it", || {
            let alerts = manager.get("/api/v2/alerts")?;
            Ok(alerts.contains("docs/alerts.md#groundskeeperindexesinvalid"))
        })
        .unwrap();
        self.run(
            "INSERT INTO groundskeeper.alert_rules (rule, metric, comparison, fire_threshold, fire_after)
             VALUES ('my_own', 'heartbeat_seconds', '>', -1, '0')",
        );
        self.fires("GroundskeeperAlertFires", |world| {
            run_sql(&mut world.client, "SELECT groundskeeper.check_alerts()")
        });
        let mut locker = self.world.db.client().unwrap();
        run_sql(&mut locker, "BEGIN; LOCK TABLE groundskeeper.kpi_targets IN ACCESS EXCLUSIVE MODE");
        self.fires("GroundskeeperMetricsIncomplete", |_| ());
        run_sql(&mut locker, "ROLLBACK");
    }

    /// What is nobody's doing: the server has no room for a worker any more.
    fn of_a_server_without_workers(&mut self) {
        self.run("UPDATE groundskeeper.schedule SET command = 'SELECT 1 / 0' WHERE job_name = 'history'");
        self.run("ALTER SYSTEM SET max_worker_processes = 0");
        self.world.server.restart().unwrap();
        self.world.client = self.world.db.client().unwrap();
        self.fires("GroundskeeperMaintenanceFails", |world| {
            make_due(&mut world.client, "history");
            refusal(&mut world.client, "CALL groundskeeper.run_scheduled('history')").unwrap();
        });
        self.run(
            "UPDATE groundskeeper.alert_check SET checked_at = now() - interval '11 minutes';
             UPDATE groundskeeper.schedule SET scheduled_at = scheduled_at - interval '3 days';
             UPDATE groundskeeper.schedule_run SET last_run = last_run - interval '3 days';
             INSERT INTO staging.days SELECT '1999-01-01', n FROM generate_series(1, 9) n; ANALYZE staging.days;
             CREATE TABLE staging.over (day date NOT NULL) PARTITION BY RANGE (day);
             CREATE TABLE staging.over_2025_01 PARTITION OF staging.over FOR VALUES FROM ('2025-01-01') TO ('2025-02-01');
             SELECT groundskeeper.adopt_partitioned_table('staging.over')",
        );
        self.run("UPDATE groundskeeper.job SET queued_at = now() - interval '2 hours', not_before = now() - interval '2 hours' WHERE state = 'queued'");
        for alert in [
            "GroundskeeperSilent",
            "GroundskeeperMaintenanceMissed",
            "GroundskeeperDefaultPartitionFills",
            "GroundskeeperPartitionsRunOut",
            "GroundskeeperJobsStuck",
        ] {
            self.fires(alert, |_| ());
        }
    }
}
