//! Rows for `COPY` in its binary format: nothing to escape, nothing to parse (`PostgreSQL` manual, `COPY`, "Binary Format").
//!
//! `COPY` fires every trigger and checks every constraint. It goes over the simple protocol and prepares nothing, so it is
//! safe behind a pooler.

use sqlx::PgConnection;
use time::OffsetDateTime;
use time::macros::datetime;
use uuid::Uuid;

use crate::store::StoreError;

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// No flags, no extension: two 32-bit zeros.
const HEADER: [u8; 8] = [0; 8];
const TRAILER: [u8; 2] = (-1_i16).to_be_bytes();
const NULL: [u8; 4] = (-1_i32).to_be_bytes();
/// What `PostgreSQL` counts time from.
const EPOCH: OffsetDateTime = datetime!(2000-01-01 0:00 UTC);

/// A column's value; the type must be the column's own.
pub(super) enum ColumnValue<'a> {
    Null,
    Text(&'a str),
    Bytes(&'a [u8]),
    Uuid(Uuid),
    Bool(bool),
    Integer(i32),
    BigInt(i64),
    Time(OffsetDateTime),
}

macro_rules! from {
    ($($source:ty => $variant:ident),+ $(,)?) => {$(
        impl<'a> From<$source> for ColumnValue<'a> {
            fn from(value: $source) -> Self {
                Self::$variant(value)
            }
        }
    )+};
}

from! { &'a str => Text, &'a [u8] => Bytes, Uuid => Uuid, bool => Bool, i32 => Integer, i64 => BigInt, OffsetDateTime => Time }

impl<'a, T: Into<ColumnValue<'a>>> From<Option<T>> for ColumnValue<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Rows of one table.
pub(super) struct Rows {
    target: &'static str,
    buffer: Vec<u8>,
}

impl Rows {
    /// Rows for `target`, a table with its columns: `tabela (coluna, coluna)`.
    pub(super) fn of(target: &'static str) -> Self {
        Self { target, buffer: [SIGNATURE, &HEADER].concat() }
    }

    /// Adds a row.
    pub(super) fn push<const N: usize>(&mut self, values: [ColumnValue<'_>; N]) {
        self.buffer.extend(i16::try_from(N).unwrap_or(i16::MAX).to_be_bytes());
        for value in values {
            match value {
                ColumnValue::Null => self.buffer.extend(NULL),
                ColumnValue::Text(text) => self.field(text.as_bytes()),
                ColumnValue::Bytes(bytes) => self.field(bytes),
                ColumnValue::Uuid(id) => self.field(id.as_bytes()),
                ColumnValue::Bool(yes) => self.field(&[u8::from(yes)]),
                ColumnValue::Integer(number) => self.field(&number.to_be_bytes()),
                ColumnValue::BigInt(number) => self.field(&number.to_be_bytes()),
                ColumnValue::Time(at) => self.field(&micros(at).to_be_bytes()),
            }
        }
    }

    fn field(&mut self, bytes: &[u8]) {
        self.buffer.extend(i32::try_from(bytes.len()).unwrap_or(i32::MAX).to_be_bytes());
        self.buffer.extend(bytes);
    }

    /// Stores the rows; how many there were.
    pub(super) async fn store(mut self, db: &mut PgConnection) -> Result<u64, StoreError> {
        self.buffer.extend(TRAILER);
        let mut copy = db.copy_in_raw(&format!("COPY {} FROM STDIN (FORMAT binary)", self.target)).await?;
        copy.send(self.buffer).await?;
        Ok(copy.finish().await?)
    }
}

fn micros(at: OffsetDateTime) -> i64 {
    i64::try_from((at - EPOCH).whole_microseconds()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_carry_their_length_in_network_order() {
        let mut rows = Rows::of("t (a, b, c)");
        rows.push(["é".into(), ColumnValue::Null, 258_i32.into()]);
        let (_, body) = rows.buffer.split_at(SIGNATURE.len() + HEADER.len());
        assert_eq!(body, [0, 3, 0, 0, 0, 2, 0xc3, 0xa9, 255, 255, 255, 255, 0, 0, 0, 4, 0, 0, 1, 2]);
    }

    #[test]
    fn time_is_counted_in_microseconds_from_2000() {
        assert_eq!(micros(EPOCH), 0);
        assert_eq!(micros(datetime!(1999-12-31 23:59:59.999_999 UTC)), -1);
        assert_eq!(micros(datetime!(2026-01-01 0:00 UTC)), 820_540_800_000_000);
    }
}
