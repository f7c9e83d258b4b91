//! Taking an object of a dialect apart, field by field.
//!
//! In: a JSON object and the path it stands at. Out: typed values; what nobody took is left, and goes into the extras.
//! So a field can only disappear where a decoder takes it and does nothing with it.

use crate::{
    Dialect,
    chat::Extras,
    loss::Losses,
    meaningless,
    translate::Untranslatable,
    tree::{Json, Number, Object},
};

type Result<T> = std::result::Result<T, Untranslatable>;

pub(crate) struct Fields {
    object: Object,
    /// The path without positions: `messages.content`.
    at: &'static str,
}

impl Fields {
    pub(crate) fn new(object: Object, at: &'static str) -> Fields {
        Fields { object, at }
    }

    /// An element of an array, or any value that must be an object.
    pub(crate) fn of(value: Json, at: &'static str) -> Result<Fields> {
        match value {
            Json::Object(object) => Ok(Fields { object, at }),
            _ => Err(malformed(at, "an object")),
        }
    }

    pub(crate) fn wrong(&self, key: &str, expected: &'static str) -> Untranslatable {
        malformed(&join(self.at, key), expected)
    }

    /// `null` says nothing: the field counts as absent.
    pub(crate) fn json(&mut self, key: &str) -> Option<Json> {
        self.object.take(key).filter(|value| *value != Json::Null)
    }

    pub(crate) fn text(&mut self, key: &str) -> Result<Option<String>> {
        match self.json(key) {
            None => Ok(None),
            Some(Json::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(key, "a string")),
        }
    }

    pub(crate) fn need_text(&mut self, key: &str) -> Result<String> {
        self.text(key)?.ok_or_else(|| self.wrong(key, "a string"))
    }

    pub(crate) fn bool(&mut self, key: &str) -> Result<Option<bool>> {
        match self.json(key) {
            None => Ok(None),
            Some(Json::Bool(claim)) => Ok(Some(claim)),
            Some(_) => Err(self.wrong(key, "true or false")),
        }
    }

    pub(crate) fn number(&mut self, key: &str) -> Result<Option<Number>> {
        match self.json(key) {
            None => Ok(None),
            Some(Json::Number(number)) => Ok(Some(number)),
            Some(_) => Err(self.wrong(key, "a number")),
        }
    }

    pub(crate) fn count(&mut self, key: &str) -> Result<Option<u64>> {
        match self.number(key)? {
            None => Ok(None),
            Some(number) => number.as_u64().map(Some).ok_or_else(|| self.wrong(key, "a whole number")),
        }
    }

    pub(crate) fn array(&mut self, key: &str) -> Result<Option<Vec<Json>>> {
        match self.json(key) {
            None => Ok(None),
            Some(Json::Array(elements)) => Ok(Some(elements)),
            Some(_) => Err(self.wrong(key, "an array")),
        }
    }

    pub(crate) fn object(&mut self, key: &str, at: &'static str) -> Result<Option<Fields>> {
        match self.json(key) {
            None => Ok(None),
            Some(Json::Object(object)) => Ok(Some(Fields { object, at })),
            Some(_) => Err(self.wrong(key, "an object")),
        }
    }

    pub(crate) fn need_object(&mut self, key: &str, at: &'static str) -> Result<Fields> {
        self.object(key, at)?.ok_or_else(|| self.wrong(key, "an object"))
    }

    /// One string, or several.
    pub(crate) fn texts(&mut self, key: &str) -> Result<Vec<String>> {
        match self.json(key) {
            None => Ok(Vec::new()),
            Some(Json::String(text)) => Ok(vec![text]),
            Some(Json::Array(elements)) => elements
                .into_iter()
                .map(|element| match element {
                    Json::String(text) => Ok(text),
                    _ => Err(self.wrong(key, "an array of strings")),
                })
                .collect(),
            Some(_) => Err(self.wrong(key, "an array of strings")),
        }
    }

    /// Gemini takes its names in either form; here they have one.
    pub(crate) fn camel(mut self) -> Fields {
        for (key, _) in &mut self.object.0 {
            if key.contains('_') {
                *key = to_camel(key).into();
            }
        }
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.object.is_empty()
    }

    pub(crate) fn peek(&self, key: &str) -> Option<&Json> {
        self.object.get(key).filter(|value| **value != Json::Null)
    }

    /// A text whose member has a new name; where both stand and differ, the old one becomes an extra.
    pub(crate) fn renamed_text(&mut self, new: &str, old: &'static str) -> Result<Option<String>> {
        match (self.text(new)?, self.text(old)?) {
            (Some(text), Some(other)) if text != other => {
                self.put_back(old, other.into());
                Ok(Some(text))
            }
            (text, other) => Ok(text.or(other)),
        }
    }

    /// What was not understood after all goes back, to become an extra.
    pub(crate) fn put_back(&mut self, key: &'static str, value: Json) {
        self.object.put(key, value);
    }

    /// What nobody took.
    pub(crate) fn rest(self, dialect: Dialect, extras: &mut Extras) {
        for (key, value) in self.object.0 {
            if value != Json::Null {
                extras.add(dialect, self.at, key, value);
            }
        }
    }

    /// The whole object as it is left.
    pub(crate) fn into_object(self) -> Object {
        self.object
    }
}

fn to_camel(snake: &str) -> String {
    let mut camel = String::with_capacity(snake.len());
    let mut raise = false;
    for letter in snake.chars() {
        if letter == '_' && !camel.is_empty() {
            raise = true;
        } else if std::mem::take(&mut raise) {
            camel.extend(letter.to_uppercase());
        } else {
            camel.push(letter);
        }
    }
    camel
}

pub(crate) fn malformed(field: &str, expected: &'static str) -> Untranslatable {
    Untranslatable::Malformed { field: field.to_owned(), expected }
}

pub(crate) fn join(at: &str, key: &str) -> String {
    if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") }
}

/// Puts the extras that `dialect` itself left at `at` back into their object.
pub(crate) fn put_extras(extras: &Extras, dialect: Dialect, at: &str, object: &mut Object) {
    for extra in extras.0.iter().filter(|extra| extra.dialect == dialect && extra.at == at) {
        object.put(extra.key.clone(), &extra.value);
    }
}

/// Lists the extras of other dialects.
pub(crate) fn list_extras(extras: &Extras, dialect: Dialect, losses: &mut Losses) {
    for extra in extras.0.iter().filter(|extra| extra.dialect != dialect) {
        // Empty values say nothing, and elsewhere nothing is stored anyway.
        if extra.value.is_blank() || extra.key == "store" && extra.value == Json::Bool(false) {
            continue;
        }
        let path = join(extra.at, &extra.key);
        if meaningless::reason(extra.dialect, &path).is_none() {
            losses.add(path, dialect, NO_PLACE);
        }
    }
}

/// The reason of most losses.
pub(crate) const NO_PLACE: &str = "it has no such field";
