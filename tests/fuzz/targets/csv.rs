//! Imports of households and visits as CSV and JSON, and tables that leave as CSV.

#![no_main]

use std::collections::BTreeSet;

use fenlei::domain::roster::HouseholdRow;
use fenlei::domain::rows::Rows;
use fenlei::rows::{households, visits};
use fenlei::sheets::{Cell, Table, csv};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    located(&visits::from_csv(bytes));
    located(&visits::from_json(bytes));
    for rows in [households::from_csv(bytes), households::from_json(bytes)] {
        located(&rows);
        comes_again(rows.readable.into_iter().map(|(_, row)| row).filter(is_plain).collect());
    }
    // A table of any texts: of columns by `|`, of rows by a character that nobody types.
    let texts = String::from_utf8_lossy(bytes);
    let cells: Vec<Vec<_>> = texts.split('\u{1}').map(|row| row.split('|').collect()).collect();
    let rows = cells.iter().map(|row| row.iter().copied().map(Cell::from).collect()).collect();
    let file = csv(&Table { title: String::new(), columns: vec!["a".to_owned()], rows });
    let mut records = ::csv::ReaderBuilder::new().flexible(true).from_reader(&file[3..]).into_records();
    for row in cells {
        let record = records.next().expect("a row vanished").expect("it is UTF-8");
        assert_eq!(record.len(), row.len());
        for (read, text) in record.iter().zip(row) {
            assert!(read == text || read.strip_prefix('\'') == Some(text), "{read:?}, not {text:?}");
            assert!(!read.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']), "a formula: {read:?}");
        }
    }
    assert!(records.next().is_none(), "a row out of nothing");
});

/// Every row of a file is read or refused by its number, never both; or the file as a whole is refused.
fn located<T>(rows: &Rows<T>) {
    let bad: BTreeSet<_> = rows.bad.iter().map(|bad| bad.row).collect();
    let numbers = rows.readable.iter().map(|(number, _)| *number).chain(bad.iter().copied());
    let all: BTreeSet<_> = numbers.clone().collect();
    assert_eq!(all.len(), numbers.count(), "a row is read and refused");
    let expected = if bad.contains(&0) { 0..all.len() } else { 1..all.len() + 1 };
    assert!(all.into_iter().eq(expected), "a row vanished");
    assert!(!bad.contains(&0) || rows.readable.is_empty() && rows.bad.len() == 1);
}

/// As a file for Excel can carry it: nothing that would be a formula, no blanks around it, no `;` in a card.
fn is_plain(row: &HouseholdRow) -> bool {
    let plain = |text: &str| text.trim() == text && text.starts_with(char::is_alphanumeric) && !text.contains(';');
    let building = row.building.as_deref().is_none_or(plain);
    plain(&row.household) && building && row.cards.iter().all(|card| plain(card))
}

/// Households that were read are read again from a file that says the same.
fn comes_again(households: Vec<HouseholdRow>) {
    let header = "household,building,enrolled_from,enrolled_until,cards";
    let row = |row: &HouseholdRow| {
        let (from, until) = (row.enrolled_from.into(), row.enrolled_until.into());
        let cells = [row.household.as_str().into(), row.building.as_deref().into(), from, until];
        cells.into_iter().chain([row.cards.join("; ").into()]).collect()
    };
    let columns = header.split(',').map(str::to_owned).collect();
    let file = csv(&Table { title: String::new(), columns, rows: households.iter().map(row).collect() });
    assert_eq!(households::from_csv(&file), Rows::from(households));
}
