//! Long lists, a page at a time, by the place where the page before ended.
//!
//! In: `limit` and `cursor` of the query. Out: where to begin and how many, and a [`Page`]. Rows that come or go meanwhile
//! neither repeat nor hide others.

use axum::extract::FromRequestParts;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::request::Parts;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{input::Loose, problem::Problem};

const DEFAULT_LIMIT: u32 = 50;
const MOST: u32 = 200;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PagingParams {
    /// Rows of a page, 1 to 200; 50 if not said.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// A page that is asked for. Lists go from the newest to the oldest.
#[derive(Clone, Debug)]
pub struct Paging {
    pub limit: u32,
    after: Option<Vec<u8>>,
}

impl Paging {
    /// The key of the last row of the page before, for lists by number.
    pub fn after_id(&self) -> Result<Option<i64>, Problem> {
        let Some(after) = &self.after else { return Ok(None) };
        let bytes = after.as_slice().try_into().map_err(|_| not_a_cursor())?;
        Ok(Some(i64::from_be_bytes(bytes)))
    }

    /// The same, for lists by a key of `N` bytes, such as a request's id.
    pub fn after_bytes<const N: usize>(&self) -> Result<Option<[u8; N]>, Problem> {
        let Some(after) = &self.after else { return Ok(None) };
        after.as_slice().try_into().map(Some).map_err(|_| not_a_cursor())
    }

    /// A page out of up to one row more than it holds, which tells that there is another page. `key` is a row's place.
    pub fn page<R, T>(
        &self,
        mut rows: Vec<R>,
        key: impl Fn(&R) -> Vec<u8>,
        shown: impl FnMut(R) -> T,
    ) -> Page<T> {
        let more = rows.len() > self.limit as usize;
        rows.truncate(self.limit as usize);
        let next = rows.last().filter(|_| more).map(|row| URL_SAFE_NO_PAD.encode(key(row)));
        Page { items: rows.into_iter().map(shown).collect(), next, total: None }
    }
}

fn not_a_cursor() -> Problem {
    Problem::bad("cursor", "is not the `next` of a page of this list")
}

/// The key of a row that has a number.
pub fn id_key(id: i64) -> Vec<u8> {
    id.to_be_bytes().to_vec()
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// `cursor` of the next page; null: this is the last one.
    pub next: Option<String>,
    /// Rows on all pages together, where counting them is cheap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

impl<T> Page<T> {
    #[must_use]
    pub fn of(mut self, total: u64) -> Page<T> {
        self.total = Some(total);
        self
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Paging {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Paging, Problem> {
        let Loose(PagingParams { limit, cursor }) = Loose::from_request_parts(parts, state).await?;
        let limit = limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MOST).contains(&limit) {
            return Err(Problem::bad("limit", format!("expected a number from 1 to {MOST}")));
        }
        let after = match cursor {
            Some(cursor) => Some(URL_SAFE_NO_PAD.decode(cursor).map_err(|_| not_a_cursor())?),
            None => None,
        };
        Ok(Paging { limit, after })
    }
}
