//! What Rust raises: each `Failure` that is made, with the texts that its message may be.
//!
//! A message is a literal or a format where the failure is made, in a variable, or in what calls the function that makes
//! it. Expressions are followed as far as that; what is not known then is said by `elsewhere.rs`.

mod expression;
mod visitor;

use std::collections::HashMap;

use anyhow::{Context as _, Result, ensure};
use syn::visit::Visit as _;
use syn::{Expr, Item};

use crate::states::state;
use crate::texts::Text;
use crate::{ANY, Found};

/// Where failures are defined: `Self::new` makes one there.
const DEFINITION: &str = "src/error.rs";

/// A failure that is made.
struct Site {
    state: Vec<Text>,
    message: Vec<Text>,
    remark: String,
    place: String,
    is_logged: bool,
}

/// A call of a function that may be one of ours.
struct Call {
    name: String,
    /// The module that it is called in, where that is said.
    module: Option<String>,
    /// The closure that it calls, where that is known.
    closure: Option<usize>,
    file: String,
    place: String,
    given: Vec<Vec<Text>>,
}

struct Function {
    name: String,
    file: String,
}

/// What a name stands for.
#[derive(Clone)]
enum Bound {
    Texts(Vec<Text>),
    Closure(usize),
}

#[derive(Default)]
struct Reader<'a> {
    file: String,
    function: String,
    functions: Vec<Function>,
    constants: HashMap<String, &'a Expr>,
    scopes: Vec<HashMap<String, Bound>>,
    /// What is called on the failure that is being made: `.detail(...)`, `.hint(...)`, `.say(...)`.
    chain: Vec<(String, &'a Expr)>,
    sites: Vec<Site>,
    calls: Vec<Call>,
}

/// Adds what the files raise.
pub fn raised(files: &[(String, String)], found: &mut Found) -> Result<()> {
    let mut parsed = Vec::new();
    for (name, text) in files {
        parsed.push((name, text, syn::parse_file(text).with_context(|| name.clone())?));
    }
    let mut reader = Reader::default();
    for (name, text, file) in &parsed {
        let before = reader.sites.len();
        reader.file.clone_from(name);
        reader.constants = constants(&file.items);
        reader.visit_file(file);
        let made = reader.sites.len() - before;
        // A macro's body and arguments are not visited.
        let expected = text.matches("Failure::new(").count() + text.matches("Self::new(PgSql").count();
        ensure!(made >= expected, "{made} of the {expected} failures that {name} makes are seen");
    }
    for site in reader.sites.iter().filter(|site| !site.is_logged) {
        reader.resolve(site, found);
    }
    Ok(())
}

fn constants(items: &[Item]) -> HashMap<String, &Expr> {
    let mut found = HashMap::new();
    for item in items {
        if let Item::Const(constant) = item {
            found.insert(constant.ident.to_string(), &*constant.expr);
        }
    }
    found
}

impl Reader<'_> {
    /// Follows a failure's texts to the calls of what makes it.
    fn resolve(&self, site: &Site, found: &mut Found) {
        // A bug, if it is ever seen: the page has one row for all of them.
        if !site.state.is_empty() && site.state.iter().all(|code| code.words == "ERRCODE_INTERNAL_ERROR") {
            return;
        }
        let mut open: Vec<(Text, Text, String, usize)> = Vec::new();
        let unknown = vec![Text::plain(ANY)];
        let states = if site.state.is_empty() { &unknown } else { &site.state };
        for code in states {
            open.extend(
                site.message.iter().map(|words| (code.clone(), words.clone(), site.place.clone(), 0)),
            );
        }
        if site.message.is_empty() {
            found.unknown.insert(site.place.clone());
        }
        while let Some((code, words, place, depth)) = open.pop() {
            let Some(of) = code.of.or(words.of) else {
                let known = state(&code.words).unwrap_or(ANY);
                found.add((known.to_owned(), words.words), format!("{} ({place})", site.remark));
                continue;
            };
            let calls: Vec<&Call> = self.calls.iter().filter(|call| self.is_of(call, of.function)).collect();
            if calls.is_empty() || depth > 4 {
                found.unknown.insert(place.clone());
            }
            for call in calls {
                let put = |text: &Text| match text.of.filter(|p| p.function == of.function) {
                    Some(p) => text.with(call.given.get(p.number).map(Vec::as_slice).unwrap_or_default()),
                    None => vec![text.clone()],
                };
                let (mut codes, texts) = (put(&code), put(&words));
                if codes.is_empty() {
                    codes.push(Text::plain(ANY));
                }
                if texts.is_empty() {
                    found.unknown.insert(call.place.clone());
                }
                for code in codes {
                    open.extend(
                        texts
                            .iter()
                            .map(|words| (code.clone(), words.clone(), call.place.clone(), depth + 1)),
                    );
                }
            }
        }
    }

    /// Whether a call is of that function: the only one of its name in the file, in the module, or at all.
    fn is_of(&self, call: &Call, function: usize) -> bool {
        if let Some(closure) = call.closure {
            return closure == function;
        }
        let Function { name, file } = &self.functions[function];
        if *name != call.name {
            return false;
        }
        match &call.module {
            Some(module) if module == "Failure" => file == DEFINITION,
            Some(module) if !["self", "super", "Self", "crate"].contains(&module.as_str()) => {
                file.ends_with(&format!("/{module}.rs")) || file.contains(&format!("/{module}/"))
            }
            _ => {
                let here = |f: &Function| f.name == *name && f.file == call.file;
                *file == call.file || !self.functions.iter().any(here)
            }
        }
    }
}
