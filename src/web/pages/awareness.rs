//! `/communities/{id}/awareness`: how many households know how to sort, as they say and as they showed, how that changed, and
//! which buildings nobody has gone to yet.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{Datelike, Days, Months, NaiveDate};
use maud::{Markup, html};
use serde::Deserialize;

use super::fields::{Field, Input, Wrong, fields};
use super::frame::{Page, Section};
use super::standing::Asked;
use super::visitor::Visitor;
use crate::domain::period::{Period, Span, SpanError, parse_date};
use crate::domain::zone::today;
use crate::store::visits::{self, Building};
use crate::web::App;
use crate::web::access::READERS;
use crate::web::chart::{self, Form, Interval, Target, Trend};
use crate::web::extract::{self, Date, Id};
use crate::web::figures::SpanQuery;
use crate::web::language::Language;
use crate::web::problem::Problem;
use crate::web::visits::{AnswersView, AwarenessView, awareness};

/// Days that are told where only the last is given.
const DAYS: u64 = 28;
/// The months of the trend, the last included.
const MONTHS: u32 = 12;

/// The days that somebody asks for.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct DaysAsked {
    from: String,
    to: String,
}

impl DaysAsked {
    pub(super) fn new(from: &str, to: &str) -> Self {
        Self { from: from.to_owned(), to: to.to_owned() }
    }

    /// The span that is asked for; `usual` where none is, and where it is none, with what is wrong with it.
    pub(super) fn span(&self, lang: Language, usual: Span) -> (Span, Option<Wrong>) {
        let date = |name: &'static str, text: &str| match text {
            "" => Ok(None),
            text => parse_date(text).map(Some).ok_or_else(|| (name, lang.t("请填写日期。", "Give a date.").to_owned())),
        };
        let asked = || {
            let to = date("to", &self.to)?.unwrap_or(usual.to);
            let from =
                date("from", &self.from)?.unwrap_or_else(|| if to == usual.to { usual.from } else { weeks(to).from });
            Span::new(from, to).map_err(|error| {
                let words = match error {
                    SpanError::Reversed => {
                        lang.t("开始日期要在结束日期之前。", "The first day must be before the last.")
                    }
                    SpanError::TooLong => {
                        lang.t("时间太长,请缩短到十年以内。", "The period is too long: at most ten years.")
                    }
                };
                ("from", words.to_owned())
            })
        };
        match asked() {
            Ok(span) => (span, None),
            Err(wrong) => (usual, Some(wrong)),
        }
    }

    /// What is wrong with the days, with a link to the field.
    pub(super) fn told(wrong: Option<&Wrong>) -> Markup {
        html! {
            @if let Some((field, words)) = wrong { div.error role="alert" { p { a href={ "#" (field) } { (words) } } } }
        }
    }

    /// The fields with which the days are asked for.
    pub(super) fn fields(lang: Language, span: Span, wrong: Option<&Wrong>) -> Markup {
        let (from, to) = (span.from.to_string(), span.to.to_string());
        let both = [
            Field::new("from", lang.t("从", "From"), Input::Date(&from)),
            Field::new("to", lang.t("到(含)", "to (included)"), Input::Date(&to)),
        ];
        fields(lang, &both, wrong)
    }
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Id(id): Id,
    Query(query): Query<DaysAsked>,
) -> Result<Response, Problem> {
    visitor.access.may_see(READERS)?;
    let lang = visitor.lang;
    let community = visitor.access.community(&id)?.clone();
    let today = today(community.zone, app.clock.now());
    let (span, wrong) = query.span(lang, visitor.access.registry.surveyed(&id, today));
    let asked = extract::Query(SpanQuery::new(Some(Date(span.from)), Some(Date(span.to))));
    let figure = awareness(State(app.clone()), visitor.access.clone(), Id(id.clone()), asked).await?.0;
    let (months, of) = (months(span.to), community.clone());
    let (trend, buildings) = app
        .store
        .read(move |connection| {
            let figures = visits::figures(connection, &of, &months, today)?;
            let views = months.iter().zip(figures).map(|(month, figure)| AwarenessView::of(&of.id, *month, figure));
            Ok((views.collect::<Vec<_>>(), visits::buildings(connection, of.key, span, today)?))
        })
        .await?;
    let target = visitor.access.registry.targets(&id, today).awareness;
    let days = format!("from={}&to={}", span.from, span.to);
    let body = html! {
        (DaysAsked::told(wrong.as_ref()))
        form.row method="get" {
            (DaysAsked::fields(lang, span, wrong.as_ref()))
            button.secondary type="submit" { (lang.t("查看", "Show")) }
        }
        p { (lang.span(span)) (lang.t(",共 ", ", ")) strong { (figure.population) } (lang.t(" 户登记住户。", " households enrolled.")) }
        ul.cards {
            (card(lang, "claimed", Asked::Claimed.name(lang), &figure.claimed, figure.population, target))
            (card(lang, "tested", Asked::Tested.name(lang), &figure.tested, figure.population, target))
            li.card {
                h2 { (lang.t("没有回答", "No answer")) }
                dl.pairs {
                    dt { (lang.t("拒绝", "refused")) } dd { (figure.refused) (lang.t(" 户", " households")) }
                    dt { (lang.t("不在家", "nobody in")) } dd { (figure.absent) (lang.t(" 户", " households")) }
                }
                p.note { (lang.t("这些住户不计入知晓率的分母。", "They are in no denominator of these rates.")) }
            }
        }
        p.note { (lang.t(
            "两种知晓率分开计算,不能合并。每户只算这段时间里最后一次回答。区间是 95% 置信区间:没有问到的住户也算在内,全小区的知晓率大约在这个范围。",
            "The two are counted apart. Of each household the latest answer in the period counts. The interval is the 95% one for all households, those not asked included.",
        )) }
        (trend_part(lang, &trend, target))
        (buildings_part(lang, span, &buildings))
        h2 { (lang.t("入户名单", "Doorstep list")) }
        p { (lang.t("没有参与投放或没有走访过的住户。", "Households that did not take part, or that nobody went to see.")) " " a href={ "/communities/" (id) "/doorstep?" (days) } { (lang.t("打开入户名单", "Open the doorstep list")) } }
        p { a href={ "/communities/" (id) "/visits" } { (lang.t("入户记录", "Record visits")) } }
    };
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let title = format!("{} · {}", lang.t("知晓率", "Awareness"), community.name);
    Ok(Page::new(&visitor, Section::Visits, title).status(status).show(&body))
}

