//! When people come: deposits by hour and weekday with the hours drawn in, and what other hours would have made of them.

use std::sync::Arc;

use axum::extract::State;
use chrono::NaiveDate;
use maud::{Markup, html};

use super::super::visitor::Visitor;
use super::editor::{Draft, Fields, Mistakes, summary};
use crate::domain::period::{Span, parse_date};
use crate::domain::registry::Site;
use crate::domain::schedule::{Schedule, WeeklyWindow, in_force};
use crate::domain::timetable::Timetable;
use crate::domain::zone::today;
use crate::store::figures;
use crate::web::App;
use crate::web::access::OPERATORS;
use crate::web::chart::{Hours, HoursWords, Opening};
use crate::web::extract::{Date, Id, Json, Query};
use crate::web::figures::{SpanQuery, span};
use crate::web::language::Language;
use crate::web::problem::Problem;
use crate::web::what_if::{Proposal, TimingView, WhatIf, what_if};

/// The schedule that holds on a day.
pub(super) fn holding(site: &Site, on: NaiveDate) -> Schedule {
    in_force(&site.schedules, on).cloned().unwrap_or_else(Schedule::default_hours)
}

/// The picture, its table, and the what-if beside it.
pub(super) async fn section(
    app: &Arc<App>,
    visitor: &Visitor,
    site: &Site,
    fields: &Fields,
) -> Result<Markup, Problem> {
    let lang = visitor.lang;
    let today = today(site.zone, app.clock.now());
    let date = |name: &str| parse_date(fields.get(name)).map(Date);
    let (from, to) = (date("from"), date("to"));
    let unreadable = ["from", "to"].iter().any(|name| !fields.get(name).is_empty() && date(name).is_none());
    let asked = span(from, to, today);
    let refused = unreadable || asked.is_err();
    let period = asked.or_else(|_| span(None, None, today))?;
    let of_site = site.clone();
    let week = app.store.read(move |connection| figures::week(connection, &of_site, period)).await?;

    let is_asked = Draft::is_asked(fields);
    let draft = if is_asked { Draft::read(fields) } else { Draft::of(&holding(site, today), today) };
    let (mut mistakes, mut answer, mut proposed) = (Mistakes::new(), None, Vec::new());
    if is_asked && fields.get("add").is_empty() {
        match draft.week(lang) {
            Err(wrong) => mistakes = wrong,
            Ok(weekly) => {
                proposed = openings(&proposed_week(site, period, &weekly));
                let query = SpanQuery::new(Some(Date(period.from)), Some(Date(period.to)));
                let proposal = Json(Proposal::new(weekly, Vec::new()));
                let (state, access) = (State(Arc::clone(app)), visitor.access.clone());
                answer = Some(what_if(state, access, Id(site.id.clone()), Query(query), proposal).await?.0);
            }
        }
    }
    let action = format!("/sites/{}#what-if", site.id);
    let total: u64 = week.iter().flatten().sum();
    Ok(html! {
        h2 #hours-heading { (lang.t("什么时候来投放", "When people come")) }
        @if refused { div.error role="alert" { p { a href="#from" { (lang.t("日期不对:开始不能晚于结束。这里显示最近 28 天。", "These dates are no period: the first must not be after the last. Here are the last 28 days.")) } } } }
        form.row method="get" action={ "/sites/" (site.id) "#hours-heading" } {
            div.field { label for="from" { (lang.t("从", "From")) } input #from type="date" name="from" value=(period.from); }
            div.field { label for="to" { (lang.t("到", "To")) } input #to type="date" name="to" value=(period.to); }
            button.secondary type="submit" { (lang.t("查看", "Show")) }
        }
        p.meta { (lang.span(period)) " · " (lang.t("共 ", "")) (total) (lang.t(" 次投放", " deposits")) }
        (picture(lang, site, today, &week, &proposed))
        details { summary { (lang.t("看数字", "As a table")) } (table(lang, &week)) }
        section.what-if #what-if aria-labelledby="what-if-heading" {
            h2 #what-if-heading { (lang.t("换个时段会怎样?", "What if the hours were others?")) }
            p.note { (lang.t("用上面这段时间的真实投放来试算,不会改动任何设置。", "Computed from the deposits of the period above; nothing is changed.")) }
            (summary(lang, &mistakes, lang.t("还不能试算:", "This cannot be computed yet:")))
            @if let Some(answer) = &answer { (result(visitor, site, answer, &draft)) }
            details open[is_asked] {
                summary { (lang.t("设想的时段", "Other hours")) }
                form method="get" action=(action) {
                    input type="hidden" name="from" value=(period.from);
                    input type="hidden" name="to" value=(period.to);
                    (draft.draw_week(lang, &mistakes))
                    div.row {
                        button type="submit" { (lang.t("试算", "Compute")) }
                        button.secondary type="submit" name="add" value="w" { (lang.t("再加两行", "Two more rows")) }
                    }
                }
            }
        }
    })
}

/// The windows of a week as they would be.
fn proposed_week(site: &Site, period: Span, weekly: &[WeeklyWindow]) -> [Vec<fenlei_wire::schedule::Window>; 7] {
    let schedule = Schedule { valid_from: period.from, weekly: weekly.to_vec(), ..Schedule::default_hours() };
    Timetable::new(site.zone, [&schedule]).week(period.from).clone()
}

fn openings(week: &[Vec<fenlei_wire::schedule::Window>; 7]) -> Vec<Opening> {
    let of_day = |(day, windows): (usize, &Vec<fenlei_wire::schedule::Window>)| {
        let opening = move |window: &fenlei_wire::schedule::Window| Opening {
            day,
            open: window.open.get(),
            close: window.close.get(),
            makeup: window.makeup,
        };
        windows.iter().map(opening).collect::<Vec<_>>()
    };
    week.iter().enumerate().flat_map(of_day).collect()
}

fn picture(lang: Language, site: &Site, on: NaiveDate, week: &[[u64; 24]; 7], proposed: &[Opening]) -> Markup {
    let words = HoursWords {
        deposits: lang.t("投放次数", "Deposits"),
        open: lang.t("现在的开放时段", "hours now"),
        makeup: lang.t("现在的误时投放时段", "makeup hours now"),
        what_if_open: lang.t("设想的开放时段", "other hours"),
        what_if_makeup: lang.t("设想的误时投放时段", "other makeup hours"),
    };
    let hours = Hours {
        id: "hours",
        title: lang
            .t("按星期和钟点统计的投放次数,框线是开放时段", "Deposits by weekday and hour; outlined are the hours"),
        days: [0, 1, 2, 3, 4, 5, 6].map(|day| lang.weekday(day)),
        deposits: week,
        windows: &openings(site.timetable.week(on)),
        what_if: proposed,
        words,
    };
    hours.draw()
}

fn table(lang: Language, week: &[[u64; 24]; 7]) -> Markup {
    html! {
        div.scroll tabindex="0" { table {
            caption { (lang.t("投放次数", "Deposits")) }
            thead { tr { th scope="col" { (lang.t("钟点", "Hour")) } @for day in 0..7 { th.num scope="col" { (lang.weekday(day)) } } } }
            tbody { @for hour in 0..24_usize { tr {
                th scope="row" { (hour) ":00–" (hour + 1) ":00" }
                @for day in week { td.num { (day.get(hour).copied().unwrap_or_default()) } }
            } } }
        } }
    }
}

/// Both sides of the what-if, and the way to make it so.
fn result(visitor: &Visitor, site: &Site, answer: &WhatIf, draft: &Draft) -> Markup {
    let lang = visitor.lang;
    let counts = |one: &TimingView| {
        let shares = &one.shares;
        [(one.in_window, shares.in_window), (one.makeup, shares.makeup), (one.off_hours, shares.off_hours)]
    };
    let words = [
        lang.t("开放时段", "In the open hours"),
        lang.t("误时投放", "Makeup hours"),
        lang.t("非开放时段", "Off hours"),
    ];
    let both = counts(&answer.actual).into_iter().zip(counts(&answer.proposed));
    let cell = |(count, share): (u64, Option<f64>)| html! { td.num { strong { (lang.percent(share)) } br; span.meta { (count) } } };
    html! {
        div.scroll tabindex="0" { table #what-if-result {
            caption { (lang.t("试算结果", "What it would have been")) }
            thead { tr { th scope="col" { (lang.t("投放", "Deposits")) } th.num scope="col" { (lang.t("实际", "as it was")) } th.num scope="col" { (lang.t("设想", "as it would be")) } } }
            tbody {
                @for (words, (actual, proposed)) in words.iter().zip(both) { tr { th scope="row" { (words) } (cell(actual)) (cell(proposed)) } }
                tr { th scope="row" { (lang.t("合计", "in all")) } td.num { (answer.actual.deposits) } td.num { (answer.proposed.deposits) } }
            }
        } }
        @if visitor.access.is_one_of(OPERATORS) {
            p { a.button href={ "/sites/" (site.id) "/schedule?" (draft.week_query()) "#new" } { (lang.t("采用这些时段", "Take these hours over")) } }
        }
    }
}
