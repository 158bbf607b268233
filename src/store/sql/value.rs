//! What goes into a statement and what comes out of a row.

use super::{Error, Result};

/// Of which kind a value is: also of one that is absent, for a server wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Integer,
    Real,
    Text,
    Blob,
}

/// A value for a statement.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    Null(Kind),
    Integer(i64),
    Real(f64),
    Text(&'a str),
    Blob(&'a [u8]),
}

impl Value<'_> {
    pub(super) const fn kind(&self) -> Kind {
        match self {
            Self::Null(kind) => *kind,
            Self::Integer(_) => Kind::Integer,
            Self::Real(_) => Kind::Real,
            Self::Text(_) => Kind::Text,
            Self::Blob(_) => Kind::Blob,
        }
    }
}

/// What can be given to a statement.
pub trait ToSql {
    fn value(&self) -> Value<'_>;
}

/// The kind of a type, whatever its value.
pub trait Kinded {
    const KIND: Kind;
}

macro_rules! numbers {
    ($variant:ident, $to:ty: $($number:ty),*) => {$(
        impl ToSql for $number {
            fn value(&self) -> Value<'_> {
                Value::$variant(<$to>::from(*self))
            }
        }
        impl Kinded for $number {
            const KIND: Kind = Kind::$variant;
        }
    )*};
}

numbers!(Integer, i64: bool, u8, u16, u32, i32, i64);
numbers!(Real, f64: f64);

macro_rules! slices {
    ($($own:ty => $variant:ident $([$($generic:tt)*])?),*) => {$(
        impl $(<$($generic)*>)? ToSql for $own {
            fn value(&self) -> Value<'_> {
                Value::$variant(self.as_ref())
            }
        }
        impl $(<$($generic)*>)? Kinded for $own {
            const KIND: Kind = Kind::$variant;
        }
    )*};
}

slices!(str => Text, String => Text, [u8] => Blob, Vec<u8> => Blob, [u8; N] => Blob [const N: usize]);

impl<T: ToSql + ?Sized> ToSql for &T {
    fn value(&self) -> Value<'_> {
        T::value(self)
    }
}

impl<T: Kinded + ?Sized> Kinded for &T {
    const KIND: Kind = T::KIND;
}

impl<T: ToSql + Kinded> ToSql for Option<T> {
    fn value(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null(T::KIND), ToSql::value)
    }
}

