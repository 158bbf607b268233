//! `/sites/{id}/schedule`: every version of a site's hours with why and who agreed, and a new one.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};

use super::super::form::{Sent, form};
use super::super::frame::{Page, Section, see_other};
use super::super::visitor::Visitor;
use super::super::words;
use super::editor::{Draft, Fields, Mistakes, summary};
use super::hours;
use crate::domain::schedule::{DayWindow, Schedule, in_force};
use crate::domain::zone::today;
use crate::web::App;
use crate::web::access::{OPERATORS, SITE_READERS};
use crate::web::etag::IfMatch;
use crate::web::extract::{Id, Json};
use crate::web::language::Language;
use crate::web::problem::Problem;
use crate::web::schedules::put_schedule;

pub(in super::super) async fn show(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Id(id): Id,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    visitor.access.may_see(SITE_READERS)?;
    let site = visitor.access.site(&id)?;
    let today = today(site.zone, app.clock.now());
    let fields = Fields::of_query(query.as_deref());
    let mut draft = Draft::of(&hours::holding(site, today), today);
    if Draft::is_asked(&fields) {
        draft = draft.with_week_of(Draft::read(&fields));
    }
    page(&app, &visitor, &id, &draft, &Mistakes::new(), None, StatusCode::OK)
}

/// Stores what was sent; rows may be asked for first.
pub(in super::super) async fn save(
    State(app): State<Arc<App>>,
    Id(id): Id,
    Sent { visitor, form }: Sent<Vec<(String, String)>>,
) -> Result<Response, Problem> {
    visitor.access.may_see(SITE_READERS)?;
    visitor.access.site(&id)?;
    visitor.access.may_do(OPERATORS)?;
    let fields = Fields::new(form);
    let draft = Draft::read(&fields);
    if !fields.get("add").is_empty() {
        return page(&app, &visitor, &id, &draft, &Mistakes::new(), None, StatusCode::OK);
    }
    let refused = StatusCode::UNPROCESSABLE_ENTITY;
    match draft.schedule(visitor.lang) {
        Err(mistakes) => page(&app, &visitor, &id, &draft, &mistakes, None, refused),
        Ok(schedule) => {
            let (state, access) = (State(Arc::clone(&app)), visitor.access.clone());
            match put_schedule(state, access, Id(id.clone()), IfMatch::of(None), Json(schedule)).await {
                Ok(_) => Ok(see_other(&format!("/sites/{id}/schedule"))),
                Err(problem) if problem.status() == StatusCode::BAD_REQUEST => {
                    page(&app, &visitor, &id, &draft, &Mistakes::new(), Some(&problem), refused)
                }
                Err(problem) => Err(problem),
            }
        }
    }
}

