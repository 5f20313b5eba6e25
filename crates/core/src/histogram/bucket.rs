//! Which bucket a time belongs to, and which times belong to a bucket.

/// The latency objective: p95 under 500 ms. A bucket begins exactly here.
pub const OBJECTIVE_US: u64 = 500_000;

/// How many buckets an octave is divided into, as a power of two.
const SUB_BITS: u32 = 4;
const SUB: usize = 1 << SUB_BITS;
/// Times from 2 to the power of this count as just below: 2^35 microseconds are nine and a half hours.
const TOP_BIT: u32 = 35;

/// How many buckets there are: one for each of the first microseconds, [`SUB`] for each octave after them, and
/// one more because the objective divides a bucket in two.
pub const BUCKETS: usize = (TOP_BIT - SUB_BITS + 1) as usize * SUB + 1;

/// The bucket of a time.
#[must_use]
pub const fn index(microseconds: u64) -> usize {
    undivided(microseconds) + (microseconds >= OBJECTIVE_US) as usize
}

/// The first time of a bucket, and the first after it.
#[must_use]
pub const fn bounds(bucket: usize) -> (u64, u64) {
    const DIVIDED: usize = undivided(OBJECTIVE_US);
    if bucket < DIVIDED {
        undivided_bounds(bucket)
    } else if bucket == DIVIDED {
        (undivided_bounds(DIVIDED).0, OBJECTIVE_US)
    } else if bucket == DIVIDED + 1 {
        (OBJECTIVE_US, undivided_bounds(DIVIDED).1)
    } else {
        undivided_bounds(bucket - 1)
    }
}

/// The bucket of a time, were there no objective.
const fn undivided(microseconds: u64) -> usize {
    if microseconds < SUB as u64 {
        return microseconds as usize;
    }
    let highest = u64::BITS - 1 - microseconds.leading_zeros();
    if highest >= TOP_BIT {
        return BUCKETS - 2;
    }
    let shift = highest - SUB_BITS;
    // The leading one is part of the quotient, and counts the first octave.
    shift as usize * SUB + (microseconds >> shift) as usize
}

const fn undivided_bounds(bucket: usize) -> (u64, u64) {
    if bucket < SUB {
        return (bucket as u64, bucket as u64 + 1);
    }
    let shift = (bucket / SUB - 1) as u32;
    let first = ((bucket % SUB + SUB) as u64) << shift;
    (first, first + (1 << shift))
}
