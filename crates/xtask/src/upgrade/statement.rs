//! An install script, statement by statement, and what each of them is about.

use anyhow::{Context as _, Result, bail, ensure};

/// The statements of a script, without what was said in comments.
pub fn statements(script: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut reader = Reader { rest: script, text: String::new() };
    // `BEGIN ATOMIC` opens a body that has statements of its own, and `CASE` an END that does not close it.
    let mut open = 0_u32;
    while let Some(piece) = reader.piece()? {
        match piece {
            Piece::Semicolon if open == 0 => found.extend(reader.take()),
            Piece::Semicolon => reader.text.push(';'),
            Piece::Word(word) => {
                let opens =
                    word.eq_ignore_ascii_case("ATOMIC") || (open > 0 && word.eq_ignore_ascii_case("CASE"));
                if opens {
                    open += 1;
                } else if open > 0 && word.eq_ignore_ascii_case("END") {
                    open -= 1;
                }
                reader.text.push_str(word);
            }
            Piece::Verbatim(text) => reader.text.push_str(text),
            Piece::Space(space) => reader.space(space),
        }
    }
    found.extend(reader.take());
    Ok(found)
}

struct Reader<'a> {
    rest: &'a str,
    text: String,
}

enum Piece<'a> {
    Semicolon,
    Word(&'a str),
    /// Something quoted, or a character.
    Verbatim(&'a str),
    /// White space, or a comment.
    Space(&'a str),
}

impl<'a> Reader<'a> {
    fn piece(&mut self) -> Result<Option<Piece<'a>>> {
        let rest = self.rest;
        let Some(first) = rest.chars().next() else { return Ok(None) };
        if rest.starts_with("--") {
            return self.cut(rest.find('\n').unwrap_or(rest.len()), |_| Piece::Space(" "));
        }
        if rest.starts_with("/*") {
            return self.cut(length_of_comment(rest)?, |_| Piece::Space(" "));
        }
        if first.is_whitespace() {
            let end = rest.find(|c: char| !c.is_whitespace()).unwrap_or(rest.len());
            return self.cut(end, Piece::Space);
        }
        if first == '\'' || first == '"' {
            let end =
                rest[1..].find(first).with_context(|| format!("a quote is not closed: {}", line(rest)))?;
            // A doubled one is two quoted texts side by side, as far as this reader is concerned.
            return self.cut(end + 2, Piece::Verbatim);
        }
        if first == '$'
            && let Some(end) = rest[1..].find('$').map(|at| at + 2)
            && rest[1..end - 1].chars().all(|c| c.is_alphanumeric() || c == '_')
        {
            let close = rest[end..].find(&rest[..end]);
            let close = close.with_context(|| format!("a quote is not closed: {}", line(rest)))?;
            return self.cut(end + close + end, Piece::Verbatim);
        }
        if first.is_alphabetic() || first == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            return self.cut(end, Piece::Word);
        }
        if first == ';' {
            return self.cut(1, |_| Piece::Semicolon);
        }
        self.cut(first.len_utf8(), Piece::Verbatim)
    }

    fn cut(&mut self, length: usize, piece: impl Fn(&'a str) -> Piece<'a>) -> Result<Option<Piece<'a>>> {
        let (this, rest) = self.rest.split_at(length);
        self.rest = rest;
        Ok(Some(piece(this)))
    }

    /// White space as it was, but for what comments leave at the ends of lines.
    fn space(&mut self, space: &str) {
        if space.contains('\n') {
            self.text.truncate(self.text.trim_end_matches(' ').len());
            let indent = &space[space.rfind('\n').map_or(0, |at| at + 1)..];
            if self.text.ends_with('\n') {
                self.text.truncate(self.text.len() - 1);
            }
            self.text.push('\n');
            self.text.push_str(indent);
        } else {
            self.text.push_str(space);
        }
    }

    fn take(&mut self) -> Option<String> {
        let text = std::mem::take(&mut self.text);
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }
}

