//! Load through PgBouncer with the rendered file.

use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use groundskeeper_sandbox::server::Options;
use groundskeeper_tests::pgbouncer::{PASSWORD, PgBouncer};
use groundskeeper_tests::sql::text;

use super::Application;
use groundskeeper_tests::PATIENCE;

/// `pgbench` through a PgBouncer, ended with the test.
struct Load(Child);

impl Load {
    fn start(app: &Application, bouncer: &PgBouncer, script: &str, args: &[&str]) -> Self {
        let file = bouncer.socket_dir().join("load.sql");
        std::fs::write(&file, script).unwrap();
        let mut command = app.db.server().installation().program("pgbench");
        command.arg("--host").arg(bouncer.socket_dir()).args(["--port", &bouncer.port().to_string()]);
        command.args(["--username", &app.role, "--no-vacuum", "--jobs=2"]).arg("--file").arg(&file);
        command.args(args).arg(app.db.name()).env("PGPASSWORD", PASSWORD);
        Self(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    fn is_running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    /// What it printed, all of it.
    fn output(&mut self) -> (bool, String) {
        let status = self.0.wait().unwrap();
        let mut said = String::new();
        for stream in [
            self.0.stdout.take().map(|s| Box::new(s) as Box<dyn std::io::Read>),
            self.0.stderr.take().map(|s| Box::new(s) as Box<dyn std::io::Read>),
        ] {
            std::io::Read::read_to_string(&mut stream.unwrap(), &mut said).unwrap();
        }
        (status.success(), said)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Application {
    /// Says how large its pool is; new sessions know.
    fn configure(&self, pool_size: u32) {
        let set = format!("ALTER DATABASE {} SET groundskeeper.pool_size = {pool_size}", self.db.name());
        self.db.client().unwrap().batch_execute(&set).unwrap();
    }

    /// The greatest utilization while a load runs, as both the function and the view report it, until there were
    /// that many samples; and the most connections that the application had on the server.
    fn watch(&self, load: &mut Load, samples: u32) -> (f64, i64) {
        let mut client = self.db.client().unwrap();
        let connections = format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{}'", self.role);
        let (mut utilization, mut most) = (0.0_f64, 0);
        let deadline = Instant::now() + PATIENCE;
        let mut taken = 0;
        while load.is_running() && taken < samples && Instant::now() < deadline {
            let mut look = client.transaction().unwrap(); // one transaction sees one state of the sessions
            let reported = look
                .query_one(
                    "SELECT u.utilization_percent::float8, u.used, u.capacity, u.measured_against,
                            bool_and(s.utilization_percent = u.utilization_percent AND s.busy_connections = u.used
                                     AND s.pool_size = u.capacity)
                       FROM groundskeeper.pool_utilization() u, monitoring.connection_stats s GROUP BY 1, 2, 3, 4",
                    &[],
                );
            let reported = reported.unwrap();
            let (percent, used, capacity): (f64, i32, i32) =
                (reported.get(0), reported.get(1), reported.get(2));
            assert_eq!(reported.get::<_, &str>(3), "pool");
            assert!(reported.get::<_, bool>(4), "the view and the function disagree");
            assert!((percent - 100.0 * f64::from(used) / f64::from(capacity)).abs() < 0.06);
            let now: i64 = look.query_one(&connections, &[]).unwrap().get(0);
            look.commit().unwrap();
            assert!(i64::from(used) <= now, "{used} busy of {now}");
            (utilization, most) = (utilization.max(percent), most.max(now));
            taken += 1;
            sleep(Duration::from_millis(20));
        }
        (utilization, most)
    }
}

#[test]
fn two_hundred_clients_share_the_pool() {
    if groundskeeper_tests::lacks("pgbouncer") {
        return;
    }
    // Directly, so many clients would not even get a connection.
    let server = Options::default().set("max_connections", "50").start().unwrap();
    let app = Application::on(&server);
    app.configure(10);
    let mut ini = app.config("pgbouncer", 10);
    let protocol = if PgBouncer::version(&server).unwrap() >= (1, 21) {
        ini = ini.replace(";max_prepared_statements", "max_prepared_statements");
        assert!(ini.contains("\nmax_prepared_statements = 200"));
        "--protocol=prepared"
    } else {
        "--protocol=extended"
    };
    ini = ini.replace("\nmax_client_conn", "\nlisten_backlog = 400\nmax_client_conn");
    let bouncer = PgBouncer::start(&server, &ini, &[&app.role]).unwrap();
    let script = "
        \\set i random(1, 1000)
        BEGIN;
        INSERT INTO staging.games (external_id) VALUES ('load ' || :i);
        SELECT count(*) FROM staging.games WHERE id = :i;
        SELECT pg_sleep(0.005);
        COMMIT;";
    // A thread each, which all connect at once: pgbench has a thread wait while it prepares, be it that others of its clients are in transactions.
    let mut load =
        Load::start(&app, &bouncer, script, &["--client=200", "--jobs=200", "--transactions=40", protocol]);
    let (utilization, most) = app.watch(&mut load, u32::MAX);
    let (succeeded, said) = load.output();
    assert!(succeeded, "{said}\n{}", bouncer.log());
    assert!(said.contains("number of transactions actually processed: 8000/8000"), "{said}");
    assert!(said.contains("number of failed transactions: 0 "), "{said}");
    let rows = "SELECT count(*) FROM staging.games WHERE external_id LIKE 'load %'";
    assert_eq!(text(&mut app.db.client().unwrap(), rows).unwrap(), "8000");
    assert_eq!(most, 10, "connections on the server");
    assert!((90.0..=100.0).contains(&utilization), "{utilization} %");
    for complaint in ["ERROR", "FATAL", "closing because"] {
        let log = bouncer.log();
        let lines: Vec<_> =
            log.lines().filter(|l| l.contains(complaint) && !l.contains("client close")).collect();
        assert!(lines.is_empty(), "{lines:#?}");
    }
}

#[test]
fn the_recommended_size_brings_the_same_load_under_the_target() {
    if groundskeeper_tests::lacks("pgbouncer") {
        return;
    }
    let server = Options::default().start().unwrap();
    let app = Application::on(&server);
    let measure = |pool_size: u32| {
        app.configure(pool_size);
        let busy = "SELECT groundskeeper_internal.busy_connections()";
        let mut client = app.db.client().unwrap();
        let deadline = Instant::now() + PATIENCE;
        // What a former PgBouncer left behind on the server ends by itself.
        while text(&mut client, busy).unwrap() != "0" {
            assert!(Instant::now() < deadline, "somebody else is at work");
        }
        let bouncer = PgBouncer::start(&server, &app.config("pgbouncer", pool_size), &[&app.role]).unwrap();
        let mut load = Load::start(
            &app,
            &bouncer,
            "SELECT pg_sleep(0.3);",
            &["--client=8", "--time=60", "--protocol=extended"],
        );
        while text(&mut client, busy).unwrap() != "8" {
            assert!(Instant::now() < deadline && load.is_running(), "{:?}\n{}", load.output(), bouncer.log());
        }
        // A connection that PgBouncer began to open in excess is idle by then.
        sleep(Duration::from_secs(2));
        let (utilization, _) = app.watch(&mut load, 50);
        let advice = "SELECT pool_size FROM groundskeeper.recommend_pool_size() WHERE peak_busy = 8";
        // All are at work most of the time; between two transactions one may not be.
        let mut advised = None;
        while advised.is_none() {
            assert!(Instant::now() < deadline && load.is_running(), "never were all at work at once");
            advised = client.query_opt(advice, &[]).unwrap().map(|row| row.get::<_, i32>(0));
        }
        (utilization, u32::try_from(advised.unwrap()).unwrap())
    };
    let (before, recommended) = measure(10);
    assert!((before - 80.0).abs() < 0.1, "{before} %: the target is missed");
    assert!(recommended >= 14, "{recommended}");
    let (after, again) = measure(recommended);
    assert!(after > 0.0 && after < 60.0, "{after} %: the target is met");
    assert_eq!(again, recommended, "the same load, the same advice");
}

#[test]
fn more_roles_than_one_stay_within_the_pool_together() {
    if groundskeeper_tests::lacks("pgbouncer") {
        return;
    }
    let server = Options::default().start().unwrap();
    let app = Application::on(&server);
    let mut client = app.db.client().unwrap();
    client.batch_execute(&format!("CREATE ROLE second LOGIN PASSWORD '{PASSWORD}'")).unwrap();
    let bouncer = PgBouncer::start(&server, &app.config("pgbouncer", 4), &[&app.role, "second"]).unwrap();
    let mut loads: Vec<Load> = [app.role.as_str(), "second"]
        .map(|role| {
            let other = ["--username", role, "--client=10", "--transactions=20", "--protocol=extended"];
            Load::start(&app, &bouncer, "SELECT pg_sleep(0.01);", &other)
        })
        .into();
    // A connection that gives way to one of the other role leaves the server a moment later: PgBouncer counts.
    let mut most = 0;
    while loads.iter_mut().any(Load::is_running) {
        let database = bouncer.show(&app.role, "DATABASES", "name", app.db.name()).unwrap();
        let (_, now) = database.iter().find(|(name, _)| name == "current_connections").unwrap();
        most = most.max(now.parse::<u32>().unwrap());
    }
    assert_eq!(most, 4);
    for load in &mut loads {
        let (succeeded, said) = load.output();
        assert!(succeeded, "{said}\n{}", bouncer.log());
    }
}
