//! Many rows as one value a column: what a statement for many rows is given.

use tokio_postgres::types::{ToSql, Type};

use super::super::Result;
use super::super::value::{Kind, Params, Value};
use super::values::storable;

/// The columns of these rows; none: there are no rows.
pub(super) fn of<P: Params>(rows: impl IntoIterator<Item = P>) -> Result<Vec<Column>> {
    let mut columns: Vec<Column> = Vec::new();
    for row in rows {
        let mut place = 0;
        row.each(&mut |value| {
            if columns.len() == place {
                columns.push(Column::new(value.kind()));
            }
            columns[place].push(value);
            place += 1;
            Ok(())
        })?;
    }
    Ok(columns)
}

pub(super) fn values(columns: &[Column]) -> Vec<&(dyn ToSql + Sync)> {
    columns.iter().map(Column::values).collect()
}

/// The values of one column in many rows.
pub(super) enum Column {
    Integer(Vec<Option<i64>>),
    Real(Vec<Option<f64>>),
    Text(Vec<Option<String>>),
    Blob(Vec<Option<Vec<u8>>>),
}

impl Column {
    const fn new(kind: Kind) -> Self {
        match kind {
            Kind::Integer => Self::Integer(Vec::new()),
            Kind::Real => Self::Real(Vec::new()),
            Kind::Text => Self::Text(Vec::new()),
            Kind::Blob => Self::Blob(Vec::new()),
        }
    }

    fn push(&mut self, value: Value<'_>) {
        match (self, value) {
            (Self::Integer(column), Value::Integer(number)) => column.push(Some(number)),
            (Self::Integer(column), _) => column.push(None),
            (Self::Real(column), Value::Real(number)) => column.push(Some(number)),
            (Self::Real(column), _) => column.push(None),
            (Self::Text(column), Value::Text(text)) => column.push(Some(storable(text).into_owned())),
            (Self::Text(column), _) => column.push(None),
            (Self::Blob(column), Value::Blob(bytes)) => column.push(Some(bytes.to_vec())),
            (Self::Blob(column), _) => column.push(None),
        }
    }

    pub(super) const fn type_(&self) -> Type {
        match self {
            Self::Integer(_) => Type::INT8_ARRAY,
            Self::Real(_) => Type::FLOAT8_ARRAY,
            Self::Text(_) => Type::TEXT_ARRAY,
            Self::Blob(_) => Type::BYTEA_ARRAY,
        }
    }

    fn values(&self) -> &(dyn ToSql + Sync) {
        match self {
            Self::Integer(column) => column,
            Self::Real(column) => column,
            Self::Text(column) => column,
            Self::Blob(column) => column,
        }
    }
}
