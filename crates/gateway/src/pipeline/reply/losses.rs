//! What a translation lost, as a header: `field=dialect, field=dialect, more=3`.
//!
//! In: the losses. Out: a value of bounded length; the request log has the whole list, with the reasons.

use dialect::loss::Losses;
use http::HeaderValue;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// Proxies refuse heads of a few kilobytes; the log has what does not fit.
const LONGEST: usize = 1024;

/// Field names may be the client's own: what would end a name, or is no letter of a header, is escaped.
const OUTSIDE: &AsciiSet = &CONTROLS.add(b' ').add(b',').add(b'=').add(b'%').add(b'"');

/// `None`: nothing was lost.
pub(super) fn header(losses: &Losses) -> Option<HeaderValue> {
    if losses.is_empty() {
        return None;
    }
    let mut text = String::new();
    let mut more = losses.more();
    for loss in losses.rows() {
        let before = text.len();
        if before > 0 {
            text.push_str(", ");
        }
        text.extend(utf8_percent_encode(&loss.field, OUTSIDE));
        text.push('=');
        text.push_str(loss.dialect.name());
        if text.len() > LONGEST {
            text.truncate(before);
            more += 1;
        }
    }
    if more > 0 {
        text.push_str(&format!("{}more={more}", if text.is_empty() { "" } else { ", " }));
    }
    HeaderValue::try_from(text).ok()
}

#[cfg(test)]
mod tests {
    use dialect::Dialect;

    use super::*;

    #[test]
    fn fields_of_any_name_fit_a_header() {
        let mut losses = Losses::default();
        assert_eq!(header(&losses), None);
        losses.add("top_k", Dialect::OpenaiChat, "no such field");
        losses.add("a,b =\u{e9}\n", Dialect::GeminiGenerate, "no such field");
        let value = header(&losses).unwrap();
        assert_eq!(value, "top_k=openai_chat, a%2Cb%20%3D%C3%A9%0A=gemini_generate");
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let mut losses = Losses::default();
        for number in 0..100 {
            losses.add(
                format!("a.rather.long.name.of.a.field.{number}"),
                Dialect::OpenaiChat,
                "no such field",
            );
        }
        let value = header(&losses).unwrap();
        let text = value.to_str().unwrap();
        let told = text.matches("=openai_chat").count();
        assert!(text.len() <= LONGEST + 16 && told > 10, "{text}");
        assert!(text.ends_with(&format!(", more={}", 100 - told)), "{text}");
    }
}
