//! Reading imports, CSV, JSON or Excel, row by row: what cannot be read is named beside what can, so that one look at the
//! answer mends the whole file. Errors name fields, never what stands in them.

pub mod households;
pub mod visits;
mod workbook;

use chrono::NaiveDate;
use serde_json::{Map, Value};

use crate::domain::period::parse_date;
use crate::domain::rows::{BadRow, Rows};

/// The row number under which the document as a whole is blamed.
const DOCUMENT: usize = 0;

/// What is wrong with one row.
type Errors = Vec<String>;

/// The columns of a list.
struct Columns {
    /// All of them, as a header names them.
    header: &'static str,
    required: &'static [&'static str],
    /// Those that hold dates.
    dates: &'static [&'static str],
}

impl Columns {
    /// What is wrong with the header of a file.
    fn refusal(&self, found: &csv::StringRecord) -> Option<String> {
        let header = self.header;
        if let Some(unknown) = found.iter().position(|column| !header.split(',').any(|known| known == column)) {
            return Some(format!("column {} of the header is unknown: the header is {header}", unknown + 1));
        }
        // Of two columns of a name one would be left out in silence.
        let twice = (0..found.len()).find(|at| found.iter().take(*at).any(|column| Some(column) == found.get(*at)));
        if let Some(twice) = twice {
            return Some(format!("column {} of the header is there already: the header is {header}", twice + 1));
        }
        let missing = self.required.iter().find(|required| !found.iter().any(|column| column == **required))?;
        Some(format!("the header lacks `{missing}`: it is {header}"))
    }
}

/// One row of a file: a text for each column of the header, in whatever order the file has them.
struct Record<'a> {
    header: &'a csv::StringRecord,
    record: &'a csv::StringRecord,
}

impl Record<'_> {
    /// What stands in a column; `None`: nothing, or there is no such column.
    fn text(&self, column: &str) -> Option<&str> {
        let place = self.header.iter().position(|name| name == column)?;
        self.record.get(place).filter(|text| !text.is_empty())
    }
}

/// CSV with a header. A byte order mark, as Excel writes it, is skipped.
fn csv<T>(bytes: &[u8], columns: &Columns, read: impl Fn(&Record<'_>) -> Result<T, Errors>) -> Rows<T> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(bytes);
    let Ok(found) = reader.headers().cloned() else { return document("the file is not CSV in UTF-8".to_owned()) };
    if let Some(error) = columns.refusal(&found) {
        return document(error);
    }
    let mut rows = Rows::default();
    for (index, record) in reader.records().enumerate() {
        let row = match record {
            Ok(record) if record.len() == found.len() => read(&Record { header: &found, record: &record }),
            Ok(record) => Err(vec![format!("the row has {} columns, the header {}", record.len(), found.len())]),
            Err(_) => Err(vec!["the row is not UTF-8".to_owned()]),
        };
        push(&mut rows, index + 1, row);
    }
    rows
}

/// A row for each of `values`, which must be objects: `what` says of what.
fn objects<T>(values: &[Value], what: &str, read: impl Fn(&Map<String, Value>) -> Result<T, Errors>) -> Rows<T> {
    let mut rows = Rows::default();
    for (index, value) in values.iter().enumerate() {
        let row = match value {
            Value::Object(fields) => read(fields),
            _ => Err(vec![format!("a {what} is a JSON object")]),
        };
        push(&mut rows, index + 1, row);
    }
    rows
}

fn document<T>(error: String) -> Rows<T> {
    Rows { bad: vec![BadRow::new(DOCUMENT, error)], ..Rows::default() }
}

fn push<T>(rows: &mut Rows<T>, number: usize, row: Result<T, Errors>) {
    match row {
        Ok(row) => rows.readable.push((number, row)),
        Err(errors) => rows.bad.extend(errors.into_iter().map(|error| BadRow::new(number, error))),
    }
}

/// What a text field says, if anything; `None`: it is no text, and has been named.
fn text<'a>(fields: &'a Map<String, Value>, name: &str, errors: &mut Errors) -> Option<Option<&'a str>> {
    match fields.get(name) {
        None | Some(Value::Null) => Some(None),
        Some(Value::String(text)) => Some(Some(text)),
        Some(_) => {
            errors.push(format!("`{name}` must be a text"));
            None
        }
    }
}

fn date(errors: &mut Errors, name: &str, text: Option<&str>) -> NaiveDate {
    let date = text.map(parse_date);
    match date {
        Some(Some(date)) => return date,
        Some(None) => errors.push(format!("`{name}` must be a date as YYYY-MM-DD")),
        None => errors.push(format!("`{name}` is missing")),
    }
    NaiveDate::default()
}
