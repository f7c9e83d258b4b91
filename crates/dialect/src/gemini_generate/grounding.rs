//! Which words of an answer lean on which pages (`groundingMetadata`), both ways.
//!
//! In: the metadata with the answer's words, or citations. Out: the other. Gemini tells places in bytes of all the words
//! of an answer, here they are characters of a part. The words that it repeats are the answer's own: they must not be
//! taken for the page's.

use crate::{
    chat::{Citation, Content, Part},
    tree::{Json, Object, object},
};

/// Bytes of an answer that are kept for the sake of places in it: more than models write on one question. Sources of what
/// follows are told without a place.
const WORDS_BOUND: usize = 256 * 1024;

/// The words of one answer so far.
#[derive(Debug, Default)]
pub(super) struct Words {
    text: String,
    /// Bytes in all, beyond the bound, too.
    len: usize,
    /// Where the part under way began.
    began: usize,
}

impl Words {
    pub(super) fn begin(&mut self) {
        self.began = self.len;
    }

    pub(super) fn say(&mut self, text: &str) {
        if self.text.len() == self.len && self.len + text.len() <= WORDS_BOUND {
            self.text.push_str(text);
        }
        self.len += text.len();
    }

    /// The part under way, as far as it was kept.
    fn part(&self) -> &str {
        self.text.get(self.began..).unwrap_or_default()
    }
}

/// A page, and the bytes that lean on it.
struct Support {
    url: String,
    title: Option<String>,
    part: Option<usize>,
    bytes: Option<(usize, usize)>,
}

/// The most pages that are told of one answer: an answer cites some dozens, and each is counted through its words.
const SOURCE_BOUND: usize = 1_000;

fn read(grounding: &Object) -> Vec<Support> {
    let list = |key: &str| grounding.get(key).and_then(Json::as_array).unwrap_or_default();
    let number = |value: Option<&Json>| usize::try_from(value?.as_u64()?).ok();
    let chunks = list("groundingChunks");
    let mut supports = Vec::new();
    for support in list("groundingSupports").iter().filter_map(Json::as_object) {
        let segment = support.get("segment").and_then(Json::as_object);
        let place = |key: &str| number(segment.and_then(|segment| segment.get(key)));
        let bytes = place("endIndex").map(|end| (place("startIndex").unwrap_or(0), end));
        for index in support.get("groundingChunkIndices").and_then(Json::as_array).unwrap_or_default() {
            let chunk = number(Some(index)).and_then(|index| chunks.get(index)).and_then(Json::as_object);
            let web = chunk.and_then(|chunk| chunk.get("web")?.as_object());
            let Some(url) = web.and_then(|web| web.text("uri")) else { continue };
            if supports.len() == SOURCE_BOUND {
                return supports;
            }
            let title = web.and_then(|web| web.text("title")).map(str::to_owned);
            supports.push(Support { url: url.to_owned(), title, part: place("partIndex"), bytes });
        }
    }
    supports
}

impl Support {
    /// In a text that begins at this byte of the answer.
    fn cite(self, text: &str, began: usize) -> Citation {
        let count = |at: usize| {
            let end = at.saturating_sub(began).min(text.len());
            text[..text.floor_char_boundary(end)].chars().count() as u64
        };
        let span = self.bytes.filter(|_| !text.is_empty()).map(|(start, end)| (count(start), count(end)));
        Citation { url: self.url, title: self.title, quote: None, span }
    }
}

/// Puts the sources of a whole answer to the parts whose words lean on them.
pub(super) fn cite(grounding: &Object, parts: &mut [Part]) {
    // Each text: its part, and the byte of all words where it begins.
    let (mut texts, mut len) = (Vec::new(), 0);
    for (at, part) in parts.iter().enumerate() {
        if let Content::Text { text, .. } = &part.content
            && !text.is_empty()
        {
            texts.push((at, len));
            len += text.len();
        }
    }
    let Some(first) = texts.first().copied() else { return };
    for support in read(grounding) {
        let start = support.bytes.map_or(0, |(start, _)| start);
        let named = support.part.filter(|part| *part > 0);
        let own = named.filter(|part| texts.iter().any(|(at, _)| at == part)).map(|part| (part, 0));
        let around = || texts.iter().copied().rfind(|(_, began)| *began <= start).unwrap_or(first);
        let (at, began) = own.unwrap_or_else(around);
        if let Content::Text { text, citations } = &mut parts[at].content {
            citations.push(support.cite(text, began));
        }
    }
}

/// The sources of a streamed answer, for the text under way; what leans on words of an earlier part is left.
pub(super) fn cite_streamed(grounding: &Object, words: &Words) -> (Vec<Citation>, bool) {
    let supports = read(grounding);
    let all = supports.len();
    let here =
        supports.into_iter().filter(|support| support.bytes.is_none_or(|(start, _)| start >= words.began));
    let cited: Vec<Citation> = here.map(|support| support.cite(words.part(), words.began)).collect();
    // The rest of a list at its bound was not read.
    let left = cited.len() < all || all == SOURCE_BOUND;
    (cited, left)
}

/// The sources of an answer to a Gemini client.
#[derive(Debug, Default)]
pub(super) struct Sources {
    pages: Vec<(String, Option<String>)>,
    supports: Vec<Json>,
}

impl Sources {
    /// A citation of the part under way.
    pub(super) fn add(&mut self, citation: &Citation, words: &Words) {
        let page = self.pages.iter().position(|(url, _)| *url == citation.url).unwrap_or_else(|| {
            self.pages.push((citation.url.clone(), citation.title.clone()));
            self.pages.len() - 1
        });
        let text = words.part();
        let byte = |at: u64| {
            let at = usize::try_from(at).unwrap_or(usize::MAX);
            text.char_indices().nth(at).map_or(text.len(), |(byte, _)| byte)
        };
        let (start, end) = citation.span.map_or((0, text.len()), |(start, end)| (byte(start), byte(end)));
        let mut support = Object::default();
        // Without words that were kept there is no place.
        if let Some(said) = text.get(start..end).filter(|said| !said.is_empty()) {
            let place = |at: usize| Json::from((words.began + at) as u64);
            let segment = [("startIndex", place(start)), ("endIndex", place(end)), ("text", said.into())];
            support.put("segment", object(segment));
        }
        support.put("groundingChunkIndices", vec![Json::from(page as u64)]);
        self.supports.push(support.into());
    }

    pub(super) fn write(self) -> Option<Object> {
        if self.pages.is_empty() {
            return None;
        }
        let chunk = |(url, title): (String, Option<String>)| {
            let mut web = object([("uri", url.into())]);
            web.put_some("title", title);
            Json::from(object([("web", web.into())]))
        };
        let chunks: Vec<Json> = self.pages.into_iter().map(chunk).collect();
        Some(object([("groundingChunks", chunks.into()), ("groundingSupports", self.supports.into())]))
    }
}
