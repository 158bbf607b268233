//! CSV as Excel opens it by a double click: UTF-8 that says so, lines that end as on Windows.

use csv::{Terminator, WriterBuilder};

use super::{Cell, Table};

/// Without it Excel takes UTF-8 for the code page of the computer.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What Excel takes for the beginning of a formula, or skips before one; the wide forms are those of Chinese keyboards.
const FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

/// A table without its title: a line of headings, and a line for each row. A percentage has its sign, an instant is RFC 3339.
pub fn csv(table: &Table) -> Vec<u8> {
    let mut writer =
        WriterBuilder::new().terminator(Terminator::CRLF).flexible(true).from_writer(BYTE_ORDER_MARK.to_vec());
    let headings = table.columns.iter().map(|heading| guarded(heading)).collect();
    let rows = table.rows.iter().map(|row| row.iter().map(written).collect());
    for line in std::iter::once(headings).chain(rows) {
        let line: Vec<String> = line;
        // Memory takes every line, and flexible lines are all right.
        let _ = writer.write_record(line);
    }
    writer.into_inner().unwrap_or_default()
}

fn written(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => guarded(text),
        Cell::Date(date) => date.to_string(),
        Cell::Integer(number) => number.to_string(),
        Cell::Percent(number) if number.is_finite() => format!("{}%", short(*number)),
        Cell::Decimal(number) if number.is_finite() => short(*number),
        Cell::Instant(instant) => instant.to_rfc3339(),
        Cell::Empty | Cell::Percent(_) | Cell::Decimal(_) => String::new(),
    }
}

/// A text that stays one in Excel.
fn guarded(text: &str) -> String {
    if text.starts_with(FORMULA) { format!("'{text}") } else { text.to_owned() }
}

/// Four decimals at most, and none that say nothing.
fn short(number: f64) -> String {
    let text = format!("{number:.4}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, NaiveDate};
    use proptest::prelude::*;

    use super::*;

    fn table(rows: Vec<Vec<Cell>>) -> Table {
        Table { title: "表".to_owned(), columns: vec!["社区".to_owned(), "参与率".to_owned()], rows }
    }

    fn lines(rows: Vec<Vec<Cell>>) -> String {
        String::from_utf8(csv(&table(rows))).unwrap()
    }

    #[test]
    fn a_table_as_excel_opens_it() {
        let instant = DateTime::parse_from_rfc3339("2026-11-20T08:15:30+08:00").unwrap();
        let rows = vec![
            vec!["梧桐苑, 3\"栋".into(), Cell::Percent(83.333_33)],
            vec![Cell::Integer(-5), Cell::Decimal(-0.5)],
            vec![NaiveDate::from_ymd_opt(2026, 11, 20).into(), Cell::Instant(instant)],
            vec![Cell::Empty, Cell::Percent(f64::NAN)],
            vec![Cell::Decimal(1200.0), Cell::Percent(100.0)],
        ];
        let expected = "\u{feff}社区,参与率\r\n\"梧桐苑, 3\"\"栋\",83.3333%\r\n-5,-0.5\r\n2026-11-20,2026-11-20T08:15:30+08:00\r\n\
                        ,\r\n1200,100%\r\n";
        assert_eq!(lines(rows), expected);
    }

    #[test]
    fn no_text_is_a_formula() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\u{ff1d}1", "\u{ff20}a"] {
            let bytes = csv(&table(vec![vec![text.into()]]));
            let mut records = csv::ReaderBuilder::new().flexible(true).from_reader(&bytes[3..]).into_records();
            assert_eq!(&records.next().unwrap().unwrap()[0], format!("'{text}"), "{text:?}");
        }
        let mut headed = table(vec![]);
        headed.columns = vec!["=1".to_owned()];
        assert_eq!(csv(&headed), "\u{feff}'=1\r\n".as_bytes());
    }

    proptest! {
        #[test]
        fn every_text_comes_back(texts in prop::collection::vec("\\PC*|[=+@,\"\r\n -]{0,5}", 2)) {
            let bytes = csv(&table(vec![texts.iter().map(|text| Cell::Text(text.clone())).collect()]));
            let records: Vec<_> = csv::ReaderBuilder::new().flexible(true).from_reader(&bytes[3..]).into_records().collect();
            let read: Vec<_> = records[0].as_ref().unwrap().iter().map(str::to_owned).collect();
            for (read, text) in read.iter().zip(&texts) {
                prop_assert_eq!(read.strip_prefix('\'').filter(|_| text.starts_with(FORMULA)).unwrap_or(read), text);
            }
        }
    }
}
