//! First of all, what follows.

use super::code;
use crate::report::data::{Report, Weight};
use crate::report::markup::Markup;
use crate::report::verdict::MOST;

/// The verdicts.
pub fn draw(out: &mut Markup, report: &Report) {
    out.raw("<section id=\"verdicts\" aria-labelledby=\"verdicts-heading\">");
    out.raw("<h2 id=\"verdicts-heading\">Verdict</h2><ol class=\"verdicts\">");
    for verdict in report.verdicts.iter().take(MOST) {
        let (class, word) = match verdict.weight {
            Weight::Act => ("bad", "Act"),
            Weight::Watch => ("watch", "Watch"),
            Weight::Good => ("good", "Good"),
        };
        out.element("li", &[("class", &class)], |out| {
            out.said("p", &[("class", &format!("status {class}"))], word);
            out.element("div", &[], |out| {
                out.element("p", &[("class", &"seen")], |out| out.name(&verdict.observation));
                out.element("p", &[("class", &"why")], |out| {
                    out.text(&verdict.why);
                    out.text(" ");
                    out.element("a", &[("href", &format!("#{}", verdict.section))], |out| {
                        out.text("More");
                        out.said("span", &[("class", &"unseen")], format!(" on {}", verdict.section));
                    });
                });
                if let Some(run) = &verdict.run {
                    code(out, run);
                }
            });
        });
    }
    out.raw("</ol></section>");
}