/// The values of a statement, in their order.
pub trait Params {
    fn each<'p>(&'p self, take: &mut impl FnMut(Value<'p>) -> Result<()>) -> Result<()>;
}

impl<P: Params> Params for &P {
    fn each<'p>(&'p self, take: &mut impl FnMut(Value<'p>) -> Result<()>) -> Result<()> {
        P::each(self, take)
    }
}

impl Params for [&(dyn ToSql + Send + Sync); 0] {
    fn each<'p>(&'p self, _take: &mut impl FnMut(Value<'p>) -> Result<()>) -> Result<()> {
        Ok(())
    }
}

impl Params for &[&dyn ToSql] {
    fn each<'p>(&'p self, take: &mut impl FnMut(Value<'p>) -> Result<()>) -> Result<()> {
        self.iter().try_for_each(|one| take(one.value()))
    }
}

impl Params for &[Value<'_>] {
    fn each<'p>(&'p self, take: &mut impl FnMut(Value<'p>) -> Result<()>) -> Result<()> {
        self.iter().try_for_each(|one| take(*one))
    }
}

macro_rules! arrays {
    ($($count:literal)*) => {$(
        impl<T: ToSql> Params for [T; $count] {
            fn each<'p>(&'p self, take: &mut impl FnMut(Value<'p>) -> Result<()>) -> Result<()> {
                self.iter().try_for_each(|one| take(one.value()))
            }
        }
    )*};
}

arrays!(1 2 3 4);

macro_rules! tuples {
    ($($one:ident)*) => {
        impl<$($one: ToSql),*> Params for ($($one,)*) {
            #[allow(non_snake_case, reason = "the names of the types serve for the values too")]
            fn each<'p>(&'p self, take: &mut impl FnMut(Value<'p>) -> Result<()>) -> Result<()> {
                let ($($one,)*) = self;
                $(take($one.value())?;)*
                Ok(())
            }
        }
    };
}

tuples!(A B);
tuples!(A B C);
tuples!(A B C D);
tuples!(A B C D E);
tuples!(A B C D E F);
tuples!(A B C D E F G);
tuples!(A B C D E F G H);
tuples!(A B C D E F G H I);
tuples!(A B C D E F G H I J);
tuples!(A B C D E F G H I J K);
tuples!(A B C D E F G H I J K L);

/// Values of several types, as a slice.
macro_rules! params {
    ($($param:expr),* $(,)?) => {
        &[$(&$param as &dyn $crate::store::sql::ToSql),*] as &[&dyn $crate::store::sql::ToSql]
    };
}
pub(crate) use params;

/// A value in a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ValueRef<'a> {
    Null,
    Integer(i64),
    Real(f64),
    Text(&'a str),
    Blob(&'a [u8]),
}

/// As it was read, to be written elsewhere.
impl<'a> From<ValueRef<'a>> for Value<'a> {
    fn from(value: ValueRef<'a>) -> Self {
        match value {
            ValueRef::Null => Self::Null(Kind::Text),
            ValueRef::Integer(number) => Self::Integer(number),
            ValueRef::Real(number) => Self::Real(number),
            ValueRef::Text(text) => Self::Text(text),
            ValueRef::Blob(bytes) => Self::Blob(bytes),
        }
    }
}

impl<'a> ValueRef<'a> {
    pub fn as_str(&self) -> Result<&'a str> {
        match self {
            Self::Text(text) => Ok(text),
            _ => Err(Error::Type("a text")),
        }
    }

    pub fn as_blob(&self) -> Result<&'a [u8]> {
        match self {
            Self::Blob(bytes) => Ok(bytes),
            _ => Err(Error::Type("bytes")),
        }
    }

    fn as_integer(&self) -> Result<i64> {
        match self {
            Self::Integer(number) => Ok(*number),
            _ => Err(Error::Type("an integer")),
        }
    }
}

/// What can be read from a row.
pub trait FromSql: Sized {
    fn from_sql(value: ValueRef<'_>) -> Result<Self>;
}

macro_rules! integers {
    ($($number:ty)*) => {$(
        impl FromSql for $number {
            fn from_sql(value: ValueRef<'_>) -> Result<Self> {
                Self::try_from(value.as_integer()?).map_err(|_| Error::Type(stringify!($number)))
            }
        }
    )*};
}

integers!(u8 u16 u32 i32 i64 usize);

impl FromSql for bool {
    fn from_sql(value: ValueRef<'_>) -> Result<Self> {
        Ok(value.as_integer()? != 0)
    }
}

impl FromSql for f64 {
    #[expect(clippy::cast_precision_loss, reason = "what is kept as a real number was one")]
    fn from_sql(value: ValueRef<'_>) -> Result<Self> {
        match value {
            ValueRef::Real(number) => Ok(number),
            ValueRef::Integer(number) => Ok(number as Self),
            _ => Err(Error::Type("a number")),
        }
    }
}

impl FromSql for String {
    fn from_sql(value: ValueRef<'_>) -> Result<Self> {
        value.as_str().map(str::to_owned)
    }
}

impl FromSql for Vec<u8> {
    fn from_sql(value: ValueRef<'_>) -> Result<Self> {
        value.as_blob().map(<[u8]>::to_vec)
    }
}

impl<const N: usize> FromSql for [u8; N] {
    fn from_sql(value: ValueRef<'_>) -> Result<Self> {
        value.as_blob()?.try_into().map_err(|_| Error::Type("bytes of a fixed number"))
    }
}

impl<T: FromSql> FromSql for Option<T> {
    fn from_sql(value: ValueRef<'_>) -> Result<Self> {
        if value == ValueRef::Null { Ok(None) } else { T::from_sql(value).map(Some) }
    }
}
