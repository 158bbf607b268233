//! The tables of a community's page, as they are shown and exported.

use fenlei_wire::vocabulary::Stream;

use super::basis;
use super::reading::{Comparison, Reading};
use crate::domain::comparison::Means;
use crate::domain::statistics::Participation;
use crate::sheets::{Cell, Table};
use crate::web::language::Language;
use crate::web::pages::figure::{Figure, change};
use crate::web::pages::words;

/// A table by the name under which it is exported.
pub(super) fn named(reading: &Reading, lang: Language, name: &str) -> Option<Table> {
    match name {
        "periods" => Some(periods(reading, lang)),
        "deposits" => Some(deposits(reading, lang)),
        "weights" => Some(weights(reading, lang)),
        "streams" => Some(streams(reading, lang)),
        "comparison" => reading.comparison.as_ref().map(|comparison| compared(comparison, lang)),
        "basis" => Some(basis::table(reading, lang)),
        _ => None,
    }
}

/// The names of the tables, in the order of the page.
pub(super) const NAMES: [&str; 6] = ["periods", "deposits", "weights", "streams", "comparison", "basis"];

/// A table with `columns` in the language.
pub(super) fn table(lang: Language, title: &str, columns: &[[&str; 2]], rows: Vec<Vec<Cell>>) -> Table {
    Table { title: title.to_owned(), columns: columns.iter().map(|[zh, en]| lang.t(zh, en).to_owned()).collect(), rows }
}

pub(super) fn count(count: u64) -> Cell {
    Cell::Integer(i64::try_from(count).unwrap_or(i64::MAX))
}

pub(super) fn percent(rate: Option<f64>) -> Cell {
    rate.map_or(Cell::Empty, |rate| Cell::Percent(rate * 100.0))
}

pub(super) fn kilograms(grams: u64) -> Cell {
    #[expect(clippy::cast_precision_loss, reason = "grams of a community stay far below 2^53")]
    Cell::Decimal(grams as f64 / 1000.0)
}

fn spanned(period: &Participation, cells: impl IntoIterator<Item = Cell>) -> Vec<Cell> {
    [Cell::Date(period.span.from), Cell::Date(period.span.to)].into_iter().chain(cells).collect()
}

/// Who took part. A period that was not seen whole says so in words.
pub(super) fn periods(reading: &Reading, lang: Language) -> Table {
    let rows = reading.periods.iter().map(|period| {
        let note = if period.span.to >= reading.today {
            lang.t("进行中", "under way")
        } else if !period.is_observed() {
            lang.t("没有观测", "no window observed")
        } else if period.windows_observed < period.windows_scheduled {
            lang.t("部分时段未观测", "not all windows observed")
        } else {
            ""
        };
        spanned(
            period,
            [
                count(period.households),
                count(period.participating),
                percent(period.participation_rate()),
                count(period.correct_participating),
                percent(period.correct_participation_rate()),
                percent(period.set_out_rate),
                count(period.windows_scheduled),
                count(period.windows_observed),
                Some(note).filter(|note| !note.is_empty()).into(),
            ],
        )
    });
    let columns = [
        ["从", "From"],
        ["到", "To"],
        ["在册户", "Households"],
        ["参与户", "Participating"],
        ["参与率", "Participation"],
        ["正确参与户", "Correct"],
        ["正确参与率", "Correct participation"],
        ["时段投放率", "Set-out rate"],
        ["应开放时段", "Windows scheduled"],
        ["已观测时段", "Windows observed"],
        ["备注", "Note"],
    ];
    table(lang, lang.t("参与情况", "Participation"), &columns, rows.collect())
}