/// Comments nest.
fn length_of_comment(text: &str) -> Result<usize> {
    let (mut depth, mut at) = (0_u32, 0);
    loop {
        let rest = &text[at..];
        let opens = rest.starts_with("/*");
        if opens || rest.starts_with("*/") {
            at += 2;
            depth = if opens { depth + 1 } else { depth - 1 };
            if depth == 0 {
                return Ok(at);
            }
        } else {
            let next =
                rest.chars().next().with_context(|| format!("a comment is not closed: {}", line(text)))?;
            at += next.len_utf8();
        }
    }
}

fn line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// What a statement makes or says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {
    /// `CREATE SCHEMA`, by name.
    Schema(String),
    /// `CREATE TYPE`, by name.
    Type(String),
    /// `CREATE TABLE`, by name.
    Table(String),
    /// `CREATE VIEW`, by name.
    View(String),
    /// `CREATE FUNCTION` or `CREATE PROCEDURE`.
    Routine(Routine),
    /// `CREATE EVENT TRIGGER`, by name.
    EventTrigger(String),
    /// What belongs to a table, which has the name: an index, a trigger, a policy, a way that it is.
    OfTable(String),
    /// `DO`
    Block,
    /// `SET`
    Setting,
    /// What may be said twice: a comment, a grant, a mark for dumps, a call.
    Said,
    /// `INSERT`
    Rows,
}

/// A function or procedure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routine {
    /// `FUNCTION` or `PROCEDURE`
    pub kind: String,
    /// With its schema.
    pub name: String,
    /// The types of its arguments.
    pub types: String,
    /// Names of its arguments and what it returns: what CREATE OR REPLACE cannot change.
    pub shape: String,
}

impl Routine {
    /// As DROP and a `regprocedure` name it.
    pub fn signature(&self) -> String {
        format!("{}({})", self.name, self.types)
    }
}

/// What a statement is about.
pub fn object(statement: &str) -> Result<Object> {
    let words: Vec<&str> = statement.split_whitespace().take(8).collect();
    let upper: Vec<String> = words.iter().map(|word| word.to_ascii_uppercase()).collect();
    let upper: Vec<&str> = upper.iter().map(String::as_str).collect();
    let name = |at: usize| -> Result<String> {
        let word = words.get(at).with_context(|| format!("it has no name: {statement}"))?;
        Ok(word.split('(').next().unwrap_or_default().to_owned())
    };
    let after = |word: &str| -> Result<String> {
        name(
            1 + upper
                .iter()
                .position(|found| *found == word)
                .with_context(|| format!("no {word}: {statement}"))?,
        )
    };
    Ok(match upper.as_slice() {
        ["CREATE", "SCHEMA", "IF", "NOT", "EXISTS", ..] => Object::Schema(name(5)?),
        ["CREATE", "SCHEMA", ..] => Object::Schema(name(2)?),
        ["CREATE", "TYPE", ..] => Object::Type(name(2)?),
        ["CREATE", "TABLE", ..] => Object::Table(name(2)?),
        ["CREATE", "UNLOGGED", "TABLE", ..] => Object::Table(name(3)?),
        ["CREATE", "VIEW", ..] => Object::View(name(2)?),
        ["CREATE", "FUNCTION" | "PROCEDURE", ..] => Object::Routine(routine(statement)?),
        ["CREATE", "EVENT", "TRIGGER", ..] => Object::EventTrigger(name(3)?),
        ["ALTER", "TABLE", ..] => Object::OfTable(name(2)?),
        ["CREATE", "INDEX", ..] | ["CREATE", "UNIQUE", "INDEX", ..] | ["CREATE", "POLICY", ..] => {
            Object::OfTable(after("ON")?)
        }
        ["CREATE", "TRIGGER", ..] => Object::OfTable(table_of_trigger(statement)?),
        ["DO", ..] => Object::Block,
        ["SET", ..] => Object::Setting,
        ["COMMENT" | "GRANT" | "REVOKE" | "SELECT" | "CALL" | "DROP", ..] => Object::Said,
        ["INSERT", ..] => Object::Rows,
        _ => bail!("what becomes of it in an update is not known: {statement}"),
    })
}

