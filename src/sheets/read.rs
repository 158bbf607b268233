//! Workbooks that somebody sends: the cells of their first sheet, within limits that no file gets around.

use std::collections::BTreeMap;
use std::io::{Cursor, Read, sink};

use calamine::{DataRef, Reader, SheetType, Xlsx};
use chrono::{Days, NaiveDate};
use zip::ZipArchive;

/// What a workbook may be when unpacked: a small file can be made that would unpack to many gigabytes.
const MAX_UNPACKED: u64 = 64 * 1024 * 1024;
const MAX_PARTS: usize = 1_000;
/// The rows and columns of Excel's own sheets. A made-up address would have billions of columns before its own.
const MAX_ROWS: u32 = 1_048_576;
const MAX_COLUMNS: u32 = 16_384;
/// The most cells that hold something.
const MAX_CELLS: usize = 1_000_000;
/// The most bytes of all their texts: many cells can share one long text.
const MAX_TEXT: usize = 32 * 1024 * 1024;
/// What its file begins with, as that of every ZIP archive.
const MAGIC: &[u8] = b"PK\x03\x04";

/// A row that holds something.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// As Excel shows it, from 1.
    pub number: usize,
    /// By their columns, from 0.
    pub cells: BTreeMap<usize, Value>,
}

/// What Excel shows in a cell; of a formula its last result.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Text(String),
    Number(f64),
    Bool(bool),
    Date(NaiveDate),
    /// A time of day, with a date or without.
    Time,
    /// Such as `#N/A`.
    Error,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error("the file is not an Excel workbook: save it as .xlsx, without a password")]
    NoWorkbook,
    #[error("the workbook has no sheet of cells")]
    NoSheet,
    #[error("the workbook is too large: send it in smaller parts, without anything but the rows")]
    TooLarge,
}

/// Whether bytes are a workbook rather than text.
pub fn is_workbook(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// The rows of the first sheet in their order; other sheets are left alone.
pub fn read(bytes: &[u8]) -> Result<Vec<Row>, ReadError> {
    measure(bytes, MAX_UNPACKED)?;
    // calamine reckons with what a file says of itself, and a made-up cell address is enough to make that overflow.
    std::panic::catch_unwind(|| cells(bytes)).unwrap_or(Err(ReadError::NoWorkbook))
}

fn cells(bytes: &[u8]) -> Result<Vec<Row>, ReadError> {
    let mut workbook: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).map_err(|_| ReadError::NoWorkbook)?;
    let sheets = workbook.sheets_metadata().iter();
    let first = sheets.filter(|sheet| sheet.typ == SheetType::WorkSheet).map(|sheet| sheet.name.clone()).next();
    let shift = if workbook.has_1904_epoch() { 1462 } else { 0 };
    let mut cells =
        workbook.worksheet_cells_reader(&first.ok_or(ReadError::NoSheet)?).map_err(|_| ReadError::NoWorkbook)?;
    // In a file that is not Excel's own, cells may come in any order.
    let mut rows = BTreeMap::<u32, BTreeMap<usize, Value>>::new();
    let (mut count, mut text) = (0, 0);
    while let Some(cell) = cells.next_cell().map_err(|_| ReadError::NoWorkbook)? {
        let Some(value) = value(cell.get_value(), shift) else { continue };
        count += 1;
        text += if let Value::Text(written) = &value { written.len() } else { 0 };
        if count > MAX_CELLS || text > MAX_TEXT {
            return Err(ReadError::TooLarge);
        }
        let (row, column) = cell.get_position();
        if row >= MAX_ROWS || column >= MAX_COLUMNS {
            return Err(ReadError::NoWorkbook);
        }
        rows.entry(row).or_default().insert(column as usize, value);
    }
    Ok(rows.into_iter().map(|(row, cells)| Row { number: row as usize + 1, cells }).collect())
}

