//! Names of relations, and such that PostgreSQL will not cut short.

use serde::{Deserialize, Serialize, Serializer};
use std::fmt;

/// A relation's name: schema and name, unquoted. In the plan it is written `schema.name` and holds no other dots;
/// stored with a job it is a pair, and may hold anything.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "WrittenName")]
pub struct Qualified {
    /// The schema.
    pub schema: String,
    /// The relation within it.
    pub name: String,
}

/// The two ways in which a name is written down.
#[derive(Deserialize)]
#[serde(untagged)]
enum WrittenName {
    Dotted(String),
    Pair { schema: String, name: String },
}

impl TryFrom<WrittenName> for Qualified {
    type Error = String;

    fn try_from(written: WrittenName) -> Result<Self, String> {
        match written {
            WrittenName::Dotted(text) => Self::try_from(text),
            WrittenName::Pair { schema, name } => Ok(Self { schema, name }),
        }
    }
}

impl TryFrom<String> for Qualified {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.split_once('.') {
            Some((schema, name)) if !schema.is_empty() && !name.is_empty() && !name.contains('.') => {
                Ok(Self { schema: schema.to_owned(), name: name.to_owned() })
            }
            _ => Err(format!("\"{text}\" is not of the form schema.relation")),
        }
    }
}

impl Qualified {
    /// Writes it as the plan does: as `schema.name`, unless that could be read otherwise.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn written<S: Serializer>(name: &Self, serializer: S) -> Result<S::Ok, S::Error> {
        if Self::try_from(name.to_string()).as_ref() == Ok(name) {
            serializer.collect_str(name)
        } else {
            name.serialize(serializer)
        }
    }

    /// The same, where there is one.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn written_if_any<S: Serializer>(name: &Option<Self>, serializer: S) -> Result<S::Ok, S::Error> {
        match name {
            Some(name) => Self::written(name, serializer),
            None => serializer.serialize_none(),
        }
    }
}

impl fmt::Display for Qualified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

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

/// `<stem>_<label>`, the stem shortened where the whole would be too long, and not the label. What was cut off goes into a
/// short hash before it. The same of what is left of the stem is the same.
#[must_use]
pub fn labelled(stem: &str, label: &str) -> String {
    let whole = format!("{stem}_{label}");
    if whole.len() <= MAX_BYTES {
        return whole;
    }
    let tail = format!("_{:08x}_{label}", fnv1a(stem.as_bytes()));
    let mut end = MAX_BYTES.saturating_sub(tail.len());
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{tail}", &stem[..end])
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
    fn a_label_stays_whole() {
        let long = "this_is_a_very_long_table_name_for_collected_market_snapshots";
        let name = labelled(long, "2026_10");
        assert_eq!(name, "this_is_a_very_long_table_name_for_collected_m_bebf7d4c_2026_10");
        assert_eq!(labelled(name.strip_suffix("_2026_10").unwrap(), "2026_11").replace("11", "10"), name);
        assert_eq!(labelled("bets", "2025_07"), "bets_2025_07");
    }

    #[test]
    fn long_names_that_begin_alike_stay_distinct() {
        let long = "x".repeat(70);
        assert_ne!(suffixed(&long, "a"), suffixed(&long, "b"));
        assert_eq!(suffixed("moneylines_raw", "2025_07"), "moneylines_raw_2025_07");
    }
}