fn table_of_trigger(statement: &str) -> Result<String> {
    let mut words = statement.split_whitespace().skip_while(|word| *word != "ON").skip(1);
    Ok(words.next().with_context(|| format!("no table: {statement}"))?.to_owned())
}

fn routine(statement: &str) -> Result<Routine> {
    let context = || format!("this is no function that can be read: {}", line(statement));
    let (head, rest) = statement.split_once('(').with_context(context)?;
    let mut words = head.split_whitespace().skip(1);
    let kind = words.next().with_context(context)?.to_ascii_uppercase();
    let name = words.collect::<Vec<_>>().join(" ").replace('"', "");
    // What names no schema is made in the one that was asked for.
    let name = if name.contains('.') { name } else { format!("@extschema@.{name}") };
    let (arguments, rest) = rest.split_at(closing(rest).with_context(context)?);
    let arguments: Vec<Vec<String>> =
        separated(arguments).iter().map(|argument| argument_words(argument)).collect();
    ensure!(arguments.iter().all(|words| words.len() > 1), "an argument lacks its name: {}", line(statement));
    let types: Vec<String> = arguments.iter().map(|words| words[1..].join(" ")).collect();
    let names: Vec<&str> = arguments.iter().map(|words| words[0].as_str()).collect();
    Ok(Routine {
        kind,
        name,
        types: types.join(","),
        shape: format!("{} {}", names.join(","), returned(&rest[1..])),
    })
}

