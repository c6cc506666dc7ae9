use std::fmt;
use std::str::FromStr;

use kp_core::{InvalidId, PoolId};

/// What an id begins with that is written as hexadecimal digits.
const HEX: &str = "hex:";

/// A pool's id, as it is typed and shown: itself where it is printable, and hexadecimal digits after `hex:` elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PoolName(pub(crate) PoolId);

/// Says that a text names no pool.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum InvalidName {
    #[error(transparent)]
    Id(#[from] InvalidId),
    #[error("{0}")]
    Hex(#[from] hex::FromHexError),
}

impl FromStr for PoolName {
    type Err = InvalidName;

    fn from_str(name: &str) -> Result<Self, InvalidName> {
        let id = match name.strip_prefix(HEX) {
            Some(digits) => PoolId::try_from(hex::decode(digits)?)?,
            None => PoolId::try_from(name)?,
        };
        Ok(Self(id))
    }
}

impl fmt::Display for PoolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match std::str::from_utf8(self.0.as_bytes()) {
            Ok(text) if !text.starts_with(HEX) && is_printable(text) => f.pad(text),
            _ => f.pad(&format!("{HEX}{}", hex::encode(self.0.as_bytes()))),
        }
    }
}

/// Returns whether a text shows itself and nothing else: it has no control character, none that turns the direction of what
/// follows, and no space but the usual.
fn is_printable(text: &str) -> bool {
    // What is escaped though it is printable.
    let mut parts = text.split(['\'', '"', '\\']);
    parts.all(|part| part.escape_debug().eq(part.chars()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_as_it_is_shown() {
        for id in [
            b"bob/phone".as_slice(),
            b"hex:00",
            b"\x1b[2J",
            b"\xff\x00",
            "bärbel".as_bytes(),
            "it's \"a\\b\"".as_bytes(),
            "ab\u{202e}cd".as_bytes(),
            "a\u{200b}b".as_bytes(),
            "a\u{2028}b".as_bytes(),
        ] {
            let name = PoolName(PoolId::try_from(id).unwrap());
            let shown = name.to_string();
            assert!(!shown.contains(char::is_control), "{shown:?}");
            assert!(!shown.contains(['\u{202e}', '\u{200b}', '\u{2028}']), "{shown:?}");
            assert_eq!(shown.parse::<PoolName>().unwrap(), name);
        }
        for itself in ["bärbel", "it's \"a\\b\"", "日本 語"] {
            assert_eq!(itself.parse::<PoolName>().unwrap().to_string(), itself);
        }
        assert!("hex:0".parse::<PoolName>().is_err());
        assert!("".parse::<PoolName>().is_err());
    }
}