/// Unpacks all parts once, into nothing: what their headers say of their sizes need not be true.
fn measure(bytes: &[u8], most: u64) -> Result<(), ReadError> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|_| ReadError::NoWorkbook)?;
    if archive.len() > MAX_PARTS {
        return Err(ReadError::TooLarge);
    }
    let mut left = most;
    for part in 0..archive.len() {
        let part = archive.by_index(part).map_err(|_| ReadError::NoWorkbook)?;
        let unpacked = std::io::copy(&mut part.take(left + 1), &mut sink()).map_err(|_| ReadError::NoWorkbook)?;
        left = left.checked_sub(unpacked).ok_or(ReadError::TooLarge)?;
    }
    Ok(())
}

fn value(cell: &DataRef<'_>, shift: u64) -> Option<Value> {
    Some(match cell {
        DataRef::Empty => return None,
        DataRef::SharedString(text) => text_of(text)?,
        DataRef::String(text) => text_of(text)?,
        DataRef::Int(number) => Value::Number(*number as f64),
        DataRef::Float(number) => Value::Number(*number),
        DataRef::Bool(answer) => Value::Bool(*answer),
        DataRef::DateTime(moment) if moment.is_duration() => Value::Time,
        DataRef::DateTime(moment) => date(moment.as_f64(), shift).map_or(Value::Time, Value::Date),
        // Strictly by ISO 29500 a date may be written out.
        DataRef::DateTimeIso(written) => {
            let day = written.strip_suffix("T00:00:00").unwrap_or(written);
            day.parse().map_or(Value::Time, Value::Date)
        }
        DataRef::DurationIso(_) => Value::Time,
        DataRef::Error(_) => Value::Error,
    })
}

fn text_of(text: &str) -> Option<Value> {
    let text = text.trim();
    (!text.is_empty()).then(|| Value::Text(text.to_owned()))
}

