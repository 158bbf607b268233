//! Windows as people fill them in: rows of a form, which become a schedule or say what is wrong with them.

mod form;

use std::collections::HashMap;

use chrono::NaiveDate;
use fenlei_wire::schedule::{DaySet, Minute, StreamSet};
use fenlei_wire::vocabulary::Stream;

pub(super) use self::form::summary;
use crate::domain::period::parse_date;
use crate::domain::schedule::{DateWindows, DayWindow, MAX_TEXT, Meeting, Schedule, WeeklyWindow};
use crate::web::language::Language;

/// The most rows of each kind that a form has.
const MAX_ROWS: usize = 40;

/// The fields of a form by name, each with all its values.
#[derive(Default)]
pub(super) struct Fields(HashMap<String, Vec<String>>);

impl Fields {
    pub(super) fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut fields: HashMap<String, Vec<String>> = HashMap::new();
        for (name, value) in pairs {
            fields.entry(name).or_default().push(value);
        }
        Self(fields)
    }

    /// Of a query, which may lack.
    pub(super) fn of_query(query: Option<&str>) -> Self {
        let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        Self::new(pairs.into_owned().filter(|(_, value)| !value.trim().is_empty()))
    }

    pub(super) fn get(&self, name: &str) -> &str {
        self.0.get(name).and_then(|values| values.first()).map_or("", |value| value.trim())
    }

    fn all(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// How many rows a part of the form has.
    fn rows(&self, part: &str) -> usize {
        let known = (0..MAX_ROWS).rev().find(|row| {
            let prefix = format!("{part}{row}-");
            self.0.keys().any(|name| name.starts_with(&prefix))
        });
        let asked = self.get(&format!("{part}-rows")).parse().unwrap_or(0);
        known.map_or(0, |last| last + 1).max(asked).min(MAX_ROWS)
    }
}

/// A window as it was typed: of days of the week, or of a date.
#[derive(Clone)]
struct Row {
    days: Vec<String>,
    date: String,
    open: String,
    close: String,
    streams: Vec<String>,
    makeup: bool,
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl Row {
    fn blank() -> Self {
        let streams = Stream::ALL.iter().map(|stream| stream.as_str().to_owned()).collect();
        let (date, open, close) = (String::new(), String::new(), String::new());
        Self { days: Vec::new(), date, open, close, streams, makeup: false }
    }

    fn of(window: &DayWindow) -> Self {
        let streams = window.streams.unwrap_or(StreamSet::ALL);
        // What people and their pickers call midnight.
        let close = if window.close == Minute::END_OF_DAY { "00:00".to_owned() } else { window.close.to_string() };
        Self {
            open: window.open.to_string(),
            close,
            streams: streams.iter().map(|stream| stream.as_str().to_owned()).collect(),
            makeup: window.makeup,
            ..Self::blank()
        }
    }

    fn read(fields: &Fields, part: &str, row: usize) -> Self {
        let name = |field: &str| format!("{part}{row}-{field}");
        // A window for no stream is one for all.
        let streams = Some(fields.all(&name("streams")).to_vec()).filter(|streams| !streams.is_empty());
        Self {
            days: fields.all(&name("days")).to_vec(),
            date: fields.get(&name("date")).to_owned(),
            open: fields.get(&name("open")).to_owned(),
            close: fields.get(&name("close")).to_owned(),
            streams: streams.unwrap_or_else(|| Self::blank().streams),
            makeup: !fields.get(&name("makeup")).is_empty(),
        }
    }

    fn has_times(&self) -> bool {
        !self.open.is_empty() || !self.close.is_empty()
    }

    fn window(&self, lang: Language) -> Result<DayWindow, String> {
        let minute = |text: &str| Minute::parse(text.get(..5).unwrap_or(text));
        let (Some(open), Some(close)) = (minute(&self.open), minute(&self.close)) else {
            let words =
                lang.t("请把开放和关闭的时间都填上,如 8:00 和 9:00。", "Give both times, such as 08:00 and 09:00.");
            return Err(words.to_owned());
        };
        let close = if close.get() == 0 { Minute::END_OF_DAY } else { close };
        if close <= open {
            let words = lang.t(
                "关闭时间要晚于开放时间;跨过午夜的,请分成两行填写。",
                "It must close after it opens; hours over midnight take two rows.",
            );
            return Err(words.to_owned());
        }
        let streams: StreamSet = self.streams.iter().filter_map(|stream| Stream::parse(stream)).collect();
        let streams = Some(streams).filter(|streams| !streams.is_empty() && !streams.is_all());
        Ok(DayWindow { open, close, streams, makeup: self.makeup })
    }
}

/// What is wrong, by the id of what it is wrong with.
pub(super) type Mistakes = Vec<(String, String)>;

/// A schedule as it was typed.
pub(super) struct Draft {
    valid_from: String,
    reason: String,
    met: String,
    note: String,
    weekly: Vec<Row>,
    dates: Vec<Row>,
}

impl Draft {
    /// The hours of a schedule as the start of another; dates before `today` are over.
    pub(super) fn of(schedule: &Schedule, today: NaiveDate) -> Self {
        let weekly = schedule.weekly.iter().map(|weekly| Row {
            days: weekly.days.iter().map(|day| DAYS[usize::from(day) % 7].to_owned()).collect(),
            ..Row::of(&weekly.window)
        });
        let coming = schedule.dates.iter().filter(|date| date.date >= today);
        let dates = coming.flat_map(|date| {
            let written = date.date.to_string();
            let rows: Vec<_> =
                date.windows.iter().map(|window| Row { date: written.clone(), ..Row::of(window) }).collect();
            if rows.is_empty() { vec![Row { date: written, ..Row::blank() }] } else { rows }
        });
        let blank = String::new;
        let mut draft = Self {
            valid_from: blank(),
            reason: blank(),
            met: blank(),
            note: blank(),
            weekly: weekly.collect(),
            dates: dates.collect(),
        };
        draft.add("w", 1);
        draft.add("d", 1);
        draft
    }

