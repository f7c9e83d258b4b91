//! From words to a request.
//!
//! In: object, verb, which one, and `field=value`. Out: method, path and body. A value is JSON where it is a list, an object, a whole
//! number, true, false or null, and else a text; `@FILE` is what is in the file, so that no secret need be typed.

use std::{fs, path::Path};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::Typed;
use crate::admin::PREFIX;

/// Something that can be managed.
#[derive(Debug)]
pub struct Object {
    pub word: &'static str,
    /// Below the API's prefix.
    path: &'static str,
    /// Where one is found by its name.
    named_in: &'static str,
    /// What a list shows.
    columns: &'static [&'static str],
}

/// Names of fields keep their look.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'-').remove(b'.');

pub const OBJECTS: [Object; 10] = [
    object("user", "/users", &["id", "name", "role", "status", "group", "balance", "keys"]),
    object("group", "/groups", &["id", "name", "factor", "users", "models", "channels"]),
    object("key", "/keys", &["id", "user", "name", "shown", "status", "spent", "spend_limit", "source"]),
    object("channel", "/channels", &["id", "name", "provider", "status", "priority", "models", "source"]),
    object("price", "/prices", &["id", "model", "source", "valid_from_ms", "rates"]),
    object("alias", "/aliases", &["id", "name", "models"]),
    object("code", "/codes", &["id", "batch", "last4", "value", "status", "redeemed_by_name"]),
    Object {
        named_in: "/users",
        ..object("account", "/accounts", &["id", "at_ms", "kind", "amount", "key", "note"])
    },
    object("setting", "/settings", &["name", "value", "changed"]),
    object("audit", "/audit", &["id", "at_ms", "actor", "via", "action", "object", "object_id"]),
];

const fn object(word: &'static str, path: &'static str, columns: &'static [&'static str]) -> Object {
    Object { word, path, named_in: path, columns }
}

/// Fields that are a text, whatever it looks like: a key may be called 7.
const TEXTS: [&str; 11] = [
    "name",
    "user",
    "group",
    "email",
    "batch",
    "model",
    "reason",
    "operation_id",
    "request_id",
    "system_name",
    "notice",
];

/// Fields that say by its name what the API knows by its number: of which object, the field here and there, and where it is found.
const NAMES: [(&str, &str, &str, &str); 2] =
    [("key", "user", "user_id", "/users"), ("user", "group", "group_id", "/groups")];

/// For the usage text.
pub const VERBS: &str = "  sluice user|group|key|channel|price|alias|code|setting|audit list [FIELD=VALUE …]
  sluice user|group|key|channel|price|alias|code show NAME|ID
  sluice user|group|key|channel|price|alias|code add FIELD=VALUE …
                                (whose key: user=NAME; which group a user is in: group=NAME)
  sluice user|group|key|channel|alias set NAME|ID FIELD=VALUE …
  sluice user|group|key|channel|price|alias delete NAME|ID
  sluice user|key|channel enable|disable NAME|ID
  sluice key rotate NAME|ID [grace_seconds=N]
  sluice channel reveal NAME|ID
  sluice price update --from FILE
  sluice price in-force MODEL
  sluice code void ID|batch=NAME
  sluice account show|entries USER
  sluice account top-up|refund|adjust USER amount=USD reason=TEXT [operation_id=ID]
  sluice setting set NAME=VALUE …
";

/// The object of a first word, which may be in the plural.
pub(super) fn named(word: &str) -> Option<&'static Object> {
    let ends = ["", "s", "es"];
    OBJECTS.iter().find(|object| ends.iter().any(|end| word.strip_suffix(end) == Some(object.word)))
}

/// A request, perhaps with a name in the place of a number.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) body: Option<Value>,
    pub(super) columns: &'static [&'static str],
    /// Where `{id}` in the path is found: collection and name.
    name: Option<(&'static str, String)>,
    /// A field whose number is still to be found: its name at the API, collection and name.
    other: Option<(&'static str, &'static str, String)>,
}

