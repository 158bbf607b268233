//! JSON on a device: no allocator, bounded depth, bounded stack. It closes two gaps of the parser underneath, which
//! recurses as deep as its input asks and reads no surrogate pairs.

use core::fmt::{self, Write};

use heapless::Vec;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Deepest nesting that is read: the messages have four levels, and a device's stack is small.
const MAX_DEPTH: u32 = 16;
/// Room for the longest string with escapes: a message's text, and unknown members of some size.
const UNESCAPED: usize = 1024;
/// Longest payload in which surrogate pairs are read; only strangers write them, and only in short messages.
const FOLDED: usize = 2048;

/// Why a value could not be written or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The buffer is too small for the value.
    Full,
    /// The payload nests deeper than any message does.
    TooDeep,
    /// A string is longer than the device can unescape.
    TooLong,
    /// Not JSON.
    Syntax,
    /// JSON, but not of this kind of message: a member is missing, of another type or out of its limits.
    Mismatch,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the buffer is too small",
            Self::TooDeep => "nested too deeply",
            Self::TooLong => "a string is too long to unescape",
            Self::Syntax => "not JSON",
            Self::Mismatch => "a member is missing, of another type or out of its limits",
        })
    }
}

impl core::error::Error for Error {}

/// Writes a value and says how many bytes it took.
///
/// # Errors
/// [`Error::Full`] if `out` is too small.
pub fn to_slice<T: Serialize + ?Sized>(value: &T, out: &mut [u8]) -> Result<usize, Error> {
    serde_json_core::to_slice(value, out).map_err(|_| Error::Full)
}

/// Reads a value that is the whole of a payload.
///
/// # Errors
/// Any but [`Error::Full`].
pub fn from_slice<T: DeserializeOwned>(payload: &[u8]) -> Result<T, Error> {
    if scan(payload)? { fold_and_read(payload) } else { read(payload) }
}

fn read<T: DeserializeOwned>(payload: &[u8]) -> Result<T, Error> {
    use serde_json_core::de::Error as Parse;
    match serde_json_core::from_slice_escaped(payload, &mut [0; UNESCAPED]) {
        Ok((value, _)) => Ok(value),
        Err(Parse::EscapedStringIsTooLong) => Err(Error::TooLong),
        Err(Parse::CustomError | Parse::InvalidType | Parse::InvalidNumber) => Err(Error::Mismatch),
        Err(_) => Err(Error::Syntax),
    }
}

/// Refuses what nests too deeply, before anything recurses into it, and says whether a surrogate is escaped anywhere.
fn scan(payload: &[u8]) -> Result<bool, Error> {
    let (mut depth, mut quoted, mut surrogates) = (0_u32, false, false);
    let mut rest = payload;
    while let [byte, after @ ..] = rest {
        rest = after;
        match byte {
            b'"' => quoted = !quoted,
            b'\\' if quoted => {
                surrogates |= matches!(after, [b'u', b'd' | b'D', b'8' | b'9' | b'a'..=b'f' | b'A'..=b'F', ..]);
                rest = after.get(1..).unwrap_or_default();
            }
            b'{' | b'[' if !quoted => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(Error::TooDeep);
                }
            }
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(surrogates)
}

/// Reads a payload with escaped surrogate pairs, each replaced by the character it stands for. Apart from [`read`], so
/// that its buffer is on the stack only when it is needed.
#[inline(never)]
fn fold_and_read<T: DeserializeOwned>(payload: &[u8]) -> Result<T, Error> {
    let mut folded = Vec::<u8, FOLDED>::new();
    let mut rest = payload;
    while let Some((&byte, after)) = rest.split_first() {
        let taken = match (byte, surrogate_pair(rest)) {
            (_, Some(character)) => {
                let mut utf8 = [0; 4];
                folded.extend_from_slice(character.encode_utf8(&mut utf8).as_bytes()).map_err(|_| Error::TooLong)?;
                12
            }
            // An escape is taken whole, so that the second of two backslashes begins none.
            (b'\\', None) if !after.is_empty() => {
                folded.extend_from_slice(&rest[..2]).map_err(|_| Error::TooLong)?;
                2
            }
            _ => {
                folded.push(byte).map_err(|_| Error::TooLong)?;
                1
            }
        };
        rest = &rest[taken..];
    }
    read(&folded)
}

/// The character of an escaped pair that `text` begins with, as in `\ud83d\ude00`.
fn surrogate_pair(text: &[u8]) -> Option<char> {
    let (high, rest) = escaped_unit(text)?;
    let (low, _) = escaped_unit(rest)?;
    char::decode_utf16([high, low]).next()?.ok().filter(|character| character.len_utf16() == 2)
}

fn escaped_unit(text: &[u8]) -> Option<(u16, &[u8])> {
    let (digits, rest) = text.strip_prefix(b"\\u")?.split_first_chunk::<4>()?;
    let mut unit = 0;
    for digit in digits {
        unit = unit * 16 + char::from(*digit).to_digit(16)? as u16;
    }
    Some((unit, rest))
}

/// Writes a string with its quotes, escaping what JSON does not allow in one.
///
/// # Errors
/// Only those of `out`.
pub fn write_str(out: &mut impl Write, text: &str) -> fmt::Result {
    out.write_char('"')?;
    for character in text.chars() {
        match character {
            '"' => out.write_str("\\\"")?,
            '\\' => out.write_str("\\\\")?,
            '\n' => out.write_str("\\n")?,
            '\r' => out.write_str("\\r")?,
            '\t' => out.write_str("\\t")?,
            '\0'..='\x1f' => write!(out, "\\u{:04x}", u32::from(character))?,
            _ => out.write_char(character)?,
        }
    }
    out.write_char('"')
}
