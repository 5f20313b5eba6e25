//! Tables of a section.

use crate::report::markup::Markup;
use crate::report::units::count;

/// What is above a column.
pub struct Column(pub &'static str, pub Align);

/// Where its cells stand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Figures.
    Right,
    /// Moments, which break nowhere.
    Moment,
}

/// A table with so many rows, and how many more there are. The first cell of a row is its heading.
pub fn table<T>(
    out: &mut Markup,
    caption: &str,
    columns: &[Column],
    all: &[T],
    rows: usize,
    mut row: impl FnMut(&mut Cells, &T),
) {
    out.element("section", &[("class", &"scroll"), ("tabindex", &"0"), ("aria-label", &caption)], |out| {
        out.open("table", &[]);
        out.said("caption", &[], caption);
        out.raw("<thead><tr>");
        for Column(name, align) in columns {
            out.said("th", &[("scope", &"col"), ("class", &class(*align))], name);
        }
        out.raw("</tr></thead><tbody>");
        for one in all.iter().take(rows) {
            out.open("tr", &[]);
            row(&mut Cells { out, columns, at: 0 }, one);
            out.close("tr");
        }
        out.raw("</tbody></table>");
    });
    if all.len() > rows {
        let rest = all.len() - rows;
        out.said("p", &[("class", &"note")], format!("{} more are not shown here.", count(rest as i64)));
    }
}

fn class(align: Align) -> &'static str {
    match align {
        Align::Left => "l",
        Align::Right => "r",
        Align::Moment => "d",
    }
}

/// The cells of a row, one after the other.
pub struct Cells<'a> {
    out: &'a mut Markup,
    columns: &'a [Column],
    at: usize,
}

impl Cells<'_> {
    /// The next cell.
    pub fn cell(&mut self, inside: impl FnOnce(&mut Markup)) {
        let class = class(self.columns.get(self.at).map_or(Align::Left, |column| column.1));
        if self.at == 0 {
            self.out.element("th", &[("scope", &"row"), ("class", &class)], inside);
        } else {
            self.out.element("td", &[("class", &class)], inside);
        }
        self.at += 1;
    }

    /// The next cell, with words or a figure of ours.
    pub fn text(&mut self, text: impl std::fmt::Display) {
        self.cell(|out| out.text(text));
    }

    /// The next cell, with a name or words out of the database.
    pub fn name(&mut self, name: Option<&str>) {
        self.cell(|out| match name {
            Some(name) => out.name(name),
            None => out.text("–"),
        });
    }

    /// The next cell, with a figure that may not be known.
    pub fn figure<T>(&mut self, value: Option<T>, said: impl FnOnce(T) -> String) {
        self.text(value.map_or_else(|| "–".to_owned(), said));
    }
}