    pub(super) fn read(fields: &Fields) -> Self {
        let rows = |part: &str| (0..fields.rows(part)).map(|row| Row::read(fields, part, row)).collect();
        let mut draft = Self {
            valid_from: fields.get("valid_from").to_owned(),
            reason: fields.get("reason").to_owned(),
            met: fields.get("met").to_owned(),
            note: fields.get("note").to_owned(),
            weekly: rows("w"),
            dates: rows("d"),
        };
        draft.add(fields.get("add"), 2);
        draft
    }

    /// Whether windows of a week were sent at all.
    pub(super) fn is_asked(fields: &Fields) -> bool {
        fields.rows("w") > 0
    }

    fn add(&mut self, part: &str, rows: usize) {
        let part = match part {
            "w" => &mut self.weekly,
            "d" => &mut self.dates,
            _ => return,
        };
        part.resize(part.len().saturating_add(rows).min(MAX_ROWS), Row::blank());
    }

    /// With the weekly windows of another.
    pub(super) fn with_week_of(self, other: Self) -> Self {
        Self { weekly: other.weekly, ..self }
    }

    pub(super) fn week(&self, lang: Language) -> Result<Vec<WeeklyWindow>, Mistakes> {
        let (mut windows, mut mistakes) = (Vec::new(), Mistakes::new());
        for (index, row) in self.weekly.iter().enumerate() {
            let days: DaySet =
                (0..7_u8).filter(|day| row.days.iter().any(|one| one == DAYS[usize::from(*day)])).collect();
            if days.is_empty() && !row.has_times() {
                continue;
            }
            let at = |field: &str| format!("w{index}-{field}");
            match row.window(lang) {
                Err(wrong) => mistakes.push((at("open"), wrong)),
                Ok(_) if days.is_empty() => {
                    mistakes.push((at("days"), lang.t("请至少选一天。", "Choose at least one day.").to_owned()));
                }
                Ok(window) => windows.push(WeeklyWindow { days, window }),
            }
        }
        if mistakes.is_empty() { Ok(windows) } else { Err(mistakes) }
    }

    fn dates(&self, lang: Language) -> Result<Vec<DateWindows>, Mistakes> {
        let (mut dates, mut mistakes) = (Vec::<DateWindows>::new(), Mistakes::new());
        for (index, row) in self.dates.iter().enumerate() {
            if row.date.is_empty() && !row.has_times() {
                continue;
            }
            let Some(date) = parse_date(&row.date) else {
                mistakes.push((format!("d{index}-date"), wrong_date(lang)));
                continue;
            };
            let window = row.has_times().then(|| row.window(lang)).transpose();
            match window {
                Err(wrong) => mistakes.push((format!("d{index}-open"), wrong)),
                Ok(window) => match dates.iter_mut().find(|known| known.date == date) {
                    Some(known) => known.windows.extend(window),
                    None => dates.push(DateWindows { date, windows: window.into_iter().collect() }),
                },
            }
        }
        if mistakes.is_empty() { Ok(dates) } else { Err(mistakes) }
    }

    /// The schedule, or all that is wrong with it.
    pub(super) fn schedule(&self, lang: Language) -> Result<Schedule, Mistakes> {
        let mut mistakes = Mistakes::new();
        let valid_from = parse_date(&self.valid_from);
        if valid_from.is_none() {
            mistakes.push(("valid_from".to_owned(), wrong_date(lang)));
        }
        for (id, text) in [("reason", &self.reason), ("note", &self.note)] {
            if text.len() > MAX_TEXT {
                mistakes.push((
                    id.to_owned(),
                    lang.t("太长了,请不超过 600 字。", "Too long: at most 600 words.").to_owned(),
                ));
            }
        }
        let met = parse_date(&self.met);
        if met.is_none() && (!self.met.is_empty() || !self.note.is_empty()) {
            mistakes.push(("met".to_owned(), lang.t("请填写会议的日期。", "Give the date of the meeting.").to_owned()));
        }
        let (weekly, dates) = (self.week(lang), self.dates(lang));
        match (valid_from, weekly, dates) {
            (Some(valid_from), Ok(weekly), Ok(dates)) if mistakes.is_empty() => {
                let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
                let meeting = met.map(|date| Meeting { date, note: some(&self.note) });
                Ok(Schedule { valid_from, reason: some(&self.reason), meeting, weekly, dates })
            }
            (_, weekly, dates) => {
                mistakes.extend(weekly.err().into_iter().flatten());
                mistakes.extend(dates.err().into_iter().flatten());
                Err(mistakes)
            }
        }
    }

    /// The week as a query, to be taken over into another form.
    pub(super) fn week_query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (index, row) in self.weekly.iter().enumerate().filter(|(_, row)| row.has_times()) {
            let name = |field: &str| format!("w{index}-{field}");
            query.extend_pairs(row.days.iter().map(|day| (name("days"), day)));
            query.append_pair(&name("open"), &row.open).append_pair(&name("close"), &row.close);
            if !row.streams.is_empty() && row.streams.len() < Stream::ALL.len() {
                query.extend_pairs(row.streams.iter().map(|stream| (name("streams"), stream)));
            }
            if row.makeup {
                query.append_pair(&name("makeup"), "yes");
            }
        }
        query.finish()
    }
}

fn wrong_date(lang: Language) -> String {
    lang.t("请选择日期。", "Choose a date.").to_owned()
}
