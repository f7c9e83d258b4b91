//! A provider's error body, whatever its form: some ten envelopes are in use, and providers mix them.

use super::ParsedError;
use crate::{
    Dialect,
    facts::Frame,
    json::{count, each_element, is_blank, is_string, members, text},
};

/// Messages quote prompts and whole upstream replies; what a person or a rule reads is at the start.
const MESSAGE_BOUND: usize = 4096;
/// A list within a reply within a reply within a list: OpenRouter's `raw` holds Cloudflare's list (`error-in-200`); more is not
/// followed.
const NESTING_BOUND: u32 = 4;
/// A longer wait is as good as none: the caller will not be there.
const RETRY_BOUND_MS: u64 = 24 * 60 * 60 * 1000;

/// Whether an error body has the envelope that the dialect's own clients read; other forms must be told anew.
pub fn is_error_of(dialect: Dialect, body: &[u8]) -> bool {
    let Ok(body) = std::str::from_utf8(body) else { return false };
    let body = body.trim_ascii();
    if dialect == Dialect::GeminiGenerate && body.starts_with('[') {
        return true; // Without `alt=sse` its errors come in an array of one.
    }
    let Some([error, kind]) = members(body, ["error", "type"]) else { return false };
    let object = error.is_some_and(|error| error.starts_with('{'));
    match dialect {
        Dialect::AnthropicMessages => object && is_string(kind, "error"),
        Dialect::OpenaiChat | Dialect::OpenaiResponses | Dialect::GeminiGenerate => object,
    }
}

/// Reads an error body or an error event's data in any provider's form; `None` when it is no JSON error.
pub fn parse_error(body: &[u8]) -> Option<ParsedError> {
    let body = String::from_utf8_lossy(body);
    let mut error = parse_nested(body.trim_start_matches('\u{feff}').trim(), NESTING_BOUND)?;
    shorten(&mut error.message);
    if error.retry_after_ms.is_none() {
        error.retry_after_ms = find_wait(&error.message);
    }
    Some(error)
}

/// A stream's frame that is an error, for sure: if its form is unknown, its text is the message.
pub(crate) fn read_stream_error(data: &str) -> Frame {
    let error = parse_error(data.as_bytes()).unwrap_or_else(|| {
        let mut message = data.to_owned();
        shorten(&mut message);
        ParsedError { message, ..ParsedError::default() }
    });
    Frame::Error(Box::new(error))
}

fn parse_nested(body: &str, depth: u32) -> Option<ParsedError> {
    let depth = depth.checked_sub(1)?;
    if body.starts_with('[') {
        let mut first = None;
        each_element(body, |element| first = first.or(Some(element)))?;
        return parse_nested(first?, depth);
    }
    let [error, errors, response, detail, message, shout, object, kind] =
        members(body, ["error", "errors", "response", "detail", "message", "Message", "object", "type"])?;
    if let Some(error) = error.filter(|error| !is_blank(Some(error))) {
        return Some(match error.as_bytes()[0] {
            b'{' => read_fields(error, depth).or_message_of(message),
            // `error-as-text`: `{"code":"…","error":"text"}` (xAI), `{"error":"text"}` (Ollama), `{"error":true,"message":…}`
            _ => {
                let fields = read_fields(body, depth);
                ParsedError {
                    message: text(Some(error)).map_or(fields.message, |t| t.into_owned()),
                    ..fields
                }
            }
        });
    }
    let failed = response.and_then(|response| members(response, ["error"])).and_then(|[error]| error);
    if let Some(error) = failed.filter(|error| !is_blank(Some(error))) {
        return Some(read_fields(error, depth));
    }
    let claims = is_string(object, "error") || is_string(kind, "error") || is_string(kind, "response.failed");
    if text(message).is_some() || claims {
        return Some(read_fields(body, depth));
    }
    if let Some(message) = text(shout) {
        return Some(ParsedError { message: message.into_owned(), ..read_fields(body, depth) });
    }
    if let Some(errors) = errors.filter(|errors| errors.starts_with('[') && !is_blank(Some(errors))) {
        return parse_nested(errors, depth); // Cloudflare
    }
    // `error-in-detail`.
    let detail = detail.filter(|detail| !is_blank(Some(detail)))?;
    Some(ParsedError { message: read_detail(detail), ..read_fields(body, depth) })
}

impl ParsedError {
    fn or_message_of(mut self, outer: Option<&str>) -> ParsedError {
        if self.message.is_empty() {
            self.message = text(outer).unwrap_or_default().into_owned();
        }
        self
    }
}

