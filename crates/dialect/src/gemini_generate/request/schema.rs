//! Gemini's own schemas as JSON Schema.
//!
//! In: the OpenAPI subset of `parameters` and `responseSchema`. Out: JSON Schema, as all others take it. What is JSON
//! Schema already must come out as it is.

use crate::tree::{Json, Object, object};

pub(super) fn read(schema: Json) -> Json {
    match schema {
        Json::Object(object) => read_object(object).into(),
        other => other,
    }
}

fn read_object(schema: Object) -> Object {
    let nullable = schema.get("nullable") == Some(&Json::Bool(true));
    let typed = schema.get("type").is_some();
    let mut out = Object::default();
    for (key, value) in schema.0 {
        match (&*key, value) {
            ("nullable", Json::Bool(_)) => {}
            ("type", Json::String(kind)) => {
                let kind = Json::String(kind.to_ascii_lowercase());
                out.put("type", if nullable { Json::Array(vec![kind, "null".into()]) } else { kind });
            }
            ("properties" | "$defs", Json::Object(members)) => {
                let members = members.0.into_iter().map(|(name, schema)| (name, read(schema))).collect();
                out.put(key, Object(members));
            }
            ("items" | "additionalProperties", value) => {
                out.put(key, read(value));
            }
            ("anyOf" | "any_of", Json::Array(schemas)) => {
                let null = (nullable && !typed).then(null);
                out.put("anyOf", schemas.into_iter().map(read).chain(null).collect::<Vec<_>>());
            }
            ("enum", Json::Array(mut values)) => {
                if nullable && typed && !values.contains(&Json::Null) {
                    values.push(Json::Null);
                }
                out.put(key, values);
            }
            // 64-bit numbers come as text in Google's JSON.
            (
                "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties" | "maxProperties",
                value,
            ) => {
                let number = value.as_str().and_then(|text| Json::parse(text.as_bytes()).ok());
                out.put(key, number.unwrap_or(value));
            }
            (_, value) => {
                out.put(key, value);
            }
        }
    }
    // It allows null beside whatever it says, unless it says nothing: that allows everything.
    if nullable && !typed && out.get("anyOf").is_none() && !out.is_empty() {
        return object([("anyOf", vec![out.into(), null()].into())]);
    }
    out
}

fn null() -> Json {
    object([("type", "null".into())]).into()
}
