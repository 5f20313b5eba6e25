//! The columns of a raw record, read straight from the call: unboxing nine arguments one by one takes longer than
//! judging them. What the functions are in SQL says `sql/raw_records.sql`.

use groundskeeper_core::quality::{Bet, Record};
use pgrx::prelude::*;

use super::arguments::{Extent, JsonbArgument, borrow};

/// A call of one of these functions, of so many arguments. Their places are constants, so whatever is inlined checks no
/// bounds.
pub struct Call<'fcx, const ARGUMENTS: usize>(&'fcx [pg_sys::NullableDatum; ARGUMENTS]);

impl<'fcx> Call<'fcx, 9> {
    /// A moneyline, and the rules to judge it by.
    #[inline]
    pub fn moneyline(&self) -> (Record<'fcx>, JsonbArgument<'fcx>) {
        let bet = Bet::Moneyline { home_odds: self.integer(2), away_odds: self.integer(3) };
        (self.record(bet, 4), self.rules(8))
    }

    /// A spread, and the rules to judge it by.
    #[inline]
    pub fn spread(&self) -> (Record<'fcx>, JsonbArgument<'fcx>) {
        let bet = Bet::Spread { has_value: self.is_finite(2), odds: self.integer(3) };
        (self.record(bet, 4), self.rules(8))
    }
}

impl<'fcx> Call<'fcx, 10> {
    /// A total, and the rules to judge it by.
    #[inline]
    pub fn total(&self) -> (Record<'fcx>, JsonbArgument<'fcx>) {
        let bet = Bet::Total {
            has_points: self.is_finite(2),
            over_odds: self.integer(3),
            under_odds: self.integer(4),
        };
        (self.record(bet, 5), self.rules(9))
    }
}

impl<'fcx, const ARGUMENTS: usize> Call<'fcx, ARGUMENTS> {
    /// The call's arguments.
    ///
    /// # Safety
    /// `fcinfo` is what the function manager called a function with that `sql/raw_records.sql` makes with so many
    /// arguments.
    #[inline]
    pub unsafe fn of(fcinfo: pg_sys::FunctionCallInfo) -> Self {
        // SAFETY: the function manager passes as many as are declared, and they live as long as the call.
        Self(unsafe { &*(*fcinfo).args.as_ptr().cast() })
    }

    /// The columns that all of them have: two before those of the bet, four after them, which begin at `rest`.
    #[inline(always)]
    fn record(&self, bet: Bet, rest: usize) -> Record<'fcx> {
        Record {
            sportsbook_name: self.bytes(0, Extent::Whole),
            game_external_id: self.bytes(1, Extent::Whole),
            source: self.bytes(rest, Extent::Whole),
            raw_data_is_object: self.is_object(rest + 1),
            collected_at: self.moment(rest + 2),
            created_at: self.moment(rest + 3),
            bet,
        }
    }

    #[inline(always)]
    fn datum(&self, place: usize) -> Option<pg_sys::Datum> {
        let argument = &self.0[place];
        (!argument.isnull).then_some(argument.value)
    }

    #[inline(always)]
    fn bytes(&self, place: usize, extent: Extent) -> Option<&'fcx [u8]> {
        // SAFETY: those that are read so are varlenas by the functions' declarations, and live as long as the call.
        self.datum(place).map(|datum| unsafe { borrow(datum, extent) })
    }

    #[inline(always)]
    fn integer(&self, place: usize) -> Option<i32> {
        // An integer lies in the lower half.
        self.datum(place).map(|datum| datum.value() as i32)
    }

    #[inline(always)]
    fn moment(&self, place: usize) -> Option<i64> {
        self.datum(place).map(|datum| datum.value() as i64)
    }

    /// Whether a jsonb is an object; NULL is none. Its first word holds the type of its root.
    #[inline(always)]
    fn is_object(&self, place: usize) -> bool {
        let header = self.bytes(place, Extent::First(4)).and_then(<[u8]>::first_chunk);
        header.is_some_and(|header| u32::from_ne_bytes(*header) & pg_sys::JB_FOBJECT != 0)
    }

    /// Whether a numeric is a number: neither NULL nor NaN nor an infinity. Its first half-word begins with two ones
    /// where what follows is none.
    #[inline(always)]
    fn is_finite(&self, place: usize) -> bool {
        let header = self.bytes(place, Extent::First(2)).and_then(<[u8]>::first_chunk);
        header.is_some_and(|header| u16::from_ne_bytes(*header) >> 14 != 0b11)
    }

    #[inline(always)]
    fn rules(&self, place: usize) -> JsonbArgument<'fcx> {
        JsonbArgument::of(self.bytes(place, Extent::Whole))
    }
}
