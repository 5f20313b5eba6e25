//! What Rust raises: each `Failure` that is made, with the texts that its message may be.
//!
//! A message is a literal or a format where the failure is made, in a variable, or in what calls the function that makes
//! it. Expressions are followed as far as that; what is not known then is said by `elsewhere.rs`.

use std::collections::HashMap;

use anyhow::{Context as _, Result, ensure};
use syn::parse::Parser as _;
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{
    Arm, Block, Expr, ExprCall, ExprClosure, ExprIf, ExprLit, ExprMethodCall, ExprStruct, FnArg, ImplItemFn,
    Item, ItemFn, Lit, Local, Macro, Member, Pat, PatIdent, Signature, Stmt, Token,
};

use crate::states::state;
use crate::texts::{Format, HOLE, Parameter, Text};
use crate::{ANY, Found};

/// Where failures are defined: `Self::new` makes one there.
const DEFINITION: &str = "src/error.rs";

/// Methods that leave a text as it is.
const PASSES: [&str; 6] = ["to_owned", "to_string", "into", "clone", "as_str", "as_ref"];

/// pgrx's macros that only say something, with what PostgreSQL gives their level for a SQLSTATE.
const SAYS: [(&str, &str); 3] = [
    ("notice", "ERRCODE_SUCCESSFUL_COMPLETION"),
    ("info", "ERRCODE_SUCCESSFUL_COMPLETION"),
    ("warning", "ERRCODE_WARNING"),
];

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

impl<'a> Reader<'a> {
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

    fn place(&self) -> String {
        format!("{}: {}", self.file, self.function)
    }

