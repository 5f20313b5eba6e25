//! Links, in pages and in what is built of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::Result;

/// What a page links to, images included; what stands in code is none.
pub fn of(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in outside_of_fences(page) {
        let line = without_code(line);
        for (at, _) in line.match_indices("](") {
            let target = &line[at + 2..];
            if let Some(end) = target.find(')') {
                found.push(target[..end].to_owned());
            }
        }
    }
    found
}

/// The anchors of a page's headings, as GitHub and mdBook make them.
pub fn anchors(page: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let headings = outside_of_fences(page).filter(|line| line.starts_with('#'));
    for heading in headings.map(|line| line.trim_start_matches('#').trim()) {
        let letters = heading.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
        let anchor = letters.collect::<String>().to_lowercase().replace(' ', "-");
        let again = (1..).map(|times| format!("{anchor}-{times}"));
        let free = std::iter::once(anchor.clone()).chain(again).find(|name| !found.contains(name));
        found.extend(free);
    }
    found
}

/// The file that a link leads to from a page, both seen from the root; nothing where that is another page of the web, or
/// a place in the same one.
pub fn resolved(page: &Path, link: &str) -> Option<PathBuf> {
    let path = link.split('#').next().unwrap_or_default();
    if path.is_empty() || is_elsewhere(link) {
        return None;
    }
    let mut out = page.parent().map(Path::to_path_buf).unwrap_or_default();
    for part in Path::new(path).components() {
        match part {
            Component::ParentDir => {
                out.pop();
            }
            Component::Normal(name) => out.push(name),
            _ => {}
        }
    }
    Some(out)
}

/// The links of a page as they are from the root.
pub fn seen_from_above(page: &Path, text: &str) -> String {
    let mut out = text.to_owned();
    for link in of(text) {
        if let Some(target) = resolved(page, &link) {
            out = out.replace(&format!("]({link})"), &format!("]({})", target.display()));
        }
    }
    out
}

/// Links between built pages whose target is not there.
pub fn broken(built: &Path) -> Result<Vec<String>> {
    let mut pages = BTreeMap::new();
    read(built, built, &mut pages)?;
    let ids: BTreeMap<&PathBuf, BTreeSet<&str>> =
        pages.iter().map(|(path, text)| (path, attributes(text, "id").into_iter().collect())).collect();
    let mut wrong = Vec::new();
    for (path, text) in &pages {
        for link in [attributes(text, "href"), attributes(text, "src")].concat() {
            let place = link.split_once('#').map_or("", |(_, place)| place);
            let found = match resolved(path, link.split('?').next().unwrap_or_default()) {
                None => is_elsewhere(link) || place.is_empty() || ids[path].contains(place),
                Some(target) => match ids.get(&target) {
                    Some(ids) => place.is_empty() || ids.contains(place),
                    None => place.is_empty() && built.join(&target).exists(),
                },
            };
            if !found {
                wrong.push(format!("{}: {link}", path.display()));
            }
        }
    }
    Ok(wrong)
}

/// The built pages of a folder and of those in it. What mdBook makes for its own use refers to itself in other ways.
fn read(root: &Path, folder: &Path, pages: &mut BTreeMap<PathBuf, String>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let own = path.file_name().is_some_and(|name| name == "404.html" || name == "toc.html");
        if path.is_dir() {
            read(root, &path, pages)?;
        } else if path.extension().is_some_and(|extension| extension == "html") && !own {
            pages.insert(path.strip_prefix(root)?.to_owned(), fs::read_to_string(&path)?);
        }
    }
    Ok(())
}

/// The values that an attribute has in a page.
fn attributes<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
    let named = format!(" {name}=\"");
    let values = page.match_indices(&named).map(|(at, named)| {
        let value = &page[at + named.len()..];
        &value[..value.find('"').unwrap_or(0)]
    });
    values.collect()
}

fn is_elsewhere(link: &str) -> bool {
    ["http:", "https:", "mailto:", "data:", "javascript:"].iter().any(|scheme| link.starts_with(scheme))
}

fn outside_of_fences(page: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    page.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        inside ^= is_fence;
        !inside && !is_fence
    })
}

/// A line without what stands between backticks.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect()
}

#[cfg(test)]
mod tests {
    use super::{anchors, attributes, of, resolved, seen_from_above};
    use std::path::{Path, PathBuf};

    #[test]
    fn links_are_found_and_code_has_none() {
        let page = "See [a](a.md#b), ![p](p.png).\n```\n[no](no.md)\n```\n`[n](n)` [`x`](y.md)";
        assert_eq!(of(page), ["a.md#b", "p.png", "y.md"]);
    }

    #[test]
    fn headings_are_anchors() {
        let page = "# No pg_cron: the `launcher`\n```\n# none\n```\n## What's on\n## What's on";
        let found: Vec<String> = anchors(page).into_iter().collect();
        assert_eq!(found, ["no-pg_cron-the-launcher", "whats-on", "whats-on-1"]);
    }

    #[test]
    fn a_link_leads_somewhere_from_its_page() {
        let from = |link: &str| resolved(Path::new("docs/a.md"), link);
        assert_eq!(from("../README.md#x"), Some(PathBuf::from("README.md")));
        assert_eq!(from("b/c.md"), Some(PathBuf::from("docs/b/c.md")));
        assert_eq!(from("#here"), None);
        assert_eq!(from("https://www.postgresql.org/"), None);
        let summary = seen_from_above(Path::new("docs/SUMMARY.md"), "- [A](a.md)\n- [R](../R.md)");
        assert_eq!(summary, "- [A](docs/a.md)\n- [R](R.md)");
    }

    #[test]
    fn attributes_are_read() {
        let page = r#"<a class="x" href="b.html#c">b</a><h2 id="c">"#;
        assert_eq!(attributes(page, "href"), ["b.html#c"]);
        assert_eq!(attributes(page, "id"), ["c"]);
    }
}