fn page(
    app: &App,
    visitor: &Visitor,
    id: &str,
    draft: &Draft,
    mistakes: &Mistakes,
    refused: Option<&Problem>,
    status: StatusCode,
) -> Result<Response, Problem> {
    let lang = visitor.lang;
    let site = visitor.access.site(id)?;
    let today = today(site.zone, app.clock.now());
    let in_force = in_force(&site.schedules, today);
    let mut versions: Vec<&Schedule> = site.schedules.iter().rev().collect();
    versions.sort_by_key(|version| std::cmp::Reverse(version.valid_from));
    let not_saved = lang.t("没有保存,请修改:", "Nothing was saved. Correct this:");
    let body = html! {
        p { a href={ "/sites/" (id) } { (lang.t("回到箱房", "Back to the site")) } }
        (summary(lang, mistakes, not_saved))
        @if let Some(problem) = refused {
            div.error role="alert" { p { (lang.t("没有保存:时段太多或太复杂,设备存不下。", "Nothing was saved: a device cannot hold these hours.")) } p lang="en" { (problem.detail) } }
        }
        h2 { (lang.t("历次时段", "All versions")) }
        @if versions.is_empty() {
            p { (lang.t("还没有设置过,按默认时段开放:", "None was set; the default hours hold:")) }
            (windows(lang, &Schedule::default_hours()))
        }
        ol.versions {
            @for version in versions {
                li.card {
                    h3 {
                        (lang.t("自 ", "From ")) (lang.date(version.valid_from)) " "
                        @if in_force.is_some_and(|one| std::ptr::eq(one, version)) { span.tag.good { (lang.t("现行", "in force")) } }
                        @else if version.valid_from > today { span.tag.care { (lang.t("将生效", "to come")) } }
                    }
                    @if let Some(reason) = &version.reason { p { (lang.t("原因:", "Why: ")) bdi { (reason) } } }
                    @if let Some(meeting) = &version.meeting {
                        p { (lang.t("议定会议:", "Agreed on at the meeting of ")) (lang.date(meeting.date)) }
                        @if let Some(note) = &meeting.note { blockquote { bdi { (note) } } }
                    }
                    (windows(lang, version))
                }
            }
        }
        @if visitor.access.is_one_of(OPERATORS) {
            h2 #new { (lang.t("新的时段", "New hours")) }
            p.note { (lang.t("旧的时段会保留,过去的投放仍按当时的时段统计。空着的行不算。", "Old versions are kept and still judge the deposits of their days. Empty rows do not count.")) }
            (form(visitor, &format!("/sites/{id}/schedule"), &html! {
                (draft.draw_head(lang, mistakes))
                h3 { (lang.t("每周", "Every week")) }
                p.hint { (lang.t("关闭填 0:00,表示到午夜。", "Closing at 00:00 means midnight at the end of the day.")) }
                (draft.draw_week(lang, mistakes))
                p { button.secondary type="submit" name="add" value="w" formnovalidate { (lang.t("再加两个时段", "Two more rows")) } }
                h3 { (lang.t("单独日期(如节假日)", "Single dates, such as holidays")) }
                p.hint { (lang.t("这些日期不按每周时段;只填日期,表示全天不开放。", "On these dates the weekly hours do not hold; a date alone means closed all day.")) }
                (draft.draw_dates(lang, mistakes))
                p { button.secondary type="submit" name="add" value="d" formnovalidate { (lang.t("再加两个日期", "Two more dates")) } }
                button type="submit" { (lang.t("保存新时段", "Save the new hours")) }
            }))
        }
    };
    let title = format!("{} · {}", site.name, lang.t("开放时段", "hours"));
    Ok(Page::new(visitor, Section::Sites, title).status(status).show(&body))
}

/// The hours of a version in words.
fn windows(lang: Language, schedule: &Schedule) -> Markup {
    let days = |set: fenlei_wire::schedule::DaySet| {
        let names: Vec<_> = set.iter().map(|day| lang.weekday(day.into())).collect();
        if names.len() == 7 { lang.t("每天", "Every day").to_owned() } else { names.join(lang.t("、", ", ")) }
    };
    html! {
        ul.lines {
            @if schedule.weekly.is_empty() { li { (lang.t("每周都不开放", "Never open in a week")) } }
            @for weekly in &schedule.weekly { li { (days(weekly.days)) " " (window(lang, &weekly.window)) } }
            @for date in &schedule.dates { li {
                (lang.date(date.date)) " "
                @if date.windows.is_empty() { (lang.t("全天不开放", "closed")) }
                @for one in &date.windows { (window(lang, one)) " " }
            } }
        }
    }
}

fn window(lang: Language, window: &DayWindow) -> Markup {
    let time = |minute: u16| format!("{}:{:02}", minute / 60, minute % 60);
    html! {
        (time(window.open.get())) "–" (time(window.close.get()))
        @if let Some(streams) = window.streams { " " @for (index, one) in streams.iter().enumerate() { @if index > 0 { (lang.t("、", ", ")) } (words::stream(lang, one)) } }
        @if window.makeup { " " span.tag.care { (lang.t("误时投放", "makeup hours")) } }
    }
}
