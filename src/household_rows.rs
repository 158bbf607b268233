//! Rows of a household import.

use chrono::NaiveDate;

use crate::domain::roster::{BadRow, HouseholdRow};

/// CSV with a header; `cards` are separated by `;`.
pub fn from_csv(bytes: &[u8]) -> Result<Vec<HouseholdRow>, Vec<BadRow>> {
    let mut reader = csv::ReaderBuilder::new().from_reader(bytes);
    let (mut rows, mut bad) = (Vec::new(), Vec::new());
    for (index, record) in reader.records().enumerate() {
        let row = record.ok().and_then(|record| {
            let text = |column| record.get(column).filter(|text| !text.is_empty()).map(str::to_owned);
            let enrolled_from: NaiveDate = text(2)?.parse().ok()?;
            let enrolled_until = text(3).map(|text| text.parse()).transpose().ok()?;
            let cards = text(4).map(|cards| cards.split(';').map(str::to_owned).collect()).unwrap_or_default();
            Some(HouseholdRow { household: text(0)?, building: text(1), enrolled_from, enrolled_until, cards })
        });
        match row {
            Some(row) => rows.push(row),
            None => bad.push(BadRow::new(index + 1, "cannot be read")),
        }
    }
    if bad.is_empty() { Ok(rows) } else { Err(bad) }
}
