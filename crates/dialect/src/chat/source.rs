//! Where the data of a medium is, as OpenAI's dialects write it: an address, which may be the data itself.
//!
//! In: an address or a [`Source`]. Out: the other. Data stays the base64 it came as.

use super::Source;

pub(crate) fn guess_mime(name: Option<&str>) -> &'static str {
    match name.and_then(|name| name.rsplit_once('.')).map(|(_, end)| end.to_ascii_lowercase()).as_deref() {
        Some("txt" | "md" | "csv" | "json") => "text/plain",
        _ => "application/pdf",
    }
}

/// A `data:` address is the data itself.
pub(crate) fn read_url(url: String, mime: Option<&str>) -> Source {
    let inline = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    match inline {
        Some((mime, data)) => Source::Inline { mime: mime.to_owned(), data: data.to_owned() },
        None => Source::Url { url, mime: mime.map(str::to_owned) },
    }
}

/// The address of a medium: its own, or its data in one.
pub(crate) fn write_url(source: &Source) -> Option<String> {
    match source {
        Source::Url { url, .. } => Some(url.clone()),
        Source::Inline { mime, data } => Some(format!("data:{mime};base64,{data}")),
        Source::Text { .. } | Source::Stored { .. } => None,
    }
}

/// What OpenAI calls a kind of sound.
pub(crate) fn audio_format(mime: &str) -> &str {
    match mime.strip_prefix("audio/").unwrap_or(mime) {
        "x-wav" | "wave" => "wav",
        "mpeg" => "mp3",
        other => other,
    }
}
