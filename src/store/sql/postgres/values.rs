//! Single values, as the server takes and gives them.

use std::borrow::Cow;

use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use super::super::value::{Kind, Value, ValueRef};

pub(super) const fn type_(kind: Kind) -> Type {
    match kind {
        Kind::Integer => Type::INT8,
        Kind::Real => Type::FLOAT8,
        Kind::Text => Type::TEXT,
        Kind::Blob => Type::BYTEA,
    }
}

/// What is written, as the type says that was made of its kind.
impl ToSql for Value<'_> {
    fn to_sql(&self, ty: &Type, out: &mut bytes::BytesMut) -> std::result::Result<IsNull, Cause> {
        match self {
            Self::Null(_) => Ok(IsNull::Yes),
            Self::Integer(number) => number.to_sql(ty, out),
            Self::Real(number) => number.to_sql(ty, out),
            Self::Text(text) => storable(text).as_ref().to_sql(ty, out),
            Self::Blob(bytes) => bytes.to_sql(ty, out),
        }
    }

    fn accepts(ty: &Type) -> bool {
        [Type::INT8, Type::FLOAT8, Type::TEXT, Type::BYTEA].contains(ty)
    }

    to_sql_checked!();
}

/// A text as the server can keep it: without the character of the number 0, which JSON can name.
pub(in crate::store::sql) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

type Cause = Box<dyn std::error::Error + Sync + Send>;

/// What is read: of whichever type, as one of the kinds. A truth value is 0 or 1, as in SQLite.
impl<'a> FromSql<'a> for ValueRef<'a> {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> std::result::Result<Self, Cause> {
        Ok(match *ty {
            Type::INT8 => Self::Integer(i64::from_sql(ty, raw)?),
            Type::INT4 => Self::Integer(i32::from_sql(ty, raw)?.into()),
            Type::BOOL => Self::Integer(bool::from_sql(ty, raw)?.into()),
            Type::NUMERIC => Self::Integer(whole(raw).ok_or("a sum beyond all counts")?),
            Type::FLOAT8 => Self::Real(f64::from_sql(ty, raw)?),
            Type::BYTEA => Self::Blob(raw),
            _ => Self::Text(std::str::from_utf8(raw)?),
        })
    }

    fn from_sql_null(_ty: &Type) -> std::result::Result<Self, Cause> {
        Ok(Self::Null)
    }

    fn accepts(ty: &Type) -> bool {
        let known = [Type::INT8, Type::INT4, Type::BOOL, Type::NUMERIC, Type::FLOAT8, Type::BYTEA];
        known.contains(ty) || [Type::TEXT, Type::VARCHAR, Type::NAME, Type::UNKNOWN].contains(ty)
    }
}

/// The whole number in a `numeric`, which is what a sum of integers comes as: how many digits to the base of 10,000, the
/// power of the first, the sign, how many decimals, the digits.
fn whole(raw: &[u8]) -> Option<i64> {
    let word = |place: usize| Some(i16::from_be_bytes(raw.get(2 * place..2 * place + 2)?.try_into().ok()?));
    let (digits, weight, sign) = (word(0)?, word(1)?, word(2)?);
    let mut number = 0_i64;
    for power in 0..=weight {
        let digit = if power < digits { word(4 + usize::try_from(power).ok()?)? } else { 0 };
        number = number.checked_mul(10_000)?.checked_add(digit.into())?;
    }
    Some(if sign == 0 { number } else { -number })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_whole_numbers() {
        let numeric = |words: &[i16]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<_>>();
        for (words, number) in [
            (&[0, 0, 0, 0][..], 0),
            (&[1, 0, 0, 0, 7], 7),
            (&[1, 0, 0x4000, 0, 7], -7),
            (&[1, 1, 0, 0, 3], 30_000),
            (&[2, 1, 0, 0, 3, 5], 30_005),
            (&[5, 4, 0, 0, 922, 3372, 368, 5477, 5807], i64::MAX),
        ] {
            assert_eq!(whole(&numeric(words)), Some(number));
        }
        assert_eq!(whole(&numeric(&[5, 4, 0, 0, 922, 3372, 368, 5477, 5808])), None);
        assert_eq!(whole(&[0, 1]), None);
    }
}