/// The date of a serial number; `None`: it has a time of day, or is no date. Excel counts a 29 February 1900 that never
/// was, so the days before it are left out.
fn date(serial: f64, shift: u64) -> Option<NaiveDate> {
    let whole = serial.fract() == 0.0 && (0.0..=2_958_465.0).contains(&serial);
    let days = whole.then_some(serial as u64)? + shift;
    NaiveDate::from_ymd_opt(1899, 12, 30)?.checked_add_days(Days::new(days)).filter(|_| days > 60)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use chrono::DateTime;
    use proptest::prelude::*;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::super::{Cell, Table, xlsx};
    use super::*;

    fn workbook() -> Vec<u8> {
        let date = NaiveDate::from_ymd_opt(2026, 11, 20).unwrap();
        let rows = vec![
            vec!["h1".into(), Cell::Date(date), Cell::Integer(7)],
            vec![],
            vec![" 梧桐 ".into(), Cell::Empty, Cell::Decimal(0.5)],
        ];
        let table =
            Table { title: "t".to_owned(), columns: vec!["a".to_owned(), "b".to_owned(), "c".to_owned()], rows };
        xlsx(&[table], DateTime::default()).unwrap()
    }

    /// A workbook whose one sheet is the XML given.
    fn sheet(data: &str) -> Vec<u8> {
        let mut archive = ZipArchive::new(Cursor::new(workbook())).unwrap();
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for index in 0..archive.len() {
            let mut part = archive.by_index(index).unwrap();
            let name = part.name().unwrap().into_owned();
            writer.start_file(name.as_str(), SimpleFileOptions::default()).unwrap();
            let mut text = String::new();
            part.read_to_string(&mut text).unwrap();
            if name.ends_with("sheet1.xml") {
                let (start, rest) = text.split_once("<sheetData>").unwrap();
                let (_, end) = rest.split_once("</sheetData>").unwrap();
                text = format!("{start}<sheetData>{data}</sheetData>{end}");
            }
            writer.write_all(text.as_bytes()).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    #[test]
    fn rows_have_the_numbers_that_excel_shows() {
        let rows = read(&workbook()).unwrap();
        assert_eq!(rows.iter().map(|row| row.number).collect::<Vec<_>>(), [1, 2, 4]);
        let date = NaiveDate::from_ymd_opt(2026, 11, 20).unwrap();
        assert_eq!(
            rows[1].cells,
            BTreeMap::from([(0, Value::Text("h1".to_owned())), (1, Value::Date(date)), (2, Value::Number(7.0))])
        );
        assert_eq!(rows[2].cells, BTreeMap::from([(0, Value::Text("梧桐".to_owned())), (2, Value::Number(0.5))]));
    }

    #[test]
    fn a_lone_cell_in_the_last_corner_fills_no_memory() {
        let bytes = sheet(
            r#"<row r="1048576"><c r="XFD1048576"><v>5</v></c></row><row r="2"><c r="B2" t="e"><v>#N/A</v></c></row>"#,
        );
        let rows = read(&bytes).unwrap();
        let expected = [(2, 1, Value::Error), (1_048_576, 16_383, Value::Number(5.0))];
        assert_eq!(
            rows,
            expected.map(|(number, column, value)| Row { number, cells: BTreeMap::from([(column, value)]) })
        );
    }

    #[test]
    fn what_lies_beyond_the_last_row_or_column_is_no_cell_of_excels() {
        for address in ["XFE1", "COUNTA1", "A1048577"] {
            let data = format!("<row><c r=\"{address}\"><v>5</v></c></row>");
            assert_eq!(read(&sheet(&data)), Err(ReadError::NoWorkbook), "{address}");
        }
    }

    #[test]
    fn what_unpacks_to_more_than_the_limit_is_refused() {
        let bomb = sheet(&" ".repeat(MAX_UNPACKED as usize));
        assert!(bomb.len() < 200_000, "{}", bomb.len());
        assert_eq!(read(&bomb), Err(ReadError::TooLarge));
        assert_eq!(measure(&workbook(), 1_000), Err(ReadError::TooLarge));
    }

    #[test]
    fn what_is_no_workbook_is_named_so() {
        for bytes in [&b""[..], b"household,date\n", b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"] {
            assert_eq!(read(bytes), Err(ReadError::NoWorkbook));
        }
        let mut empty = ZipWriter::new(Cursor::new(Vec::new()));
        empty.start_file("a.txt", SimpleFileOptions::default()).unwrap();
        assert_eq!(read(&empty.finish().unwrap().into_inner()), Err(ReadError::NoWorkbook));
        assert!(is_workbook(&workbook()) && !is_workbook(b"household"));
    }

    #[test]
    fn serial_numbers_are_dates_only_where_they_are_days() {
        let written = |serial, shift| date(serial, shift).map(|date| date.to_string());
        assert_eq!(written(46_346.0, 0).as_deref(), Some("2026-11-20"));
        assert_eq!(written(44_884.0, 1462).as_deref(), Some("2026-11-20"));
        for none in [46_346.5, -1.0, 0.0, 60.0, 1e300, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(written(none, 0), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8), cut in any::<prop::sample::Index>(), whole: bool) {
            let mut bytes = workbook();
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if !whole {
                bytes.truncate(cut.index(bytes.len()));
            }
            let _ = read(&bytes);
        }

        #[test]
        fn no_sheet_makes_it_panic(parts in prop::collection::vec(prop_oneof![
            Just("<row>"), Just("<row r=\"0\">"), Just("<row r=\"4294967296\">"), Just("</row>"), Just("<c>"), Just("<c r=\"A0\">"), Just("<c r=\"ZZZZZZZ9\">"),
            Just("<c r=\"B2\" t=\"s\">"), Just("<c t=\"b\">"), Just("<c s=\"99\">"), Just("<c s=\"1\" t=\"d\">"), Just("</c>"), Just("<v>"), Just("</v>"), Just("99999999999"),
            Just("-1"), Just("1e400"), Just("NaN"), Just("<is>"), Just("</is>"), Just("<t>x</t>"), Just("<f t=\"shared\" si=\"0\">A1</f>"), Just("&#0;"), Just("&x;"), Just("<"),
        ], 0..24)) {
            let _ = read(&sheet(&parts.concat()));
        }
    }
}
