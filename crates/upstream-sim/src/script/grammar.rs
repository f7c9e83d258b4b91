//! The written form of a script: words and `key=value` pairs, separated by commas.
//!
//! In: text; out: a `Script`, or a sentence that names the word it did not understand; and back. It must never
//! let an unknown or contradictory word pass: a test whose fault is misspelt would test nothing.

use super::*;
use std::fmt;
use std::str::FromStr;

/// `body=huge`: large enough that no gateway should hold it, small enough to send in a test.
const HUGE_BYTES: usize = 50 * 1024 * 1024;
/// `head-trickle` without a number.
const HEAD_TRICKLE_MS: u64 = 50;

/// Why a script was not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadScript(String);

impl fmt::Display for BadScript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bad script: {}", self.0)
    }
}

impl std::error::Error for BadScript {}

fn bad(sentence: String) -> BadScript {
    BadScript(sentence)
}

impl FromStr for Script {
    type Err = BadScript;

    fn from_str(text: &str) -> Result<Script, BadScript> {
        let mut script = Script::default();
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let (key, value) = match word.split_once('=') {
                Some((key, value)) => (key, Some(unescape(value)?)),
                None => (word, None),
            };
            script.take_word(key, value.as_deref())?;
        }
        Ok(script)
    }
}

impl Script {
    fn take_word(&mut self, key: &str, value: Option<&str>) -> Result<(), BadScript> {
        let number = || number(key, value);
        match key {
            "status" => {
                let status = number()?;
                if !(200..=599).contains(&status) {
                    return Err(bad(format!("status={status} is not between 200 and 599")));
                }
                self.status = Some(status as u16);
            }
            "error" => {
                let name = needed(key, value)?;
                let kind = ErrorKind::from_name(name);
                self.error = Some(kind.ok_or_else(|| bad(format!("error={name} is not a known kind")))?);
            }
            "retry-after" if value == Some("date") => self.retry_after = Some(RetryAfter::Date),
            "retry-after" => self.retry_after = Some(RetryAfter::Seconds(number()?)),
            "retry-after-ms" => self.retry_after_ms = Some(number()?),
            "retry-info" => self.retry_info = Some(number()?),
            "body" => self.body = body(needed(key, value)?)?,
            "head-trickle" if value.is_none() => self.head_trickle_ms = Some(HEAD_TRICKLE_MS),
            "head-trickle" => self.head_trickle_ms = Some(number()?),
            "delay" => self.delay_ms = number()?,
            "first" => self.first_ms = number()?,
            "redirect" => self.redirect = Some(header_text(key, needed(key, value)?)?),
            "events" => self.events = Some(number()? as usize),
            "every" => self.every_ms = Some(number()?),
            "size" => self.size = Some(positive(key, number()?)?),
            "pings" => self.pings = number()? as usize,
            "stall" => self.end_with(Ending::Stall(number()? as usize))?,
            "cut" => self.end_with(Ending::Cut(number()? as usize))?,
            "fin" => self.end_with(Ending::Fin(number()? as usize))?,
            "reset" => self.end_with(Ending::Reset(number()? as usize))?,
            "error-event" => self.end_with(Ending::ErrorEvent(number()? as usize))?,
            "chop" => self.cut_into(Packets::Chop(positive(key, number()?)?))?,
            "type" => self.content_type = Some(header_text(key, needed(key, value)?)?),
            "length" => self.length = length(needed(key, value)?)?,
            "huge-line" => self.huge_line = Some(number()? as usize),
            "usage" => self.usage = usage(needed(key, value)?)?,
            "tool" if value.is_some() => {
                self.tool = true;
                self.tool_name = Some(needed(key, value)?.to_owned());
            }
            "arguments" => self.arguments = Some(json_object(key, needed(key, value)?)?),
            "large-reply" => self.large_reply = Some(number()? as usize),
            _ if value.is_some() => return Err(bad(format!("`{key}=` is not a known key"))),
            _ => self.take_bare_word(key)?,
        }
        Ok(())
    }

