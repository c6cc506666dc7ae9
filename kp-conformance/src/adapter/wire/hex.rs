use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Bytes, written as lowercase hexadecimal: the same bytes have one spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hex<T>(
    /// The bytes.
    pub T,
);

impl<T: AsRef<[u8]>> Serialize for Hex<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(&self.0))
    }
}

impl<'de, T: TryFrom<Vec<u8>>> Deserialize<'de> for Hex<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(de::Error::custom("hexadecimal is lowercase"));
        }
        let bytes = hex::decode(&*text).map_err(de::Error::custom)?;
        let length = bytes.len();
        let value = T::try_from(bytes);
        value
            .map(Self)
            .map_err(|_| de::Error::custom(format!("{length} bytes are too many or too few here")))
    }
}

impl<T> JsonSchema for Hex<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Hex".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^([0-9a-f]{2})*$"})
    }
}
