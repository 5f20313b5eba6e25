//! Clients that write at a steady rate while something else is measured.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use groundskeeper_sandbox::server::{SUPERUSER, Server};
use postgres::Client;

use super::figures::quantile;

/// How many of them there are.
const WRITERS: u32 = 4;

/// At work until they are stopped.
pub struct Writers {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Result<Written>>>,
}

/// What writers met.
#[derive(Default)]
pub struct Written {
    /// When each transaction ended, and how long it had taken since it was due, whatever kept it.
    transactions: Vec<(Instant, Duration)>,
    /// What failed, in the server's words.
    pub errors: Vec<String>,
}

impl Writers {
    /// Clients that take turns through the statements, so many a second together.
    pub fn start(server: &Server, database: &str, statements: &[&str], rate: u32) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for writer in 0..WRITERS {
            let client = server.connect(database, SUPERUSER)?;
            let statements: Vec<String> = statements.iter().map(|&statement| statement.to_owned()).collect();
            let (stop, period) = (Arc::clone(&stop), Duration::from_secs(1) * WRITERS / rate);
            let offset = period * writer / WRITERS;
            threads.push(spawn(move || write(client, &statements, &stop, Instant::now() + offset, period)));
        }
        Ok(Self { stop, threads })
    }

    /// Stops them.
    pub fn stop(self) -> Result<Written> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Written::default();
        for thread in self.threads {
            let written = thread.join().map_err(|_| anyhow!("a writer panicked"))??;
            all.transactions.extend(written.transactions);
            all.errors.extend(written.errors);
        }
        Ok(all)
    }
}

fn write(
    mut client: Client,
    statements: &[String],
    stop: &AtomicBool,
    first: Instant,
    period: Duration,
) -> Result<Written> {
    let prepared = statements.iter().map(|statement| client.prepare(statement));
    let prepared = prepared.collect::<Result<Vec<_>, _>>()?;
    let mut written = Written::default();
    let mut due = first;
    for statement in prepared.iter().cycle() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        sleep(due.saturating_duration_since(Instant::now()));
        if let Err(error) = client.execute(statement, &[]) {
            written.errors.push(error.as_db_error().map_or(error.to_string(), ToString::to_string));
        }
        let end = Instant::now();
        written.transactions.push((end, end.saturating_duration_since(due)));
        due += period;
    }
    Ok(written)
}

/// How long transactions took, in milliseconds.
pub struct Latency {
    /// The 99th percentile.
    pub p99: f64,
    /// The longest.
    pub longest: f64,
}

impl Written {
    /// The transactions that ended between two moments.
    pub fn between(&self, from: Instant, to: Instant) -> Latency {
        let within = || {
            let ended = self.transactions.iter().filter(|(end, _)| (from..=to).contains(end));
            ended.map(|(_, took)| took.as_secs_f64() * 1e3)
        };
        Latency { p99: quantile(within(), 0.99), longest: quantile(within(), 1.0) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Written;

    #[test]
    fn only_what_ended_in_the_window_counts() {
        let start = Instant::now();
        let ended = |second, ms| (start + Duration::from_secs(second), Duration::from_millis(ms));
        let transactions = vec![ended(1, 9), ended(2, 1), ended(3, 5), ended(4, 99)];
        let written = Written { transactions, errors: Vec::new() };
        let latency = written.between(start + Duration::from_secs(2), start + Duration::from_secs(3));
        assert_eq!((latency.p99, latency.longest), (5.0, 5.0));
        assert!(written.between(start, start).longest.is_nan());
    }
}
