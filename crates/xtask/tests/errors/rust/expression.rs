//! What is known of an expression's text.

use syn::parse::Parser as _;
use syn::punctuated::Punctuated;
use syn::{Arm, Block, Expr, ExprLit, Lit, Local, Macro, Pat, Stmt, Token};

use super::{Bound, Reader};
use crate::texts::{Format, Text};

/// Methods that leave a text as it is.
const PASSES: [&str; 6] = ["to_owned", "to_string", "into", "clone", "as_str", "as_ref"];

impl Reader<'_> {
    /// The texts that an expression may be; none, where that is not known.
    pub(super) fn texts(&mut self, expr: &Expr) -> Vec<Text> {
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
    pub(super) fn last(&mut self, block: &Block) -> Vec<Text> {
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

    pub(super) fn named(&mut self, path: &syn::Path) -> Vec<Text> {
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
    pub(super) fn format(&self, call: &Macro) -> Vec<Text> {
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
    pub(super) fn bind_local(&mut self, local: &Local) {
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
}

/// The arguments of a macro that takes expressions.
pub(super) fn arguments(call: &Macro) -> Vec<Expr> {
    let parser = Punctuated::<Expr, Token![,]>::parse_terminated;
    parser.parse2(call.tokens.clone()).map_or_else(|_| Vec::new(), |list| list.into_iter().collect())
}

pub(super) fn last_name(expr: &Expr) -> String {
    match expr {
        Expr::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()).unwrap_or_default(),
        _ => String::new(),
    }
}
