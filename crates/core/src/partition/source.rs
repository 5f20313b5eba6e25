//! What the source of a function says of a table that is to be partitioned. It is a guess from words, so that it warns of
//! more than is so rather than of less, but for what it has seen written out.

mod tokens;

use tokens::{Token, tokens};

/// A table that functions may use.
#[derive(Debug, Clone, Copy)]
pub struct Table<'a> {
    /// Its schema.
    pub schema: &'a str,
    /// Its name.
    pub name: &'a str,
    /// The columns of its primary key, where the partitioned table will have none as a whole.
    pub lost_key: &'a [String],
    /// Whether it has any unique index that the partitioned table will not have as a whole.
    pub loses_unique: bool,
}

/// A use of a table that a partitioned one refuses, or answers otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Use {
    /// `ON CONFLICT`, where a unique index is lost.
    OnConflict,
    /// `GROUP BY` the primary key alone.
    GroupBy,
    /// A column that the system keeps.
    SystemColumn(String),
    /// `ONLY`, which leaves out the partitions.
    Only,
    /// `COPY ... TO`.
    CopyTo,
}

const SYSTEM_COLUMNS: [&str; 6] = ["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"];

/// Words that a statement of PL/pgSQL comes after.
const BEGINNINGS: [&str; 7] = [";", "begin", "then", "else", "loop", ">", "declare"];

/// Words that the name of a table comes after.
const BEFORE_TABLES: [&str; 9] =
    ["from", "join", "into", "update", "only", "copy", "table", "using", "truncate"];

/// Words that end, read backwards, a list of what is assigned or read.
const CLAUSES: [&str; 13] = [
    "select",
    "values",
    "using",
    "set",
    "where",
    "from",
    "on",
    "by",
    "returning",
    "join",
    "update",
    "and",
    "or",
];

/// Whether a trigger's source writes that column of the new row.
#[must_use]
pub fn assigns(source: &str, column: &str) -> bool {
    let tokens = tokens(source);
    (0..tokens.len()).any(|at| tokens[at].text == "new" && assigned(&tokens, at, column))
}

fn assigned(tokens: &[Token], at: usize, column: &str) -> bool {
    let word = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let before = at.checked_sub(1).and_then(|before| tokens.get(before));
    if word(at + 1) == "." && word(at + 2) == column {
        let begins = before.is_none_or(|before| BEGINNINGS.iter().any(|word| before.is(word)));
        return word(at + 3) == ":=" || word(at + 3) == "=" && begins || is_into(tokens, at);
    }
    // TD["new"]["c"] =, $_TD->{new}{c} =, set NEW(c)
    let is_bracket = |at: usize| ["[", "]", "{", "}", "-", ">", "("].contains(&word(at));
    let Some(name) = (at + 1..at + 6).find(|at| !is_bracket(*at)).filter(|name| *name > at + 1) else {
        return false;
    };
    if word(name) != column {
        return false;
    }
    let then = (name + 1..name + 3).find(|at| !is_bracket(*at)).unwrap_or(name + 3);
    before.is_some_and(|before| before.is("set"))
        || word(then) == "=" && !["=", "~"].contains(&word(then + 1))
}

/// Whether what stands there is a target of INTO.
fn is_into(tokens: &[Token], at: usize) -> bool {
    for token in tokens[..at].iter().rev() {
        let is_sign = !token.quoted && !token.text.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        if token.is("into") {
            return true;
        }
        if is_sign && !token.is(",") && !token.is(".") || CLAUSES.iter().any(|word| token.is(word)) {
            return false;
        }
    }
    false
}

/// The word by which a trigger's source asks which table it is on, if it does.
#[must_use]
pub fn asks_for_table(source: &str) -> Option<String> {
    let tokens = tokens(source);
    let own = ["tg_table_name", "tg_relid", "tg_table_schema", "tg_relname"];
    let keys = ["table_name", "relid", "table_schema", "relname"];
    tokens.iter().enumerate().find_map(|(at, token)| {
        let of_hash = keys.contains(&token.text.as_str())
            && tokens[at.saturating_sub(4)..at].iter().any(|before| before.is("td") || before.is("_td"));
        (own.iter().any(|word| token.is(word)) || of_hash).then(|| token.text.to_uppercase())
    })
}

