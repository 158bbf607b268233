//! The form in which windows are filled in, with what is wrong beside each field.

use fenlei_wire::vocabulary::Stream;
use maud::{Markup, html};

use super::{DAYS, Draft, Mistakes, Row};
use crate::web::language::Language;
use crate::web::pages::words;

impl Draft {
    /// The rows of the week.
    pub(in crate::web::pages::sites) fn draw_week(&self, lang: Language, mistakes: &Mistakes) -> Markup {
        html! {
            input type="hidden" name="w-rows" value=(self.weekly.len());
            @for (index, row) in self.weekly.iter().enumerate() { (draw(lang, "w", index, row, mistakes)) }
        }
    }

    /// The rows of single dates.
    pub(in crate::web::pages::sites) fn draw_dates(&self, lang: Language, mistakes: &Mistakes) -> Markup {
        html! {
            input type="hidden" name="d-rows" value=(self.dates.len());
            @for (index, row) in self.dates.iter().enumerate() { (draw(lang, "d", index, row, mistakes)) }
        }
    }

    /// Since when, why, and who agreed.
    pub(in crate::web::pages::sites) fn draw_head(&self, lang: Language, mistakes: &Mistakes) -> Markup {
        let text = |id: &str, label: &str, value: &str, hint: &str| {
            html! {
                div.field {
                    label for=(id) { (label) span.optional { (lang.t("(可不填)", " (optional)")) } }
                    p.hint id={ (id) "-hint" } { (hint) } (wrong(mistakes, id))
                    textarea id=(id) name=(id) rows="3" maxlength="2000" aria-describedby={ (id) "-hint" } { (value) }
                }
            }
        };
        html! {
            div.field {
                label for="valid_from" { (lang.t("从哪一天起", "From which day")) }
                p.hint #valid_from-hint { (lang.t("填过去的日期,会按新时段重新计算那之后的投放。", "A day that has passed re-times the deposits since then.")) }
                (wrong(mistakes, "valid_from"))
                input #valid_from name="valid_from" type="date" required value=(self.valid_from) aria-describedby="valid_from-hint" aria-invalid=[invalid(mistakes, "valid_from")];
            }
            (text("reason", lang.t("为什么调整", "Why"), &self.reason, lang.t("居民会看到的理由。", "In words for residents.")))
            div.field {
                label for="met" { (lang.t("议定的会议日期", "Meeting that agreed on it")) span.optional { (lang.t("(可不填)", " (optional)")) } }
                (wrong(mistakes, "met"))
                input #met name="met" type="date" value=(self.met) aria-invalid=[invalid(mistakes, "met")];
            }
            (text("note", lang.t("居民的建议和会议结论", "What residents suggested, what was agreed on"), &self.note,
                lang.t("如:二号楼希望晚上延长半小时,会议同意。不要写住户姓名。", "For example: building 2 asked for half an hour more in the evening; agreed. No names of residents.")))
        }
    }
}

fn wrong(mistakes: &Mistakes, id: &str) -> Markup {
    let found = mistakes.iter().find(|(at, _)| at == id);
    html! { @if let Some((_, words)) = found { p.hint { strong.wrong { (words) } } } }
}

fn invalid(mistakes: &Mistakes, id: &str) -> Option<&'static str> {
    mistakes.iter().any(|(at, _)| at == id).then_some("true")
}

/// All mistakes, each with a link to where it is.
pub(in crate::web::pages::sites) fn summary(lang: Language, mistakes: &Mistakes, what: &str) -> Markup {
    html! {
        @if !mistakes.is_empty() {
            div.error role="alert" {
                p { (what) }
                ul { @for (id, words) in mistakes { li { a href={ "#" (id) } { (place(lang, id)) (words) } } } }
            }
        }
    }
}

/// Which row of the form is meant.
fn place(lang: Language, id: &str) -> String {
    let row = |prefix: char| id.strip_prefix(prefix)?.split('-').next()?.parse::<usize>().ok();
    match (row('w'), row('d')) {
        (Some(row), _) => format!("{} {}{}", lang.t("时段", "Hours"), row + 1, lang.t(":", ": ")),
        (_, Some(row)) => format!("{} {}{}", lang.t("单独日期", "Date"), row + 1, lang.t(":", ": ")),
        _ => String::new(),
    }
}

fn draw(lang: Language, part: &str, index: usize, row: &Row, mistakes: &Mistakes) -> Markup {
    let id = |field: &str| format!("{part}{index}-{field}");
    let time = |field: &str, label: &str, value: &str| {
        let id = id(field);
        html! { div.field { label for=(id) { (label) } input id=(id) name=(id) type="time" value=(value) aria-invalid=[invalid(mistakes, &id)]; } }
    };
    let legend = if part == "w" { lang.t("时段", "Hours") } else { lang.t("单独日期", "Date") };
    html! {
        fieldset.window {
            legend { (legend) " " (index + 1) }
            (wrong(mistakes, &id("open"))) (wrong(mistakes, &id("days"))) (wrong(mistakes, &id("date")))
            div.row {
                @if part == "d" {
                    @let date = id("date");
                    div.field { label for=(date) { (lang.t("日期", "Date")) } input id=(date) name=(date) type="date" value=(row.date) aria-invalid=[invalid(mistakes, &date)]; }
                }
                (time("open", lang.t("开放", "Opens"), &row.open))
                (time("close", lang.t("关闭", "Closes"), &row.close))
            }
            @if part == "w" {
                div.choices id=(id("days")) role="group" aria-label=(lang.t("星期", "Days")) tabindex="-1" {
                    @for (name, day) in DAYS.iter().zip(0..) {
                        label.choice { input type="checkbox" name=(id("days")) value=(name) checked[row.days.iter().any(|one| one == name)]; (lang.weekday(day)) }
                    }
                }
            }
            div.choices role="group" aria-label=(lang.t("垃圾类别", "Streams")) {
                @for one in Stream::ALL {
                    label.choice { input type="checkbox" name=(id("streams")) value=(one.as_str()) checked[row.streams.iter().any(|name| name == one.as_str())]; (words::stream(lang, *one)) }
                }
                label.choice { input type="checkbox" name=(id("makeup")) value="yes" checked[row.makeup]; (lang.t("误时投放时段", "makeup hours: late, but allowed")) }
            }
        }
    }
}