    fn bind(&mut self, name: String, bound: Bound) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.insert(name, bound);
        }
    }

    /// Names of a pattern stand for something that is not known.
    fn bind_unknown(&mut self, pattern: &Pat) {
        let mut names = Names::default();
        names.visit_pat(pattern);
        for name in names.0 {
            self.bind(name, Bound::Texts(Vec::new()));
        }
    }

    fn within<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        self.scopes.push(HashMap::new());
        let result = read(self);
        self.scopes.pop();
        result
    }

    fn add_function(&mut self, name: &str) -> usize {
        self.functions.push(Function { name: name.to_owned(), file: self.file.clone() });
        self.functions.len() - 1
    }

    /// A function has scopes of its own.
    fn read_function(&mut self, signature: &Signature, body: &'a Block) {
        let name = signature.ident.to_string();
        let outer = (std::mem::take(&mut self.scopes), std::mem::replace(&mut self.function, name.clone()));
        let function = self.add_function(&name);
        self.within(|reader| {
            let typed = signature.inputs.iter().filter_map(|input| match input {
                FnArg::Typed(typed) => Some(&*typed.pat),
                FnArg::Receiver(_) => None,
            });
            for (number, pattern) in typed.enumerate() {
                reader.bind_parameter(pattern, Parameter { function, number });
            }
            reader.visit_block(body);
        });
        (self.scopes, self.function) = outer;
    }

    fn bind_parameter(&mut self, pattern: &Pat, parameter: Parameter) {
        match pattern {
            Pat::Ident(name) => {
                self.bind(name.ident.to_string(), Bound::Texts(vec![Text::parameter(parameter)]));
            }
            Pat::Type(typed) => self.bind_parameter(&typed.pat, parameter),
            other => self.bind_unknown(other),
        }
    }

    /// A closure that has a name is a function.
    fn read_closure(&mut self, name: &str, closure: &'a ExprClosure) -> usize {
        let function = self.add_function(name);
        self.within(|reader| {
            for (number, pattern) in closure.inputs.iter().enumerate() {
                reader.bind_parameter(pattern, Parameter { function, number });
            }
            reader.visit_expr(&closure.body);
        });
        function
    }

    fn lookup(&self, name: &str) -> Option<&Bound> {
        self.scopes.iter().rev().find_map(|scope| scope.get(name))
    }

    /// The texts that an expression may be; none, where that is not known.
    fn texts(&mut self, expr: &Expr) -> Vec<Text> {
        match expr {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(text) => vec![Text::plain(text.value())],
                _ => Vec::new(),
            },
            Expr::Macro(call) if call.mac.path.is_ident("format") => self.format(&call.mac),
            Expr::Path(path) => self.named(&path.path),
            Expr::Reference(inner) => self.texts(&inner.expr),
            Expr::Paren(inner) => self.texts(&inner.expr),
            Expr::Try(inner) => self.texts(&inner.expr),
            Expr::MethodCall(call) if PASSES.contains(&call.method.to_string().as_str()) => {
                self.texts(&call.receiver)
            }
            Expr::Block(block) => self.last(&block.block),
            Expr::If(branch) => self.within(|reader| {
                if let Expr::Let(condition) = &*branch.cond {
                    reader.bind_unknown(&condition.pat);
                }
                let mut texts = reader.last(&branch.then_branch);
                if let Some((_, otherwise)) = &branch.else_branch {
                    texts.extend(reader.texts(otherwise));
                }
                texts
            }),
            Expr::Match(choice) => {
                let of_arm = |arm: &Arm| {
                    self.within(|reader| {
                        reader.bind_unknown(&arm.pat);
                        reader.texts(&arm.body)
                    })
                };
                choice.arms.iter().flat_map(of_arm).collect()
            }
            _ => Vec::new(),
        }
    }

    /// What a block ends with.
    fn last(&mut self, block: &Block) -> Vec<Text> {
        self.within(|reader| {
            for statement in &block.stmts {
                if let Stmt::Local(local) = statement {
                    reader.bind_local(local);
                }
            }
            match block.stmts.last() {
                Some(Stmt::Expr(expr, None)) => reader.texts(expr),
                _ => Vec::new(),
            }
        })
    }

    fn named(&mut self, path: &syn::Path) -> Vec<Text> {
        let Some(last) = path.segments.last() else { return Vec::new() };
        let name = last.ident.to_string();
        if name.starts_with("ERRCODE_") {
            return vec![Text::plain(name)];
        }
        if path.segments.len() > 1 {
            return Vec::new();
        }
        match self.lookup(&name) {
            Some(Bound::Texts(texts)) => texts.clone(),
            Some(Bound::Closure(_)) => Vec::new(),
            None => self.constants.get(&name).copied().map_or_else(Vec::new, |expr| self.texts(expr)),
        }
    }

    /// A format has `…` where something is put in; one that says nothing by itself has what a variable in it says.
    fn format(&self, call: &Macro) -> Vec<Text> {
        let arguments = arguments(call);
        let Some(Expr::Lit(ExprLit { lit: Lit::Str(text), .. })) = arguments.first() else {
            return Vec::new();
        };
        let format = Format::of_rust(&text.value());
        let shown = Text::plain(format.shown());
        if shown.says_something() {
            return vec![shown];
        }
        let known = |name: &String| match self.lookup(name) {
            Some(Bound::Texts(texts)) if !texts.is_empty() => Some(texts),
            _ => None,
        };
        let Some((at, texts)) =
            format.names.iter().enumerate().find_map(|(at, name)| Some((at, known(name)?)))
        else {
            return Vec::new();
        };
        let whole = Text { words: format.with_hole(at), of: None };
        whole.with(texts)
    }

    /// A variable, but for a closure, which is read where it stands.
    fn bind_local(&mut self, local: &Local) {
        let init = local.init.as_ref().map(|init| &*init.expr);
        let pattern = match &local.pat {
            Pat::Type(typed) => &*typed.pat,
            other => other,
        };
        match (pattern, init) {
            (Pat::Ident(name), Some(init)) => {
                let texts = self.texts(init);
                self.bind(name.ident.to_string(), Bound::Texts(texts));
            }
            (Pat::Tuple(names), Some(Expr::Tuple(parts))) => {
                for (name, part) in names.elems.iter().zip(&parts.elems) {
                    match name {
                        Pat::Ident(name) => {
                            let texts = self.texts(part);
                            self.bind(name.ident.to_string(), Bound::Texts(texts));
                        }
                        other => self.bind_unknown(other),
                    }
                }
            }
            (other, _) => self.bind_unknown(other),
        }
    }

    /// A failure is made; what is called on it says the rest.
    fn made(&mut self, state: Vec<Text>, message: Vec<Text>) {
        let said = |wanted: &str| self.chain.iter().find(|(name, _)| name == wanted).map(|(_, given)| *given);
        // Nobody but the server's log is told.
        let is_logged = said("say").is_some_and(|level| last_name(level) == "LOG");
        let remarks = ["detail", "hint"].map(said);
        let remarks = remarks.into_iter().flatten().collect::<Vec<_>>();
        let remarks =
            remarks.into_iter().flat_map(|given| self.texts(given)).map(|text| text.words.replace(HOLE, ANY));
        let remark = remarks.collect::<Vec<String>>().join(" ");
        let place = self.place();
        self.sites.push(Site { state, message, remark, place, is_logged });
    }
}

