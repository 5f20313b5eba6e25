//! A few bytes that a worker and who started it share. A worker has no other way to answer somebody in another
//! database.

use pgrx::pg_sys;

/// A segment of dynamic shared memory with one message in it; gone when dropped.
pub struct Mailbox {
    segment: *mut pg_sys::dsm_segment,
}

/// The message's length comes first.
const HEADER: usize = size_of::<u64>();

impl Mailbox {
    /// An empty one for messages of up to `bytes`; `None` where there is no room for it.
    pub fn new(bytes: usize) -> Option<Self> {
        // SAFETY: the segment is ours until dsm_detach(); pinned, it outlives the transaction it may be made in.
        // Without room NULL is returned, as the flag asks for.
        let segment = unsafe {
            let segment = pg_sys::dsm_create(HEADER + bytes, pg_sys::DSM_CREATE_NULL_IF_MAXSEGMENTS as i32);
            if segment.is_null() {
                return None;
            }
            pg_sys::dsm_pin_mapping(segment);
            segment
        };
        let mailbox = Self { segment };
        mailbox.put(&[]);
        Some(mailbox)
    }

    /// The one with that number, unless who made it is gone.
    pub fn open(handle: u32) -> Option<Self> {
        // SAFETY: NULL is returned for a handle that is none any more.
        let segment = unsafe { pg_sys::dsm_attach(handle) };
        if segment.is_null() {
            return None;
        }
        // SAFETY: just attached.
        unsafe { pg_sys::dsm_pin_mapping(segment) };
        Some(Self { segment })
    }

    /// The number to open it by.
    pub fn handle(&self) -> u32 {
        // SAFETY: the segment is attached for as long as `self` is.
        unsafe { pg_sys::dsm_segment_handle(self.segment) }
    }

    /// Leaves a message in place of the one that is there; one that is too long is cut off.
    pub fn put(&self, message: &[u8]) {
        let message = &message[..message.len().min(self.capacity())];
        // SAFETY: the segment is mapped, aligned and at least HEADER + capacity() bytes long. The two processes
        // take turns: the one that made it reads when the other has ended.
        unsafe {
            let base = pg_sys::dsm_segment_address(self.segment).cast::<u8>();
            std::ptr::copy_nonoverlapping(message.as_ptr(), base.add(HEADER), message.len());
            base.cast::<u64>().write(message.len() as u64);
        }
    }

    /// The message that is there.
    pub fn take(&self) -> Vec<u8> {
        // SAFETY: as in put(); the length is checked against what there is.
        unsafe {
            let base = pg_sys::dsm_segment_address(self.segment).cast::<u8>();
            let length = usize::try_from(base.cast::<u64>().read()).unwrap_or(0).min(self.capacity());
            std::slice::from_raw_parts(base.add(HEADER), length).to_vec()
        }
    }

    fn capacity(&self) -> usize {
        // SAFETY: the segment is attached for as long as `self` is.
        unsafe { pg_sys::dsm_segment_map_length(self.segment) }.saturating_sub(HEADER)
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        // SAFETY: attached once, detached once.
        unsafe { pg_sys::dsm_detach(self.segment) };
    }
}
