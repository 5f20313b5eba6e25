//! The walk through a file: which names stand for what, which failures are made, and what is called.

use std::collections::HashMap;

use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{
    Arm, Block, Expr, ExprCall, ExprClosure, ExprIf, ExprMethodCall, ExprStruct, FnArg, ImplItemFn, ItemFn,
    Local, Macro, Member, Pat, PatIdent, Signature, Token,
};

use super::expression::{arguments, last_name};
use super::{Bound, Call, DEFINITION, Function, Reader, Site};
use crate::ANY;
use crate::texts::{HOLE, Parameter, Text};

/// pgrx's macros that only say something, with what PostgreSQL gives their level for a SQLSTATE.
const SAYS: [(&str, &str); 3] = [
    ("notice", "ERRCODE_SUCCESSFUL_COMPLETION"),
    ("info", "ERRCODE_SUCCESSFUL_COMPLETION"),
    ("warning", "ERRCODE_WARNING"),
];

impl<'a> Reader<'a> {
    pub(super) fn place(&self) -> String {
        format!("{}: {}", self.file, self.function)
    }

    pub(super) fn bind(&mut self, name: String, bound: Bound) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.insert(name, bound);
        }
    }

    /// Names of a pattern stand for something that is not known.
    pub(super) fn bind_unknown(&mut self, pattern: &Pat) {
        let mut names = Names::default();
        names.visit_pat(pattern);
        for name in names.0 {
            self.bind(name, Bound::Texts(Vec::new()));
        }
    }

    pub(super) fn within<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        self.scopes.push(HashMap::new());
        let result = read(self);
        self.scopes.pop();
        result
    }

    pub(super) fn add_function(&mut self, name: &str) -> usize {
        self.functions.push(Function { name: name.to_owned(), file: self.file.clone() });
        self.functions.len() - 1
    }

    /// A function has scopes of its own.
    pub(super) fn read_function(&mut self, signature: &Signature, body: &'a Block) {
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

    pub(super) fn bind_parameter(&mut self, pattern: &Pat, parameter: Parameter) {
        match pattern {
            Pat::Ident(name) => {
                self.bind(name.ident.to_string(), Bound::Texts(vec![Text::parameter(parameter)]));
            }
            Pat::Type(typed) => self.bind_parameter(&typed.pat, parameter),
            other => self.bind_unknown(other),
        }
    }

    /// A closure that has a name is a function.
    pub(super) fn read_closure(&mut self, name: &str, closure: &'a ExprClosure) -> usize {
        let function = self.add_function(name);
        self.within(|reader| {
            for (number, pattern) in closure.inputs.iter().enumerate() {
                reader.bind_parameter(pattern, Parameter { function, number });
            }
            reader.visit_expr(&closure.body);
        });
        function
    }

    pub(super) fn lookup(&self, name: &str) -> Option<&Bound> {
        self.scopes.iter().rev().find_map(|scope| scope.get(name))
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