impl Step {
    pub(super) fn read(typed: &Typed) -> Result<Step, String> {
        let mut words = typed.words.iter().map(String::as_str);
        let object = words.next().and_then(named);
        let object = object
            .ok_or("which one? user, group, key, channel, price, alias, code, account, setting, audit")?;
        let verb = words.next().unwrap_or("list");
        let rest: Vec<&str> = words.collect();
        let which = rest.first().copied().filter(|word| !word.contains('='));
        let mut fields = fields(&rest[usize::from(which.is_some())..])?;
        let other =
            NAMES.iter().find(|(word, ..)| *word == object.word && matches!(verb, "list" | "add" | "set"));
        let other = other.and_then(|(_, field, id, collection)| match fields.remove(*field)? {
            Value::String(name) => Some((*id, *collection, name)),
            _ => None,
        });
        let is_whole = matches!(
            (object.word, verb),
            (_, "show" | "delete" | "enable" | "disable")
                | ("channel", "reveal")
                | ("price", "update" | "in-force")
        ) || (verb == "void" && which.is_some());
        if let Some((field, _)) = fields.iter().next().filter(|_| is_whole) {
            return Err(format!("{} {verb} takes no fields: what is {field} to do?", object.word));
        }
        let body = || Some(Value::Object(fields.clone()));
        let alone = matches!(verb, "list" | "add" | "update") || object.word == "setting";
        if let Some(word) = which.filter(|_| alone) {
            return Err(format!("{word:?} is not FIELD=VALUE; for a name say name={word}"));
        }
        let whole = |method, path: &str, body| step(object, method, path.to_owned(), body, None);
        let one = |method, below: &str, body| {
            let which = which.ok_or_else(|| format!("which {}? Say its name or its number", object.word))?;
            Ok(step(object, method, format!("{}/{{id}}{below}", object.path), body, Some(which)))
        };
        let read = match (object.word, verb) {
            ("price", "update") => {
                let from = typed.from.as_deref().ok_or("--from FILE is missing")?;
                Ok(whole("POST", "/prices/list", Some(json!({ "table": file(from)? }))))
            }
            ("price", "in-force") => {
                let model = which.ok_or("which model?")?;
                Ok(whole("GET", &format!("/prices/in-force?model={}", encoded(model)), None))
            }
            ("code", "void") if which.is_none() => Ok(whole("POST", "/codes/void", body())),
            ("code", "void") => one("POST", "/void", None),
            ("key", "rotate") => one("POST", "/rotate", body()),
            ("channel", "reveal") => one("POST", "/reveal", None),
            ("account", "top-up" | "refund" | "adjust") => one("POST", &format!("/{verb}"), body()),
            ("account", "entries") => one("GET", &query("/entries", &fields, typed.limit), None),
            ("account", "show") => one("GET", "", None),
            ("setting", "set") => Ok(whole("PATCH", object.path, body())),
            ("account", _)
            | ("setting" | "audit", "show" | "add" | "delete" | "enable" | "disable" | "set") => {
                Err(format!("{} has no {verb}", object.word))
            }
            (_, "list") => Ok(whole("GET", &query(object.path, &fields, typed.limit), None)),
            (_, "show") => one("GET", "", None),
            (_, "add") => Ok(whole("POST", object.path, body())),
            (_, "set") => one("PATCH", "", body()),
            (_, "delete") => one("DELETE", "", None),
            (_, "enable") => one("PATCH", "", Some(json!({ "status": "active" }))),
            (_, "disable") => one("PATCH", "", Some(json!({ "status": "disabled" }))),
            (word, verb) => Err(format!("{word} has no {verb}")),
        };
        Ok(Step { other, ..read? })
    }

    /// With the number in the place of the name.
    pub(super) fn resolved(mut self, look: impl Fn(&str) -> Result<Value, String>) -> Result<Step, String> {
        if let Some((collection, name)) = self.name.take() {
            self.path = self.path.replace("{id}", &number(collection, name, &look)?);
        }
        if let Some((field, collection, name)) = self.other.take() {
            let id = number(collection, name, &look)?;
            match &mut self.body {
                Some(body) => body[field] = value(&id),
                None => {
                    let sign = if self.path.contains('?') { '&' } else { '?' };
                    self.path.push_str(&format!("{sign}{field}={id}"));
                }
            }
        }
        Ok(self)
    }
}

/// The number of what is called so in a collection; a number is one.
fn number(
    collection: &str,
    name: String,
    look: impl Fn(&str) -> Result<Value, String>,
) -> Result<String, String> {
    if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(name);
    }
    let found = look(&format!("{PREFIX}{collection}?name={}", encoded(&name)))?;
    match found["items"].as_array().map(Vec::as_slice) {
        Some([one]) => Ok(one["id"].to_string()),
        Some([]) | None => Err(format!("nothing here is called {name:?}")),
        Some(_) => Err(format!("several are called {name:?}: say the number of the one you mean")),
    }
}

