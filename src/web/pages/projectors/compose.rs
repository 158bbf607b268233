//! `/projectors/new`: a new message, looked at before it is sent.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, NaiveDate, Utc};
use fenlei_wire::schedule::Minute;
use maud::{Markup, html};
use serde::Deserialize;

use super::{Asked, communities, ground, projector, projectors, zone};
use crate::domain::period::parse_date;
use crate::domain::projection::{Start, Target, When, check_place};
use crate::domain::projection_text::{TextError, check_text, fill};
use crate::domain::zone::{DEFAULT_ZONE, opens_at, today};
use crate::web::App;
use crate::web::access::{Access, SCHEDULERS};
use crate::web::extract::{Date, Instant, Json};
use crate::web::language::Language;
use crate::web::messages::{DailyBody, NewMessage, post_message, preview, sees, sites_of};
use crate::web::pages::fields::{Field, Input, Wrong, fields, summary};
use crate::web::pages::form::{Sent, form};
use crate::web::pages::frame::{Page, Section, see_other};
use crate::web::pages::visitor::Visitor;
use crate::web::problem::Problem;

/// What was typed.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::web::pages) struct New {
    text: String,
    /// `community:…`, `site:…` or `device:…`.
    target: String,
    /// `now`, `once`, `daily` or `sunset`.
    when: String,
    date: String,
    time: String,
    offset: String,
    minutes: String,
    from: String,
    until: String,
    /// The button: `preview`, or to send it.
    step: String,
}

pub(in crate::web::pages) async fn new(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    visitor.access.may_see(SCHEDULERS)?;
    let target = match asked.community {
        Some(id) => format!("community:{}", visitor.access.community(&id)?.id),
        None => String::new(),
    };
    let place = read_target(&target).map_or(DEFAULT_ZONE, |target| zone(&visitor.access.registry, &target));
    let new = New {
        target,
        when: "daily".to_owned(),
        date: today(place, app.clock.now()).to_string(),
        time: "18:30".to_owned(),
        offset: "15".to_owned(),
        minutes: "60".to_owned(),
        ..New::default()
    };
    Ok(page(&visitor, &new, None, None))
}

pub(in crate::web::pages) async fn post(
    State(app): State<Arc<App>>,
    Sent { visitor, form: new }: Sent<New>,
) -> Result<Response, Problem> {
    visitor.access.may_see(SCHEDULERS)?;
    let (lang, now) = (visitor.lang, app.clock.now());
    let asked = match read(lang, &visitor.access, &new, now) {
        Ok(asked) => asked,
        Err(wrong) => return Ok(page(&visitor, &new, Some(&wrong), None)),
    };
    let texts = match preview(&app, &visitor.access, asked.clone()).await {
        Ok(texts) => texts,
        Err(problem) => return refused(&visitor, &new, problem),
    };
    if let Some(error) = texts.iter().find_map(|(_, text)| check_text(text).err()) {
        return Ok(page(&visitor, &new, Some(&("text", told(lang, &error))), None));
    }
    if new.step == "preview" {
        return Ok(page(&visitor, &new, None, Some(&texts)));
    }
    match post_message(State(app), visitor.access.clone(), Json(asked)).await {
        Ok((_, _, Json(message))) => Ok(see_other(&format!("/projectors/messages/{}", message.id))),
        Err(problem) => refused(&visitor, &new, problem),
    }
}

fn refused(visitor: &Visitor, new: &New, problem: Problem) -> Result<Response, Problem> {
    if problem.status() == StatusCode::BAD_REQUEST {
        return Ok(page(visitor, new, Some(&("text", problem.detail)), None));
    }
    Err(problem)
}

