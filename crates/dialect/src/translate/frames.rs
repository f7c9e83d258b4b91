//! Writing frames of server-sent events.
//!
//! In: an event's name and its JSON. Out: the frame's bytes. It must never write a line end into a frame.

use crate::tree::{Json, Object};

/// `event:` only where the dialect has it.
pub(crate) fn put_frame(out: &mut Vec<u8>, event: Option<&str>, data: &str) {
    if let Some(event) = event {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(event.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(data.as_bytes());
    out.extend_from_slice(b"\n\n");
}

pub(crate) fn put_object(out: &mut Vec<u8>, event: Option<&str>, data: Object) {
    put_frame(out, event, &Json::Object(data).to_string());
}
