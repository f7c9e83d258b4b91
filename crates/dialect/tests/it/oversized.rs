//! Frames too long to be held: they pass, little is kept, and the same is known of them in the end.

use bytes::Bytes;
use dialect::{Dialect, Door, Framing, Operation, Tap};
use serde_json::json;

use crate::{
    fixtures::read_streams,
    watch::{Watched, describe_plain, options, watch, watch_plain},
};

fn frame(event: &str, data: &serde_json::Value) -> Vec<u8> {
    format!("event: {event}\ndata: {data}\n\n").into_bytes()
}

/// Watches the stream in pieces of several sizes, and says what all of them agree on.
fn watch_in_pieces(dialect: Dialect, framing: Framing, bytes: &[u8]) -> Watched {
    let options = options(Door::new(dialect, Operation::Chat));
    let whole = watch(options, framing, &[bytes]);
    for size in [7, 1000, 16 * 1024, 65_536, 65_537] {
        let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
        let chopped = watch(options, framing, &pieces);
        assert_eq!(chopped.facts, whole.facts, "pieces of {size}");
        assert!(chopped.out == whole.out, "pieces of {size}");
    }
    whole
}

/// Every event of every fixture, blown up beyond what is held: its digest must say what the event itself says.
#[test]
fn a_digest_says_what_the_frame_says() {
    let padding = format!("data: {{\"obfuscation\":\"{}\",", "\\u00e9\\\"".repeat(9000));
    let said = |watched: &Watched| {
        let lines = watched.facts.replace(", forwarded_any", "").replace("says: forwarded_any", "says: ");
        let lines = lines.replace(", broken_frame_sent", "");
        let lines: Vec<_> = lines.lines().filter(|line| !line.starts_with("error frame")).collect();
        lines.join("\n")
    };
    for fixture in read_streams().iter().filter(|fixture| fixture.framing == Some(Framing::Sse)) {
        let text = String::from_utf8(fixture.bytes.clone()).unwrap();
        let long = text.replace("data: {", &padding);
        let short = watch(options(fixture.door()), Framing::Sse, &[text.as_bytes()]);
        let long = watch(options(fixture.door()), Framing::Sse, &[long.as_bytes()]);
        assert_eq!(said(&long), said(&short), "{}", fixture.name());
    }
}

#[test]
fn a_long_completed_event_is_understood() {
    let data = json!({
        "type": "response.completed", "sequence_number": 41,
        "response": {
            "id": "resp_long", "instructions": "\u{1f30a}\"\\".repeat(60_000), "error": null,
            "output": (0..500).map(|n| json!({"type": "message", "text": "w".repeat(n)})).collect::<Vec<_>>(),
            "usage": {"input_tokens": 10, "output_tokens": 4, "total_tokens": 14},
        },
    });
    let bytes = frame("response.completed", &data);
    let watched = watch_in_pieces(Dialect::OpenaiResponses, Framing::Sse, &bytes);
    assert!(watched.out == bytes);
    assert!(watched.tap.closed() && watched.tap.meaningful() && !watched.tap.broken_frame_sent());
    assert_eq!(watched.tap.stored_id(), Some("resp_long"));
    assert_eq!(watched.tap.next_sequence(), 42);
    assert_eq!(watched.tap.usage().unwrap().total(), 14);
    assert_eq!(watched.events, 1);
}

#[test]
fn a_long_lifecycle_event_is_not_content() {
    let data =
        json!({"type": "response.created", "response": {"id": "r", "instructions": "i".repeat(100_000)}});
    let watched = watch_in_pieces(Dialect::OpenaiResponses, Framing::Sse, &frame("response.created", &data));
    assert!(!watched.tap.meaningful() && !watched.tap.ended());
}

#[test]
fn a_long_error_has_gone_out_and_ends_the_stream() {
    let data = json!({
        "type": "response.failed",
        "response": {"id": "r", "instructions": "i".repeat(100_000), "error": {"code": "server_error", "message": "out"}},
    });
    let bytes = frame("response.failed", &data);
    let stream =
        [&bytes, frame("response.completed", &json!({"type": "response.completed"})).as_slice()].concat();
    let watched = watch_in_pieces(Dialect::OpenaiResponses, Framing::Sse, &stream);
    let (rest, error) = watched.tap.error().unwrap();
    assert!(rest.is_empty());
    assert_eq!(error.message, "out");
    assert!(watched.out == bytes, "nothing follows it");
}