/// The uses of a table in a source that will fail, or mean something else.
#[must_use]
pub fn uses(source: &str, table: &Table) -> Vec<Use> {
    let tokens = tokens(source);
    let mentions: Vec<usize> = (0..tokens.len()).filter(|at| mentioned(&tokens, *at, table)).collect();
    if mentions.is_empty() {
        return Vec::new();
    }
    let by_name_alone = mentions.iter().any(|at| tokens[*at].alone);
    let mut found = Vec::new();
    let conflicts = mentions.iter().any(|at| inserts_on_conflict(&tokens, *at))
        || by_name_alone && tokens.windows(2).any(|pair| pair[0].is("on") && pair[1].is("conflict"));
    if table.loses_unique && conflicts {
        found.push(Use::OnConflict);
    }
    if !table.lost_key.is_empty() && (0..tokens.len()).any(|at| groups_by(&tokens, at, table.lost_key)) {
        found.push(Use::GroupBy);
    }
    let is_system = |column: &&&str| tokens.iter().any(|token| token.is(column));
    found.extend(
        SYSTEM_COLUMNS.iter().filter(is_system).map(|column| Use::SystemColumn((*column).to_owned())),
    );
    let introduced =
        |word: &str| mentions.iter().any(|at| introduction(&tokens, *at).is_some_and(|t| t.is(word)));
    if introduced("only") {
        found.push(Use::Only);
    }
    if introduced("copy") && mentions.iter().any(|at| copied(&tokens, *at)) {
        found.push(Use::CopyTo);
    }
    found
}

/// What stands before the table's name and its schema.
fn introduction(tokens: &[Token], at: usize) -> Option<&Token> {
    let is_qualified = at >= 2 && tokens[at - 1].is(".");
    let before = at.checked_sub(if is_qualified { 3 } else { 1 })?;
    if tokens[before].is("(") { tokens.get(before.checked_sub(1)?) } else { tokens.get(before) }
}

/// Whether the token is the table's name, where a table is named.
fn mentioned(tokens: &[Token], at: usize, table: &Table) -> bool {
    if tokens[at].text != table.name || tokens.get(at + 1).is_some_and(|next| next.is(".")) {
        return false;
    }
    if at > 0 && tokens[at - 1].is(".") {
        return at > 1 && tokens[at - 2].text == table.schema;
    }
    if tokens[at].alone {
        return true;
    }
    match introduction(tokens, at) {
        Some(before) if BEFORE_TABLES.iter().any(|word| before.is(word)) => true,
        Some(before) if before.is(",") => {
            let clause = tokens[..at]
                .iter()
                .rev()
                .find(|token| token.is(";") || token.is("(") || CLAUSES.iter().any(|word| token.is(word)));
            clause.is_some_and(|token| token.is("from") || token.is("using") || token.is("join"))
        }
        _ => false,
    }
}

/// Whether rows are inserted into the table that stands there with an `ON CONFLICT`.
fn inserts_on_conflict(tokens: &[Token], at: usize) -> bool {
    introduction(tokens, at).is_some_and(|token| token.is("into"))
        && tokens[at..]
            .windows(2)
            .take_while(|pair| !pair[0].is(";") && !pair[0].is("insert"))
            .any(|pair| pair[0].is("on") && pair[1].is("conflict"))
}

/// Whether rows are grouped by those columns and no others.
fn groups_by(tokens: &[Token], at: usize, columns: &[String]) -> bool {
    if !(tokens[at].is("group") && tokens.get(at + 1).is_some_and(|next| next.is("by"))) {
        return false;
    }
    let mut named = Vec::new();
    let mut place = at + 2;
    loop {
        if tokens.get(place + 1).is_some_and(|next| next.is(".")) {
            place += 2;
        }
        let Some(column) = tokens.get(place) else { return false };
        named.push(column.text.as_str());
        match tokens.get(place + 1) {
            Some(next) if next.is(",") => place += 2,
            Some(next) if next.is("(") => return false,
            _ => break,
        }
    }
    named.sort_unstable();
    let mut columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    columns.sort_unstable();
    named == columns
}

/// Whether what stands there is copied to somewhere.
fn copied(tokens: &[Token], at: usize) -> bool {
    let after =
        tokens[at + 1..].iter().skip_while(|token| !token.is("to") && !token.is("from") && !token.is(";"));
    after.take(1).any(|token| token.is("to"))
}

#[cfg(test)]
mod tests;
