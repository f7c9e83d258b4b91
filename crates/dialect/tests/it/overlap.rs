//! Calls that a provider tells at the same time, for clients that take one block after the other.

use dialect::{
    Accounting, Dialect, Framing,
    chat::Content,
    event::ChatEvent,
    translate::{StreamDecoder, StreamEncoder, Telling},
};

use crate::{
    gather::{decode, gather, gist},
    grammar::check,
};

fn chunk(index: u32, id: Option<&str>, arguments: &str) -> String {
    let head = id.map_or_else(String::new, |id| format!("\"id\":\"{id}\",\"type\":\"function\","));
    let name = id.map_or_else(String::new, |id| format!("\"name\":\"f_{id}\","));
    let arguments = arguments.replace('"', "\\\"");
    format!(
        "data: {{\"id\":\"c\",\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{\"tool_calls\":[{{\"index\":{index},{head}\"function\":{{{name}\"arguments\":\"{arguments}\"}}}}]}}}}]}}\n\n"
    )
}

fn end() -> &'static str {
    "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n"
}

#[test]
fn overlapping_calls_are_told_one_after_the_other() {
    let stream = [
        chunk(0, Some("a"), "{\"x\":"),
        chunk(1, Some("b"), "{\"y\":"),
        chunk(2, Some("c"), ""),
        chunk(1, None, "2}"),
        chunk(0, None, "1}"),
        end().to_owned(),
    ]
    .concat();
    let events = decode(Dialect::OpenaiChat, Framing::Sse, Accounting::Standard, &[stream.as_bytes()]);
    assert_eq!(check(&events, true), Ok(()));
    let before = gist(&gather(&events));
    assert_eq!(before.calls.len(), 3);
    for to in Dialect::ALL {
        let mut encoder = StreamEncoder::new(to, Telling::default());
        let mut out = Vec::new();
        events.iter().for_each(|event| encoder.write(event, &mut out));
        let again = decode(to, Framing::Sse, Accounting::Standard, &[&out]);
        assert_eq!(check(&again, true), Ok(()), "{to:?}");
        assert_eq!(gist(&gather(&again)).calls, before.calls, "{to:?}: {}", String::from_utf8_lossy(&out));
        if to != Dialect::OpenaiChat {
            let open = again.iter().scan(0i32, |open, event| {
                *open += match event {
                    ChatEvent::Opened { .. } => 1,
                    ChatEvent::Closed { .. } => -1,
                    _ => 0,
                };
                Some(*open)
            });
            assert!(open.max() <= Some(1), "{to:?}");
        }
    }
}

/// A call whose arguments are whole is told as soon as the next one begins, not at the end of the answer.
#[test]
fn a_whole_call_does_not_wait() {
    let mut decoder = StreamDecoder::new(Dialect::OpenaiChat, Framing::Sse, Accounting::Standard);
    let mut events = Vec::new();
    decoder.feed(chunk(0, Some("a"), "{\"x\":\"}\"}").as_bytes(), &mut events);
    decoder.feed(chunk(1, Some("b"), "{").as_bytes(), &mut events);
    assert!(events.contains(&ChatEvent::Closed { candidate: 0, part: 0 }));
    assert!(!events.contains(&ChatEvent::Closed { candidate: 0, part: 1 }));
}

/// Some providers leave the index out, or number all calls nought: another id is another call.
#[test]
fn calls_without_an_index_are_kept_apart() {
    for index in ["", "\"index\":0,"] {
        let call = |id: &str| {
            format!(
                "data: {{\"id\":\"c\",\"choices\":[{{\"index\":0,\"delta\":{{\"tool_calls\":[{{{index}\"id\":\"{id}\",\"function\":{{\"name\":\"f\",\"arguments\":\"{{}}\"}}}}]}}}}]}}\n\n"
            )
        };
        let stream = [call("a"), call("b"), end().to_owned()].concat();
        let events = decode(Dialect::OpenaiChat, Framing::Sse, Accounting::Standard, &[stream.as_bytes()]);
        assert_eq!(gist(&gather(&events)).calls.len(), 2, "{index}: {events:?}");
    }
}

/// As above, and their arguments are empty, or come afterwards: then they are the last one's.
#[test]
fn calls_that_are_all_nought_need_no_arguments_to_be_kept_apart() {
    let bare = [chunk(0, Some("a"), ""), chunk(0, Some("b"), "")].concat();
    for (more, input) in [(String::new(), ""), (chunk(0, None, "{\"x\":1}"), "{\"x\":1}")] {
        let stream = [bare.as_str(), &more, end()].concat();
        let events = decode(Dialect::OpenaiChat, Framing::Sse, Accounting::Standard, &[stream.as_bytes()]);
        assert_eq!(check(&events, true), Ok(()));
        let calls: Vec<(String, String, String)> = gather(&events).candidates[0]
            .parts
            .iter()
            .filter_map(|part| match &part.content {
                Content::ToolCall { id, name, input, .. } => Some((id.clone(), name.clone(), input.clone())),
                _ => None,
            })
            .collect();
        let call = |id: &str, input: &str| (id.to_owned(), format!("f_{id}"), input.to_owned());
        assert_eq!(calls, [call("a", ""), call("b", input)]);
    }
}

/// A last frame without its blank line still counts, and a stream that breaks off has no end.
#[test]
fn the_end_of_the_bytes() {
    let whole = format!("{}{}", chunk(0, Some("a"), "{}"), end());
    let last = whole.trim_end().strip_suffix("\n\ndata: [DONE]").unwrap();
    let events = decode(Dialect::OpenaiChat, Framing::Sse, Accounting::Standard, &[last.as_bytes()]);
    assert_eq!(events.last(), Some(&ChatEvent::Ended));
    let cut = &last[..last.len() - 30];
    let events = decode(Dialect::OpenaiChat, Framing::Sse, Accounting::Standard, &[cut.as_bytes()]);
    assert!(
        !events.iter().any(|event| matches!(event, ChatEvent::Ended | ChatEvent::Failed(_))),
        "{events:?}"
    );
}
