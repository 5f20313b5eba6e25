//! Texts come and go in the server's encoding; in Rust they are UTF-8. They are converted here, and nowhere else.
//!
//! What has no equivalent stands in Rust as one character a byte, of a range that nobody uses, and becomes those bytes
//! again on its way back: so any name can be found and written, whatever it is made of, and SQL_ASCII, which knows of
//! no characters, needs no care of anybody else's. A database in UTF-8 has none of that: what is not UTF-8 there is of
//! another database, such as a role's name, and is replaced.

use pgrx::callconv::{Arg, ArgAbi, BoxRet, FcInfo};
use pgrx::datum::UnboxDatum;
use pgrx::nullable::Nullable;
use pgrx::pg_sys::{self, Datum, Oid, pg_enc};
use pgrx::{FromDatum, IntoDatum};
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ops::Deref;

/// The character that stands for the byte 0 of what has no equivalent, which there is none of.
const BYTES: u32 = 0x0010_FF00;
/// How much longer a text can become (MAX_CONVERSION_GROWTH).
const GROWTH: usize = 4;

/// The encoding that PostgreSQL converts texts from; none where they are UTF-8, or where, as in SQL_ASCII, nobody knows
/// what they are, which often is UTF-8.
fn foreign() -> Option<c_int> {
    let encoding = server();
    let native = [pg_enc::PG_UTF8, pg_enc::PG_SQL_ASCII].map(|native| native as c_int);
    (!native.contains(&encoding)).then_some(encoding)
}

fn server() -> c_int {
    // SAFETY: a plain read of what is fixed for the life of the process.
    unsafe { pg_sys::GetDatabaseEncoding() }
}

fn is_utf8() -> bool {
    server() == pg_enc::PG_UTF8 as c_int
}

