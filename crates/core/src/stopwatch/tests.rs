use super::*;
use proptest::prelude::*;

/// A session that a test drives.
#[derive(Default)]
struct Session {
    watch: Stopwatch,
    now: i64,
    transaction_start: i64,
    message_start: i64,
    idle: i64,
    client: i64,
    not_counted: bool,
}

impl Session {
    fn new() -> Self {
        Self { now: 1_000_000, ..Self::default() }
    }

    fn moment(&self) -> Moment {
        Moment {
            now: self.now,
            transaction_start: self.transaction_start,
            message_start: self.message_start,
            idle: (!self.not_counted).then_some(self.idle),
            client: self.client,
        }
    }

    fn message(&mut self) -> &mut Self {
        self.message_start = self.now;
        self
    }

    fn transaction(&mut self) -> &mut Self {
        self.transaction_start = self.message_start;
        self
    }

    fn works(&mut self, time: i64) -> &mut Self {
        self.now += time;
        self
    }

    fn idles(&mut self, time: i64) -> &mut Self {
        self.now += time;
        self.idle += time;
        self
    }

    /// In the middle of a statement.
    fn waits(&mut self, time: i64) -> &mut Self {
        self.now += time;
        self.client += time;
        self
    }

    /// Idle between transactions is not counted by PostgreSQL, and counters are flushed then.
    fn rests(&mut self, time: i64) -> &mut Self {
        self.now += time;
        self.idle = 0;
        self
    }

    fn begin(&mut self) -> &mut Self {
        self.watch.begin(Class::Select, 1, 1, self.message_start, self.client);
        self
    }

    fn end(&mut self) -> u64 {
        let moment = self.moment();
        self.watch.end(&moment).unwrap().1
    }

    fn control(&mut self) -> &mut Self {
        let moment = self.moment();
        self.watch.end_of_control(&moment);
        self
    }

    fn fail(&mut self) -> Option<(Class, u64)> {
        let moment = self.moment();
        self.watch.fail(&moment).map(|(statement, elapsed)| (statement.class, elapsed))
    }

    fn commit(&mut self) -> Option<u64> {
        let moment = self.moment();
        self.watch.end_transaction(&moment)
    }
}

#[test]
fn a_statement_of_its_own_counts_from_its_arrival_and_its_transaction_to_the_end_of_commit() {
    let mut s = Session::new();
    assert_eq!(s.message().transaction().works(30).begin().works(70).end(), 100);
    assert_eq!(s.works(20).commit(), Some(120));
    s.rests(5_000);
    assert_eq!(s.message().transaction().begin().works(7).end(), 7);
    assert_eq!(s.works(1).commit(), Some(8));
}

#[test]
fn idle_time_inside_a_transaction_is_left_out() {
    let mut s = Session::new();
    s.message().transaction().works(1).control().idles(10_000);
    assert_eq!(s.message().works(3).begin().works(40).end(), 43);
    s.idles(20_000).message().works(2).control();
    assert_eq!(s.works(400).commit(), Some(1 + 43 + 2 + 400));
}

#[test]
fn parsing_and_binding_in_messages_of_their_own_are_part_of_the_statement() {
    let mut s = Session::new();
    s.message().transaction().works(1).control().idles(500);
    s.message().works(5_000).message().works(200);
    assert_eq!(s.message().begin().works(10).end(), 5_210);
}

#[test]
fn where_idle_time_is_not_counted_a_message_begins_with_its_arrival() {
    let mut s = Session { not_counted: true, ..Session::new() };
    s.message().transaction().works(1).control().works(9_000);
    assert_eq!(s.message().begin().works(10).end(), 10);
    s.works(9_000).message().works(2).control();
    assert_eq!(s.works(3).commit(), Some(1 + 10 + 2 + 3));
}

#[test]
fn statements_of_one_message_follow_each_other() {
    let mut s = Session::new();
    assert_eq!(s.message().transaction().begin().works(100).end(), 100);
    assert_eq!(s.begin().works(5).end(), 5);
    assert_eq!(s.commit(), Some(105));
}

