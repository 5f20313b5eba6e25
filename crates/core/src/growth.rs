//! A relation's files as they grow: what was appended since the last look.

/// Bytes of one segment file, from an offset on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// The number of the segment: 0 for the file that has none in its name.
    pub segment: u32,
    /// Where it begins.
    pub from: u64,
    /// How long it is; never 0.
    pub length: u64,
}

/// How far a relation's files have been seen. PostgreSQL fills one segment before it begins the next.
#[derive(Debug, Clone, Copy, Default)]
pub struct Growth {
    segment: u32,
    seen: u64,
}

impl Growth {
    /// What was appended since the last look; `size` gives a segment's bytes, or none where there is no such file.
    pub fn look(&mut self, size: impl Fn(u32) -> Option<u64>) -> Vec<Piece> {
        let mut appended = Vec::new();
        loop {
            // Looked at first: once it is there, this one grows no more.
            let next = size(self.segment + 1);
            let length = size(self.segment).unwrap_or(0).saturating_sub(self.seen);
            if length > 0 {
                appended.push(Piece { segment: self.segment, from: self.seen, length });
                self.seen += length;
            }
            if next.is_none() {
                return appended;
            }
            self.segment += 1;
            self.seen = 0;
        }
    }

    /// Whether anything was ever there.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.segment > 0 || self.seen > 0
    }
}

#[cfg(test)]
mod tests {
    use super::{Growth, Piece};
    use proptest::prelude::*;

    const SEGMENT: u64 = 1_000;

    /// The segment's bytes of a relation that has so many in all.
    fn size_of(total: u64) -> impl Fn(u32) -> Option<u64> {
        move |segment| {
            let before = u64::from(segment) * SEGMENT;
            (segment == 0 || total > before).then(|| total.saturating_sub(before).min(SEGMENT))
        }
    }

    #[test]
    fn what_is_not_there_has_not_begun() {
        let mut growth = Growth::default();
        assert!(growth.look(|_| None).is_empty() && !growth.has_begun());
        assert!(growth.look(size_of(0)).is_empty() && !growth.has_begun());
        assert_eq!(growth.look(size_of(7)), [Piece { segment: 0, from: 0, length: 7 }]);
        assert!(growth.look(size_of(7)).is_empty() && growth.has_begun());
        // emptied meanwhile
        assert!(growth.look(size_of(3)).is_empty());
    }

    proptest! {
        #[test]
        fn each_byte_is_seen_once_and_in_order(steps in prop::collection::vec(0..3 * SEGMENT, 1..12)) {
            let (mut growth, mut total, mut upto) = (Growth::default(), 0, 0);
            for step in steps {
                total += step;
                for piece in growth.look(size_of(total)) {
                    prop_assert_eq!(u64::from(piece.segment) * SEGMENT + piece.from, upto);
                    prop_assert!(piece.length > 0 && piece.from + piece.length <= SEGMENT);
                    upto += piece.length;
                }
                prop_assert_eq!(upto, total);
            }
        }
    }
}
