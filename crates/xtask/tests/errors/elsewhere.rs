//! Messages that are put together elsewhere than where they are raised.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::{ANY, Found};

/// A place whose message is not known from there.
struct Place {
    /// The file and the function that raise it.
    at: &'static str,
    state: &'static str,
    /// The files that have the words.
    files: &'static [&'static str],
    /// None, where it is what `plan_status()` says of an item.
    messages: &'static [&'static str],
}

const ELSEWHERE: &[Place] = &[
    Place {
        at: "src/plan/apply.rs: no_more_possible",
        state: "55000",
        files: &["src/plan/apply.rs"],
        messages: &[],
    },
    Place {
        at: "src/plan/retype.rs: checked",
        state: "55000",
        files: &["src/plan/retype.rs"],
        messages: &[
            "… is kept twice until its partitioning is undone or finalized, and both must have the same columns; \
             what apply_plan() was asked for is done after that, anything else is to be called again",
            "the type of column … cannot be changed under: …; drop these, call again, and create them anew",
        ],
    },
    Place {
        at: "src/runner.rs: validate",
        state: "23514",
        files: &["src/plan/check.rs"],
        messages: &[
            "… is NOT VALID: it holds for new rows, but … existing row… violate… it; correct those with NOT (…), \
             then call groundskeeper.apply_plan() again",
        ],
    },
    Place {
        at: "src/api/odds.rs: decimal_to_american",
        state: "22023",
        files: &["crates/core/src/odds.rs"],
        messages: &[
            "American odds of … are impossible",
            "decimal odds must be above 1",
            "the odds are too long for American odds",
        ],
    },
    Place {
        at: "src/api/odds.rs: probability_to_american",
        state: "22023",
        files: &["crates/core/src/odds.rs"],
        messages: &["a probability must be above 0 and below 1"],
    },
    Place {
        at: "src/api/quality/rules.rs: read",
        state: "22023",
        files: &["crates/core/src/quality/rules.rs"],
        messages: &[
            "unknown quality rule \"…\"",
            "quality rule \"…\" is not a number: …",
            "quality rule \"…\" is out of range: …",
            "quality rule \"…\" has more than two decimals: …",
        ],
    },
    Place {
        at: "src/api/names.rs: read",
        state: "22023",
        files: &[
            "crates/core/src/naming/text.rs",
            "crates/core/src/naming/error.rs",
            "crates/core/src/naming/clubs.rs",
            "crates/core/src/naming/books.rs",
        ],
        messages: &[
            "naming must be a JSON object of the objects \"clubs\", \"codes\" and \"books\", which hold texts",
            "unknown club …",
            "the name given for club … is blank",
            "the names … and … are one",
            "the name … is the code in use for club \"…\"",
            "the code … for club \"…\" …",
            "the names … and … are one sportsbook's",
            "the name given for sportsbook … is blank",
            "the sportsbook that … stands for …",
            "… and … are two spellings of one sportsbook",
        ],
    },
    Place {
        at: "src/schedule/entry.rs: timing",
        state: "22023",
        files: &["crates/core/src/schedule/timing.rs"],
        messages: &["invalid schedule \"…\"", "unknown time zone \"…\""],
    },
    Place {
        at: "src/connections.rs: pool_config",
        state: "22023",
        files: &["crates/core/src/connections/pgbouncer.rs"],
        messages: &[
            "\"pgbouncer\" is the name of PgBouncer's own console",
            "a line of pgbouncer.ini holds no control characters",
            "PgBouncer sends no more than 500 bytes to a new connection",
        ],
    },
    Place {
        at: "src/api/latency.rs: is_uncounted",
        state: "00000",
        files: &["src/latency.rs"],
        messages: &[
            "latency is not counted in this database: … others have taken all counters that there are",
        ],
    },
    Place {
        at: "src/migration/mod.rs: make_games",
        state: "00000",
        files: &["src/migration/games.rs"],
        messages: &[
            "… games were given more than one date; the one collected last counts",
            "records of … games disagree on the teams or on their sides",
        ],
    },
    Place {
        at: "sql/guard.sql: groundskeeper_internal.guard_partitions",
        state: "55000",
        files: &["sql/guard.sql"],
        messages: &[
            "a partition of … cannot be dropped like this",
            "a partition of … cannot be detached like this",
            "… cannot be renamed or moved",
        ],
    },
    Place {
        at: "sql/guard.sql: groundskeeper_internal.complete_partitions",
        state: "55000",
        files: &["sql/guard.sql"],
        messages: &["… cannot be attached to … with rows in it"],
    },
    Place {
        at: "src/partition/convert/keys.rs: RAISE unique_violation USING",
        state: "23505",
        files: &["src/partition/convert/keys.rs"],
        messages: &["duplicate key value violates the unique key of …"],
    },
];

/// Adds them, after a look whether the words are still there.
pub fn add(found: &mut Found, root: &Path) -> Result<()> {
    let mut superfluous = Vec::new();
    for Place { at, state, files, messages } in ELSEWHERE {
        if !found.unknown.remove(*at) {
            superfluous.push(*at);
        }
        let mut text = String::new();
        for file in *files {
            text.push_str(&fs::read_to_string(root.join(file)).with_context(|| (*file).to_owned())?);
        }
        let text = plain(&text);
        for message in *messages {
            for words in message.split(ANY).map(|words| words.trim_matches([' ', '"'])) {
                ensure!(words.len() < 4 || text.contains(words), "{files:?} do not say \"{words}\"");
            }
            found.add(((*state).to_owned(), (*message).to_owned()), format!("({at})"));
        }
    }
    let unknown = &found.unknown;
    ensure!(
        superfluous.is_empty() && unknown.is_empty(),
        "elsewhere.rs is to say what the message is at\n{unknown:#?}\nand not at\n{superfluous:#?}"
    );
    Ok(())
}

/// A source without escapes and line ends within its texts.
fn plain(source: &str) -> String {
    let text = source.replace("\\\"", "\"").replace("\\\n", "");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