    fn take_bare_word(&mut self, word: &str) -> Result<(), BadScript> {
        match word {
            "healthy" => {}
            "silence" => self.answer_with(Before::Silence)?,
            "close" => self.answer_with(Before::Close)?,
            "rst" => self.answer_with(Before::Rst)?,
            "refuse-after-accept" => self.answer_with(Before::RefuseAfterAccept)?,
            "stale" => self.answer_with(Before::Stale)?,
            "early-413" => self.answer_with(Before::Early413)?,
            "no-terminal" => self.end_with(Ending::NoTerminal)?,
            "no-done" => self.end_with(Ending::NoDone)?,
            "linger" => self.end_with(Ending::Linger)?,
            "ping-only" => self.end_with(Ending::PingOnly)?,
            "lifecycle-only" => self.end_with(Ending::LifecycleOnly)?,
            "one-byte" => self.cut_into(Packets::Chop(1))?,
            "burst" => self.cut_into(Packets::Burst)?,
            "words" => self.words = true,
            "eof-delimited" => self.eof_delimited = true,
            "crlf" => self.crlf = true,
            "comments" => self.comments = true,
            "gzip-sse" => self.gzip_sse = true,
            "tool" => self.tool = true,
            "quote-result" => self.quotes_result = true,
            "busy" => self.busy = true,
            "wants-signature" => self.wants_signature = true,
            "reasoning" => self.reasoning = true,
            "echo" => self.echo = true,
            _ => return Err(bad(format!("`{word}` is not a known word"))),
        }
        Ok(())
    }

    fn answer_with(&mut self, before: Before) -> Result<(), BadScript> {
        only_one(&mut self.before, before, "what happens instead of an answer")
    }

    fn end_with(&mut self, ending: Ending) -> Result<(), BadScript> {
        only_one(&mut self.ending, ending, "how the stream ends")
    }

    fn cut_into(&mut self, packets: Packets) -> Result<(), BadScript> {
        only_one(&mut self.packets, packets, "how the packets are cut")
    }
}

/// Two words for one question contradict each other.
fn only_one<T: Default + PartialEq>(place: &mut T, value: T, question: &str) -> Result<(), BadScript> {
    if *place != T::default() {
        return Err(bad(format!("two words say {question}")));
    }
    *place = value;
    Ok(())
}

fn needed<'a>(key: &str, value: Option<&'a str>) -> Result<&'a str, BadScript> {
    value.filter(|value| !value.is_empty()).ok_or_else(|| bad(format!("`{key}` needs a value")))
}

fn number(key: &str, value: Option<&str>) -> Result<u64, BadScript> {
    let value = needed(key, value)?;
    value.parse().map_err(|_| bad(format!("{key}={value} is not a whole number")))
}

fn positive(key: &str, value: u64) -> Result<usize, BadScript> {
    if value == 0 { Err(bad(format!("{key}=0 makes no sense"))) } else { Ok(value as usize) }
}

fn header_text(key: &str, value: &str) -> Result<String, BadScript> {
    if value.bytes().any(|byte| byte.is_ascii_control()) {
        return Err(bad(format!("{key} holds a control character")));
    }
    Ok(value.to_owned())
}

fn json_object(key: &str, value: &str) -> Result<String, BadScript> {
    match serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(value) {
        Ok(_) => Ok(value.to_owned()),
        Err(_) => Err(bad(format!("{key}={value} is not a JSON object"))),
    }
}

fn body(value: &str) -> Result<Body, BadScript> {
    Ok(match value {
        "normal" => Body::Normal,
        "empty" => Body::Empty,
        "html" => Body::Html,
        "gzip" => Body::Gzip,
        "hang" => Body::Hang,
        "endless" => Body::Endless,
        "trickle" => Body::Trickle,
        "reset" => Body::Reset,
        "huge" => Body::Padded(HUGE_BYTES),
        _ => match value.strip_prefix("big:") {
            Some(bytes) => Body::Padded(number("body=big:", Some(bytes))? as usize),
            None => return Err(bad(format!("body={value} is not known"))),
        },
    })
}

fn length(value: &str) -> Result<Length, BadScript> {
    match value {
        "wrong-short" => Ok(Length::WrongShort),
        "wrong-long" => Ok(Length::WrongLong),
        _ => Err(bad(format!("length={value} is not known"))),
    }
}

fn usage(value: &str) -> Result<UsageScript, BadScript> {
    match value {
        "none" => Ok(UsageScript::None),
        "null" => Ok(UsageScript::Null),
        _ => match value.split_once(':') {
            Some((input, output)) => {
                Ok(UsageScript::Fixed(number("usage", Some(input))?, number("usage", Some(output))?))
            }
            None => Err(bad(format!("usage={value} is not none, null or input:output"))),
        },
    }
}

/// `%2C` in a value stands for a comma, so that URLs fit into a script.
fn unescape(value: &str) -> Result<String, BadScript> {
    crate::percent::decode(value).ok_or_else(|| bad(format!("`{value}` is not valid percent-encoding")))
}

fn escape(value: &str) -> String {
    value.replace('%', "%25").replace(',', "%2C")
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.written();
        f.write_str(if words.is_empty() { "healthy" } else { "" })?;
        f.write_str(&words.join(","))
    }
}