/// The four weeks up to `to`.
pub(super) fn weeks(to: NaiveDate) -> Span {
    Span { from: to.checked_sub_days(Days::new(DAYS - 1)).unwrap_or(to), to }
}

/// The last months up to `to`.
fn months(to: NaiveDate) -> Vec<Span> {
    let first = to.with_day(1).and_then(|first| first.checked_sub_months(Months::new(MONTHS - 1))).unwrap_or(to);
    Period::Month.cut(Span { from: first, to })
}

fn card(lang: Language, id: &str, title: &str, answers: &AnswersView, population: u64, target: Option<f64>) -> Markup {
    let AnswersView { respondents, aware, .. } = answers;
    let counted = match lang {
        Language::Zh => format!("{respondents} 户回答,其中 {aware} 户知道;全小区 {population} 户"),
        Language::En => format!("{aware} of {respondents} who answered; {population} households in all"),
    };
    html! {
        li.card {
            h2 { (title) }
            p.number { (lang.percent(answers.rate)) }
            p { (counted) }
            @if let (Some(rate), Some(low), Some(high)) = (answers.rate, answers.low, answers.high) {
                p { (lang.t("95% 区间:", "95% interval: ")) (interval(lang, low, high)) }
                @let legend = [lang.t("知晓率", "rate"), lang.t("95% 区间", "95% interval"), lang.t("目标", "target")];
                (Interval { id, title, rate, low, high, target, legend }.draw())
            } @else {
                p.note { (lang.t("这段时间没有人回答过。", "Nobody was asked in this period.")) }
            }
            @if let Some(target) = target { p.note { (lang.t("目标:", "Target: ")) (lang.percent(Some(target))) } }
        }
    }
}

fn interval(lang: Language, low: f64, high: f64) -> String {
    format!("{}–{}", lang.percent(Some(low)), lang.percent(Some(high)))
}

fn month(lang: Language, month: NaiveDate) -> String {
    month.format(lang.t("%Y年%-m月", "%b %Y")).to_string()
}

fn trend_part(lang: Language, trend: &[AwarenessView], target: Option<f64>) -> Markup {
    let label = lang.t("目标", "target");
    let target = target.map(|target| Target { percent: target * 100.0, label });
    let chart = |id: &'static str, title: &'static str, answers: fn(&AwarenessView) -> &AnswersView| {
        let periods: Vec<_> = trend
            .iter()
            .map(|one| chart::Period {
                label: one.from.format(lang.t("%y/%-m", "%b %Y")).to_string(),
                percent: answers(one).rate.map(|rate| rate * 100.0),
                unobserved: false,
            })
            .collect();
        let form = Form::Columns;
        Trend { id, title, form, series: title, periods: &periods, target, mark: None, unobserved: "" }.draw()
    };
    let cells = |answers: &AnswersView| {
        html! {
            td.num { (lang.percent(answers.rate)) }
            td.num { (answers.aware) " / " (answers.respondents) }
            td.num { @match (answers.low, answers.high) { (Some(low), Some(high)) => (interval(lang, low, high)), _ => "—" } }
        }
    };
    html! {
        h2 { (lang.t("逐月变化", "By month")) }
        @if trend.iter().all(|one| one.claimed.respondents + one.tested.respondents == 0) {
            p { (lang.t("最近十二个月没有回答。", "Nobody answered in the last twelve months.")) }
        } @else {
            (chart("trend-claimed", lang.t("自述知晓率,逐月", "As claimed, by month"), |one| &one.claimed))
            (chart("trend-tested", lang.t("测试知晓率,逐月", "As tested, by month"), |one| &one.tested))
            div.scroll tabindex="0" { table {
                caption { (lang.t("每个月单独计算", "Each month by itself")) }
                thead {
                    tr {
                        th scope="col" rowspan="2" { (lang.t("月份", "Month")) }
                        th scope="colgroup" colspan="3" { (lang.t("自述", "Claimed")) }
                        th scope="colgroup" colspan="3" { (lang.t("测试", "Tested")) }
                        th.num scope="col" rowspan="2" { (lang.t("拒绝", "Refused")) } th.num scope="col" rowspan="2" { (lang.t("不在家", "Nobody in")) }
                    }
                    tr { @for _ in 0..2 {
                        th.num scope="col" { (lang.t("知晓率", "Rate")) } th.num scope="col" { (lang.t("知道 / 回答", "Aware / asked")) }
                        th.num scope="col" { (lang.t("95% 区间", "95% interval")) }
                    } }
                }
                tbody { @for one in trend.iter().rev() { tr {
                    th scope="row" { (month(lang, one.from)) }
                    (cells(&one.claimed)) (cells(&one.tested))
                    td.num { (one.refused) } td.num { (one.absent) }
                } } }
            } }
        }
    }
}