#[test]
fn what_fails_before_it_is_known_is_counted_and_a_failing_commit_is_no_statement() {
    let mut s = Session::new();
    s.message().transaction().works(300);
    assert_eq!(s.fail(), Some((Class::Unknown, 300)));
    assert_eq!(s.commit(), Some(300));
    s.rests(10).message().transaction().begin().works(20);
    assert_eq!(s.end(), 20);
    assert_eq!(s.works(50).fail(), None);
    assert_eq!(s.commit(), Some(70));
}

#[test]
fn a_statement_that_was_cancelled_counts_as_what_it_is() {
    let mut s = Session::new();
    s.message().transaction().begin().works(600);
    assert_eq!(s.fail(), Some((Class::Select, 600)));
    assert_eq!(s.commit(), Some(600));
    // The block has been rolled back already; its end is asked for later.
    s.idles(9_000).message().works(3).control();
    s.rests(9_000);
    assert_eq!(s.message().transaction().begin().works(4).end(), 4);
    assert_eq!(s.commit(), Some(4));
}

#[test]
fn a_procedure_that_commits_is_one_statement_of_several_transactions() {
    let mut s = Session::new();
    s.message().transaction().begin().works(100);
    assert_eq!(s.commit(), Some(100));
    s.works(50);
    assert_eq!(s.commit(), Some(50));
    assert_eq!(s.works(8).end(), 158);
    assert_eq!(s.commit(), Some(8));
}

#[test]
fn a_transaction_without_a_statement_is_not_counted() {
    let mut s = Session::new();
    assert_eq!(s.message().transaction().works(100).commit(), None);
    assert_eq!(s.rests(50).message().transaction().begin().works(3).end(), 3);
    assert_eq!(s.commit(), Some(3));
}

#[test]
fn a_statement_whose_end_was_not_seen_does_not_hide_the_next() {
    let mut s = Session::new();
    s.message().transaction().begin().works(100);
    assert!(s.watch.is_running(s.message_start));
    s.message();
    assert!(!s.watch.is_running(s.message_start));
}

#[test]
fn what_the_client_is_waited_for_is_no_time_of_the_server() {
    let mut s = Session::new();
    s.message().transaction().begin().works(40).waits(600_000).works(60);
    let moment = s.moment();
    let (statement, elapsed) = s.watch.end(&moment).unwrap();
    assert_eq!((statement.waited, elapsed), (600_000, 100));
    assert_eq!(s.commit(), Some(100));
    // Sending the last of it after its end is not taken from the next.
    s.waits(70_000).rests(5).message().transaction().works(30).begin().works(9);
    assert_eq!(s.end(), 39);
    // What is short cannot be told from work.
    s.idles(7).message().begin().waits(900).works(1);
    assert_eq!(s.end(), 901);
    // One that fails has waited as well.
    s.idles(7).message().begin().waits(50_000).works(2);
    assert_eq!(s.fail(), Some((Class::Select, 2)));
}

#[test]
fn upkeep_is_kept_apart_with_its_transactions() {
    let mut s = Session::new();
    s.message().transaction().begin().works(10);
    s.watch.is_upkeep();
    assert_eq!(s.commit(), None);
    s.works(20);
    let moment = s.moment();
    assert_eq!(
        s.watch.end(&moment).map(|(statement, elapsed)| (statement.class, elapsed)),
        Some((Class::Maintenance, 30))
    );
    assert_eq!(s.commit(), None);
    s.rests(5).message().transaction().begin().works(4);
    assert_eq!(s.end(), 4);
    assert_eq!(s.commit(), Some(4));
}

#[test]
fn a_clock_that_is_set_back_yields_nothing() {
    let mut s = Session::new();
    assert_eq!(s.message().transaction().begin().works(-5_000).end(), 0);
}

proptest! {
    #[test]
    fn a_transactions_time_is_its_work_whatever_the_pauses(
        steps in prop::collection::vec((0i64..1_000, 0i64..1_000_000), 1..20), commit in 0i64..1_000,
    ) {
        let mut s = Session::new();
        let mut worked = 0;
        s.message().transaction();
        for (work, pause) in steps {
            prop_assert_eq!(s.begin().works(work).end(), work.unsigned_abs());
            s.idles(pause).message();
            worked += work;
        }
        s.control();
        prop_assert_eq!(s.works(commit).commit(), Some((worked + commit).unsigned_abs()));
    }
}