impl<'a> Visit<'a> for Reader<'a> {
    fn visit_item_fn(&mut self, function: &'a ItemFn) {
        self.read_function(&function.sig, &function.block);
    }

    fn visit_impl_item_fn(&mut self, function: &'a ImplItemFn) {
        self.read_function(&function.sig, &function.block);
    }

    fn visit_block(&mut self, block: &'a Block) {
        self.within(|reader| visit::visit_block(reader, block));
    }

    fn visit_local(&mut self, local: &'a Local) {
        let name = match &local.pat {
            Pat::Ident(name) => Some(name.ident.to_string()),
            _ => None,
        };
        let init = local.init.as_ref();
        if let (Some(name), Some(Expr::Closure(closure))) = (name, init.map(|init| &*init.expr)) {
            let function = self.read_closure(&name, closure);
            self.bind(name, Bound::Closure(function));
            return;
        }
        visit::visit_local(self, local);
        self.bind_local(local);
    }

    fn visit_arm(&mut self, arm: &'a Arm) {
        self.within(|reader| {
            reader.bind_unknown(&arm.pat);
            visit::visit_arm(reader, arm);
        });
    }

    fn visit_expr_if(&mut self, branch: &'a ExprIf) {
        self.within(|reader| {
            if let Expr::Let(condition) = &*branch.cond {
                reader.bind_unknown(&condition.pat);
            }
            visit::visit_expr_if(reader, branch);
        });
    }

    fn visit_expr_closure(&mut self, closure: &'a ExprClosure) {
        self.within(|reader| {
            for pattern in &closure.inputs {
                reader.bind_unknown(pattern);
            }
            visit::visit_expr_closure(reader, closure);
        });
    }

    fn visit_expr_method_call(&mut self, call: &'a ExprMethodCall) {
        if last_name(&call.receiver) == "self" {
            self.called(call.method.to_string(), None, &call.args);
        }
        let first = call.args.first();
        if let Some(given) = first {
            self.chain.push((call.method.to_string(), given));
        }
        self.visit_expr(&call.receiver);
        if first.is_some() {
            self.chain.pop();
        }
        let chain = std::mem::take(&mut self.chain);
        for argument in &call.args {
            self.visit_expr(argument);
        }
        self.chain = chain;
    }

    fn visit_expr_call(&mut self, call: &'a ExprCall) {
        if let Expr::Path(path) = &*call.func {
            let names: Vec<String> = path.path.segments.iter().map(|part| part.ident.to_string()).collect();
            let module = names.iter().rev().nth(1).cloned();
            let makes = match (module.as_deref(), names.last().map(String::as_str)) {
                (Some("Failure"), Some("new")) => true,
                (Some("Self"), Some("new")) => self.file == DEFINITION,
                _ => false,
            };
            let given: Vec<&Expr> = call.args.iter().collect();
            if let (true, [state, message]) = (makes, &given[..]) {
                let (state, message) = (self.texts(state), self.texts(message));
                self.made(state, message);
            } else if let Some(name) = names.last() {
                self.called(name.clone(), module, &call.args);
            }
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_expr_struct(&mut self, made: &'a ExprStruct) {
        let field = |wanted: &str| {
            let is = |member: &Member| matches!(member, Member::Named(name) if name == wanted);
            made.fields.iter().find(|field| is(&field.member)).map(|field| &field.expr)
        };
        if let (true, Some(message)) = (made.path.is_ident("Failure"), field("message")) {
            let state = field("code").map_or_else(Vec::new, |code| self.texts(code));
            let message = self.texts(message);
            self.made(state, message);
        }
        visit::visit_expr_struct(self, made);
    }

    fn visit_macro(&mut self, call: &'a Macro) {
        if call.path.is_ident("ereport")
            && let [_, state, message, ..] = &arguments(call)[..]
        {
            let (state, message) = (self.texts(state), self.texts(message));
            self.made(state, message);
        }
        let said = SAYS.iter().find(|(name, _)| call.path.is_ident(name));
        if let Some((_, state)) = said {
            let message = self.format(call);
            self.made(vec![Text::plain(*state)], message);
        }
    }
}

impl Reader<'_> {
    fn called(&mut self, name: String, module: Option<String>, arguments: &Punctuated<Expr, Token![,]>) {
        let closure = match self.lookup(&name) {
            Some(Bound::Closure(closure)) if module.is_none() => Some(*closure),
            _ => None,
        };
        let given = arguments.iter().map(|argument| self.texts(argument)).collect();
        self.calls.push(Call { name, module, closure, file: self.file.clone(), place: self.place(), given });
    }
}

/// The names that a pattern has.
#[derive(Default)]
struct Names(Vec<String>);

impl<'a> Visit<'a> for Names {
    fn visit_pat_ident(&mut self, name: &'a PatIdent) {
        self.0.push(name.ident.to_string());
        visit::visit_pat_ident(self, name);
    }
}

/// The arguments of a macro that takes expressions.
fn arguments(call: &Macro) -> Vec<Expr> {
    let parser = Punctuated::<Expr, Token![,]>::parse_terminated;
    parser.parse2(call.tokens.clone()).map_or_else(|_| Vec::new(), |list| list.into_iter().collect())
}

fn last_name(expr: &Expr) -> String {
    match expr {
        Expr::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()).unwrap_or_default(),
        _ => String::new(),
    }
}
