//! Reading household imports, CSV or JSON, row by row: what cannot be read is named beside what can, so that
//! one look at the answer mends the whole file. Errors name fields, never what stands in them.

use chrono::NaiveDate;
use serde_json::{Map, Value};

use crate::domain::period::parse_date;
use crate::domain::roster::{BadRow, HouseholdRow, Rows};

const HEADER: &str = "household,building,enrolled_from,enrolled_until,cards";

/// The row number under which the document as a whole is blamed.
const DOCUMENT: usize = 0;

/// CSV with a header; `cards` are separated by `;`. A byte order mark, as Excel writes it, is skipped.
pub fn from_csv(bytes: &[u8]) -> Rows {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(bytes);
    let columns = match reader.headers().map(Columns::find) {
        Ok(Ok(columns)) => columns,
        Ok(Err(error)) => return document(error),
        Err(_) => return document("the file is not CSV in UTF-8".to_owned()),
    };
    let mut rows = Rows::default();
    for (index, record) in reader.records().enumerate() {
        let row = match record {
            Ok(record) => columns.row(&record),
            Err(_) => Err(vec!["the row is not UTF-8".to_owned()]),
        };
        push(&mut rows, index + 1, row);
    }
    rows
}

/// A JSON array of `{"household","building"?,"enrolled_from","enrolled_until"?,"cards":[…]}`.
pub fn from_json(bytes: &[u8]) -> Rows {
    let Ok(Value::Array(values)) = serde_json::from_slice(bytes) else {
        return document("the body must be a JSON array of households".to_owned());
    };
    let mut rows = Rows::default();
    for (index, value) in values.iter().enumerate() {
        let row = match value {
            Value::Object(fields) => from_object(fields),
            _ => Err(vec!["a household is a JSON object".to_owned()]),
        };
        push(&mut rows, index + 1, row);
    }
    rows
}

fn document(error: String) -> Rows {
    Rows { bad: vec![BadRow::new(DOCUMENT, error)], ..Rows::default() }
}

fn push(rows: &mut Rows, number: usize, row: Result<HouseholdRow, Vec<String>>) {
    match row {
        Ok(row) => rows.readable.push((number, row)),
        Err(errors) => rows.bad.extend(errors.into_iter().map(|error| BadRow::new(number, error))),
    }
}

/// Where the columns stand: files come with their columns in any order.
struct Columns {
    household: usize,
    building: Option<usize>,
    enrolled_from: usize,
    enrolled_until: Option<usize>,
    cards: Option<usize>,
    count: usize,
}

impl Columns {
    fn find(header: &csv::StringRecord) -> Result<Self, String> {
        let find = |name: &str| header.iter().position(|column| column == name);
        if let Some(unknown) = header.iter().position(|column| !HEADER.split(',').any(|known| known == column)) {
            return Err(format!("column {} of the header is unknown: the header is {HEADER}", unknown + 1));
        }
        let required = |name: &str| find(name).ok_or_else(|| format!("the header lacks `{name}`: it is {HEADER}"));
        Ok(Self {
            household: required("household")?,
            building: find("building"),
            enrolled_from: required("enrolled_from")?,
            enrolled_until: find("enrolled_until"),
            cards: find("cards"),
            count: header.len(),
        })
    }

    fn row(&self, record: &csv::StringRecord) -> Result<HouseholdRow, Vec<String>> {
        if record.len() != self.count {
            return Err(vec![format!("the row has {} columns, the header {}", record.len(), self.count)]);
        }
        let text = |column: Option<usize>| column.and_then(|column| record.get(column)).filter(|text| !text.is_empty());
        let mut errors = Vec::new();
        let enrolled_from = date(&mut errors, "enrolled_from", text(Some(self.enrolled_from)));
        let enrolled_until = text(self.enrolled_until).map(|text| date(&mut errors, "enrolled_until", Some(text)));
        let cards = text(self.cards).map(|cards| cards.split(';').map(str::trim).map(str::to_owned).collect());
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(HouseholdRow {
            household: record.get(self.household).unwrap_or_default().to_owned(),
            building: text(self.building).map(str::to_owned),
            enrolled_from,
            enrolled_until,
            cards: cards.unwrap_or_default(),
        })
    }
}