fn step(
    object: &'static Object,
    method: &'static str,
    path: String,
    body: Option<Value>,
    name: Option<&str>,
) -> Step {
    let name = name.map(|name| (object.named_in, name.to_owned()));
    Step { method, path: format!("{PREFIX}{path}"), body, columns: object.columns, name, other: None }
}

fn fields(words: &[&str]) -> Result<Map<String, Value>, String> {
    let mut fields = Map::new();
    for word in words {
        let (name, text) = word.split_once('=').ok_or_else(|| format!("{word:?} is not FIELD=VALUE"))?;
        let value = match text.strip_prefix('@') {
            Some(path) => value(file(Path::new(path))?.trim()),
            None if TEXTS.contains(&name) => text.into(),
            None => value(text),
        };
        if fields.insert(name.to_owned(), value).is_some() {
            return Err(format!("{name} is said twice"));
        }
    }
    Ok(fields)
}

/// Decimals stay texts: the API reads money exactly.
fn value(text: &str) -> Value {
    let whole = text.strip_prefix('-').unwrap_or(text).bytes().all(|byte| byte.is_ascii_digit());
    if whole || text.starts_with(['[', '{']) || matches!(text, "true" | "false" | "null") {
        return serde_json::from_str(text).unwrap_or_else(|_| text.into());
    }
    text.into()
}

fn query(path: &str, fields: &Map<String, Value>, limit: Option<u32>) -> String {
    let said = fields.iter().map(|(name, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!("{}={}", encoded(name), encoded(&text))
    });
    let pairs: Vec<String> = said.chain(limit.map(|limit| format!("limit={limit}"))).collect();
    if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

fn file(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &str) -> Result<Step, String> {
        let words = words.split_whitespace().map(str::to_owned).collect();
        Step::read(&Typed { words, limit: Some(5), ..Typed::default() })
    }

    #[test]
    fn words_become_requests() {
        let look = |path: &str| {
            assert_eq!(path, "/api/v1/users?name=ann");
            Ok(json!({"items": [{"id": 7}]}))
        };
        let step = read("account top-up ann amount=12.50 reason=7").unwrap().resolved(look).unwrap();
        assert_eq!((step.method, step.path.as_str()), ("POST", "/api/v1/accounts/7/top-up"));
        assert_eq!(step.body.unwrap(), json!({"amount": "12.50", "reason": "7"}));
        let step = read("key list user_id=3 search=a&b").unwrap();
        assert_eq!(step.path, "/api/v1/keys?search=a%26b&user_id=3&limit=5");
        for (words, path) in [("alias", "aliases"), ("aliases list", "aliases"), ("prices list", "prices")] {
            assert_eq!(read(words).unwrap().path, format!("/api/v1/{path}?limit=5"));
        }
        let step =
            read(r#"channel add name=x models=["a"] weight=3 proxy=null discount=0.9 strict=true"#).unwrap();
        let body = json!({"name": "x", "models": ["a"], "weight": 3, "proxy": null, "discount": "0.9", "strict": true});
        assert_eq!((step.method, step.body.unwrap()), ("POST", body));
        let look = |path: &str| {
            assert_eq!(path, "/api/v1/users?name=ann");
            Ok(json!({"items": [{"id": 7}]}))
        };
        let step = read("key add name=x user=ann").unwrap().resolved(look).unwrap();
        assert_eq!(step.body.unwrap(), json!({"name": "x", "user_id": 7}));
        let step = read("key list user=ann").unwrap().resolved(look).unwrap();
        assert_eq!(step.path, "/api/v1/keys?limit=5&user_id=7");
        let never = |_: &str| panic!("a number needs no look");
        assert_eq!(read("key disable 12").unwrap().resolved(never).unwrap().path, "/api/v1/keys/12");
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        for words in [
            "key show",
            "key paint 1",
            "account list",
            "setting delete x",
            "user set ann role",
            "price update",
            "user add ann",
            "user list ann",
            "key disable 1 status=active",
            "key delete 1 name=x",
            "key delete app user=ann",
        ] {
            assert!(read(words).is_err(), "{words}");
        }
        let nobody = |_: &str| Ok(json!({"items": []}));
        assert!(read("user show ann").unwrap().resolved(nobody).unwrap_err().contains("ann"));
    }
}
