//! Tables as files: written as CSV and as Excel workbooks, and workbooks read back, whatever they hold.
//!
//! It knows nothing of what the tables are about. Always: what Excel would take for a formula leaves as a text, and no
//! bytes that somebody sends make the reader panic or fill the memory.

mod delimited;
mod read;
mod write;

use chrono::{DateTime, FixedOffset, NaiveDate};

pub use delimited::csv;
pub use read::{ReadError, Row, Value, is_workbook, read};
pub use write::{WriteError, xlsx};

/// The media type of a workbook.
pub const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

/// The media type of a CSV file.
pub const CSV: &str = "text/csv; charset=utf-8";

/// A table as people read it, in their language.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Names the sheet.
    pub title: String,
    /// The headings of its columns.
    pub columns: Vec<String>,
    /// A cell for each column.
    pub rows: Vec<Vec<Cell>>,
}

/// What stands in a cell; its kind decides how it is written.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// There is no value, or it is withheld.
    Empty,
    Text(String),
    Date(NaiveDate),
    Integer(i64),
    /// 0 to 100: 83.5 is 83.5 %.
    Percent(f64),
    Decimal(f64),
    /// On the clock of the place: CSV keeps the offset, a workbook cannot.
    Instant(DateTime<FixedOffset>),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(cell: Option<T>) -> Self {
        cell.map_or(Self::Empty, T::into)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<NaiveDate> for Cell {
    fn from(date: NaiveDate) -> Self {
        Self::Date(date)
    }
}

impl From<i64> for Cell {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}