/// A text of the server's.
pub fn to_rust(bytes: &[u8]) -> String {
    if bytes.is_ascii() || is_utf8() {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    let Some(encoding) = foreign() else { return of_valid_parts(bytes) };
    let as_bytes = |byte| stand_in(byte).encode_utf8(&mut [0; 4]).as_bytes().to_vec();
    String::from_utf8_lossy(&convert(bytes, encoding, pg_enc::PG_UTF8 as c_int, as_bytes)).into_owned()
}

/// A text for the server.
pub fn to_server(text: &str) -> Vec<u8> {
    if text.is_ascii() || is_utf8() {
        return text.as_bytes().to_vec();
    }
    let mut out = Vec::with_capacity(text.len());
    for part in text.split_inclusive(|character| stood_for(character).is_some()) {
        let byte = part.chars().next_back().and_then(stood_for);
        let plain = part.strip_suffix(|character| stood_for(character).is_some()).unwrap_or(part);
        out.extend(plain_to_server(plain));
        out.extend(byte);
    }
    out
}

/// The same, for what PostgreSQL wants to end with NUL; `None` where there is one before.
pub fn to_server_cstring(text: &str) -> Option<CString> {
    CString::new(to_server(text)).ok()
}

/// For an error, a warning or a note: pgrx hands their texts on as they are, so they must be right in any encoding.
/// What is beyond ASCII is shown as the server's bytes where it is not known to be right.
pub fn shown(text: &str) -> String {
    if text.is_ascii() || is_utf8() { text.to_owned() } else { bytes_shown(&to_server(text)) }
}

fn bytes_shown(bytes: &[u8]) -> String {
    if foreign().is_none() {
        let part =
            |chunk: std::str::Utf8Chunk| format!("{}{}", chunk.valid(), chunk.invalid().escape_ascii());
        return bytes.utf8_chunks().map(part).collect();
    }
    let one =
        |byte: &u8| if byte.is_ascii() { char::from(*byte).to_string() } else { format!("\\x{byte:02x}") };
    bytes.iter().map(one).collect()
}

fn stand_in(byte: u8) -> char {
    char::from_u32(BYTES + u32::from(byte)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn stood_for(character: char) -> Option<u8> {
    u32::from(character)
        .checked_sub(BYTES)
        .and_then(|byte| u8::try_from(byte).ok())
        .filter(|byte| *byte >= 0x80)
}

/// What is UTF-8 is taken for that; each byte of the rest, and of what could be taken for a stand-in, stands for itself.
fn of_valid_parts(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        let valid = chunk.valid();
        if valid.contains(|character| stood_for(character).is_some()) {
            out.extend(
                valid.bytes().map(|byte| if byte.is_ascii() { char::from(byte) } else { stand_in(byte) }),
            );
        } else {
            out.push_str(valid);
        }
        out.extend(chunk.invalid().iter().copied().map(stand_in));
    }
    out
}

fn plain_to_server(plain: &str) -> Vec<u8> {
    let Some(encoding) = foreign() else { return plain.as_bytes().to_vec() };
    // A character that the server has not is one question mark, by its first byte.
    let question = |byte| if (0x80..0xC0).contains(&byte) { Vec::new() } else { vec![b'?'] };
    convert(plain.as_bytes(), pg_enc::PG_UTF8 as c_int, encoding, question)
}

/// Converts what can be, and has `otherwise` say what becomes of each byte that cannot.
fn convert(bytes: &[u8], from: c_int, to: c_int, otherwise: impl Fn(u8) -> Vec<u8>) -> Vec<u8> {
    if bytes.is_ascii() {
        return bytes.to_vec();
    }
    // SAFETY: asks the catalog, which a transaction is needed for.
    let procedure = unsafe {
        if pg_sys::IsTransactionState() {
            pg_sys::FindDefaultConversionProc(from, to)
        } else {
            pg_sys::InvalidOid
        }
    };
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while !rest.is_empty() {
        let done = if procedure == pg_sys::InvalidOid {
            rest.iter().take_while(|byte| byte.is_ascii()).inspect(|byte| out.push(**byte)).count()
        } else {
            converted(procedure, from, to, rest, &mut out)
        };
        rest = rest.get(done..).unwrap_or_default();
        if let Some((byte, following)) = rest.split_first() {
            out.extend(otherwise(*byte));
            rest = following;
        }
    }
    out
}

/// Appends the longest beginning that can be converted; how many bytes of the source that was.
fn converted(procedure: Oid, from: c_int, to: c_int, bytes: &[u8], out: &mut Vec<u8>) -> usize {
    let mut source = bytes.to_vec();
    source.push(0);
    let mut target = vec![0_u8; bytes.len() * GROWTH + GROWTH + 1];
    let (Ok(length), Ok(room)) = (c_int::try_from(bytes.len()), c_int::try_from(target.len())) else {
        return 0;
    };
    // SAFETY: both buffers are as long as is said, and the target is long enough for whatever the source becomes; it is
    // made to end with NUL.
    let done = unsafe {
        pg_sys::pg_do_encoding_conversion_buf(
            procedure,
            from,
            to,
            source.as_mut_ptr(),
            length,
            target.as_mut_ptr(),
            room,
            true,
        )
    };
    out.extend(target.into_iter().take_while(|byte| *byte != 0));
    usize::try_from(done).unwrap_or(0)
}

/// Runs what may raise an error of PostgreSQL's. pgrx reads their texts as UTF-8, and hands them on as what it has
/// read; so they are shown as ours are before it gets them.
pub fn with_errors_shown<T>(work: impl FnOnce() -> T) -> T {
    if is_utf8() {
        return work();
    }
    // SAFETY: a plain read of the list that this process, which has one thread, keeps of what is to be told of errors.
    let previous = unsafe { pg_sys::error_context_stack };
    let mut frame =
        pg_sys::ErrorContextCallback { previous, callback: Some(show_error), arg: std::ptr::null_mut() };
    let _pushed = Pushed { previous };
    // SAFETY: the frame is taken off before it goes, as the guard is dropped first, whether `work` returns or is left by
    // an error.
    unsafe { pg_sys::error_context_stack = &raw mut frame };
    work()
}

/// Takes a frame off the list of error contexts.
struct Pushed {
    previous: *mut pg_sys::ErrorContextCallback,
}

impl Drop for Pushed {
    fn drop(&mut self) {
        // SAFETY: what was on the list before the frame is on it still.
        unsafe { pg_sys::error_context_stack = self.previous };
    }
}

unsafe extern "C-unwind" {
    fn errmsg_internal(format: *const c_char, ...) -> c_int;
    fn errdetail_internal(format: *const c_char, ...) -> c_int;
    fn errhint(format: *const c_char, ...) -> c_int;
}

/// Called for an error that is about to be raised.
#[pgrx::pg_guard]
unsafe extern "C-unwind" fn show_error(_argument: *mut c_void) {
    // SAFETY: PostgreSQL calls it while that error is being put together. Its data are copied where they outlive the
    // error, and given back; a new text takes the place of the old one. No memory is asked for where there is none.
    unsafe {
        if pg_sys::geterrcode() == pgrx::PgSqlErrorCode::ERRCODE_OUT_OF_MEMORY as c_int {
            return;
        }
        let context = pg_sys::MemoryContextSwitchTo(pg_sys::TopMemoryContext);
        let error = pg_sys::CopyErrorData();
        pg_sys::MemoryContextSwitchTo(context);
        if (*error).elevel >= pgrx::PgLogLevel::ERROR as c_int {
            replace((*error).message, errmsg_internal);
            replace((*error).detail, errdetail_internal);
            replace((*error).hint, errhint);
        }
        pg_sys::FreeErrorData(error);
    }
}

/// # Safety
/// An error is being put together, and `text` is NULL or one of its texts.
#[allow(
    ffi_unwind_calls,
    reason = "what is raised meanwhile goes the way of the error itself, through pg_guard"
)]
unsafe fn replace(text: *const c_char, set: unsafe extern "C-unwind" fn(*const c_char, ...) -> c_int) {
    if text.is_null() {
        return;
    }
    // SAFETY: a text that ends with NUL.
    let bytes = unsafe { CStr::from_ptr(text) }.to_bytes();
    if let (false, Ok(shown)) = (bytes.is_ascii(), CString::new(bytes_shown(bytes))) {
        // SAFETY: the format takes one text that ends with NUL, which is copied.
        unsafe { set(c"%s".as_ptr(), shown.as_ptr()) };
    }
}

