//! Imports row by row: what can be read, and what is wrong with the rest, so that one look at the answer mends the whole.

/// A row that cannot be imported. `row` counts from 1, as people do.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct BadRow {
    pub row: usize,
    pub error: String,
}

impl BadRow {
    pub fn new(row: usize, error: impl Into<String>) -> Self {
        Self { row, error: error.into() }
    }
}

/// An import as it was read: the rows that can be read, by their numbers, and what is wrong with the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows<T> {
    pub readable: Vec<(usize, T)>,
    pub bad: Vec<BadRow>,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self { readable: Vec::new(), bad: Vec::new() }
    }
}

impl<T> From<Vec<T>> for Rows<T> {
    fn from(rows: Vec<T>) -> Self {
        Self { readable: (1..).zip(rows).collect(), bad: Vec::new() }
    }
}