impl Script {
    fn written(&self) -> Vec<String> {
        let mut words = Vec::new();
        let mut bare = |set: bool, word: &str| {
            if set {
                words.push(word.to_owned());
            }
        };
        bare(self.words, "words");
        bare(self.eof_delimited, "eof-delimited");
        bare(self.crlf, "crlf");
        bare(self.comments, "comments");
        bare(self.gzip_sse, "gzip-sse");
        bare(self.tool && self.tool_name.is_none(), "tool");
        bare(self.quotes_result, "quote-result");
        bare(self.busy, "busy");
        bare(self.wants_signature, "wants-signature");
        bare(self.reasoning, "reasoning");
        bare(self.echo, "echo");
        let mut pair = |key: &str, value: Option<String>| {
            if let Some(value) = value {
                words.push(format!("{key}={}", escape(&value)));
            }
        };
        pair("status", self.status.map(|n| n.to_string()));
        pair("error", self.error.map(|kind| kind.name().to_owned()));
        pair(
            "retry-after",
            self.retry_after.map(|after| match after {
                RetryAfter::Seconds(n) => n.to_string(),
                RetryAfter::Date => "date".to_owned(),
            }),
        );
        pair("retry-after-ms", self.retry_after_ms.map(|n| n.to_string()));
        pair("retry-info", self.retry_info.map(|n| n.to_string()));
        pair("head-trickle", self.head_trickle_ms.map(|n| n.to_string()));
        pair("delay", (self.delay_ms > 0).then(|| self.delay_ms.to_string()));
        pair("first", (self.first_ms > 0).then(|| self.first_ms.to_string()));
        pair("redirect", self.redirect.clone());
        pair("events", self.events.map(|n| n.to_string()));
        pair("every", self.every_ms.map(|n| n.to_string()));
        pair("size", self.size.map(|n| n.to_string()));
        pair("pings", (self.pings > 0).then(|| self.pings.to_string()));
        pair("type", self.content_type.clone());
        pair("tool", self.tool_name.clone());
        pair("arguments", self.arguments.clone());
        pair("huge-line", self.huge_line.map(|n| n.to_string()));
        pair("large-reply", self.large_reply.map(|n| n.to_string()));
        words.extend(self.written_choices());
        words
    }

    fn written_choices(&self) -> impl Iterator<Item = String> {
        let body = match self.body {
            Body::Normal => None,
            Body::Empty => Some("body=empty".to_owned()),
            Body::Html => Some("body=html".to_owned()),
            Body::Gzip => Some("body=gzip".to_owned()),
            Body::Hang => Some("body=hang".to_owned()),
            Body::Endless => Some("body=endless".to_owned()),
            Body::Trickle => Some("body=trickle".to_owned()),
            Body::Reset => Some("body=reset".to_owned()),
            Body::Padded(HUGE_BYTES) => Some("body=huge".to_owned()),
            Body::Padded(bytes) => Some(format!("body=big:{bytes}")),
        };
        let before = match self.before {
            Before::Answer => None,
            Before::Silence => Some("silence"),
            Before::Close => Some("close"),
            Before::Rst => Some("rst"),
            Before::RefuseAfterAccept => Some("refuse-after-accept"),
            Before::Stale => Some("stale"),
            Before::Early413 => Some("early-413"),
        };
        let ending = match self.ending {
            Ending::Whole => None,
            Ending::Stall(k) => Some(format!("stall={k}")),
            Ending::Cut(k) => Some(format!("cut={k}")),
            Ending::Fin(k) => Some(format!("fin={k}")),
            Ending::Reset(k) => Some(format!("reset={k}")),
            Ending::ErrorEvent(k) => Some(format!("error-event={k}")),
            Ending::NoTerminal => Some("no-terminal".to_owned()),
            Ending::NoDone => Some("no-done".to_owned()),
            Ending::Linger => Some("linger".to_owned()),
            Ending::PingOnly => Some("ping-only".to_owned()),
            Ending::LifecycleOnly => Some("lifecycle-only".to_owned()),
        };
        let packets = match self.packets {
            Packets::PerEvent => None,
            Packets::Burst => Some("burst".to_owned()),
            Packets::Chop(1) => Some("one-byte".to_owned()),
            Packets::Chop(k) => Some(format!("chop={k}")),
        };
        let length = match self.length {
            Length::Right => None,
            Length::WrongShort => Some("length=wrong-short".to_owned()),
            Length::WrongLong => Some("length=wrong-long".to_owned()),
        };
        let usage = match self.usage {
            UsageScript::Counted => None,
            UsageScript::None => Some("usage=none".to_owned()),
            UsageScript::Null => Some("usage=null".to_owned()),
            UsageScript::Fixed(input, output) => Some(format!("usage={input}:{output}")),
        };
        [body, before.map(str::to_owned), ending, packets, length, usage].into_iter().flatten()
    }
}