/// A `text`, whatever the server's encoding: what functions are given and return.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Utf8(String);

pgrx::impl_sql_translatable!(Utf8, "text");

impl Deref for Utf8 {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<String> for Utf8 {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Utf8 {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<Utf8> for String {
    fn from(text: Utf8) -> Self {
        text.0
    }
}

impl FromDatum for Utf8 {
    unsafe fn from_polymorphic_datum(datum: Datum, is_null: bool, _: Oid) -> Option<Self> {
        if is_null {
            return None;
        }
        // SAFETY: the caller vouches for a text that is not NULL; it is copied, after being detoasted if need be.
        unsafe {
            let text = pg_sys::pg_detoast_datum_packed(datum.cast_mut_ptr());
            let bytes = std::slice::from_raw_parts(
                pgrx::varlena::vardata_any(text).cast(),
                pgrx::varlena::varsize_any_exhdr(text),
            );
            Some(Self(to_rust(bytes)))
        }
    }
}

impl IntoDatum for Utf8 {
    fn into_datum(self) -> Option<Datum> {
        to_server(&self.0).into_datum()
    }

    fn type_oid() -> Oid {
        pg_sys::TEXTOID
    }

    fn is_compatible_with(other: Oid) -> bool {
        String::is_compatible_with(other)
    }
}

// SAFETY: it goes through `from_polymorphic_datum`, for a datum that is not NULL.
unsafe impl UnboxDatum for Utf8 {
    type As<'src> = Self;

    unsafe fn unbox<'src>(datum: pgrx::datum::Datum<'src>) -> Self
    where
        Self: 'src,
    {
        // SAFETY: the caller vouches for a text that is not NULL.
        unsafe { Self::from_polymorphic_datum(datum.sans_lifetime(), false, pg_sys::TEXTOID) }
            .unwrap_or_default()
    }
}

// SAFETY: the argument is read as the SQL type says; NULL is never read as a text.
unsafe impl<'fcx> ArgAbi<'fcx> for Utf8 {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: the caller's.
        unsafe { arg.unbox_arg_using_from_datum() }.unwrap_or_default()
    }

    unsafe fn unbox_nullable_arg(arg: Arg<'_, 'fcx>) -> Nullable<Self> {
        // SAFETY: the caller's.
        unsafe { arg.unbox_arg_using_from_datum::<Self>() }.into()
    }
}

// SAFETY: the datum is a text in the row's memory context.
unsafe impl BoxRet for Utf8 {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> pgrx::datum::Datum<'fcx> {
        match self.into_datum() {
            // SAFETY: as above.
            Some(datum) => unsafe { fcinfo.return_raw_datum(datum) },
            None => fcinfo.return_null(),
        }
    }
}
