//! Names that PostgreSQL will not cut short.

/// The bytes that a name may have.
const MAX_BYTES: usize = 63;

/// `<stem>_<suffix>`, the stem shortened where the whole would be too long. What was cut off goes into a short
/// hash, so that long names that begin alike stay distinct.
#[must_use]
pub fn suffixed(stem: &str, suffix: &str) -> String {
    let whole = format!("{stem}_{suffix}");
    if whole.len() <= MAX_BYTES {
        return whole;
    }
    let tail = format!("_{:08x}", fnv1a(whole.as_bytes()));
    let mut end = MAX_BYTES - tail.len();
    while !whole.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{tail}", &whole[..end])
}

/// The 32-bit FNV-1a hash: stable over releases, unlike the standard library's hasher.
fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn names_fit_and_begin_as_they_should(stem in "\\PC{1,80}", suffix in "[a-z0-9_]{1,60}") {
            let name = suffixed(&stem, &suffix);
            prop_assert!(name.len() <= MAX_BYTES);
            prop_assert!(!name.is_empty());
        }
    }

    #[test]
    fn long_names_that_begin_alike_stay_distinct() {
        let long = "x".repeat(70);
        assert_ne!(suffixed(&long, "a"), suffixed(&long, "b"));
        assert_eq!(suffixed("moneylines_raw", "2025_07"), "moneylines_raw_2025_07");
    }
}
