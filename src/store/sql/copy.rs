//! Rows for `COPY … FROM STDIN` in PostgreSQL's binary format: the cheapest way to bring in many.

use super::Result;
use super::postgres::storable;
use super::value::{Params, Value};

/// Rows of one table, as they are sent.
#[derive(Debug)]
pub struct CopyRows {
    bytes: Vec<u8>,
    rows: i64,
}

/// The signature, no flags, no extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const END: [u8; 2] = (-1_i16).to_be_bytes();

impl Default for CopyRows {
    fn default() -> Self {
        Self { bytes: HEADER.to_vec(), rows: 0 }
    }
}

impl CopyRows {
    pub fn len(&self) -> i64 {
        self.rows
    }

    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// How much is to be sent.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Adds a row.
    pub fn push(&mut self, values: &impl Params) -> Result<()> {
        self.rows += 1;
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        let mut fields = 0_i16;
        values.each(&mut |value| {
            fields += 1;
            match value {
                Value::Null(_) => self.bytes.extend_from_slice(&(-1_i32).to_be_bytes()),
                Value::Integer(number) => self.field(&number.to_be_bytes()),
                Value::Real(number) => self.field(&number.to_be_bytes()),
                Value::Text(text) => self.field(storable(text).as_bytes()),
                Value::Blob(bytes) => self.field(bytes),
            }
            Ok(())
        })?;
        self.bytes[start..start + 2].copy_from_slice(&fields.to_be_bytes());
        Ok(())
    }

    fn field(&mut self, bytes: &[u8]) {
        // A field is at most an event's text, or a row that SQLite held: far below 2 GiB.
        self.bytes.extend_from_slice(&i32::try_from(bytes.len()).unwrap_or(0).to_be_bytes());
        self.bytes.extend_from_slice(bytes);
    }

    /// Everything that was added, to be sent; what is added next begins anew.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(self).bytes;
        bytes.extend_from_slice(&END);
        bytes
    }
}
