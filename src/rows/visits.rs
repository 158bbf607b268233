//! Records of visits and surveys: one object, an array of them, CSV, or an Excel workbook.

use serde_json::{Map, Value};

use super::workbook::workbook;
use super::{Columns, Errors, Record, csv, date, document, objects, text};
use crate::domain::awareness::{Outcome, Visit, VisitKind};
use crate::domain::rows::Rows;

const REQUIRED: [&str; 4] = ["household", "date", "kind", "outcome"];
const COLUMNS: Columns =
    Columns { header: "household,date,kind,outcome,claimed,tested", required: &REQUIRED, dates: &["date"] };

/// CSV with a header; `claimed` and `tested` are `true` or `是`, `false` or `否`, or empty, in whatever case Excel writes them.
pub fn from_csv(bytes: &[u8]) -> Rows<Visit> {
    csv(bytes, &COLUMNS, from_record)
}

/// The first sheet of an Excel workbook, with the columns of the CSV.
pub fn from_xlsx(bytes: &[u8]) -> Rows<Visit> {
    workbook(bytes, &COLUMNS, from_record)
}

/// `{"household","date","kind","outcome","claimed"?,"tested"?}`, or a JSON array of such.
pub fn from_json(bytes: &[u8]) -> Rows<Visit> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Array(values)) => objects(&values, "visit", from_object),
        Ok(value @ Value::Object(_)) => objects(&[value], "visit", from_object),
        _ => document("the body must be a visit as a JSON object, or a JSON array of visits".to_owned()),
    }
}

/// A row as it is read, where nothing is wrong with it.
struct Reading<'a> {
    household: Option<&'a str>,
    date: Option<&'a str>,
    kind: Option<&'a str>,
    outcome: Option<&'a str>,
    answers: [Option<bool>; 2],
}

impl Reading<'_> {
    fn visit(self, mut errors: Errors) -> Result<Visit, Errors> {
        if self.household.is_none() {
            errors.push("`household` is missing".to_owned());
        }
        let date = date(&mut errors, "date", self.date);
        let kind = word(&mut errors, "kind", self.kind, VisitKind::parse, "visit or survey");
        let outcome = word(&mut errors, "outcome", self.outcome, Outcome::parse, "answered, refused or absent");
        let (household, [claimed, tested]) = (self.household.unwrap_or_default().to_owned(), self.answers);
        match (kind, outcome) {
            (Some(kind), Some(outcome)) if errors.is_empty() => {
                Ok(Visit { household, date, kind, outcome, claimed, tested })
            }
            _ => Err(errors),
        }
    }
}

fn word<T>(
    errors: &mut Errors,
    name: &str,
    given: Option<&str>,
    parse: fn(&str) -> Option<T>,
    words: &str,
) -> Option<T> {
    let word = given.and_then(parse);
    match (&word, given) {
        (Some(_), _) => {}
        (None, Some(_)) => errors.push(format!("`{name}` must be {words}")),
        (None, None) => errors.push(format!("`{name}` is missing: {words}")),
    }
    word
}

fn from_record(row: &Record<'_>) -> Result<Visit, Errors> {
    let mut errors = Errors::new();
    let answers = ["claimed", "tested"].map(|name| match row.text(name) {
        None => None,
        Some(text) if text == "是" || text.eq_ignore_ascii_case("true") => Some(true),
        Some(text) if text == "否" || text.eq_ignore_ascii_case("false") => Some(false),
        Some(_) => {
            errors.push(format!("`{name}` must be true, false or empty"));
            None
        }
    });
    let [household, date, kind, outcome] = REQUIRED.map(|name| row.text(name));
    Reading { household, date, kind, outcome, answers }.visit(errors)
}

fn from_object(fields: &Map<String, Value>) -> Result<Visit, Errors> {
    let mut errors = Errors::new();
    let answers = ["claimed", "tested"].map(|name| match fields.get(name) {
        None | Some(Value::Null) => None,
        Some(Value::Bool(answer)) => Some(*answer),
        Some(_) => {
            errors.push(format!("`{name}` must be true, false or null"));
            None
        }
    });
    let texts = REQUIRED.map(|name| text(fields, name, &mut errors));
    let [Some(household), Some(date), Some(kind), Some(outcome)] = texts else { return Err(errors) };
    Reading { household, date, kind, outcome, answers }.visit(errors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::rows::BadRow;

    #[test]
    fn csv_and_json_say_the_same() {
        let csv = "\u{feff}date,household,kind,outcome,claimed,tested\r\n\
                   2026-11-20,h1,survey,answered,TRUE,false\r\n2026-11-21,h2,visit,absent,,\r\n";
        let json = br#"[{"household":"h1","date":"2026-11-20","kind":"survey","outcome":"answered","claimed":true,"tested":false},
                        {"household":"h2","date":"2026-11-21","kind":"visit","outcome":"absent","claimed":null}]"#;
        let (csv, json) = (from_csv(csv.as_bytes()), from_json(json));
        assert_eq!((csv.readable.len(), csv.bad.len()), (2, 0));
        assert_eq!(csv, json);
        let one = br#"{"household":"h2","date":"2026-11-21","kind":"visit","outcome":"absent"}"#;
        assert_eq!(from_json(one).readable[0].1, csv.readable[1].1);
    }

    #[test]
    fn every_unreadable_row_is_named() {
        let json = br#"[{"household":7,"date":"2026-11-20"}, {"kind":"call","outcome":"gone","claimed":"yes"}, []]"#;
        let named: Vec<_> = from_json(json).bad.into_iter().map(|bad| (bad.row, bad.error)).collect();
        let expected = [
            (1, "`household` must be a text"),
            (2, "`claimed` must be true, false or null"),
            (2, "`household` is missing"),
            (2, "`date` is missing"),
            (2, "`kind` must be visit or survey"),
            (2, "`outcome` must be answered, refused or absent"),
            (3, "a visit is a JSON object"),
        ];
        assert_eq!(named, expected.map(|(row, error)| (row, error.to_owned())));
        let csv = b"household,date,kind,outcome,claimed\nh1,2026-11-20,survey,answered,maybe\n";
        assert_eq!(from_csv(csv).bad, [BadRow::new(1, "`claimed` must be true, false or empty")]);
        assert_eq!(from_json(b"7").bad[0].row, 0);
        assert!(from_csv(b"household,date,kind\n").bad[0].error.contains("lacks `outcome`"));
    }
}
