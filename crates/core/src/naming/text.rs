//! The JSON of a naming.
//!
//! The strings in it are read as bytes: in a server with another encoding than UTF-8 they are no Rust strings.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use super::NamingError;

/// What was said, unchecked.
#[derive(Debug, Default)]
pub struct Document {
    pub clubs: Vec<Pair>,
    pub codes: Vec<Pair>,
    pub books: Vec<Pair>,
}

/// What is named, and what for.
pub type Pair = (Vec<u8>, Vec<u8>);

pub fn read(text: &[u8]) -> Result<Document, NamingError> {
    serde_json::from_slice(text).map_err(|error| {
        NamingError::new(
            "naming must be a JSON object of the objects \"clubs\", \"codes\" and \"books\", which hold texts",
            format!("Read as JSON: {error}."),
        )
    })
}

struct Bytes(Vec<u8>);
struct Pairs(Vec<Pair>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }

            fn visit_str<E>(self, text: &str) -> Result<Bytes, E> {
                Ok(Bytes(text.as_bytes().to_vec()))
            }
        }
        deserializer.deserialize_bytes(Text)
    }
}

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some((Bytes(name), Bytes(value))) = map.next_entry()? {
                    pairs.push((name, value));
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Whole;
        impl<'de> Visitor<'de> for Whole {
            type Value = Document;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
                let mut document = Document::default();
                while let Some(Bytes(part)) = map.next_key()? {
                    let pairs = match &*part {
                        b"clubs" => &mut document.clubs,
                        b"codes" => &mut document.codes,
                        b"books" => &mut document.books,
                        other => {
                            let other = other.escape_ascii();
                            return Err(serde::de::Error::custom(format_args!(
                                "there is no part \"{other}\""
                            )));
                        }
                    };
                    let Pairs(more) = map.next_value()?;
                    pairs.extend(more);
                }
                Ok(document)
            }
        }
        deserializer.deserialize_map(Whole)
    }
}
