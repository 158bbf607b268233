//! Tables as a workbook: a sheet for each, with numbers, dates and percentages that Excel can reckon with.

use chrono::{DateTime, FixedOffset};
use rust_xlsxwriter::{ColNum, DocProperties, Format, RowNum, Workbook, Worksheet, XlsxError};

use super::{Cell, Table};

/// The most letters of a cell and of a sheet's name that Excel takes.
const MAX_TEXT: usize = 32_767;
const MAX_NAME: usize = 31;

/// A table that is longer or wider than a sheet of Excel can be: 1,048,576 rows with the heading, 16,384 columns.
#[derive(Debug, thiserror::Error)]
#[error("the workbook cannot be written: {0}")]
pub struct WriteError(#[from] XlsxError);

/// A sheet for each table. `made`: when, for the properties of the file.
pub fn xlsx(tables: &[Table], made: DateTime<FixedOffset>) -> Result<Vec<u8>, WriteError> {
    let mut workbook = Workbook::new();
    workbook.set_properties(&DocProperties::new().set_creation_datetime(&made.to_utc()));
    let looks = Looks::new();
    let mut names: Vec<String> = Vec::new();
    for table in tables {
        let name = name(&table.title, &names);
        let sheet = workbook.add_worksheet();
        sheet.set_name(&name)?;
        names.push(name);
        fill(sheet, table, &looks)?;
    }
    Ok(workbook.save_to_buffer()?)
}

struct Looks {
    heading: Format,
    date: Format,
    integer: Format,
    percent: Format,
    decimal: Format,
    instant: Format,
}

impl Looks {
    fn new() -> Self {
        let number = |format: &str| Format::new().set_num_format(format);
        Self {
            heading: Format::new().set_bold().set_text_wrap(),
            date: number("yyyy-mm-dd"),
            integer: number("#,##0"),
            percent: number("0.0%"),
            decimal: number("#,##0.0##"),
            instant: number("yyyy-mm-dd hh:mm:ss"),
        }
    }
}

fn fill(sheet: &mut Worksheet, table: &Table, looks: &Looks) -> Result<(), XlsxError> {
    sheet.set_freeze_panes(1, 0)?;
    for (heading, at) in table.columns.iter().zip(0..) {
        sheet.write_string_with_format(0, at, fitting(heading), &looks.heading)?;
        sheet.set_column_width(at, width(table, heading, usize::from(at)))?;
    }
    for (row, at) in table.rows.iter().zip(1..) {
        for (cell, column) in row.iter().zip(0..) {
            write(sheet, at, column, cell, looks)?;
        }
    }
    Ok(())
}

fn write(sheet: &mut Worksheet, row: RowNum, column: ColNum, cell: &Cell, looks: &Looks) -> Result<(), XlsxError> {
    match cell {
        Cell::Text(text) => sheet.write_string(row, column, fitting(text))?,
        Cell::Date(date) => sheet.write_datetime_with_format(row, column, date, &looks.date)?,
        Cell::Integer(number) => sheet.write_number_with_format(row, column, *number as f64, &looks.integer)?,
        Cell::Percent(number) if number.is_finite() => {
            sheet.write_number_with_format(row, column, number / 100.0, &looks.percent)?
        }
        Cell::Decimal(number) if number.is_finite() => {
            sheet.write_number_with_format(row, column, *number, &looks.decimal)?
        }
        Cell::Instant(instant) => {
            sheet.write_datetime_with_format(row, column, instant.naive_local(), &looks.instant)?
        }
        Cell::Empty | Cell::Percent(_) | Cell::Decimal(_) => sheet,
    };
    Ok(())
}

/// A text as far as a cell takes it, without what XML has no signs for.
fn fitting(text: &str) -> String {
    let written = text.chars().filter(|letter| !letter.is_control() || matches!(letter, '\n' | '\t'));
    let written = written.filter(|letter| !matches!(letter, '\u{fffe}' | '\u{ffff}'));
    let mut room = MAX_TEXT;
    let fits = |letter: &char| {
        let left = room.checked_sub(letter.len_utf16());
        room = left.unwrap_or_default();
        left.is_some()
    };
    written.take_while(fits).collect()
}

/// Wide enough for the heading and the first rows, in letters; a Chinese character counts for two.
fn width(table: &Table, heading: &str, column: usize) -> f64 {
    let cells = table.rows.iter().take(200).filter_map(|row| row.get(column)).map(|cell| match cell {
        Cell::Text(text) => letters(text),
        Cell::Instant(_) => 19,
        Cell::Empty => 0,
        Cell::Date(_) | Cell::Integer(_) | Cell::Percent(_) | Cell::Decimal(_) => 10,
    });
    let widest = cells.chain([letters(heading)]).max().unwrap_or_default();
    (widest + 2).clamp(8, 50) as f64
}

fn letters(text: &str) -> usize {
    text.chars().map(|letter| if u32::from(letter) < 0x2e80 { 1 } else { 2 }).sum()
}

/// A name that Excel takes for a sheet, and that none of the sheets before has.
fn name(title: &str, before: &[String]) -> String {
    let kept: String = title
        .chars()
        .map(|letter| if letter.is_control() || "[]:*?/\\'".contains(letter) { ' ' } else { letter })
        .filter(|letter| !matches!(letter, '\u{fffe}' | '\u{ffff}'))
        .collect();
    // Excel keeps “History” for itself.
    let kept = match kept.trim() {
        "" => "Sheet",
        reserved if reserved.eq_ignore_ascii_case("history") => "History ",
        kept => kept,
    };
    let taken = |name: &str| before.iter().any(|other| other.to_lowercase() == name.to_lowercase());
    let numbered = (2..).map(|number: usize| format!(" {number}"));
    let names =
        std::iter::once(String::new()).chain(numbered).map(|end| format!("{}{end}", cut(kept, MAX_NAME - end.len())));
    names.into_iter().find(|name| !taken(name)).unwrap_or_default()
}

fn cut(text: &str, most: usize) -> String {
    let mut length = 0;
    let fits = |letter: &char| {
        length += letter.len_utf16();
        length <= most
    };
    text.chars().take_while(fits).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use calamine::{Data, Reader, Xlsx};
    use chrono::NaiveDate;
    use proptest::prelude::*;

    use super::*;

    fn made() -> DateTime<FixedOffset> {
        DateTime::parse_from_rfc3339("2026-11-20T08:15:30+08:00").unwrap()
    }

    fn table(title: &str, row: Vec<Cell>) -> Table {
        Table { title: title.to_owned(), columns: vec!["社区".to_owned(); row.len()], rows: vec![row] }
    }

    fn part(bytes: &[u8], name: &str) -> String {
        let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        std::io::read_to_string(archive.by_name(name).unwrap()).unwrap()
    }

    #[test]
    fn numbers_dates_and_percentages_are_what_they_are() {
        let date = NaiveDate::from_ymd_opt(2026, 11, 20).unwrap();
        let row = vec![
            "=1+1".into(),
            Cell::Date(date),
            Cell::Integer(1200),
            Cell::Percent(83.5),
            Cell::Decimal(f64::NAN),
            Cell::Instant(made()),
        ];
        let tables = [table("参与率", row), table("参与率", vec![])];
        let bytes = xlsx(&tables, made()).unwrap();
        assert_eq!(bytes, xlsx(&tables, made()).unwrap());
        let mut read = Xlsx::new(Cursor::new(&bytes)).unwrap();
        assert_eq!(read.sheet_names(), ["参与率", "参与率 2"]);
        let range = read.worksheet_range("参与率").unwrap();
        let cell = |column| range.get_value((1, column)).cloned().unwrap_or_default();
        assert_eq!(range.get_value((0, 0)), Some(&Data::String("社区".to_owned())));
        assert_eq!(
            [cell(0), cell(2), cell(3), cell(4)],
            [Data::String("=1+1".to_owned()), Data::Float(1200.0), Data::Float(0.835), Data::Empty]
        );
        let serial = |data: Data| match data {
            Data::DateTime(date) => date.as_f64(),
            other => panic!("{other:?}"),
        };
        assert_eq!(serial(cell(1)), 46_346.0);
        assert!((serial(cell(5)) - 46_346.344_097).abs() < 1e-6);
        let sheet = part(&bytes, "xl/worksheets/sheet1.xml");
        assert!(sheet.contains("state=\"frozen\"") && sheet.contains("<cols>"), "{sheet}");
        assert!(!sheet.contains("<f>"), "{sheet}");
        assert!(part(&bytes, "xl/styles.xml").contains("0.0%"));
    }

    #[test]
    fn sheets_have_names_that_excel_takes() {
        let long = "垃圾".repeat(40);
        let mut names = Vec::new();
        for title in ["", "a/b", "'A B'", "history", &long, &long, "🗑".repeat(20).as_str()] {
            let name = name(title, &names);
            names.push(name);
        }
        let expected = ["Sheet", "a b", "A B 2", "History 2"];
        assert_eq!(names[..2], expected[..2]);
        assert_eq!(names[2], expected[2]);
        assert!(names.iter().all(|name| name.encode_utf16().count() <= 31), "{names:?}");
    }

    proptest! {
        #[test]
        fn whatever_the_texts_are_it_can_be_written_and_read(
            titles in prop::collection::vec(".*|[a-b'/ ]{0,3}|histor[yY]", 1..4), text in any::<String>(), number in any::<f64>(),
        ) {
            let row = || vec![Cell::Text(text.clone()), Cell::Percent(number), Cell::Decimal(number)];
            let tables: Vec<_> = titles.iter().map(|title| table(title, row())).collect();
            let bytes = xlsx(&tables, made()).unwrap();
            let mut read = Xlsx::new(Cursor::new(bytes)).unwrap();
            let names = read.sheet_names();
            prop_assert_eq!(names.len(), titles.len());
            let range = read.worksheet_range(&names[0]).unwrap();
            let written = fitting(&text);
            // Line ends are those of XML.
            let cell = range.get_value((1, 0)).map(ToString::to_string).unwrap_or_default();
            prop_assert_eq!(cell, written);
        }
    }

    #[test]
    fn a_text_longer_than_a_cell_is_cut_and_not_refused() {
        let bytes = xlsx(&[table("t", vec![Cell::Text("🗑".repeat(20_000))])], made()).unwrap();
        let range = Xlsx::new(Cursor::new(bytes)).unwrap().worksheet_range("t").unwrap();
        assert_eq!(range.get_value((1, 0)).unwrap().to_string().chars().count(), 16_383);
    }
}