#[test]
fn long_content_of_each_dialect() {
    let long = "x".repeat(200_000);
    let chat = json!({"choices": [{"index": 0, "delta": {"content": long}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}});
    let block = json!({"type": "content_block_start", "index": 0,
        "content_block": {"type": "web_search_tool_result", "content": [{"encrypted_content": long}]}});
    let gemini = json!({"candidates": [{"content": {"parts": [{"inlineData": {"data": long}}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 2, "totalTokenCount": 3}});
    for (dialect, data, ended) in [
        (Dialect::OpenaiChat, &chat, true),
        (Dialect::AnthropicMessages, &block, false),
        (Dialect::GeminiGenerate, &gemini, true),
    ] {
        let bytes = format!("data: {data}\n\n").into_bytes();
        let watched = watch_in_pieces(dialect, Framing::Sse, &bytes);
        assert!(watched.tap.meaningful(), "{dialect:?}");
        assert_eq!(watched.tap.ended(), ended, "{dialect:?}");
        assert_eq!(watched.tap.usage().map_or(0, |usage| usage.total()), if ended { 3 } else { 0 });
        assert!(watched.out == bytes);
    }
    let array = format!("[{gemini}\n,\n{gemini}]");
    let watched = watch_in_pieces(Dialect::GeminiGenerate, Framing::JsonArray, array.as_bytes());
    assert!(watched.tap.closed() && watched.tap.ended() && watched.events == 2);
    let document = format!("{chat}\n");
    let watched = watch_in_pieces(Dialect::OpenaiChat, Framing::Document, document.as_bytes());
    assert!(watched.tap.closed() && watched.events == 1);
    assert_eq!(watched.tap.usage().unwrap().total(), 3);
}

#[test]
fn a_long_frame_that_is_cut_leaves_a_broken_frame() {
    let bytes = format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{}", "x".repeat(100_000));
    let watched = watch_in_pieces(Dialect::OpenaiChat, Framing::Sse, bytes.as_bytes());
    assert!(watched.tap.broken_frame_sent() && !watched.tap.ended() && !watched.tap.meaningful());
}

#[test]
fn forty_megabytes_pass_without_being_held() {
    let mut tap = Tap::new(options(Door::new(Dialect::OpenaiChat, Operation::Chat)), Framing::Sse);
    let piece = Bytes::from(vec![b'A'; 64 * 1024]);
    let start = Bytes::from_static(b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"");
    let mut out = Vec::new();
    tap.feed(start, &mut out);
    let mut passed = 0;
    for _ in 0..640 {
        tap.feed(piece.clone(), &mut out);
        passed += out.iter().map(Bytes::len).sum::<usize>();
        // Slices of what came in, not copies: nothing of it is kept here.
        assert!(out.iter().all(|part| part.len() < 100 || part.as_ptr() == piece.as_ptr()));
        out.clear();
    }
    assert!(passed > 40_000_000 && tap.meaningful() && tap.broken_frame_sent());
    let end = Bytes::from_static(b"\"},\"finish_reason\":\"length\"}]}\n\n");
    assert_eq!(tap.feed(end, &mut out).events, 1);
    assert!(tap.ended() && !tap.broken_frame_sent());
}

#[test]
fn whole_frames_are_forwarded_as_the_one_chunk() {
    let mut tap = Tap::new(options(Door::new(Dialect::OpenaiChat, Operation::Chat)), Framing::Sse);
    let chunk = Bytes::from_static(b": hm\n\ndata: {\"choices\":[]}\n\ndata: {\"choices\":[]}\n\n");
    let mut out = Vec::new();
    let flow = tap.feed(chunk.clone(), &mut out);
    assert_eq!((flow.events, flow.mid_frame, out.len()), (2, false, 1));
    assert_eq!(out[0].as_ptr(), chunk.as_ptr());
    assert_eq!(out[0], chunk);
}

/// Deep nesting, huge numbers of members, escapes at every place: the digest must stay small and readable.
#[test]
fn plain_replies_of_any_size() {
    let door = Door::new(Dialect::OpenaiChat, Operation::Embeddings);
    let numbers: Vec<f64> = (0..100_000).map(|n| f64::from(n) * -0.001).collect();
    let reply = json!({"object": "list", "data": [{"embedding": numbers}],
        "usage": {"prompt_tokens": 8, "total_tokens": 8}});
    let tap = watch_plain(options(door), &[reply.to_string().as_bytes()]);
    assert_eq!(describe_plain(&tap), "whole: true\nstored_id: -\nusage: input 8 = 8\nerror: -\n");

    for depth in [100, 500, 1_000_000] {
        let bomb = "[".repeat(depth);
        assert!(!watch_plain(options(door), &[bomb.as_bytes()]).whole());
    }
    for (text, whole) in [
        ("", false),
        ("{", false),
        ("{}", true),
        (" {} x", false),
        ("{}{}", false),
        ("{\"a\":1,}", false),
        ("[1 2]", false),
        ("{\"a\" 1}", false),
        ("[}", false),
        ("12", true),
        ("\"a\\\"\"", true),
        ("\"a\\\"", false),
        ("{\"usage\":{\"prompt_tokens\":1", false),
    ] {
        assert_eq!(watch_plain(options(door), &[text.as_bytes()]).whole(), whole, "{text}");
    }
    // A string is cut between characters and escapes, never inside.
    for filler in ["é", "\\u00e9", "\\ud83d\\ude00", "\\\\", "\\\"", "水", "ab\\n"] {
        for lead in 0..8 {
            let message = "a".repeat(lead) + &filler.repeat(300);
            let reply = format!("{{\"error\":{{\"message\":\"{message}\",\"code\":\"c\"}}}}");
            let tap = watch_plain(options(door), &[reply.as_bytes()]);
            assert!(!tap.error().unwrap().message.contains('\\') || filler == "\\\\", "{filler} {lead}");
            assert_eq!(tap.error().unwrap().code.as_deref(), Some("c"));
        }
    }
}
