//! The two languages of the pages, and how each writes dates, times and amounts.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use chrono::{DateTime, Datelike, NaiveDate, NaiveTime};
use cookie::Cookie;
use serde::Deserialize;

use super::session;
use crate::domain::period::Span;
use crate::domain::zone::Tz;

const COOKIE: &str = "fenlei_lang";

/// Chinese unless somebody chose English.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Language {
    #[default]
    Zh,
    En,
}

impl Language {
    /// As the browser remembers the choice.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        match session::cookie(headers, COOKIE).as_deref() {
            Some("en") => Self::En,
            _ => Self::Zh,
        }
    }

    /// Lets the browser remember it, for a year.
    pub(super) fn chosen(self, headers: &HeaderMap) -> HeaderValue {
        let year = cookie::time::Duration::days(365);
        session::set(Cookie::build((COOKIE, self.parameter())).http_only(true).max_age(year), headers)
    }

    /// The words of this language: both stand side by side where they are said, so that none can be missing.
    pub(super) fn t<'a>(self, zh: &'a str, en: &'a str) -> &'a str {
        match self {
            Self::Zh => zh,
            Self::En => en,
        }
    }

    /// For `lang=`.
    pub(super) fn tag(self) -> &'static str {
        self.t("zh-CN", "en")
    }

    /// In a query.
    pub(super) fn parameter(self) -> &'static str {
        self.t("zh", "en")
    }

    /// What it calls itself.
    pub(super) fn name(self) -> &'static str {
        self.t("中文", "English")
    }

    pub(super) fn other(self) -> Self {
        match self {
            Self::Zh => Self::En,
            Self::En => Self::Zh,
        }
    }

    /// `2026年11月23日`, `23 Nov 2026`.
    pub(super) fn date(self, date: NaiveDate) -> String {
        date.format(self.t("%Y年%-m月%-d日", "%-d %b %Y")).to_string()
    }

    /// A span of days, each with its year where they differ.
    pub(super) fn span(self, span: Span) -> String {
        let day = |date: NaiveDate, year: bool| match (self, year) {
            (_, true) => self.date(date),
            (Self::Zh, false) => date.format("%-m月%-d日").to_string(),
            (Self::En, false) => date.format("%-d %b").to_string(),
        };
        if span.from == span.to {
            return self.date(span.from);
        }
        let both = span.from.year() != span.to.year();
        match self {
            Self::Zh => format!("{}–{}", day(span.from, true), day(span.to, both)),
            Self::En => format!("{}–{}", day(span.from, both), day(span.to, true)),
        }
    }

    /// A day without its year, for an axis: `11/2`, `2 Nov`.
    pub(super) fn short(self, date: NaiveDate) -> String {
        date.format(self.t("%-m/%-d", "%-d %b")).to_string()
    }

    /// Of Monday (0) to Sunday (6).
    pub(super) fn weekday(self, day: u32) -> &'static str {
        const ZH: [&str; 7] = ["周一", "周二", "周三", "周四", "周五", "周六", "周日"];
        const EN: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
        let day = day as usize % 7;
        self.t(ZH[day], EN[day])
    }

    /// `8:00`.
    pub(super) fn time(self, time: NaiveTime) -> String {
        time.format("%-H:%M").to_string()
    }

    /// An instant (Unix milliseconds) by the wall clock of its site: `2026年11月23日 8:15`.
    pub(super) fn instant(self, instant: i64, zone: Tz) -> String {
        let Some(local) = DateTime::from_timestamp_millis(instant).map(|at| at.with_timezone(&zone)) else {
            return "—".to_owned();
        };
        format!("{} {}", self.date(local.date_naive()), self.time(local.time()))
    }

    /// The same of an instant as the API writes it.
    pub(super) fn moment(self, rfc3339: &str, zone: Tz) -> String {
        let parsed = DateTime::parse_from_rfc3339(rfc3339);
        parsed.map_or_else(|_| "—".to_owned(), |instant| self.instant(instant.timestamp_millis(), zone))
    }

    /// A rate of 0–1 as `70.3%`; what has no denominator as `—`.
    pub(super) fn percent(self, rate: Option<f64>) -> String {
        rate.map_or_else(|| "—".to_owned(), |rate| format!("{:.1}%", rate * 100.0))
    }

    /// `12.3 千克`, `12.3 kg`.
    pub(super) fn kilograms(self, grams: u64) -> String {
        #[expect(clippy::cast_precision_loss, reason = "grams of a community stay far below 2^53")]
        let kilograms = grams as f64 / 1000.0;
        format!("{kilograms:.1} {}", self.t("千克", "kg"))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Language {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::of(&parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn dates_and_amounts_as_each_language_writes_them() {
        let (zh, en) = (Language::Zh, Language::En);
        assert_eq!(
            (zh.date(day("2026-11-03")), en.date(day("2026-11-03"))),
            ("2026年11月3日".into(), "3 Nov 2026".into())
        );
        let span = |from, to| Span { from: day(from), to: day(to) };
        assert_eq!(zh.span(span("2026-11-02", "2026-11-08")), "2026年11月2日–11月8日");
        assert_eq!(en.span(span("2026-11-02", "2026-11-08")), "2 Nov–8 Nov 2026");
        assert_eq!(zh.span(span("2025-12-29", "2026-01-04")), "2025年12月29日–2026年1月4日");
        assert_eq!(zh.span(span("2026-11-02", "2026-11-02")), "2026年11月2日");
        assert_eq!((zh.short(day("2026-11-02")), en.short(day("2026-11-02"))), ("11/2".into(), "2 Nov".into()));
        assert_eq!(zh.instant(1_763_856_900_000, chrono_tz::Asia::Shanghai), "2025年11月23日 8:15");
        assert_eq!((zh.percent(Some(0.7034)), en.percent(None)), ("70.3%".into(), "—".into()));
        assert_eq!((zh.kilograms(12_340), en.kilograms(0)), ("12.3 千克".into(), "0.0 kg".into()));
    }
}
