//! The SQL of the user docs runs as it stands there, page by page.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use groundskeeper_tests::{Template, TestDb};

/// The blocks of a page that are marked as SQL, in order.
fn sql_of(page: &str) -> String {
    let mut inside = false;
    let mut out = String::new();
    for line in page.lines() {
        match line.trim() {
            "```sql" => inside = true,
            "```" => inside = false,
            _ if inside => {
                out.push_str(line);
                out.push('\n');
            }
            _ => {}
        }
    }
    out
}

fn pages() -> Result<Vec<PathBuf>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut pages = vec![root.join("README.md")];
    for folder in ["docs", "docs/reference"] {
        for entry in fs::read_dir(root.join(folder))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    Ok(pages)
}

#[test]
fn the_sql_of_each_page_runs() -> Result<()> {
    let mut statements = 0;
    for page in pages()? {
        let sql = sql_of(&fs::read_to_string(&page)?);
        statements += sql.matches(';').count();
        let db = TestDb::new(Template::ShapeA)?;
        db.server().restore(db.name(), &sql).with_context(|| page.display().to_string())?;
    }
    ensure!(statements > 20, "the docs hold {statements} statements: are they still marked as SQL?");
    Ok(())
}
