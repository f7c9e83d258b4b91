//! One request as one line of JSON.
//!
//! Written by hand, field by field: this runs for every request, and a general serializer was a twentieth of its cost.

use std::{
    fmt::Display,
    io::Write,
    ops::Range,
    time::{Duration, UNIX_EPOCH},
};

use dialect::{Usage, loss::Losses};

use crate::settlement::{AttemptRecord, Settlement};

/// Parts of a line that the books keep just as it has them.
pub(super) struct Parts<'a> {
    pub(super) attempts: &'a str,
    pub(super) losses: Option<&'a str>,
    pub(super) usage: Option<&'a str>,
}

/// Appends the line and its end.
pub(super) fn write<'a>(out: &'a mut Vec<u8>, settlement: &Settlement) -> Parts<'a> {
    let mut line = Object::open(out);
    let at = UNIX_EPOCH + Duration::from_millis(settlement.at_ms());
    line.display("at", humantime::format_rfc3339_millis(at));
    let mut id = uuid::Uuid::encode_buffer();
    line.text("request_id", settlement.request_id.hyphenated().encode_lower(&mut id));
    line.text("dialect", settlement.door.dialect.name());
    line.text("operation", settlement.door.operation.name());
    line.optional("key", settlement.key.as_deref());
    line.text("model", &settlement.model);
    line.value("stream", if settlement.stream { b"true" } else { b"false" });
    line.optional("channel", settlement.channel().map(|channel| &**channel));
    let attempts = write_attempts(line.name("attempts"), &settlement.attempts);
    line.text("ending", settlement.ending.name());
    line.number("status", u64::from(settlement.status));
    line.optional("cause", settlement.cause.as_deref());
    let losses =
        (!settlement.losses.is_empty()).then(|| write_losses(line.name("losses"), &settlement.losses));
    let usage = settlement.usage.as_ref().map(|usage| write_usage(line.name("usage"), usage));
    if usage.is_none() {
        line.value("usage", b"null");
    }
    line.value("estimated", if settlement.estimated { b"true" } else { b"false" });
    line.display("hold", settlement.charge.hold);
    line.display("charge", settlement.charge.amount);
    line.display("overrun", settlement.charge.overrun());
    line.value("unpriced", if settlement.charge.unpriced { b"true" } else { b"false" });
    line.number("bytes_in", settlement.bytes_in);
    line.number("bytes_out", settlement.bytes_out);
    line.number("queued_ms", settlement.queued_ms);
    match settlement.first_byte_ms {
        Some(first_byte_ms) => line.number("first_byte_ms", first_byte_ms),
        None => line.value("first_byte_ms", b"null"),
    }
    line.number("total_ms", settlement.total_ms);
    line.optional("upstream_request_id", settlement.upstream_request_id.as_deref());
    line.close();
    out.push(b'\n');
    let text = |range| str::from_utf8(&out[range]).unwrap_or_default();
    Parts { attempts: text(attempts), losses: losses.map(text), usage: usage.map(text) }
}

/// Where it was written.
fn write_attempts(out: &mut Vec<u8>, attempts: &[AttemptRecord]) -> Range<usize> {
    let start = out.len();
    out.push(b'[');
    for (index, attempt) in attempts.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let mut object = Object::open(out);
        object.text("channel", &attempt.channel);
        if let Some(model) = &attempt.model {
            object.text("model", model);
        }
        if let Some(dialect) = attempt.translated {
            object.text("translated", dialect.name());
        }
        object.number("started_ms", attempt.started_ms);
        object.number("took_ms", attempt.took_ms);
        object.number("status", u64::from(attempt.status));
        if let Some(fault) = &attempt.fault {
            object.text("fault", fault);
        }
        object.close();
    }
    out.push(b']');
    start..out.len()
}

/// Where it was written: which field was lost, which dialect has no place for it, and why.
fn write_losses(out: &mut Vec<u8>, losses: &Losses) -> Range<usize> {
    let start = out.len();
    out.push(b'[');
    for (index, loss) in losses.rows().iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let mut object = Object::open(out);
        object.text("field", &loss.field);
        object.text("dialect", loss.dialect.name());
        object.text("reason", loss.reason);
        object.close();
    }
    if losses.more() > 0 {
        out.push(b',');
        let mut object = Object::open(out);
        object.number("more", losses.more() as u64);
        object.close();
    }
    out.push(b']');
    start..out.len()
}

