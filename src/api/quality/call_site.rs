//! What a function keeps from one call to the next at the same place of the same statement.

use groundskeeper_core::quality::{Rules, Score};
use pgrx::callconv::{BoxRet, FcInfo};
use pgrx::pg_sys::Datum;
use pgrx::prelude::*;
use pgrx::{PgMemoryContexts, is_a};

use super::arguments::{Codes, JsonbArgument, Number};
use super::rules;
use super::verdict::Verdicts;

/// Prime, and so without a collision among scores that differ by whole points.
const KEPT_NUMERICS: usize = 127;
/// More than records usually lack different things; looked through one by one.
const KEPT_SETS: usize = 16;

/// The rules last read and the results last made: a table has few distinct scores, and making a `numeric` costs
/// more than deciding it.
pub struct CallSite {
    context: pg_sys::MemoryContext,
    /// Whether the rules are the same constant in each call, and need not be compared.
    constant_rules: bool,
    rules: Option<(Box<[u8]>, Rules)>,
    numerics: [Option<(Score, Datum)>; KEPT_NUMERICS],
    sets: Vec<(Vec<&'static str>, Datum)>,
    statuses: Vec<(Assessed, &'static str)>,
    verdicts: Verdicts,
}

/// A score and the issues beside it, as they are stored.
type Assessed = (Box<[u8]>, Box<[u8]>);

/// An array of text that may be handed out again.
pub struct KeptCodes(Datum);

pgrx::impl_sql_translatable!(KeptCodes, "text[]");

// SAFETY: the datum is an array of text that lives at least as long as the row's memory context.
unsafe impl BoxRet for KeptCodes {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> pgrx::datum::Datum<'fcx> {
        // SAFETY: as above, and it is never NULL.
        unsafe { fcinfo.return_raw_datum(self.0) }
    }
}

/// A `numeric` that may be handed out again.
///
/// PostgreSQL never changes or frees a function's result in place, since it could as well be an argument.
pub struct KeptNumeric(Datum);

pgrx::impl_sql_translatable!(KeptNumeric, "numeric");

// SAFETY: the datum is a numeric that lives at least as long as the row's memory context.
unsafe impl BoxRet for KeptNumeric {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> pgrx::datum::Datum<'fcx> {
        // SAFETY: as above, and it is never NULL.
        unsafe { fcinfo.return_raw_datum(self.0) }
    }
}

impl CallSite {
    /// What was kept at this place; nothing at first.
    ///
    /// # Safety
    /// `fcinfo` is what the function manager called us with, and nothing else of this call holds its call site.
    pub unsafe fn of<'a>(fcinfo: pg_sys::FunctionCallInfo) -> &'a mut Self {
        // SAFETY: the function manager always passes a valid FmgrInfo. Its `fn_extra` is ours alone, and the
        // memory context that frees what we store there is the one in which the FmgrInfo itself lives.
        unsafe {
            let place = &mut *(*fcinfo).flinfo;
            if place.fn_extra.is_null() {
                let new = Self {
                    context: place.fn_mcxt,
                    constant_rules: last_argument_is_constant(place),
                    rules: None,
                    numerics: [None; KEPT_NUMERICS],
                    sets: Vec::new(),
                    statuses: Vec::new(),
                    verdicts: Verdicts::default(),
                };
                place.fn_extra = PgMemoryContexts::For(place.fn_mcxt).leak_and_drop_on_delete(new).cast();
            }
            &mut *place.fn_extra.cast()
        }
    }

    /// The rules to apply: the built-in ones for NULL. Raises an error for what is no set of rules.
    pub fn rules(&mut self, argument: JsonbArgument<'_>) -> &Rules {
        if self.constant_rules && self.rules.is_some() {
            return self.current_rules();
        }
        let image = argument.image();
        if self.rules.as_ref().map(|(kept, _)| &**kept) != image {
            self.statuses.clear();
            self.verdicts.clear();
            self.rules = image.map(|image| (image.into(), rules::read_or_raise(image)));
        }
        self.current_rules()
    }

