//! JSON as a tree that keeps what translation must not change: the order of keys and the text of numbers.
//!
//! In: JSON text of either side. Out: a [`Json`], and its compact text again. It must never round a number, never
//! recurse deeper than [`DEPTH_BOUND`], and never fail for half a surrogate pair (providers cut emoji in two).

mod half;
mod parse;
mod write;

use std::borrow::Cow;

use crate::json;

/// Nesting beyond this is refused: schemas of real tools stay below twenty.
pub(crate) const DEPTH_BOUND: usize = 128;

/// More values than this are refused: a body of bare numbers would take twenty times its size as a tree. The longest
/// conversations on record have some ten thousand.
pub(crate) const VALUE_BOUND: usize = 1 << 19;

/// A JSON value.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Json {
    #[default]
    Null,
    Bool(bool),
    Number(Number),
    String(String),
    Array(Vec<Json>),
    Object(Object),
}

/// A number as it was written: 64-bit ids and `1.0` stay what they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number(pub(crate) String);

/// Members in the order they came.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object(pub(crate) Vec<(Key, Json)>);

/// A member's name. Those that we write are fixed: they need no memory of their own.
pub(crate) type Key = Cow<'static, str>;

impl Number {
    pub fn as_f64(&self) -> Option<f64> {
        self.0.parse().ok()
    }

    pub fn as_u64(&self) -> Option<u64> {
        let number = self.0.parse().ok();
        // `4096.0` is a count in some clients; a fraction is none.
        number.or_else(|| {
            let float = self.as_f64()?;
            (float.fract() == 0.0 && (0.0..=json::MAX_COUNT as f64).contains(&float)).then_some(float as u64)
        })
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<u64> for Number {
    fn from(number: u64) -> Number {
        Number(number.to_string())
    }
}

impl Json {
    /// Reads a whole document; what is wrong with it is said in the error.
    pub fn parse(text: &[u8]) -> Result<Json, String> {
        parse::parse(text)
    }

    pub fn write(&self, out: &mut String) {
        write::write(self, out);
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Json::String(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Json::Object(object) => Some(object),
            _ => None,
        }
    }

    pub fn into_object(self) -> Option<Object> {
        match self {
            Json::Object(object) => Some(object),
            _ => None,
        }
    }

    pub fn as_array(&self) -> Option<&[Json]> {
        match self {
            Json::Array(elements) => Some(elements),
            _ => None,
        }
    }

    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Json::Number(number) => number.as_u64(),
            _ => None,
        }
    }

    /// `null`, `""`, `[]`, `{}`: said, but nothing said.
    pub fn is_blank(&self) -> bool {
        match self {
            Json::Null => true,
            Json::String(text) => text.is_empty(),
            Json::Array(elements) => elements.is_empty(),
            Json::Object(object) => object.0.is_empty(),
            Json::Bool(_) | Json::Number(_) => false,
        }
    }
}

impl std::fmt::Display for Json {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = String::new();
        self.write(&mut text);
        formatter.write_str(&text)
    }
}

impl Object {
    /// The named members of an object, the others skipped unread; `None` when this is no whole object. Most of an
    /// event's members say the same in all of them.
    pub(crate) fn pick<const N: usize>(json: &str, names: [&'static str; N]) -> Option<Object> {
        let found = json::members(json, names)?;
        let mut object = Object::default();
        for (name, raw) in names.into_iter().zip(found) {
            if let Some(raw) = raw {
                object.put(name, Json::parse(raw.as_bytes()).ok()?);
            }
        }
        Some(object)
    }

    pub fn get(&self, key: &str) -> Option<&Json> {
        self.0.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_str()
    }

    /// Takes a member out; where a key stands twice, the last one.
    pub fn take(&mut self, key: &str) -> Option<Json> {
        let at = self.0.iter().rposition(|(name, _)| name == key)?;
        Some(self.0.remove(at).1)
    }

    pub fn put(&mut self, key: impl Into<Key>, value: impl Into<Json>) -> &mut Object {
        self.0.push((key.into(), value.into()));
        self
    }

    /// Puts what there is; an absent value stays absent.
    pub fn put_some(&mut self, key: &'static str, value: Option<impl Into<Json>>) -> &mut Object {
        if let Some(value) = value {
            self.put(key, value);
        }
        self
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.0.iter().map(|(key, value)| (&**key, value))
    }
}

/// `object([("type", "text".into()), …])`
pub(crate) fn object<const N: usize>(members: [(&'static str, Json); N]) -> Object {
    Object(members.into_iter().map(|(key, value)| (Cow::Borrowed(key), value)).collect())
}

impl From<&str> for Json {
    fn from(text: &str) -> Json {
        Json::String(text.to_owned())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Json {
        Json::String(text)
    }
}

impl From<&String> for Json {
    fn from(text: &String) -> Json {
        Json::String(text.clone())
    }
}

impl From<bool> for Json {
    fn from(claim: bool) -> Json {
        Json::Bool(claim)
    }
}

impl From<u64> for Json {
    fn from(number: u64) -> Json {
        Json::Number(number.into())
    }
}

impl From<u32> for Json {
    fn from(number: u32) -> Json {
        Json::Number(u64::from(number).into())
    }
}

impl From<Number> for Json {
    fn from(number: Number) -> Json {
        Json::Number(number)
    }
}

impl From<&Number> for Json {
    fn from(number: &Number) -> Json {
        Json::Number(number.clone())
    }
}

impl From<&Json> for Json {
    fn from(json: &Json) -> Json {
        json.clone()
    }
}

impl From<Object> for Json {
    fn from(object: Object) -> Json {
        Json::Object(object)
    }
}

impl From<Vec<Json>> for Json {
    fn from(elements: Vec<Json>) -> Json {
        Json::Array(elements)
    }
}
