//! Prices, for admins; and what a model costs, for everybody.
//!
//! In: requests under `/prices`, in the words of the configuration file's `[[price]]` block and read by its reader. Out: rows with
//! their ratio by one-api's reckoning. A price is never made up: what has none says so.

mod rates;

use axum::Json;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use store::{
    price_list::PriceList,
    prices::{self, Filter, PriceRow},
};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    actor::{Actor, Role, now_ms},
    asked::Asked,
    fields::is_model,
    input::{Done, Id, Input, Search},
    paging::{Page, Paging, PagingParams, id_key},
    problem::{Code, FieldError, Problem},
};

/// Problems of one list that are told at once.
const TOLD: usize = 50;

pub(super) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(list_prices, set_price))
        .routes(routes!(show_price, delete_price))
        .routes(routes!(take_price_list))
        .routes(routes!(price_in_force))
}

#[derive(Debug, Serialize, ToSchema)]
struct Price {
    id: i64,
    /// `*` at the end matches any rest.
    model: String,
    /// admin (goes before the configuration file's), list (goes before the bundled list).
    source: String,
    valid_from_ms: i64,
    /// Dollars per million tokens, as a `[[price]]` block says it.
    rates: Map<String, Value>,
    ratio: Option<Ratio>,
    created_ms: i64,
}

/// The same price as one-api counts: ratio 1 is two dollars per million tokens. Null where no decimal says it exactly.
#[derive(Debug, Serialize, ToSchema)]
struct Ratio {
    model: Option<String>,
    completion: Option<String>,
}

fn ratio(price: &store::price::Price) -> Ratio {
    let ratio = price.ratio();
    Ratio { model: ratio.model, completion: ratio.completion }
}

fn shown(row: PriceRow) -> Price {
    let rates: Map<String, Value> = serde_json::from_str(&row.rates).unwrap_or_default();
    Price {
        id: row.id,
        ratio: rates::read(&row.model, &rates).ok().map(|price| ratio(&price)),
        model: row.model,
        source: row.source,
        valid_from_ms: row.valid_from_ms,
        rates,
        created_ms: row.created_ms,
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Params {
    model: Option<String>,
    /// A part of the model's name.
    search: Option<String>,
    /// admin, list.
    source: Option<String>,
}

/// The prices that are kept in the database, newest first.
#[utoipa::path(get, path = "/prices", tag = "prices", params(PagingParams, Params),
    responses((status = 200, body = Page<Price>)))]
async fn list_prices(
    actor: Actor,
    asked: Asked,
    paging: Paging,
    Search(params): Search<Params>,
) -> Result<Json<Page<Price>>, Problem> {
    actor.needs(Role::Admin)?;
    let Params { model, search, source } = params;
    let filter = Filter { model, search, source };
    let (after, limit) = (paging.after_id()?, paging.limit);
    let (rows, total) = asked.look(move |books| prices::list(books, &filter, after, limit + 1)).await?;
    Ok(Json(paging.page(rows, |row| id_key(row.id), shown).of(total.into())))
}

/// A price in the words of the configuration file: `input`, `output` and what else a `[[price]]` block says.
#[derive(ToSchema)]
#[expect(dead_code, reason = "for the description only: the body is read by the configuration's own reader")]
struct PriceInput {
    /// `*` at the end matches any rest.
    model: String,
    /// From when on it is good; now if not said.
    valid_from_ms: Option<i64>,
    /// Dollars per million tokens.
    input: String,
    output: String,
    cache_read: Option<String>,
    cache_write: Option<String>,
    cache_write_1h: Option<String>,
    reasoning: Option<String>,
    audio_input: Option<String>,
    audio_output: Option<String>,
    image_input: Option<String>,
    image_output: Option<String>,
    /// Dollars.
    per_call: Option<String>,
    /// Dollars for each second of sound or film.
    per_second: Option<String>,
    /// What a picture costs, by kind.
    images: Option<Vec<ImageInput>>,
    /// Tokens of a prompt above which the `long_…` prices hold.
    long_above: Option<u64>,
    long_input: Option<String>,
    long_output: Option<String>,
    long_cache_read: Option<String>,
    long_cache_write: Option<String>,
    long_cache_write_1h: Option<String>,
}

/// A kind of picture; what is not said of it fits all.
#[derive(ToSchema)]
#[expect(dead_code, reason = "for the description only, as above")]
struct ImageInput {
    /// As callers name it: `1024x1024`.
    size: Option<String>,
    /// As callers name it: `high`.
    quality: Option<String>,
    /// Dollars for each picture.
    each: String,
}

/// Sets the price of a model from a moment on. To change a price, set another from a later moment.
#[utoipa::path(post, path = "/prices", tag = "prices", request_body = PriceInput,
    responses((status = 201, body = Price)))]