    /// What lives as long as what is kept.
    pub fn context(&self) -> pg_sys::MemoryContext {
        self.context
    }

    /// The rules last read, and the verdicts by them.
    pub fn verdicts(&mut self) -> (&Rules, &mut Verdicts) {
        let rules = self.rules.as_ref().map_or(&Rules::DEFAULT, |(_, rules)| rules);
        (rules, &mut self.verdicts)
    }

    fn current_rules(&self) -> &Rules {
        self.rules.as_ref().map_or(&Rules::DEFAULT, |(_, rules)| rules)
    }

    /// The status of a score and issues by the rules last read, worked out by `decide` unless they were seen before.
    pub fn status(
        &mut self,
        score: Number<'_>,
        issues: Codes<'_>,
        decide: impl FnOnce(&Rules) -> Option<&'static str>,
    ) -> Option<&'static str> {
        let assessed = (score.image(), issues.image());
        let same = |(kept, _): &&(Assessed, _)| (&*kept.0, &*kept.1) == assessed;
        if let Some((_, status)) = self.statuses.iter().find(same) {
            return Some(status);
        }
        let status = decide(self.current_rules())?;
        if self.statuses.len() == KEPT_SETS {
            self.statuses.clear();
        }
        self.statuses.push(((assessed.0.into(), assessed.1.into()), status));
        Some(status)
    }

    /// The codes as an array of text.
    pub fn codes(&mut self, codes: Vec<&'static str>) -> Option<KeptCodes> {
        if let Some((_, datum)) = self.sets.iter().find(|(kept, _)| *kept == codes) {
            return Some(KeptCodes(*datum));
        }
        if self.sets.len() == KEPT_SETS {
            return codes.into_datum().map(KeptCodes);
        }
        // SAFETY: the context belongs to the FmgrInfo that we were called with, so it is alive.
        let datum = unsafe { PgMemoryContexts::For(self.context).switch_to(|_| codes.clone().into_datum()) }?;
        self.sets.push((codes, datum));
        Some(KeptCodes(datum))
    }

    /// The score as a `numeric` with two decimals.
    pub fn numeric(&mut self, score: Score) -> KeptNumeric {
        let make = || numeric_from_hundredths(score.hundredths().into());
        let slot = &mut self.numerics[usize::from(score.hundredths()) % KEPT_NUMERICS];
        KeptNumeric(match slot {
            Some((kept, datum)) if *kept == score => *datum,
            Some(_) => make(),
            None => {
                // SAFETY: the context belongs to the FmgrInfo that we were called with, so it is alive.
                let datum = unsafe { PgMemoryContexts::For(self.context).switch_to(|_| make()) };
                *slot = Some((score, datum));
                datum
            }
        })
    }
}

/// Whether a function's last argument is a constant at this place of the statement. (A parameter is none: an
/// expression of PL/pgSQL keeps its place from one value of it to the next.)
pub fn last_argument_is_constant(place: &pg_sys::FmgrInfo) -> bool {
    let call: *const pg_sys::FuncExpr = place.fn_expr.cast();
    // SAFETY: the expression, where there is one, is a node that lives as long as the FmgrInfo; one that is a FuncExpr
    // has a list of nodes as its arguments, and a list that is there has at least one element.
    unsafe {
        if call.is_null() || !is_a(place.fn_expr, pg_sys::NodeTag::T_FuncExpr) {
            return false;
        }
        let Some(arguments) = (*call).args.as_ref() else { return false };
        let last = usize::try_from(arguments.length).unwrap_or(1) - 1;
        is_a((*arguments.elements.add(last)).ptr_value.cast(), pg_sys::NodeTag::T_Const)
    }
}

/// A new `numeric` in the current memory context.
pub fn numeric_from_hundredths(hundredths: i64) -> Datum {
    // SAFETY: no argument can make it fail; it allocates its result.
    unsafe { pg_sys::int64_div_fast_to_numeric(hundredths, 2) }.into()
}
