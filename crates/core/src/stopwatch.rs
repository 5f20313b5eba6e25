//! How long a session's statements and transactions keep its client waiting.
//!
//! PostgreSQL says when a message arrived, when a transaction began, and for how long a transaction has waited for
//! its client. From that, a look at the clock when a statement ends, and one when its transaction does, yield all:
//! whatever time has passed since the last look, less what the session sat idle, went into the statement that ends
//! now, be it parsing, waiting for a lock, planning or running. Times are in microseconds.

/// What the server knows at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The time.
    pub now: i64,
    /// When the transaction began.
    pub transaction_start: i64,
    /// When the message arrived that is being worked on.
    pub message_start: i64,
    /// For how long transactions of the session have waited for the client, from any beginning; nothing where that
    /// is not being counted.
    pub idle: Option<i64>,
    /// For how long statements of the session have waited for the client to read or to write, from any beginning.
    pub client: i64,
}

/// Shorter waits for a client, in all of a statement, are not told from the work of sending and receiving.
const SHORTEST_WAIT: i64 = 20_000;

/// What kind of work a statement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// It reads.
    Select,
    /// It inserts, updates, deletes or merges.
    Write,
    /// Anything else but transaction control.
    Utility,
    /// It failed before it was known what it is.
    Unknown,
    /// Upkeep of ours that a scheduler has asked for as a client does.
    Maintenance,
}

/// A statement at top level that is being run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement {
    /// What it is.
    pub class: Class,
    /// Its query identifier, 0 where none was computed.
    pub queryid: i64,
    /// What tells its end from that of a statement inside it.
    pub token: usize,
    /// When its message arrived. Whatever a later message brings is not inside of it, even if its end was never
    /// seen.
    message: i64,
    /// How long it waited for its client: its own time is without that. Known when it has ended.
    pub waited: u64,
}

/// A session's stopwatch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stopwatch {
    /// When it was last looked at, and what was counted as idle then.
    mark: i64,
    idle: i64,
    /// What has gone into the statement and the transaction so far.
    statement: i64,
    transaction: i64,
    /// What was counted as waiting for the client at the last look, and how much of it since went into the statement.
    client: i64,
    waited: i64,
    running: Option<Statement>,
    /// Whether the transaction has run a statement.
    worked: bool,
    /// Whether one of its statements was upkeep.
    upkeep: bool,
    /// When the message arrived that brought the last statement to its end.
    ended: i64,
}

impl Stopwatch {
    /// A stopwatch that has seen nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            mark: 0,
            idle: 0,
            statement: 0,
            transaction: 0,
            client: 0,
            waited: 0,
            running: None,
            worked: false,
            upkeep: false,
            ended: 0,
        }
    }

    /// Whether a statement of this message is being run, so that what begins now is inside of it.
    #[must_use]
    pub fn is_running(&self, message_start: i64) -> bool {
        self.running.is_some_and(|statement| statement.message == message_start)
    }

    /// Whether it is the statement with this token that is being run.
    #[must_use]
    pub fn is_running_token(&self, token: usize) -> bool {
        self.running.is_some_and(|statement| statement.token == token)
    }

    /// A statement begins. The time since the last look is its own: it was parsed and planned in it. What the client
    /// was waited for until now, which is counted as the moment has it, was for the one before.
    pub fn begin(&mut self, class: Class, queryid: i64, token: usize, message_start: i64, client: i64) {
        self.client = client;
        self.running = Some(Statement { class, queryid, token, message: message_start, waited: 0 });
    }

    /// What is being run is upkeep.
    pub fn is_upkeep(&mut self) {
        if let Some(statement) = &mut self.running {
            statement.class = Class::Maintenance;
            self.upkeep = true;
        }
    }

    /// The statement has ended, and took so long.
    pub fn end(&mut self, moment: &Moment) -> Option<(Statement, u64)> {
        let statement = self.running?;
        self.pass(moment, |elapsed, waited| Some((Statement { waited, ..statement }, elapsed)))
    }

    /// Transaction control has ended, which is no statement of its own but part of the transaction.
    pub fn end_of_control(&mut self, moment: &Moment) {
        self.pass(moment, |_, _| ());
    }

    /// The message has failed. A statement that was known is returned as it was, one that was not as unknown; none
    /// where all of the message's statements had ended, as when a commit fails.
    pub fn fail(&mut self, moment: &Moment) -> Option<(Statement, u64)> {
        let unknown = Statement {
            class: Class::Unknown,
            queryid: 0,
            token: 0,
            message: moment.message_start,
            waited: 0,
        };
        let of_this_message = self.running.filter(|statement| statement.message == moment.message_start);
        let statement = match of_this_message {
            None if self.ended == moment.message_start => None,
            known => Some(known.unwrap_or(unknown)),
        };
        self.pass(moment, |elapsed, waited| {
            statement.map(|statement| (Statement { waited, ..statement }, elapsed))
        })
    }

    /// The transaction has ended, and took so long; nothing for one that did nothing, or that was upkeep. A procedure
    /// may go on.
    pub fn end_transaction(&mut self, moment: &Moment) -> Option<u64> {
        self.look(moment);
        let elapsed = std::mem::take(&mut self.transaction);
        let inside_a_statement = self.is_running(moment.message_start);
        let is_upkeep = self.upkeep;
        if !inside_a_statement {
            self.statement = 0;
            self.waited = 0;
            self.running = None;
            self.upkeep = false;
        }
        let worked = std::mem::take(&mut self.worked) || inside_a_statement;
        (worked && !is_upkeep).then_some(unsigned(elapsed))
    }

    fn pass<T>(&mut self, moment: &Moment, say: impl FnOnce(u64, u64) -> T) -> T {
        self.look(moment);
        self.running = None;
        self.worked = true;
        self.ended = moment.message_start;
        let elapsed = std::mem::take(&mut self.statement);
        // Waits are timed by a clock that is cheap and coarse: what is short may be none.
        let waited = match std::mem::take(&mut self.waited) {
            waited if waited < SHORTEST_WAIT => 0,
            waited => waited.min(elapsed),
        };
        self.transaction = (self.transaction - waited).max(0);
        say(unsigned(elapsed - waited), unsigned(waited))
    }

    /// Gives the time since the last look to the statement and the transaction that it went into.
    fn look(&mut self, moment: &Moment) {
        let start = if self.mark < moment.transaction_start {
            // What is left over went into the end of a block that had failed.
            self.transaction = 0;
            self.worked = false;
            self.upkeep = self.running.is_some_and(|statement| statement.class == Class::Maintenance);
            moment.transaction_start
        } else if let Some(idle) = moment.idle {
            self.mark + (idle - self.idle).max(0)
        } else {
            self.mark.max(moment.message_start)
        };
        // Somebody may have set the clock back.
        let piece = (moment.now - start).max(0);
        self.statement += piece;
        self.transaction += piece;
        // What the client was waited for without a statement is no statement's.
        if self.running.is_some() {
            self.waited += (moment.client - self.client).max(0);
        }
        self.client = moment.client;
        self.mark = moment.now;
        self.idle = moment.idle.unwrap_or(0);
    }
}

fn unsigned(microseconds: i64) -> u64 {
    u64::try_from(microseconds).unwrap_or(0)
}

#[cfg(test)]
mod tests;
