//! What an item of a streamed response looks like, empty and full.
//!
//! In: a part's opening and what was said of it. Out: its item or content. Both must be told alike in the event that adds
//! them and in the one that ends them.

use crate::{
    event::Opening,
    openai_responses::namespace,
    tree::{Json, Object, object},
};

pub(super) fn write_summary(text: &str) -> Object {
    object([("type", "summary_text".into()), ("text", text.into())])
}

pub(super) fn write_content(opening: &Opening, text: &str, annotations: &[Json]) -> Object {
    match opening {
        Opening::Refusal => object([("type", "refusal".into()), ("refusal", text.into())]),
        _ => object([
            ("type", "output_text".into()),
            ("text", text.into()),
            ("annotations", annotations.to_vec().into()),
            ("logprobs", Vec::new().into()),
        ]),
    }
}

pub(super) fn write_item(
    opening: &Opening,
    id: &str,
    said: &str,
    annotations: &[Json],
    done: bool,
) -> Object {
    let status = if done { "completed" } else { "in_progress" };
    match opening {
        Opening::Reasoning => {
            let summary = if said.is_empty() { Vec::new() } else { vec![write_summary(said).into()] };
            object([("id", id.into()), ("type", "reasoning".into()), ("summary", summary.into())])
        }
        Opening::ToolCall { id: call_id, name, custom } => {
            let (kind, key) =
                if *custom { ("custom_tool_call", "input") } else { ("function_call", "arguments") };
            let said = if done && said.is_empty() && !custom { "{}" } else { said };
            let mut item = object([
                ("id", id.into()),
                ("type", kind.into()),
                ("status", status.into()),
                ("call_id", call_id.into()),
            ]);
            namespace::put_name(name, &mut item);
            item.put(key, said);
            item
        }
        _ => {
            let content =
                if done { vec![write_content(opening, said, annotations).into()] } else { Vec::new() };
            object([
                ("id", id.into()),
                ("type", "message".into()),
                ("status", status.into()),
                ("role", "assistant".into()),
                ("content", content.into()),
            ])
        }
    }
}
