//! All that the migration wants to know of a record, in one value: it asks row by row, and reading the arguments takes
//! longer than judging them.

use groundskeeper_core::quality::{Issue, Issues, Record, Rules, Score, status};
use pgrx::callconv::{BoxRet, FcInfo};
use pgrx::prelude::*;
use pgrx::{JsonB, PgMemoryContexts};

use super::arguments::JsonbArgument;
use super::call_site::{CallSite, numeric_from_hundredths};
use super::raw_record::Call;

/// Prime; records differ in few ways.
const SLOTS: usize = 127;

/// A `groundskeeper_internal.verdict` that may be handed out again.
pub struct KeptVerdict(pg_sys::Datum);

pgrx::impl_sql_translatable!(KeptVerdict, "groundskeeper_internal.verdict");

// SAFETY: the datum is a row of that type that lives at least as long as the row's memory context.
unsafe impl BoxRet for KeptVerdict {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> pgrx::datum::Datum<'fcx> {
        // SAFETY: as above, and it is never NULL.
        unsafe { fcinfo.return_raw_datum(self.0) }
    }
}

/// How often they may be forgotten: what was kept stays in memory until the statement's place is gone.
const FORGOTTEN: u8 = 8;

/// The verdicts that a function has given at one place of a statement, by one set of rules.
#[derive(Default)]
pub struct Verdicts {
    slots: Vec<Option<((Score, Issues), pg_sys::Datum)>>,
    forgotten: u8,
}

impl Verdicts {
    /// Forgets them, as the rules are others now.
    pub fn clear(&mut self) {
        self.slots.clear();
        self.forgotten = self.forgotten.saturating_add(1);
    }

    /// The verdict on that score and these issues: a kept one, or what `make` makes, in the context where it can be kept.
    fn of(
        &mut self,
        judged: (Score, Issues),
        context: pg_sys::MemoryContext,
        make: impl FnOnce() -> Option<pg_sys::Datum>,
    ) -> Option<pg_sys::Datum> {
        if self.forgotten > FORGOTTEN {
            return make();
        }
        if self.slots.is_empty() {
            self.slots.resize(SLOTS, None);
        }
        let (score, issues) = judged;
        let number = usize::from(score.hundredths()) ^ usize::from(issues.bits()).wrapping_mul(31);
        let slot = &mut self.slots[number % SLOTS];
        match slot {
            Some((kept, datum)) if *kept == judged => Some(*datum),
            Some(_) => make(),
            None => {
                // SAFETY: the context belongs to the FmgrInfo of the call, so it is alive.
                let datum = unsafe { PgMemoryContexts::For(context).switch_to(|_| make()) }?;
                *slot = Some((judged, datum));
                Some(datum)
            }
        }
    }
}

extension_sql_file!("../../../sql/verdict.sql", name = "verdict", requires = ["bootstrap"]);

#[pg_extern(sql = false)]
fn moneyline_verdict(fcinfo: pg_sys::FunctionCallInfo) -> Option<KeptVerdict> {
    // SAFETY: the function manager called us with it, and `sql/raw_records.sql` declares us.
    let (record, rules) = unsafe { Call::of(fcinfo) }.moneyline();
    verdict(fcinfo, rules, &record)
}

#[pg_extern(sql = false)]
fn spread_verdict(fcinfo: pg_sys::FunctionCallInfo) -> Option<KeptVerdict> {
    // SAFETY: the function manager called us with it, and `sql/raw_records.sql` declares us.
    let (record, rules) = unsafe { Call::of(fcinfo) }.spread();
    verdict(fcinfo, rules, &record)
}

#[pg_extern(sql = false)]
fn total_verdict(fcinfo: pg_sys::FunctionCallInfo) -> Option<KeptVerdict> {
    // SAFETY: the function manager called us with it, and `sql/raw_records.sql` declares us.
    let (record, rules) = unsafe { Call::of(fcinfo) }.total();
    verdict(fcinfo, rules, &record)
}

fn verdict(
    fcinfo: pg_sys::FunctionCallInfo,
    rules: JsonbArgument<'_>,
    record: &Record<'_>,
) -> Option<KeptVerdict> {
    // SAFETY: the function manager called us with it, and nothing else in this call asks for its call site.
    let site = unsafe { CallSite::of(fcinfo) };
    let rules = site.rules(rules);
    let judged = (record.score(rules), record.issues(rules));
    let context = site.context();
    let (rules, verdicts) = site.verdicts();
    verdicts.of(judged, context, || made(fcinfo, judged, rules)).map(KeptVerdict)
}

/// A new row of the function's type, in the current memory context.
fn made(fcinfo: pg_sys::FunctionCallInfo, judged: (Score, Issues), rules: &Rules) -> Option<pg_sys::Datum> {
    let (score, issues) = judged;
    let codes: Vec<&'static str> = issues.iter().map(Issue::code).collect();
    let status = status(score.hundredths().into(), codes.iter().copied(), rules).code();
    let errors = (!codes.is_empty()).then(|| JsonB(codes.clone().into()));
    let fields = [
        Some(numeric_from_hundredths(score.hundredths().into())),
        codes.into_datum(),
        status.into_datum(),
        errors.into_datum(),
    ];
    let mut nulls = fields.map(|field| field.is_none());
    let mut values = fields.map(|field| field.unwrap_or_else(|| 0.into()));
    // SAFETY: in a call of a function whose type is a row of these four columns, in this order; the descriptor is a copy
    // in the current memory context, as is the row.
    unsafe {
        let mut row = std::ptr::null_mut();
        pg_sys::get_call_result_type(fcinfo, std::ptr::null_mut(), &raw mut row);
        if row.is_null() {
            return None;
        }
        let tuple = pg_sys::heap_form_tuple(row, values.as_mut_ptr(), nulls.as_mut_ptr());
        Some(pg_sys::heap_copy_tuple_as_datum(tuple, row))
    }
}
