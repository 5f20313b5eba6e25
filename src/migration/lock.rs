//! Locks that keep two transactions from staging the same rows. Like those of jobs, they are none that a stranger
//! could take through SQL; unlike those, they end with the transaction.

use groundskeeper_core::migration::Market;
use pgrx::pg_sys;

/// What sets our locks apart.
const CLASS: u32 = 0x676b_6d67;

/// What is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// The staging table of a market.
    Market(Market),
    /// The games; taken after a market's, never before.
    Games,
}

impl Lock {
    /// Takes it, unless another transaction has it.
    pub fn try_take(self) -> bool {
        self.acquire(true)
    }

    /// Waits for it and takes it.
    pub fn take(self) {
        self.acquire(false);
    }

    fn acquire(self, dont_wait: bool) -> bool {
        // SAFETY: a complete tag, read during the call only, inside of a transaction, whose end gives it back.
        unsafe {
            pg_sys::LockAcquire(&self.tag(), pg_sys::ExclusiveLock as i32, false, dont_wait)
                != pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL
        }
    }

    fn tag(self) -> pg_sys::LOCKTAG {
        pg_sys::LOCKTAG {
            locktag_field1: crate::backend::database().to_u32(),
            locktag_field2: CLASS,
            locktag_field3: match self {
                Self::Games => 0,
                Self::Market(Market::Moneyline) => 1,
                Self::Market(Market::Spread) => 2,
                Self::Market(Market::Total) => 3,
            },
            locktag_field4: 0,
            locktag_type: pg_sys::LockTagType::LOCKTAG_USERLOCK as u8,
            locktag_lockmethodid: pg_sys::USER_LOCKMETHOD as u8,
        }
    }
}
