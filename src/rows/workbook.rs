//! Rows out of an Excel workbook: the same columns as in CSV, and the same words for what is wrong with them.

use csv::StringRecord;

use super::{Columns, Errors, Record, document, push};
use crate::domain::rows::Rows;
use crate::sheets::{Row, Value, read};

/// Up to here Excel keeps every digit of a number.
const EXACT: f64 = 1e15;

/// The first row of the first sheet is the header; rows have the numbers that Excel shows.
pub(super) fn workbook<T>(
    bytes: &[u8],
    columns: &Columns,
    read_row: impl Fn(&Record<'_>) -> Result<T, Errors>,
) -> Rows<T> {
    let rows = match read(bytes) {
        Ok(rows) => rows,
        Err(error) => return document(error.to_string()),
    };
    let Some((first, rest)) = rows.split_first() else { return document("the first sheet is empty".to_owned()) };
    let header = match header(first) {
        Ok(header) => header,
        Err(error) => return document(error),
    };
    if let Some(error) = columns.refusal(&header) {
        return document(error);
    }
    let mut rows = Rows::default();
    for row in rest {
        push(&mut rows, row.number, texts(row, &header, columns, &read_row));
    }
    rows
}

fn header(row: &Row) -> Result<StringRecord, String> {
    let width = row.cells.keys().last().map_or(0, |last| last + 1);
    let names = (0..width).map(|column| match row.cells.get(&column) {
        Some(Value::Text(name)) => Ok(name.as_str()),
        None => Ok(""),
        Some(_) => Err(format!("column {} of the header is not a text", column + 1)),
    });
    names.collect()
}

/// Reads a row as if its cells were texts. What is wrong with a cell is named beside what is wrong with the others.
fn texts<T>(
    row: &Row,
    header: &StringRecord,
    columns: &Columns,
    read_row: impl Fn(&Record<'_>) -> Result<T, Errors>,
) -> Result<T, Errors> {
    if let Some(column) = row.cells.keys().last().filter(|column| **column >= header.len()) {
        return Err(vec![format!("the row has {} columns, the header {}", column + 1, header.len())]);
    }
    let (mut record, mut unreadable) = (StringRecord::new(), Vec::new());
    for (column, name) in header.iter().enumerate() {
        let text = row.cells.get(&column).map_or(Ok(String::new()), |value| text(value, columns.dates.contains(&name)));
        record.push_field(text.as_deref().unwrap_or_default());
        unreadable.extend(text.err().map(|error| (format!("`{name}`"), error)));
    }
    let read = read_row(&Record { header, record: &record });
    if unreadable.is_empty() {
        return read;
    }
    // That such a cell is missing too would be one word too many.
    let others = read.err().unwrap_or_default().into_iter();
    let others: Vec<_> = others.filter(|error| !unreadable.iter().any(|(name, _)| error.starts_with(name))).collect();
    Err(unreadable.into_iter().map(|(name, error)| format!("{name} {error}")).chain(others).collect())
}

/// A cell as it would stand in CSV.
fn text(value: &Value, is_date: bool) -> Result<String, &'static str> {
    match value {
        Value::Text(text) => Ok(text.clone()),
        Value::Bool(answer) => Ok(answer.to_string()),
        Value::Date(date) if is_date => Ok(date.to_string()),
        Value::Time if is_date => Err("must be a date without a time of day"),
        Value::Date(_) | Value::Time => {
            Err("holds a date, which Excel makes of what looks like one: format the column as text and type it again")
        }
        Value::Number(number) if number.abs() < EXACT => Ok(number.to_string()),
        Value::Number(_) => Err(
            "holds a number of more than 15 digits, of which Excel forgets the last: format the column as text and type it again",
        ),
        Value::Error => Err("holds an error of Excel's instead of a value"),
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, NaiveDate};

    use super::super::{DOCUMENT, households, visits};
    use crate::domain::rows::BadRow;
    use crate::sheets::{Cell, Table, xlsx};

    fn file(columns: &str, rows: Vec<Vec<Cell>>) -> Vec<u8> {
        let columns = columns.split(',').map(str::to_owned).collect();
        xlsx(&[Table { title: "t".to_owned(), columns, rows }], DateTime::default()).unwrap()
    }

    fn day(day: u32) -> Cell {
        NaiveDate::from_ymd_opt(2026, 11, day).into()
    }

    #[test]
    fn a_workbook_and_csv_say_the_same() {
        let rows = vec![
            vec!["h1".into(), day(20), "survey".into(), "answered".into(), "是".into(), "FALSE".into()],
            vec![Cell::Integer(302), "2026-11-21".into(), "visit".into(), "absent".into()],
        ];
        let workbook = visits::from_xlsx(&file("household,date,kind,outcome,claimed,tested", rows));
        let csv = "household,date,kind,outcome,claimed,tested\nh1,2026-11-20,survey,answered,TRUE,否\n302,2026-11-21,visit,absent,,\n";
        let csv = visits::from_csv(csv.as_bytes());
        assert_eq!((workbook.bad.as_slice(), csv.bad.as_slice()), (&[][..], &[][..]));
        let numbered =
            |rows: &[(usize, _)], more| rows.iter().map(|(row, visit)| (row + more, visit)).collect::<Vec<_>>().len();
        assert_eq!(numbered(&workbook.readable, 0), 2);
        // Excel counts the header as row 1.
        assert_eq!(
            workbook.readable,
            csv.readable.into_iter().map(|(row, visit)| (row + 1, visit)).collect::<Vec<_>>()
        );

        let rows = vec![vec!["h1".into(), "3栋".into(), day(1), Cell::Empty, "c1; c2".into()]];
        let workbook = households::from_xlsx(&file("household,building,enrolled_from,enrolled_until,cards", rows));
        let csv = households::from_csv(
            "household,building,enrolled_from,enrolled_until,cards\nh1,3栋,2026-11-01,,c1; c2\n".as_bytes(),
        );
        assert_eq!(workbook.readable[0].1, csv.readable[0].1);
    }

    #[test]
    fn every_bad_row_is_named_by_the_number_that_excel_shows() {
        let rows = vec![
            vec!["h1".into(), "3栋".into(), day(1), "c1".into()],
            vec![],
            vec!["h2".into(), day(3), "1.11.2026".into(), Cell::Decimal(6_217_000_000_000_000_123.0)],
            vec![Cell::Empty, "x".into(), Cell::Instant(DateTime::parse_from_rfc3339("2026-11-01T08:00:00Z").unwrap())],
            vec!["h3".into(), Cell::Empty, Cell::Integer(46_346), "c".into(), "more".into()],
            vec!["h4".into(), Cell::Empty, Cell::Integer(46_346)],
        ];
        let rows = households::from_xlsx(&file("household,building,enrolled_from,cards", rows));
        assert_eq!(rows.readable.len(), 1);
        let named: Vec<_> = rows.bad.iter().map(|bad| (bad.row, bad.error.as_str())).collect();
        let again = "format the column as text and type it again";
        assert_eq!(
            named,
            [
                (4, &*format!("`building` holds a date, which Excel makes of what looks like one: {again}")),
                (
                    4,
                    &*format!(
                        "`cards` holds a number of more than 15 digits, of which Excel forgets the last: {again}"
                    )
                ),
                (4, "`enrolled_from` must be a date as YYYY-MM-DD"),
                (5, "`enrolled_from` must be a date without a time of day"),
                (6, "the row has 5 columns, the header 4"),
                (7, "`enrolled_from` must be a date as YYYY-MM-DD"),
            ]
        );
    }

    #[test]
    fn a_file_that_is_no_list_is_blamed_as_a_whole() {
        let blamed = |bytes: &[u8]| visits::from_xlsx(bytes).bad;
        let error = "the file is not an Excel workbook: save it as .xlsx, without a password";
        assert_eq!(blamed(b"household,date\n"), [BadRow::new(DOCUMENT, error)]);
        let header = "household,date,kind,outcome,claimed,tested";
        let error = format!("column 2 of the header is unknown: the header is {header}");
        assert_eq!(blamed(&file("household,when", vec![])), [BadRow::new(DOCUMENT, error)]);
        assert!(blamed(&file("household,date,kind", vec![]))[0].error.contains("lacks `outcome`"));
        let empty = xlsx(&[Table::default()], DateTime::default()).unwrap();
        assert_eq!(blamed(&empty), [BadRow::new(DOCUMENT, "the first sheet is empty")]);
    }
}