/// Where the parenthesis closes that was opened before.
fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut quoted) = (0_u32, None);
    for (at, character) in text.char_indices() {
        match (character, quoted) {
            (c, Some(quote)) if c == quote => quoted = None,
            (_, Some(_)) => {}
            ('\'' | '"', None) => quoted = Some(character),
            ('(', None) => depth += 1,
            (')', None) if depth == 0 => return Some(at),
            (')', None) => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Arguments or columns, cut at the commas between them.
fn separated(list: &str) -> Vec<&str> {
    let (mut depth, mut quoted, mut from) = (0_i32, None, 0);
    let mut found = Vec::new();
    for (at, character) in list.char_indices() {
        match (character, quoted) {
            (c, Some(quote)) if c == quote => quoted = None,
            (_, Some(_)) => {}
            ('\'' | '"', None) => quoted = Some(character),
            ('(' | '[', None) => depth += 1,
            (')' | ']', None) => depth -= 1,
            (',', None) if depth == 0 => {
                found.push(&list[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    found.push(&list[from..]);
    found.into_iter().filter(|part| !part.trim().is_empty()).collect()
}

/// The name of an argument, and its type by PostgreSQL's own name, without a default.
fn argument_words(argument: &str) -> Vec<String> {
    let words = argument.split_whitespace().map(str::to_ascii_lowercase);
    let words = words.skip_while(|word| matches!(word.as_str(), "in" | "inout" | "variadic"));
    // A name that is a keyword is quoted.
    let words = words.take_while(|word| word != "default" && word != "=").map(|word| word.replace('"', ""));
    words.enumerate().map(|(place, word)| if place == 0 { word } else { type_name(&word) }).collect()
}

/// One name for a type that has several.
fn type_name(word: &str) -> String {
    let (name, array) = word.strip_suffix("[]").map_or((word, ""), |name| (name, "[]"));
    let name = match name {
        "int" | "int4" => "integer",
        "int8" => "bigint",
        "bool" => "boolean",
        "float8" => "double precision",
        "timestamptz" => "timestamp with time zone",
        name => name,
    };
    format!("{name}{array}")
}

/// What a routine returns, in words that can be compared.
fn returned(rest: &str) -> String {
    let rest = rest.trim();
    let Some(what) = rest.strip_prefix("RETURNS") else { return String::new() };
    let what = what.trim_start();
    if let Some(columns) =
        what.strip_prefix("TABLE").map(str::trim_start).and_then(|rest| rest.strip_prefix('('))
    {
        let columns = &columns[..closing(columns).unwrap_or(columns.len())];
        let columns =
            separated(columns).iter().map(|column| argument_words(column).join(" ")).collect::<Vec<_>>();
        return columns.join(",");
    }
    let words = what.split_whitespace().map(|word| type_name(&word.to_ascii_lowercase()));
    let ends = [
        "language",
        "strict",
        "immutable",
        "stable",
        "volatile",
        "set",
        "parallel",
        "as",
        "security",
        "return",
    ];
    words.take_while(|word| !ends.contains(&word.as_str())).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_cut_at_its_statements() {
        let script = "-- one; two\nSELECT 'a;b', \"c;d\" /* e; /* f; */ */;\n\
                      CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $f$ SELECT $$;$$ -- kept\n $f$;\n\
                      CREATE FUNCTION g() RETURNS integer BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END;\n\
                      SELECT 'it''s; one'";
        let found = statements(script).unwrap();
        let expected = [
            "SELECT 'a;b', \"c;d\"",
            "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $f$ SELECT $$;$$ -- kept\n $f$",
            "CREATE FUNCTION g() RETURNS integer BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END",
            "SELECT 'it''s; one'",
        ];
        assert_eq!(found, expected);
        assert!(statements("SELECT 'a").is_err());
        assert!(statements("SELECT /* a").is_err());
    }

    #[test]
    fn one_function_is_the_same_however_it_is_written() {
        let by_pgrx = "CREATE  FUNCTION groundskeeper.\"f\"(\n\t\"a\" INT DEFAULT 1,\n\t\"default\" bool[]\n) RETURNS TABLE (\n\t\"b\" TEXT,\n\t\"c\" numeric(5, 2)\n)\nSTRICT\nLANGUAGE c AS 'x', 'y'";
        let by_hand = "CREATE FUNCTION groundskeeper.f(a integer, \"default\" boolean[] DEFAULT '{a,b)}') RETURNS TABLE (b text, c numeric(5, 2)) LANGUAGE c AS 'x', 'y'";
        let [one, other] = [by_pgrx, by_hand].map(|text| object(text).unwrap());
        assert_eq!(one, other);
        let Object::Routine(routine) = one else { panic!("{one:?}") };
        assert_eq!(routine.signature(), "groundskeeper.f(integer,boolean[])");
        for another in [
            "CREATE FUNCTION groundskeeper.f(z integer, \"default\" boolean[]) RETURNS TABLE (b text, c numeric(5, 2)) LANGUAGE c AS 'x', 'y'",
            "CREATE FUNCTION groundskeeper.f(a integer, \"default\" boolean[]) RETURNS TABLE (b text) LANGUAGE c AS 'x', 'y'",
            "CREATE PROCEDURE groundskeeper.f(a integer, \"default\" boolean[]) LANGUAGE c AS 'x', 'y'",
        ] {
            assert_ne!(object(another).unwrap(), other, "{another}");
        }
    }

    #[test]
    fn what_is_not_known_is_refused() {
        assert!(object("CREATE CAST (text AS jsonb) WITH INOUT").is_err());
        assert_eq!(object("CREATE UNIQUE INDEX ON a.b (c)").unwrap(), Object::OfTable("a.b".to_owned()));
        let trigger =
            "CREATE TRIGGER t BEFORE INSERT OR UPDATE OF c, d ON a.b\n FOR EACH ROW EXECUTE FUNCTION f()";
        assert_eq!(object(trigger).unwrap(), Object::OfTable("a.b".to_owned()));
    }
}