/// Where it was written. Buckets that are nought are left out; the total is always there.
fn write_usage(out: &mut Vec<u8>, usage: &Usage) -> Range<usize> {
    let start = out.len();
    let mut object = Object::open(out);
    for (name, count) in usage.buckets() {
        if count > 0 {
            object.number(name, count);
        }
    }
    object.number("total", usage.total());
    object.close();
    start..out.len()
}

/// A JSON object being written.
struct Object<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> Object<'a> {
    fn open(out: &'a mut Vec<u8>) -> Object<'a> {
        out.push(b'{');
        Object { out, first: true }
    }

    /// Writes a member's name; its value is the caller's to write.
    fn name(&mut self, name: &str) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    fn value(&mut self, name: &str, value: &[u8]) {
        self.name(name).extend_from_slice(value);
    }

    fn number(&mut self, name: &str, number: u64) {
        self.name(name).extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }

    fn optional(&mut self, name: &str, text: Option<&str>) {
        match text {
            Some(text) => self.text(name, text),
            None => self.value(name, b"null"),
        }
    }

    fn text(&mut self, name: &str, text: &str) {
        let out = self.name(name);
        if text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
            out.push(b'"');
            out.extend_from_slice(text.as_bytes());
            out.push(b'"');
        } else {
            // Writing a string into memory cannot fail.
            let _ = serde_json::to_writer(out, text);
        }
    }

    /// What is written without anything that JSON would want escaped.
    fn display(&mut self, name: &str, value: impl Display) {
        let out = self.name(name);
        // Writing into memory cannot fail.
        let _ = write!(out, "\"{value}\"");
    }

    fn close(self) {
        self.out.push(b'}');
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dialect::{Dialect, Door, Operation};
    use serde_json::{Value, json};
    use store::Nanos;

    use super::*;
    use crate::{charge::Charge, ending::Ending};

    #[test]
    fn a_line_is_json_whatever_the_texts_hold() {
        let settlement = Settlement {
            request_id: uuid::Uuid::nil(),
            door: Door::new(Dialect::OpenaiChat, Operation::Chat),
            key: None,
            payer: None,
            model: "a\"b\\c\nd\u{1}é".to_owned(),
            stream: true,
            attempts: vec![
                AttemptRecord {
                    channel: "c\"1".into(),
                    model: Some("m\"2".into()),
                    translated: Some(Dialect::GeminiGenerate),
                    started_ms: 1,
                    took_ms: 2,
                    status: 0,
                    fault: Some("x\ty".into()),
                },
                AttemptRecord {
                    channel: Arc::from("c2"),
                    model: None,
                    translated: None,
                    started_ms: 3,
                    took_ms: 4,
                    status: 200,
                    fault: None,
                },
            ],
            ending: Ending::Cut,
            status: 200,
            cause: Some("broke \"off\"".into()),
            losses: Losses::default(),
            usage: Some(Usage { input: 3, output: 4, ..Usage::default() }),
            estimated: true,
            discount: store::Factor::ONE,
            charge: Charge { amount: Nanos(2_500_000), hold: Nanos(2_000_000), unpriced: false },
            owed: None,
            bytes_in: 5,
            bytes_out: 6,
            queued_ms: 0,
            first_byte_ms: None,
            total_ms: 7,
            upstream_request_id: Some("u".into()),
        };
        let mut out = Vec::new();
        write(&mut out, &settlement);
        assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
        let line: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(line["model"], json!("a\"b\\c\nd\u{1}é"));
        assert_eq!(line["at"], json!("1970-01-01T00:00:00.000Z"));
        assert_eq!(line["channel"], json!("c2"));
        assert_eq!(
            line["attempts"][0],
            json!({"channel": "c\"1", "model": "m\"2", "translated": "gemini_generate", "started_ms": 1, "took_ms": 2, "status": 0, "fault": "x\ty"})
        );
        assert_eq!(line["usage"], json!({"input": 3, "output": 4, "total": 7}));
        assert_eq!((&line["charge"], &line["unpriced"]), (&json!("0.0025"), &json!(false)));
        assert_eq!((&line["hold"], &line["overrun"]), (&json!("0.002"), &json!("0.0005")));
        assert_eq!(line["estimated"], json!(true));
        assert_eq!(line["key"], Value::Null);
        assert_eq!(line["first_byte_ms"], Value::Null);
    }
}