/// The fields of an error object, in the names of all providers at once.
fn read_fields(error: &str, depth: u32) -> ParsedError {
    let names =
        ["message", "type", "code", "param", "status", "status_code", "details", "metadata", "detail", "msg"];
    let Some([message, kind, code, param, status, status_code, details, metadata, detail, msg]) =
        members(error, names)
    else {
        return ParsedError {
            message: text(Some(error)).unwrap_or_default().into_owned(),
            ..ParsedError::default()
        };
    };
    // Mistral's, of a request that its schema refuses: a list of complaints in the place of words.
    let complaints = message.and_then(|message| members(message, ["detail"])).and_then(|[detail]| detail);
    let owned = |value: Option<&str>| text(value).filter(|text| !text.is_empty()).map(|t| t.into_owned());
    let mut parsed = ParsedError {
        message: owned(message).or(owned(msg)).or(detail.or(complaints).map(read_detail)).unwrap_or_default(),
        // `error` is the envelope's type in Anthropic's and Responses' events, and says nothing.
        kind: owned(kind).filter(|kind| kind != "error" && kind != "response.failed").or(owned(status)),
        code: owned(code).or_else(|| count(code).map(|number| number.to_string())),
        param: owned(param),
        // `error-code-a-number`.
        status: [status_code, code, status].into_iter().find_map(read_status),
        retry_after_ms: None,
    };
    if let Some(details) = details {
        read_google_details(details, &mut parsed);
    }
    if let Some([Some(raw)]) = metadata.and_then(|metadata| members(metadata, ["raw"])) {
        append_raw(raw, depth, &mut parsed.message);
    }
    parsed
}

fn read_status(value: Option<&str>) -> Option<u16> {
    let number = count(value).or_else(|| text(value)?.parse().ok())?;
    u16::try_from(number).ok().filter(|status| (100..600).contains(status))
}

/// `detail` is a text, an object with a message, or FastAPI's list of complaints.
fn read_detail(detail: &str) -> String {
    if let Some(text) = text(Some(detail)) {
        return text.into_owned();
    }
    let mut first = None;
    if detail.starts_with('[') {
        each_element(detail, |element| first = first.or(Some(element)));
    }
    let object = first.unwrap_or(detail);
    let said = members(object, ["msg", "message", "error"]);
    said.and_then(|said| said.into_iter().find_map(text))
        .map_or_else(|| object.to_owned(), |t| t.into_owned())
}

fn read_google_details(details: &str, parsed: &mut ParsedError) {
    each_element(details, |detail| {
        let Some([reason, delay]) = members(detail, ["reason", "retryDelay"]) else { return };
        if let Some(reason) = text(reason).filter(|reason| !reason.is_empty()) {
            parsed.code = Some(reason.into_owned());
        }
        if let Some(delay) = text(delay) {
            parsed.retry_after_ms = read_duration(&delay).or(parsed.retry_after_ms);
        }
    });
}

/// OpenRouter's message is its own ("Provider returned error"); what the provider said is in `raw` (`error-within-error`).
fn append_raw(raw: &str, depth: u32, message: &mut String) {
    let raw = text(Some(raw)).unwrap_or(raw.into());
    let said = parse_nested(raw.trim(), depth).map(|inner| inner.message).filter(|said| !said.is_empty());
    let said = said.unwrap_or_else(|| raw.trim().to_owned());
    if said.is_empty() || said == "null" || message.contains(&said) {
        return;
    }
    if !message.is_empty() {
        message.push_str(": ");
    }
    message.push_str(&said);
}

fn shorten(message: &mut String) {
    message.truncate(message.floor_char_boundary(MESSAGE_BOUND));
}

/// "Please retry in 48.9s", "Please try again in 1m12.5s".
fn find_wait(message: &str) -> Option<u64> {
    ["retry in ", "try again in "].into_iter().find_map(|phrase| {
        let start = message.find(phrase)? + phrase.len();
        read_duration(&message[start..])
    })
}

/// `48s`, `48.912s`, `1m12s`, `350ms`, `2 seconds`, in milliseconds; what follows the duration does not matter.
fn read_duration(text: &str) -> Option<u64> {
    let mut total = None;
    let mut rest = text;
    loop {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let Ok(number) = rest[..digits].parse::<f64>() else { return total };
        rest = rest[digits..].trim_start_matches(' ');
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "ms" | "milliseconds" => 1.0,
            "s" | "sec" | "second" | "seconds" => 1_000.0,
            "m" | "min" | "minute" | "minutes" => 60_000.0,
            "h" | "hour" | "hours" => 3_600_000.0,
            _ => return total,
        };
        // A cast from float saturates, and the sum stays under the bound.
        let part = ((number * unit).ceil() as u64).min(RETRY_BOUND_MS);
        total = Some((total.unwrap_or(0) + part).min(RETRY_BOUND_MS));
        rest = &rest[letters..];
    }
}
