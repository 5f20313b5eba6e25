//! A betting database on a server of its own, and the exporters that read it.

use std::fs;
use std::path::PathBuf;

use groundskeeper_sandbox::server::SUPERUSER;
use groundskeeper_sandbox::simulator::Simulation;
use groundskeeper_tests::prometheus::Running;

use super::exporters::file;
use super::*;

/// A database with something in each panel of the dashboard, and nothing wrong with it.
pub struct World {
    pub server: Server,
    pub db: TestDb,
    pub client: Client,
    pub directory: PathBuf,
}

impl World {
    pub fn new() -> Self {
        let options = Options::default().preload("pg_groundskeeper").set("max_connections", "40");
        let server = options.start().unwrap();
        let db = TestDb::on(Server::attach(server.base()).unwrap(), Template::ShapeA).unwrap();
        db.install().unwrap();
        db.settle().unwrap();
        let pool = format!("ALTER DATABASE {} SET groundskeeper.pool_size = 20", quote_ident(db.name()));
        run_sql(&mut db.client().unwrap(), &pool);
        let mut client = db.client().unwrap();
        Simulation { rows: 600, seed: 1, now: chrono::Utc::now() }.load(&mut client, &|_| ()).unwrap();
        run_sql(
            &mut client,
            "ALTER TABLE staging.totals ADD CONSTRAINT one CHECK (raw_id <> 3);
             CREATE TABLE staging.days (day date NOT NULL, n integer) PARTITION BY RANGE (day);
             CREATE TABLE staging.days_default PARTITION OF staging.days DEFAULT;
             SELECT groundskeeper.adopt_partitioned_table('staging.days');
             SELECT FROM public.create_monthly_partitions()",
        );
        run_sql(&mut client, "CALL groundskeeper.migrate_to_staging()");
        run_sql(&mut client, "SELECT FROM groundskeeper.schedule_maintenance()");
        for task in ["metrics", "alerts"] {
            make_due(&mut client, task);
            run_sql(&mut client, &format!("CALL groundskeeper.run_scheduled('{task}')"));
        }
        queue(&mut client, "staging.days", "now() + interval '1 day'");
        let directory = server.base().join("prometheus");
        fs::create_dir_all(&directory).unwrap();
        Self { server, db, client, directory }
    }

    pub fn postgres_exporter(&self, file: &str) -> Running {
        let source = format!(
            "host={} port={} user={SUPERUSER} dbname={} sslmode=disable",
            self.server.socket_dir().display(),
            self.server.port(),
            self.db.name()
        );
        // What is asked for is to be what is there now.
        let queries = file.replace("cache_seconds: 30", "cache_seconds: 1");
        fs::write(self.directory.join("queries.yaml"), queries).unwrap();
        Running::start(&self.directory, "prometheus-postgres-exporter", |port, command| {
            command.args(["--disable-default-metrics", "--disable-settings-metrics"]);
            command.args([
                "--extend.query-path=queries.yaml",
                &format!("--web.listen-address=127.0.0.1:{port}"),
            ]);
            command.env("DATA_SOURCE_NAME", source);
        })
        .unwrap()
    }

    pub fn sql_exporter(&self) -> Running {
        let source = format!(
            "postgres://{SUPERUSER}@/{}?host={}&port={}&sslmode=disable",
            self.db.name(),
            self.server.socket_dir().display(),
            self.server.port()
        );
        let config = file("sql_exporter/justwatch.yml")
            .replace("interval: 30s", "interval: 1s")
            .replace("postgres://monitor@localhost:5432/betting?sslmode=disable", &source);
        fs::write(self.directory.join("sql_exporter.yml"), config).unwrap();
        Running::start(&self.directory, "prometheus-sql-exporter", |port, command| {
            command.arg("-config.file=sql_exporter.yml");
            command.arg(format!("-web.listen-address=127.0.0.1:{port}"));
        })
        .unwrap()
    }

    pub fn end(self) {
        drop((self.client, self.db));
        self.server.destroy();
    }
}

/// Has an entry of the schedule that was not run for a day.
pub fn make_due(client: &mut Client, task: &str) {
    run_sql(
        client,
        &format!(
            "UPDATE groundskeeper.schedule SET scheduled_at = scheduled_at - interval '1 day' WHERE job_name = '{task}';
             UPDATE groundskeeper.schedule_run SET last_run = last_run - interval '1 day' WHERE job_name = '{task}'"
        ),
    );
}

/// Queues what fails as soon as it is begun: a unique index over what is there twice.
pub fn queue(client: &mut Client, table: &str, not_before: &str) {
    let (schema, name) = table.split_once('.').unwrap();
    run_sql(
        client,
        &format!(
            "INSERT INTO groundskeeper.job (kind, target, task, run_as, requested_by, home, not_before)
             SELECT 'create_index', '{table}',
                    jsonb_build_object('kind', 'create_index', 'keys', '[\"n\"]'::jsonb, 'predicate', NULL, 'unique', true,
                        'index', jsonb_build_object('schema', '{schema}', 'name', '{name}_n'),
                        'table', jsonb_build_object('schema', '{schema}', 'name', '{name}')),
                    current_user, current_user, system_identifier || '/' || oid, {not_before}
               FROM pg_control_system(), pg_database WHERE datname = current_database();
             SELECT groundskeeper_internal.look_after_jobs()"
        ),
    );
}