async fn set_price(
    actor: Actor,
    asked: Asked,
    Input(mut input): Input<Map<String, Value>>,
) -> Result<(StatusCode, Json<Price>), Problem> {
    actor.needs(Role::Admin)?;
    let model = match input.remove("model") {
        Some(Value::String(model)) => model,
        Some(_) => return Err(Problem::bad("model", "expected a string")),
        None => return Err(Problem::bad("model", "is needed")),
    };
    if !is_model(&model) {
        return Err(Problem::bad("model", "expected a model's name, with * only at its end"));
    }
    let valid_from_ms = match input.remove("valid_from_ms") {
        None | Some(Value::Null) => now_ms(),
        Some(value) => value
            .as_i64()
            .filter(|at_ms| *at_ms >= 0)
            .ok_or_else(|| Problem::bad("valid_from_ms", "expected milliseconds since 1970"))?,
    };
    input.retain(|_, value| !value.is_null());
    rates::read(&model, &input)?;
    let (by, rates) = (actor.by(&asked), Value::Object(input).to_string());
    let row = asked
        .change(move |books| {
            let id = prices::set(books, &by, &model, valid_from_ms, &rates)?;
            prices::find(books, id)
        })
        .await?;
    Ok((StatusCode::CREATED, Json(shown(row))))
}

/// A price.
#[utoipa::path(get, path = "/prices/{id}", tag = "prices", params(("id" = i64, Path)),
    responses((status = 200, body = Price)))]
async fn show_price(actor: Actor, asked: Asked, Id(id): Id) -> Result<Json<Price>, Problem> {
    actor.needs(Role::Admin)?;
    Ok(Json(shown(asked.look(move |books| prices::find(books, id)).await?)))
}

/// Takes a price out. What it has charged stays charged.
#[utoipa::path(delete, path = "/prices/{id}", tag = "prices", params(("id" = i64, Path)), responses((status = 204)))]
async fn delete_price(actor: Actor, asked: Asked, Id(id): Id) -> Result<Done, Problem> {
    actor.needs(Role::Admin)?;
    let by = actor.by(&asked);
    asked.change(move |books| prices::remove(books, &by, id)).await?;
    Ok(Done)
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ListInput {
    /// A line of column names, then a line per model, cells set apart by tabs; as the bundled list has it.
    table: String,
    /// From when on it is good; now if not said.
    valid_from_ms: Option<i64>,
}

#[derive(Debug, Serialize, ToSchema)]
struct ListTaken {
    /// Models that cost something else from then on, or are new.
    changed: u32,
    unchanged: u32,
    valid_from_ms: i64,
}

/// Takes in a whole list of prices, all of it or nothing; it goes before the bundled one.
#[utoipa::path(post, path = "/prices/list", tag = "prices", request_body = ListInput,
    responses((status = 200, body = ListTaken)))]
async fn take_price_list(
    actor: Actor,
    asked: Asked,
    Input(input): Input<ListInput>,
) -> Result<Json<ListTaken>, Problem> {
    actor.needs(Role::Admin)?;
    if input.valid_from_ms.is_some_and(|at_ms| at_ms < 0) {
        return Err(Problem::bad("valid_from_ms", "expected milliseconds since 1970"));
    }
    let list = PriceList::parse(&input.table).map_err(|problems| {
        let errors = problems.iter().take(TOLD).map(|problem| FieldError {
            field: format!("table, line {}, {}", problem.line, problem.column),
            reason: problem.reason.clone(),
        });
        let detail = format!("The list has {} problems; nothing of it was taken.", problems.len());
        Problem { errors: errors.collect(), ..Problem::new(Code::BadInput, detail) }
    })?;
    let rows: Vec<(String, String)> = list
        .iter()
        .map(|(model, listed)| (model.to_owned(), Value::Object(rates::written(&listed.price)).to_string()))
        .collect();
    let (by, valid_from_ms) = (actor.by(&asked), input.valid_from_ms.unwrap_or_else(now_ms));
    let taken = asked.change(move |books| prices::take_list(books, &by, valid_from_ms, &rows)).await?;
    Ok(Json(ListTaken { changed: taken.changed, unchanged: taken.unchanged, valid_from_ms }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct InForceParams {
    model: String,
}

/// What a model costs now.
#[derive(Debug, Serialize, ToSchema)]
struct InForce {
    model: String,
    /// Null: the model has no price. It is refused to those who pay, and free for those who do not.
    rates: Option<Map<String, Value>>,
    ratio: Option<Ratio>,
}

/// What a model costs now, wherever its price is from: the admin's, the configuration's, a list's.
#[utoipa::path(get, path = "/prices/in-force", tag = "prices", params(InForceParams),
    responses((status = 200, body = InForce)))]
async fn price_in_force(
    _actor: Actor,
    asked: Asked,
    Search(params): Search<InForceParams>,
) -> Result<Json<InForce>, Problem> {
    let price = asked.app.catalog.load().price(&params.model);
    Ok(Json(InForce {
        model: params.model,
        rates: price.as_deref().map(rates::written),
        ratio: price.as_deref().map(ratio),
    }))
}