fn page(visitor: &Visitor, new: &New, wrong: Option<&Wrong>, texts: Option<&[(String, String)]>) -> Response {
    let (lang, title) = (visitor.lang, visitor.lang.t("新消息", "New message"));
    let whens = [
        ("daily", lang.t("每天固定时间", "daily, at a fixed time")),
        ("sunset", lang.t("每天日落前后", "daily, around sunset")),
        ("once", lang.t("指定时间,一次", "once, at a given time")),
        ("now", lang.t("现在", "now")),
    ];
    let whens = whens.map(|(value, words)| (value.to_owned(), words.to_owned())).into();
    let hint = lang.t(
        "最多 256 字节(约 85 个汉字)。可用 {participation} 上周参与率、{participating} 参与户数、{households} 在册户数、{accuracy} 准确率、{community} 小区、{site} 箱房、{date} 日期,发送时自动填入;户数太少时显示“—”。",
        "At most 256 bytes. {participation}, {participating}, {households} and {accuracy} (of last week; withheld where small), {community}, {site} and {date} are filled in when it is sent.",
    );
    let asked = [
        Field::new("text", lang.t("文字", "Text"), Input::Area { value: &new.text, max: 256 }).hint(hint),
        Field::new(
            "target",
            lang.t("在哪里放映", "Where"),
            Input::Select { value: &new.target, options: targets(visitor) },
        ),
        Field::new("when", lang.t("何时", "When"), Input::Select { value: &new.when, options: whens }),
        Field::new("date", lang.t("日期", "Date"), Input::Date(&new.date)),
        Field::new("time", lang.t("开始时间", "Begins at"), Input::Time(&new.time)),
        Field::new(
            "offset",
            lang.t("日落后多少分钟", "Minutes after sunset"),
            Input::Number { value: &new.offset, min: "-360", max: "360", step: "1" },
        )
        .hint(lang.t("日落前填负数", "Negative: before sunset")),
        Field::new(
            "minutes",
            lang.t("放映多少分钟", "For how many minutes"),
            Input::Number { value: &new.minutes, min: "1", max: "1440", step: "1" },
        ),
        Field::new("from", lang.t("第一天", "First day"), Input::Date(&new.from)).optional(),
        Field::new("until", lang.t("最后一天", "Last day"), Input::Date(&new.until)).optional(),
    ];
    let body = html! {
        (summary(lang, wrong))
        @if let Some(texts) = texts { (shown(visitor, texts)) }
        div.narrow.compose {
            (form(visitor, "/projectors/messages", &html! {
                (fields(lang, &asked, wrong))
                // A field that is hidden because the kind of time does not ask for it must not hold the form back.
                div.actions {
                    button.secondary type="submit" name="step" value="preview" formnovalidate { (lang.t("预览", "Preview")) }
                    button type="submit" name="step" value="send" formnovalidate { (lang.t("发布", "Publish")) }
                }
            }))
        }
    };
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    Page::new(visitor, Section::Projectors, title).status(status).show(&body)
}

/// The text as it would look today, once where it is the same at all sites.
fn shown(visitor: &Visitor, texts: &[(String, String)]) -> Markup {
    let lang = visitor.lang;
    let same = texts.windows(2).all(|pair| pair[0].1 == pair[1].1);
    let name = |id: &str| visitor.access.registry.sites.get(id).map_or_else(|| id.to_owned(), |site| site.name.clone());
    html! {
        section role="status" aria-label=(lang.t("预览", "Preview")) {
            h2 { (lang.t("预览:今天在地面上的样子", "Preview: as it would look on the ground today")) }
            @for (site, text) in texts.iter().take(if same { 1 } else { texts.len() }) {
                @if !same { p.meta { bdi { (name(site)) } } }
                (ground(text, false))
            }
            p.note { (lang.t("还没有发布。", "It is not published yet.")) }
        }
    }
}

/// Where messages may be shown: communities, sites and projectors, as far as there are projectors.
fn targets(visitor: &Visitor) -> Vec<(String, String)> {
    let (lang, registry) = (visitor.lang, &visitor.access.registry);
    let mut options = Vec::new();
    for community in communities(&visitor.access) {
        let name = &community.name;
        options.push((
            format!("community:{}", community.id),
            format!("{name}{}", lang.t("(全部投影)", " (all projectors)")),
        ));
        for site in registry.sites_of(&community.id) {
            let own: Vec<_> = projectors(registry, &community.id).filter(|(_, at)| at.id == site.id).collect();
            if !own.is_empty() {
                options.push((format!("site:{}", site.id), format!("{name} · {}", site.name)));
            }
            options.extend(own.into_iter().map(|(device, site)| {
                (format!("device:{}", device.id), format!("{name} · {}", projector(device, site)))
            }));
        }
    }
    options
}

fn read_target(text: &str) -> Option<Target> {
    let (kind, id) = text.split_once(':')?;
    match kind {
        "community" => Some(Target::Community(id.to_owned())),
        "site" => Some(Target::Site(id.to_owned())),
        "device" => Some(Target::Device(id.to_owned())),
        _ => None,
    }
}

