//! Texts that functions return.

use pgrx::PgMemoryContexts;
use pgrx::callconv::{BoxRet, FcInfo};
use pgrx::prelude::*;

/// A `text` in the server's encoding: a new one, or one that is kept and handed out again.
pub struct ServerText(pg_sys::Datum);

pgrx::impl_sql_translatable!(ServerText, "text");

impl ServerText {
    /// A copy of the bytes, in the current memory context.
    pub fn new(bytes: &[u8]) -> Self {
        let length = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
        // SAFETY: copies that many bytes, which are there; no text is longer than what fits an i32.
        Self(unsafe { pg_sys::cstring_to_text_with_len(bytes.as_ptr().cast(), length) }.into())
    }
}

/// Prime, so that few of the names that a statement meets share a slot.
const SLOTS: usize = 127;

/// Texts that a function has returned at one place of a statement: it has few to return, and copying one takes longer
/// than finding it.
pub struct KeptTexts {
    context: pg_sys::MemoryContext,
    slots: Vec<Option<(Box<[u8]>, pg_sys::Datum)>>,
}

impl KeptTexts {
    /// None yet.
    ///
    /// # Safety
    /// The memory context outlives what is made here, and every text that is handed out.
    pub unsafe fn new(context: pg_sys::MemoryContext) -> Self {
        Self { context, slots: vec![None; SLOTS] }
    }

    /// The bytes as a text. PostgreSQL never changes or frees a function's result in place, since it could as well be
    /// an argument; so what is kept is never freed, and a slot that is taken stays as it is.
    pub fn text(&mut self, bytes: &[u8]) -> ServerText {
        let hash = bytes.iter().fold(bytes.len(), |hash, byte| hash.wrapping_mul(31) ^ usize::from(*byte));
        let Some(slot) = self.slots.get_mut(hash % SLOTS) else { return ServerText::new(bytes) };
        match slot {
            Some((kept, datum)) if **kept == *bytes => ServerText(*datum),
            Some(_) => ServerText::new(bytes),
            None => {
                // SAFETY: the context is alive, as whoever made this vouched.
                let new =
                    unsafe { PgMemoryContexts::For(self.context).switch_to(|_| ServerText::new(bytes)) };
                *slot = Some((bytes.into(), new.0));
                new
            }
        }
    }
}

// SAFETY: the datum is a text that lives at least as long as the row's memory context.
unsafe impl BoxRet for ServerText {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> pgrx::datum::Datum<'fcx> {
        // SAFETY: as above, and it is never NULL.
        unsafe { fcinfo.return_raw_datum(self.0) }
    }
}
