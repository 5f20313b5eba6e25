//! The library and what is installed in a database have versions of their own, which may differ: a package is updated
//! once, each database by itself.

/// What brings both together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// The database is updated.
    Update,
    /// The process gets the library that is there by now.
    Reload,
}

/// What is to be done where a library finds another version of the extension; `None` where it is its own. A version that
/// is no list of numbers is taken for a later one: older ones are known.
#[must_use]
pub fn remedy(library: &str, extension: &str) -> Option<Remedy> {
    match (library == extension, numbers(extension)) {
        (true, _) => None,
        (false, Some(extension)) if Some(&extension) < numbers(library).as_ref() => Some(Remedy::Update),
        (false, _) => Some(Remedy::Reload),
    }
}

fn numbers(version: &str) -> Option<Vec<u32>> {
    version.split('.').map(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_is_updated() {
        for (library, extension, expected) in [
            ("0.2.0", "0.2.0", None),
            ("0.2.0", "0.1.0", Some(Remedy::Update)),
            ("0.10.0", "0.9.0", Some(Remedy::Update)),
            ("0.2.0", "0.2.1", Some(Remedy::Reload)),
            ("0.2.0", "99.0", Some(Remedy::Reload)),
            ("0.2.0", "unreleased", Some(Remedy::Reload)),
            ("0.2.0", "", Some(Remedy::Reload)),
        ] {
            assert_eq!(remedy(library, extension), expected, "{library} finds {extension}");
        }
    }
}
