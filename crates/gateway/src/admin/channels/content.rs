//! What a channel is made of: what may be shown, and what is sealed.
//!
//! In: a body, and the row that it changes. Out: the row as it is to be, checked by the configuration's own reader. What is sealed
//! is bound to its channel.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use store::{
    Database, Factor,
    change::ChangeError,
    channels::{Channel as Row, Content},
    directory::channel_place,
};
use tracing::error;
use utoipa::ToSchema;

use super::masks;
use crate::{
    admin::{
        fields::{self, Share},
        problem::{Code, Problem},
    },
    config::{Timeouts, document},
};

/// What nobody is shown without asking for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub(super) struct Hidden {
    pub(super) secrets: Vec<String>,
    pub(super) headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) proxy: Option<String>,
}

/// A channel as it is to be.
pub(super) struct Revised {
    pub(super) content: Content,
    pub(super) hidden: Hidden,
}

const HIDDEN: [&str; 3] = ["secrets", "headers", "proxy"];

type Told = Box<Problem>;

/// A new channel.
pub(super) fn made(input: Map<String, Value>, timeouts: &Timeouts) -> Result<Revised, Told> {
    let blank = Content {
        name: String::new(),
        status: "active".to_owned(),
        definition: String::new(),
        discount: Factor::ONE,
    };
    with(blank, Map::new(), Hidden::default(), input, timeouts)
}

/// A channel with what the input names put in the place of what it was.
pub(super) fn revised(
    books: &Database,
    row: &Row,
    input: Map<String, Value>,
    timeouts: &Timeouts,
) -> Result<Revised, Told> {
    let before = Content {
        name: row.name.clone(),
        status: row.status.clone(),
        definition: String::new(),
        discount: row.discount,
    };
    let definition = serde_json::from_str(&row.definition).unwrap_or_default();
    let hidden = hidden(books, row).map_err(Box::new)?;
    with(before, definition, hidden, input, timeouts)
}

fn with(
    mut content: Content,
    mut document: Map<String, Value>,
    before: Hidden,
    mut input: Map<String, Value>,
    timeouts: &Timeouts,
) -> Result<Revised, Told> {
    if let Some(status) = input.remove("status") {
        let status = status.as_str().unwrap_or_default();
        fields::one_of("status", Some(status), &["active", "disabled"])?;
        content.status = status.to_owned();
    }
    if let Some(discount) = input.remove("discount") {
        let expected = "expected a factor from 0 to 1000 with up to six decimals, such as \"0.8\"";
        content.discount = match discount {
            Value::Null => Factor::ONE,
            said => {
                let read = serde_json::from_value(said);
                let Share(factor) = read.map_err(|_| Box::new(Problem::bad("discount", expected)))?;
                factor
            }
        };
    }
    let hidden = masks::unmasked(&before, &mut input)?;
    document.insert("name".to_owned(), json!(content.name));
    document.extend(input);
    document.retain(|_, value| !value.is_null());
    let mut whole = document.clone();
    whole.extend(object(&hidden));
    whole.retain(|_, value| !value.is_null());
    let checked = document::channel(&whole, timeouts)
        .map_err(|problems| Box::new(Problem::of_block("channel", &problems)))?;
    content.name = checked.name;
    document.remove("name");
    content.definition = Value::Object(document).to_string();
    Ok(Revised { content, hidden })
}

/// The hidden keys that say something.
fn object(hidden: &Hidden) -> Map<String, Value> {
    let mut object = match json!(hidden) {
        Value::Object(object) => object,
        _ => Map::new(),
    };
    object.retain(|key, value| HIDDEN.contains(&key.as_str()) && *value != json!([]) && *value != json!({}));
    object
}

/// What is sealed of a row. One that cannot be opened says so in the log, and to the admin without detail.
pub(super) fn hidden(books: &Database, row: &Row) -> Result<Hidden, Problem> {
    let Some(sealed) = &row.sealed else { return Ok(Hidden::default()) };
    let opened = books.sealer().and_then(|sealer| sealer.open(&channel_place(row.id), sealed));
    opened
        .map_err(|error| error.to_string())
        .and_then(|opened| {
            serde_json::from_slice(&opened).map_err(|_| "what was sealed is no object".to_owned())
        })
        .map_err(|error| {
            error!(channel = row.name, error, "a channel's secrets cannot be read");
            let detail = format!("The secrets of channel {:?} cannot be opened: the log says why.", row.name);
            Problem::new(Code::Conflict, detail)
        })
}

/// What is kept of it.
pub(super) fn sealed(books: &Database, id: i64, hidden: &Hidden) -> Result<Option<Vec<u8>>, ChangeError> {
    let object = object(hidden);
    if object.is_empty() {
        return Ok(None);
    }
    let plain = Value::Object(object).to_string();
    books.sealer().and_then(|sealer| sealer.seal(&channel_place(id), plain.as_bytes())).map(Some).map_err(
        |error| {
            error!(%error, "a channel's secrets cannot be sealed");
            ChangeError::conflict("The secrets cannot be sealed: the log says why.")
        },
    )
}
