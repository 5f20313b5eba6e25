//! Histograms as bytes, for a column of a table: the occupied buckets only, in variable-length integers.

use super::{BUCKETS, Histogram};
use serde::{Deserialize, Serialize};

/// Bytes that are no histograms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// Each bucket by its distance from the one before it, which takes one byte as a rule, and so does its count.
#[derive(Serialize, Deserialize)]
struct Encoded {
    failed: u64,
    longest: u64,
    buckets: Vec<(u16, u64)>,
}

/// Any number of histograms, each under a key.
#[must_use]
pub fn encode<'a>(histograms: impl IntoIterator<Item = (i64, &'a Histogram)>) -> Vec<u8> {
    let all: Vec<(i64, Encoded)> = histograms.into_iter().map(|(key, h)| (key, to_encoded(h))).collect();
    // The only error is a full buffer, and a vector grows.
    postcard::to_allocvec(&all).unwrap_or_default()
}

/// What [`encode`] was given.
///
/// # Errors
/// Bytes that it did not return.
pub fn decode(bytes: &[u8]) -> Result<Vec<(i64, Histogram)>, Malformed> {
    let all: Vec<(i64, Encoded)> = postcard::from_bytes(bytes).map_err(|_| Malformed)?;
    all.into_iter().map(|(key, encoded)| Ok((key, from_encoded(&encoded)?))).collect()
}

fn to_encoded(histogram: &Histogram) -> Encoded {
    let mut before = 0;
    let buckets = histogram.occupied().map(|(bucket, count)| {
        let distance = bucket - before;
        before = bucket;
        (distance as u16, count)
    });
    Encoded { buckets: buckets.collect(), failed: histogram.failed, longest: histogram.longest }
}

fn from_encoded(encoded: &Encoded) -> Result<Histogram, Malformed> {
    let mut bucket = 0;
    let mut counts = Vec::with_capacity(encoded.buckets.len());
    for (distance, count) in &encoded.buckets {
        bucket += usize::from(*distance);
        if bucket >= BUCKETS {
            return Err(Malformed);
        }
        counts.push((bucket, *count));
    }
    Ok(Histogram::from_counts(counts, encoded.failed, encoded.longest))
}