fn from_object(fields: &Map<String, Value>) -> Result<HouseholdRow, Vec<String>> {
    let mut errors = Vec::new();
    let household = text(fields, "household", &mut errors);
    let building = text(fields, "building", &mut errors).flatten();
    let from = text(fields, "enrolled_from", &mut errors);
    let until = text(fields, "enrolled_until", &mut errors).flatten();
    if household == Some(None) {
        errors.push("`household` is missing".to_owned());
    }
    let enrolled_from = from.map(|from| date(&mut errors, "enrolled_from", from)).unwrap_or_default();
    let enrolled_until = until.map(|until| date(&mut errors, "enrolled_until", Some(until)));
    let mut cards = Vec::new();
    match fields.get("cards") {
        Some(Value::Array(list)) => {
            for card in list {
                match card {
                    Value::String(card) => cards.push(card.clone()),
                    _ => errors.push("a card must be a text".to_owned()),
                }
            }
        }
        None | Some(Value::Null) => {
            errors.push("`cards` is missing: give [] for a household without a card".to_owned())
        }
        Some(_) => errors.push("`cards` must be a list of texts".to_owned()),
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let household = household.flatten().unwrap_or_default().to_owned();
    Ok(HouseholdRow { household, building: building.map(str::to_owned), enrolled_from, enrolled_until, cards })
}

/// What a text field says, if anything; `None`: it is no text, and has been named.
fn text<'a>(fields: &'a Map<String, Value>, name: &str, errors: &mut Vec<String>) -> Option<Option<&'a str>> {
    match fields.get(name) {
        None | Some(Value::Null) => Some(None),
        Some(Value::String(text)) => Some(Some(text)),
        Some(_) => {
            errors.push(format!("`{name}` must be a text"));
            None
        }
    }
}

fn date(errors: &mut Vec<String>, name: &str, text: Option<&str>) -> NaiveDate {
    let date = text.map(parse_date);
    match date {
        Some(Some(date)) => return date,
        Some(None) => errors.push(format!("`{name}` must be a date as YYYY-MM-DD")),
        None => errors.push(format!("`{name}` is missing")),
    }
    NaiveDate::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_as_excel_writes_it() {
        let csv = "\u{feff}household,building,enrolled_from,enrolled_until,cards\r\n\
                   h1,3栋,2026-01-01,,c1; c2\r\nh2,,2026-02-01,2026-03-01,\r\n";
        let rows = from_csv(csv.as_bytes());
        assert_eq!(rows.bad, []);
        let [(1, first), (2, second)] = rows.readable.as_slice() else { panic!("{rows:?}") };
        assert_eq!((first.building.as_deref(), first.cards.as_slice()), (Some("3栋"), &["c1".into(), "c2".into()][..]));
        assert_eq!(
            (second.enrolled_until.map(|date| date.to_string()).as_deref(), second.cards.len()),
            (Some("2026-03-01"), 0)
        );
    }

    #[test]
    fn every_unreadable_row_is_named_beside_the_readable_ones() {
        let csv = "household,enrolled_from,cards\nh1,1.1.2026,secret\nh2,2026-01-01,c\nh3\n";
        let rows = from_csv(csv.as_bytes());
        assert_eq!(rows.readable.len(), 1);
        assert_eq!(
            rows.bad,
            [
                BadRow::new(1, "`enrolled_from` must be a date as YYYY-MM-DD"),
                BadRow::new(3, "the row has 1 columns, the header 3"),
            ]
        );
        let json = br#"[{"household":1,"enrolled_from":"2026-01-01","cards":["c"]}, 7, {"household":"h","cards":[5]}]"#;
        let rows = from_json(json);
        assert_eq!(rows.readable, []);
        let named: Vec<_> = rows.bad.iter().map(|bad| (bad.row, bad.error.as_str())).collect();
        assert_eq!(
            named,
            [
                (1, "`household` must be a text"),
                (2, "a household is a JSON object"),
                (3, "`enrolled_from` is missing"),
                (3, "a card must be a text"),
            ]
        );
    }

    #[test]
    fn a_document_that_is_none_is_blamed_as_a_whole() {
        assert_eq!(from_json(b"{}").bad[0].row, DOCUMENT);
        assert_eq!(
            from_csv(b"household,card\n").bad,
            [BadRow::new(DOCUMENT, format!("column 2 of the header is unknown: the header is {HEADER}"))]
        );
    }
}