/// When deposits came and how well they were sorted.
pub(super) fn deposits(reading: &Reading, lang: Language) -> Table {
    let rows = reading.periods.iter().map(|period| {
        let (timing, verdict) = (&period.timing, &period.verdict);
        spanned(
            period,
            [
                count(timing.total()),
                count(timing.in_window),
                count(timing.makeup),
                count(timing.off_hours),
                percent(period.off_hours_share()),
                count(verdict.correct),
                count(verdict.incorrect),
                count(verdict.unjudged),
                percent(period.accuracy()),
                count(period.identified),
                percent(period.identified_coverage()),
            ],
        )
    });
    let columns = [
        ["从", "From"],
        ["到", "To"],
        ["投放次数", "Deposits"],
        ["开放时段", "In the open hours"],
        ["误时投放", "Makeup hours"],
        ["非开放时段", "Off hours"],
        ["非开放时段占比", "Off-hours share"],
        ["判定正确", "Correct"],
        ["判定有误", "Incorrect"],
        ["未判定", "Not judged"],
        ["准确率", "Accuracy"],
        ["已识别", "Identified"],
        ["识别率", "Identified coverage"],
    ];
    table(lang, lang.t("投放时段与准确率", "Timing and accuracy"), &columns, rows.collect())
}

/// What each period weighed, in kilograms.
pub(super) fn weights(reading: &Reading, lang: Language) -> Table {
    let rows = reading.periods.iter().map(|period| {
        let grams = |stream: &Stream| period.grams.get(stream).copied().unwrap_or(0);
        let total = Stream::ALL.iter().map(grams).sum();
        spanned(period, Stream::ALL.iter().map(|stream| kilograms(grams(stream))).chain([kilograms(total)]))
    });
    let mut made =
        table(lang, lang.t("各类重量(千克)", "Weight by stream (kg)"), &[["从", "From"], ["到", "To"]], rows.collect());
    made.columns.extend(Stream::ALL.iter().map(|stream| words::stream(lang, *stream).to_owned()));
    made.columns.push(lang.t("合计", "Total").to_owned());
    made
}

/// The streams of the whole span.
pub(super) fn streams(reading: &Reading, lang: Language) -> Table {
    let rows = Stream::ALL.iter().map(|stream| {
        let total = reading.streams.get(stream).copied().unwrap_or_default();
        let accuracy = crate::domain::statistics::rate(total.verdict.correct, total.verdict.judged());
        vec![
            words::stream(lang, *stream).into(),
            count(total.timing.total()),
            kilograms(total.grams),
            count(total.timing.in_window),
            count(total.timing.makeup),
            count(total.timing.off_hours),
            count(total.verdict.correct),
            count(total.verdict.judged()),
            percent(accuracy),
        ]
    });
    let columns = [
        ["类别", "Stream"],
        ["投放次数", "Deposits"],
        ["重量(千克)", "Weight (kg)"],
        ["开放时段", "In the open hours"],
        ["误时投放", "Makeup hours"],
        ["非开放时段", "Off hours"],
        ["判定正确", "Correct"],
        ["有判定", "Judged"],
        ["准确率", "Accuracy"],
    ];
    table(lang, lang.t("各类垃圾", "By stream"), &columns, rows.collect())
}

/// The means of the weeks before and after the start.
pub(super) fn compared(comparison: &Comparison, lang: Language) -> Table {
    let before = lang.t("项目开始前", "before the start");
    let rows = Figure::ALL.map(|figure| {
        let (then, now) = (mean(figure, &comparison.before), mean(figure, &comparison.after));
        vec![figure.name(lang).into(), percent(then), percent(now), change(lang, now, then, before).into()]
    });
    let columns = [["指标", "Figure"], ["开始前", "Before"], ["开始后", "After"], ["变化", "Change"]];
    table(lang, lang.t("项目开始前后", "Before and after the start"), &columns, rows.into())
}

fn mean(figure: Figure, means: &Means) -> Option<f64> {
    match figure {
        Figure::Participation => means.participation,
        Figure::Correct => means.correct_participation,
        Figure::Accuracy => means.accuracy,
        Figure::OffHours => means.off_hours,
    }
}
