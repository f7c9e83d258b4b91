//! Schemas that an answer or a strict tool's input is held to.
//!
//! In: JSON Schema, as others take it. Out: the part of it that this provider takes ("Structured outputs"): objects are
//! closed, and bounds are told to the model in words. What stands there otherwise is the provider's to judge.

use crate::tree::{Json, Object};

/// Why a schema is not what it was.
pub(super) const CLOSED: &str =
    "its schemas are closed and know no bounds: objects were closed, bounds told in the description";

/// Keywords that it refuses.
const BOUNDS: &[&str] = &[
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
];

/// The schema as it is taken; `true`: it is not what it was.
pub(super) fn fit(schema: &Json) -> (Json, bool) {
    let mut changed = false;
    (fit_schema(schema.clone(), &mut changed), changed)
}

fn fit_schema(schema: Json, changed: &mut bool) -> Json {
    match schema {
        Json::Object(object) => fit_object(object, changed).into(),
        other => other,
    }
}

fn fit_all(schemas: Vec<Json>, changed: &mut bool) -> Vec<Json> {
    schemas.into_iter().map(|schema| fit_schema(schema, changed)).collect()
}

fn fit_object(schema: Object, changed: &mut bool) -> Object {
    let open = holds_object(&schema) && schema.get("additionalProperties").is_none();
    let (mut out, mut bounds) = (Object::default(), Vec::new());
    for (key, value) in schema.0 {
        match (&*key, value) {
            ("properties" | "$defs" | "definitions", Json::Object(members)) => {
                let fitted = members.0.into_iter().map(|(name, schema)| (name, fit_schema(schema, changed)));
                out.put(key, Object(fitted.collect()));
            }
            ("anyOf" | "allOf" | "oneOf" | "prefixItems", Json::Array(schemas)) => {
                out.put(key, fit_all(schemas, changed));
            }
            ("items", schema) => {
                out.put(key, fit_schema(schema, changed));
            }
            (name, value) if refuses(name, &value) => bounds.push(format!("{name}: {value}")),
            (_, value) => {
                out.put(key, value);
            }
        }
    }
    if open {
        out.put("additionalProperties", false);
    }
    if !bounds.is_empty() {
        let told = format!("({})", bounds.join(", "));
        let described = out.take("description");
        let words = described.as_ref().and_then(Json::as_str).filter(|words| !words.is_empty());
        out.put("description", words.map_or_else(|| told.clone(), |words| format!("{words} {told}")));
    }
    *changed |= open || !bounds.is_empty();
    out
}

fn holds_object(schema: &Object) -> bool {
    match schema.get("type") {
        Some(Json::String(kind)) => kind == "object",
        Some(Json::Array(kinds)) => kinds.iter().any(|kind| kind.as_str() == Some("object")),
        _ => false,
    }
}

/// Of a list's least length it knows nought and one.
fn refuses(keyword: &str, value: &Json) -> bool {
    BOUNDS.contains(&keyword) || keyword == "minItems" && value.as_u64().is_none_or(|least| least > 1)
}
