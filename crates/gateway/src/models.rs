//! `GET /v1/models` and its kin: the models a key may use, in the format of whoever asks.

use std::net::IpAddr;

use bytes::Bytes;
use dialect::{Dialect, Door, Operation};
use http::{HeaderMap, HeaderValue, Response, header};
use serde_json::{Value, json};
use store::{
    Factor,
    price::{Rate, Rates},
    price_list::Sizes,
};

use crate::{
    app::App,
    catalog::{Catalog, Key},
    fault::ClientFault,
    pipeline::{
        caller::Caller,
        reply::{self, ReplyBody},
    },
};

/// Shown as the time a model was made: the catalog does not know it, and the SDKs want one.
const MADE: &str = "1970-01-01T00:00:00Z";

/// What Gemini's list says of each model; embedding is not translated, so only of those whose channel has that door.
const METHODS: [&str; 3] = ["generateContent", "streamGenerateContent", "countTokens"];
const EMBEDS: &str = "embedContent";

/// Answers a listing (`id` absent) or a look-up.
pub fn answer(
    app: &App,
    dialect: Dialect,
    id: Option<&str>,
    peer: IpAddr,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Response<ReplyBody> {
    let request_id = app.new_request_id();
    match body(app, dialect, id, peer, headers, query) {
        Ok(body) => {
            let mut response = Response::new(ReplyBody::whole(Bytes::from(body.to_string()), None));
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, json);
            if let Ok(value) = HeaderValue::from_str(&request_id.to_string()) {
                response.headers_mut().insert(reply::REQUEST_ID, value);
            }
            response
        }
        Err(fault) => reply::tell(dialect, &fault.public(), request_id, None),
    }
}

fn body(
    app: &App,
    dialect: Dialect,
    id: Option<&str>,
    peer: IpAddr,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Result<Value, ClientFault> {
    let catalog = app.catalog.load_full();
    let caller = Caller::of(peer, headers, query, &catalog)?;
    let key = &caller.key;
    // OpenAI's list serves its two dialects.
    let mut models = catalog.models(dialect, key);
    if dialect == Dialect::OpenaiChat {
        models.extend(catalog.models(Dialect::OpenaiResponses, key));
        models.sort_unstable();
        models.dedup();
    }
    let listed = |name| Listed::of(name, key, &catalog);
    match id {
        None => Ok(list(dialect, &models.into_iter().map(listed).collect::<Vec<_>>())),
        Some(id) => {
            let served = models.contains(&id) || catalog.offers(id, key);
            let unknown = ClientFault::UnknownModel { model: id.to_owned() };
            if served { Ok(one(dialect, &listed(id))) } else { Err(unknown) }
        }
    }
}

/// A name, and what is known of the model behind it; of an alias, of the first that the key may use.
struct Listed<'a> {
    name: &'a str,
    sizes: Sizes,
    pricing: Option<Value>,
    /// It chats: what is not known to do something else does.
    writes: bool,
    /// A channel of it embeds in Gemini's dialect.
    embeds: bool,
}

impl<'a> Listed<'a> {
    fn of(name: &'a str, key: &Key, catalog: &Catalog) -> Listed<'a> {
        let sought = catalog.seek(name);
        let first = sought.iter().find(|sought| sought.may_use(key));
        let model = first.map_or(name, |first| first.model);
        let known = first.and_then(|first| first.listed(key));
        let pricing = catalog.price(model).map(|price| {
            let Rates { input, output, cache_read, .. } = price.base;
            let [prompt, completion, cached] = [input, output, cache_read.unwrap_or(input)]
                .map(|rate| usd_per_token(rate, key.group.factor));
            json!({ "prompt": prompt, "completion": completion, "input_cache_read": cached })
        });
        let door = Door::new(Dialect::GeminiGenerate, Operation::Embeddings);
        let mut channels =
            sought.iter().filter(|sought| sought.may_use(key)).flat_map(|sought| sought.usable(key));
        Listed {
            name,
            sizes: known.map(|known| known.sizes).unwrap_or_default(),
            pricing,
            writes: known.is_none_or(|known| known.writes()),
            embeds: channels.any(|channel| channel.endpoint(door).is_some()),
        }
    }
}

/// What a token costs the caller, in dollars: exactly, and as short as that can be written.
fn usd_per_token(rate: Rate, factor: Factor) -> String {
    /// A rate is in nanodollars for a million tokens, a factor in millionths.
    const DECIMALS: usize = 9 + 6 + 6;
    let digits = format!("{:0>width$}", u128::from(rate) * factor.0 as u128, width = DECIMALS + 1);
    let (whole, rest) = digits.split_at(digits.len() - DECIMALS);
    let rest = rest.trim_end_matches('0');
    if rest.is_empty() { whole.to_owned() } else { format!("{whole}.{rest}") }
}

fn list(dialect: Dialect, models: &[Listed<'_>]) -> Value {
    let rows: Vec<Value> = models.iter().map(|model| one(dialect, model)).collect();
    match dialect {
        Dialect::OpenaiChat | Dialect::OpenaiResponses => json!({ "object": "list", "data": rows }),
        Dialect::AnthropicMessages => json!({
            "data": rows,
            "has_more": false,
            "first_id": models.first().map(|model| model.name),
            "last_id": models.last().map(|model| model.name),
        }),
        Dialect::GeminiGenerate => json!({ "models": rows }),
    }
}

/// What is not known is left out. Prices have no field of their own but in the lists of routers, which the others share here.
fn one(dialect: Dialect, listed: &Listed<'_>) -> Value {
    let Listed { name: model, sizes: Sizes { context, max_output }, pricing, writes, embeds } = listed;
    let methods = METHODS.into_iter().filter(|_| *writes).chain(embeds.then_some(EMBEDS));
    let (mut row, sizes) = match dialect {
        Dialect::OpenaiChat | Dialect::OpenaiResponses => (
            json!({ "id": model, "object": "model", "created": 0, "owned_by": "sluice" }),
            [("context_length", context), ("max_completion_tokens", max_output)],
        ),
        Dialect::AnthropicMessages => (
            json!({ "type": "model", "id": model, "display_name": model, "created_at": MADE }),
            [("max_input_tokens", context), ("max_tokens", max_output)],
        ),
        Dialect::GeminiGenerate => (
            json!({
                "name": format!("models/{model}"),
                "displayName": model,
                "supportedGenerationMethods": methods.collect::<Vec<_>>(),
            }),
            [("inputTokenLimit", context), ("outputTokenLimit", max_output)],
        ),
    };
    for (field, size) in sizes {
        if let Some(size) = size {
            row[field] = json!(size);
        }
    }
    if let Some(pricing) = pricing {
        row["pricing"] = pricing.clone();
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_costs_what_a_millionth_of_a_million_costs() {
        let usd = |text: &str| store::Nanos::from_usd(text).unwrap().0 as Rate;
        assert_eq!(usd_per_token(usd("1.25"), Factor::ONE), "0.00000125");
        assert_eq!(usd_per_token(usd("0.000000001"), Factor::ONE), "0.000000000000001");
        assert_eq!(usd_per_token(usd("2"), Factor(1_500_001)), "0.000003000002");
        assert_eq!(usd_per_token(0, Factor::ONE), "0");
        assert_eq!(usd_per_token(usd("3000000"), Factor::ONE), "3");
    }
}
