//! The list of what a whole answer leans on, beside its choices: Perplexity's and xAI's searches (`citations-on-top`).
//!
//! In: `citations`, and `search_results`, which has the titles. Out: citations without a place in the text. What is no
//! address must not become one.

use crate::{
    chat::Citation,
    tree::{Json, Object},
};

/// `None`: it is not such a list.
pub(crate) fn read_sources(citations: &Json, results: Option<&Json>) -> Option<Vec<Citation>> {
    let results = results.and_then(Json::as_array).unwrap_or_default();
    let title = |url: &str| {
        let result =
            results.iter().filter_map(Json::as_object).find(|result| result.text("url") == Some(url));
        result.and_then(|result: &Object| result.text("title")).map(str::to_owned)
    };
    let sources = citations.as_array()?.iter().map(|url| {
        let url = url.as_str()?;
        Some(Citation { url: url.to_owned(), title: title(url), quote: None, span: None })
    });
    sources.collect()
}