/// Names with numbers in them in the order of the numbers: 2 before 10.
pub(super) fn natural(name: &str) -> (u64, String) {
    let digits: String =
        name.chars().skip_while(|one| !one.is_ascii_digit()).take_while(char::is_ascii_digit).take(9).collect();
    (digits.parse().unwrap_or(u64::MAX), name.to_owned())
}

fn buildings_part(lang: Language, span: Span, buildings: &[Building]) -> Markup {
    let mut sorted: Vec<_> = buildings.iter().collect();
    sorted.sort_by_key(|one| (one.name.is_none(), one.name.as_deref().map(natural)));
    let without = sorted.iter().filter(|one| one.visited == 0).count();
    let share = |one: &Building| {
        #[expect(clippy::cast_precision_loss, reason = "counts of households")]
        (one.households > 0).then(|| one.visited as f64 / one.households as f64)
    };
    html! {
        h2 { (lang.t("楼栋走访情况", "Buildings")) }
        @if sorted.is_empty() {
            p { (lang.t("还没有登记住户。", "No households are enrolled yet.")) }
        } @else {
            p { (lang.span(span)) (lang.t(":没有走访过的楼栋 ", ": buildings that nobody went to: ")) strong { (without) } " / " (sorted.len()) }
            div.scroll tabindex="0" { table {
                caption { (lang.t("各楼栋走访户数", "Households visited, by building")) }
                thead { tr {
                    th scope="col" { (lang.t("楼栋", "Building")) } th.num scope="col" { (lang.t("走访过", "Visited")) }
                    th.num scope="col" { (lang.t("登记户数", "Households")) } th.num scope="col" { (lang.t("比例", "Share")) }
                    th scope="col" { (lang.t("情况", "State")) }
                } }
                tbody { @for one in sorted { tr {
                    th scope="row" { @match &one.name { Some(name) => bdi { (name) }, None => (lang.t("未填楼栋", "no building")) } }
                    td.num { (one.visited) } td.num { (one.households) } td.num { (lang.percent(share(one))) }
                    td {
                        @if one.visited == 0 { span.tag.care { (lang.t("没有走访过", "not visited")) } }
                        @else if one.visited == one.households { span.tag.good { (lang.t("全部走访过", "all visited")) } }
                        @else { span.tag.plain-tag { (lang.t("走访过一部分", "some visited")) } }
                    }
                } } }
            } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buildings_stand_in_the_order_of_their_numbers() {
        let mut names = ["10号楼", "2号楼", "甲楼", "A3", "2号楼B"];
        names.sort_by_key(|name| natural(name));
        assert_eq!(names, ["2号楼", "2号楼B", "A3", "10号楼", "甲楼"]);
    }

    #[test]
    fn a_period_that_is_none_is_told_and_replaced_by_the_usual_one() {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        let usual = Span { from: day("2026-03-01"), to: day("2026-11-23") };
        let asked = |from: &str, to: &str| DaysAsked::new(from, to).span(Language::Zh, usual);
        assert_eq!(asked("", ""), (usual, None));
        assert_eq!(asked("2026-10-01", ""), (Span { from: day("2026-10-01"), ..usual }, None));
        assert_eq!(asked("", "2026-11-01"), (Span { from: day("2026-10-05"), to: day("2026-11-01") }, None));
        for (from, to, field) in [("2026-11-02", "2026-11-01", "from"), ("x", "", "from"), ("", "2026-13-01", "to")] {
            let (span, wrong) = asked(from, to);
            assert_eq!((span, wrong.map(|(field, _)| field)), (usual, Some(field)), "{from} {to}");
        }
        assert_eq!(months(day("2026-11-23")).len(), 12);
        assert_eq!(months(day("2026-11-23"))[0].from, day("2025-12-01"));
    }
}