/// Reads what was typed, or says what is wrong with it.
fn read(lang: Language, access: &Access, new: &New, now: DateTime<Utc>) -> Result<NewMessage, Wrong> {
    let wrong = |field: &'static str, zh: &str, en: &str| (field, lang.t(zh, en).to_owned());
    let text = new.text.trim().to_owned();
    // Line breaks that a browser puts in count for nothing on the ground.
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let plain = fill(&text, |_| "—".to_owned()).and_then(|filled| check_text(&filled));
    plain.map_err(|error| ("text", told(lang, &error)))?;
    let target = read_target(&new.target).filter(|target| sees(access, target));
    let target = target.ok_or_else(|| wrong("target", "请选择在哪里放映。", "Choose where it is to be shown."))?;
    let zone = zone(&access.registry, &target);
    let minutes = new.minutes.trim().parse::<u32>().ok().filter(|minutes| (1..=1440).contains(minutes));
    let minutes = minutes.ok_or_else(|| {
        wrong("minutes", "放映时长请填 1 到 1440 分钟的整数。", "Give a whole number of 1 to 1440 minutes.")
    })?;
    let seconds = minutes * 60;
    let empty = NewMessage { text, target, seconds: None, at: None, daily: None, from: None, until: None };
    let time = || {
        let time = Minute::parse(new.time.trim()).filter(|minute| *minute < Minute::END_OF_DAY);
        time.ok_or_else(|| {
            wrong("time", "请填开始时间,例如 18:30。", "Give the time at which it begins, such as 18:30.")
        })
    };
    let start = match new.when.as_str() {
        "now" => return Ok(NewMessage { seconds: Some(seconds), ..empty }),
        "once" => {
            let date = parse_date(new.date.trim()).ok_or_else(|| wrong("date", "请填日期。", "Give the date."))?;
            let at = opens_at(zone, date, time()?.get()).timestamp_millis();
            if at + i64::from(seconds) * 1000 <= now.timestamp_millis() {
                return Err(wrong("date", "这个时间已经过去了。", "This time is over already."));
            }
            return Ok(NewMessage { seconds: Some(seconds), at: Some(Instant(at)), ..empty });
        }
        "daily" => Start::Local(time()?),
        "sunset" => {
            let offset = new.offset.trim().parse::<i32>().ok().filter(|offset| offset.abs() <= 360);
            Start::Sunset(offset.ok_or_else(|| {
                wrong("offset", "请填 -360 到 360 之间的整数。", "Give a whole number from -360 to 360.")
            })?)
        }
        _ => return Err(wrong("when", "请选择何时放映。", "Choose when it is to be shown.")),
    };
    let day = |field: &'static str, text: &str| match text.trim() {
        "" => Ok(None),
        text => parse_date(text).map(Some).ok_or_else(|| wrong(field, "请填日期,或留空。", "Give a date, or nothing.")),
    };
    let (from, until) = (day("from", &new.from)?, day("until", &new.until)?);
    if from.zip(until).is_some_and(|(from, until)| until < from) {
        return Err(wrong("until", "最后一天早于第一天。", "The last day is before the first."));
    }
    let today = today(zone, now);
    let from = from.unwrap_or(today);
    if until.is_some_and(|until: NaiveDate| until < today) {
        return Err(wrong("until", "最后一天已经过去了。", "The last day is over already."));
    }
    let when = When::Daily { start, seconds, from, until };
    for site in sites_of(&access.registry, &empty.target) {
        if check_place(&when, site).is_err() {
            let told = match lang {
                Language::Zh => format!("箱房“{}”没有登记经纬度,算不出日落时间:请补上,或改用固定时间。", site.name),
                Language::En => format!(
                    "Site {} has no coordinates, so its sunset is not known: add them, or use a fixed time.",
                    site.name
                ),
            };
            return Err(("when", told));
        }
    }
    let daily = Some(DailyBody { start: written(start), seconds });
    Ok(NewMessage { daily, from: Some(Date(from)), until: until.map(Date), ..empty })
}

/// As the API reads it.
fn written(start: Start) -> String {
    match start {
        Start::Local(minute) => format!("{:02}:{:02}", minute.get() / 60, minute.get() % 60),
        Start::Sunset(offset) => {
            let (sign, minutes) = (if offset < 0 { '-' } else { '+' }, offset.abs());
            format!("sunset{sign}{:02}:{:02}", minutes / 60, minutes % 60)
        }
    }
}

/// What is wrong with a text.
fn told(lang: Language, error: &TextError) -> String {
    match (lang, error) {
        (Language::En, error) => error.to_string().replace("`text`", "The text"),
        (_, TextError::Length) => "文字请填 1 到 256 字节(约 85 个汉字),包括自动填入的内容。".to_owned(),
        (_, TextError::Character(character, at)) => {
            format!("第 {at} 个字符“{character}”投影放不出来:可用文字、数字和标点。")
        }
        (_, TextError::Placeholder(name)) => format!("没有 {{{name}}} 这个自动填入项:可用的见文字下方说明。"),
        (_, TextError::Brace) => "花括号没有成对。".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_written_as_it_is_read() {
        for text in ["18:30", "00:05", "sunset+00:15", "sunset-01:00"] {
            assert_eq!(Start::parse(text).map(written).as_deref(), Some(text));
        }
        assert_eq!(Start::parse(&written(Start::Sunset(0))), Some(Start::Sunset(0)));
    }
}
