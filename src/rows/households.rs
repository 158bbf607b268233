//! Households and their cards, as they are imported.

use serde_json::{Map, Value};

use super::workbook::workbook;
use super::{Columns, Errors, Record, csv, date, document, objects, text};
use crate::domain::roster::HouseholdRow;
use crate::domain::rows::Rows;

const COLUMNS: Columns = Columns {
    header: "household,building,enrolled_from,enrolled_until,cards",
    required: &["household", "enrolled_from"],
    dates: &["enrolled_from", "enrolled_until"],
};

/// CSV with a header; `cards` are separated by `;`.
pub fn from_csv(bytes: &[u8]) -> Rows<HouseholdRow> {
    csv(bytes, &COLUMNS, from_record)
}

/// The first sheet of an Excel workbook, with the columns of the CSV.
pub fn from_xlsx(bytes: &[u8]) -> Rows<HouseholdRow> {
    workbook(bytes, &COLUMNS, from_record)
}

/// A JSON array of `{"household","building"?,"enrolled_from","enrolled_until"?,"cards":[…]}`.
pub fn from_json(bytes: &[u8]) -> Rows<HouseholdRow> {
    let Ok(Value::Array(values)) = serde_json::from_slice(bytes) else {
        return document("the body must be a JSON array of households".to_owned());
    };
    objects(&values, "household", from_object)
}

fn from_record(row: &Record<'_>) -> Result<HouseholdRow, Errors> {
    let mut errors = Errors::new();
    let enrolled_from = date(&mut errors, "enrolled_from", row.text("enrolled_from"));
    let enrolled_until = row.text("enrolled_until").map(|text| date(&mut errors, "enrolled_until", Some(text)));
    let cards = row.text("cards").map(|cards| cards.split(';').map(str::trim).map(str::to_owned).collect());
    if !errors.is_empty() {
        return Err(errors);
    }
    Ok(HouseholdRow {
        household: row.text("household").unwrap_or_default().to_owned(),
        building: row.text("building").map(str::to_owned),
        enrolled_from,
        enrolled_until,
        cards: cards.unwrap_or_default(),
    })
}

fn from_object(fields: &Map<String, Value>) -> Result<HouseholdRow, Errors> {
    let mut errors = Errors::new();
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

#[cfg(test)]
mod tests {
    use super::super::DOCUMENT;
    use super::*;
    use crate::domain::rows::BadRow;

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
            from_csv(b"household,enrolled_from,household\n").bad,
            [BadRow::new(
                DOCUMENT,
                format!("column 3 of the header is there already: the header is {}", COLUMNS.header)
            )]
        );
        assert_eq!(
            from_csv(b"household,card\n").bad,
            [BadRow::new(DOCUMENT, format!("column 2 of the header is unknown: the header is {}", COLUMNS.header))]
        );
    }
}
