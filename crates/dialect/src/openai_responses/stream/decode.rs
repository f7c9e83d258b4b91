//! From Responses' events to canonical ones.
//!
//! In: the data of one event. Out: events on the [`Track`]. What was told in deltas must not be told again by the events
//! that repeat it; what was only told there must not be missed.

use crate::{
    chat::{Citation, Content, Opaque, Part, Stop, StopReason},
    event::{Delta, Opening},
    openai_chat::message::read_citation,
    openai_responses::{item, namespace, reply},
    translate::Track,
    tree::{Json, Object},
};

const OWN: crate::Dialect = crate::Dialect::OpenaiResponses;

/// What is read of an event. Places are numbers: ids change on the way with some providers.
const NAMES: [&str; 9] = [
    "type",
    "delta",
    "output_index",
    "content_index",
    "summary_index",
    "item",
    "part",
    "annotation",
    "response",
];

#[derive(Debug, Default)]
pub(crate) struct Decoder {
    items: Vec<Item>,
    called: bool,
    refused: bool,
}

/// An item under way.
#[derive(Debug)]
struct Item {
    output: u64,
    parts: Vec<Open>,
    /// Nothing but its last event is read: all of it comes at once.
    kept: bool,
    done: bool,
}

#[derive(Debug)]
struct Open {
    /// Its place in the item's content.
    place: u64,
    part: u32,
    said: bool,
    /// Sources told so far: the events that repeat the text name them again.
    cited: usize,
    /// `content_part.done` was told: closed once the item goes on with another part.
    done: bool,
}

impl Open {
    fn new(place: u64, part: u32) -> Open {
        Open { place, part, said: false, cited: 0, done: false }
    }
}

impl Decoder {
    pub(crate) fn read(&mut self, data: &str, track: &mut Track) {
        let Some(mut event) = Object::pick(data, NAMES) else {
            track.fail("the provider sent an event that is not JSON");
            return;
        };
        let kind = event.text("type").unwrap_or_default().to_owned();
        let output = number(&event, "output_index");
        let place = number(&event, "content_index");
        match kind.as_str() {
            "error" | "response.failed" => track.fail_with(data),
            "response.created" | "response.in_progress" | "response.queued" => start(&event, track),
            "response.output_item.added" => {
                if let Some(Json::Object(item)) = event.take("item") {
                    self.add(output, item, track);
                }
            }
            "response.content_part.added" => {
                let refusal = event.get("part").and_then(Json::as_object).and_then(|part| part.text("type"));
                let reasons = refusal == Some("reasoning_text");
                let opening = if refusal == Some("refusal") { Opening::Refusal } else { Opening::Text };
                if !reasons {
                    self.enter(output, place, opening, track);
                }
            }
            "response.output_text.delta" => self.say(output, place, Opening::Text, &mut event, track),
            "response.refusal.delta" => self.say(output, place, Opening::Refusal, &mut event, track),
            "response.reasoning_summary_part.added" if number(&event, "summary_index") > 0 => {
                self.say_text(output, 0, Opening::Reasoning, "\n\n".to_owned(), track);
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                self.say(output, 0, Opening::Reasoning, &mut event, track);
            }
            "response.output_text.annotation.added" => {
                let citation = event.get("annotation").and_then(read_citation);
                // What is no address is listed with the item, which has it again.
                if let Some(citation) = citation
                    && let Some(open) = self.open(output, place)
                {
                    open.cited += 1;
                    let part = open.part;
                    track.delta(0, part, Delta::Citation(citation));
                }
            }
            "response.content_part.done" => {
                let part = event.take("part").and_then(|part| item::read_part(part).ok());
                if let Some(Part { content: Content::Text { text, citations }, .. }) = part {
                    self.tell_text(output, place, text, citations, track);
                }
                if let Some(open) = self.open(output, place) {
                    open.done = true;
                }
            }
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                if let Some(Json::String(input)) = event.take("delta") {
                    self.input(output, input, track);
                }
            }
            "response.output_item.done" => {
                if let Some(item) = event.take("item") {
                    self.finish_item(output, item, track);
                }
            }
            "response.completed" | "response.incomplete" => self.end(&mut event, track),
            _ => {}
        }
    }

    fn add(&mut self, output: u64, item: Object, track: &mut Track) {
        let kind = item.text("type").unwrap_or_default();
        let kept = !matches!(kind, "message" | "reasoning" | "function_call" | "custom_tool_call");
        let mut books = Item { output, parts: Vec::new(), kept, done: false };
        if matches!(kind, "function_call" | "custom_tool_call") {
            let id = item.text("call_id").or(item.text("id")).unwrap_or_default().to_owned();
            let id = if id.is_empty() { track.mint_call_id() } else { id };
            let name = item.text("name").unwrap_or_default().to_owned();
            let name = namespace::join(item.text("namespace"), name);
            let custom = kind == "custom_tool_call";
            self.called = true;
            if let Some(part) = track.open(0, Opening::ToolCall { id, name, custom }) {
                books.parts.push(Open::new(0, part));
            }
        }
        self.items.push(books);
    }

    fn item(&mut self, output: u64) -> &mut Item {
        let at = match self.items.iter().rposition(|item| item.output == output) {
            Some(at) => at,
            None => {
                self.items.push(Item { output, parts: Vec::new(), kept: false, done: false });
                self.items.len() - 1
            }
        };
        &mut self.items[at]
    }

    fn open(&mut self, output: u64, place: u64) -> Option<&mut Open> {
        self.item(output).parts.iter_mut().find(|open| open.place == place)
    }

    fn enter(&mut self, output: u64, place: u64, opening: Opening, track: &mut Track) -> Option<u32> {
        if let Some(open) = self.open(output, place) {
            return Some(open.part);
        }
        self.refused |= opening == Opening::Refusal;
        for open in self.item(output).parts.iter().filter(|open| open.done) {
            track.close(0, open.part);
        }
        let part = track.open(0, opening)?;
        self.item(output).parts.push(Open::new(place, part));
        Some(part)
    }

    fn say(&mut self, output: u64, place: u64, opening: Opening, event: &mut Object, track: &mut Track) {
        if let Some(Json::String(text)) = event.take("delta") {
            self.say_text(output, place, opening, text, track);
        }
    }

    fn say_text(&mut self, output: u64, place: u64, opening: Opening, text: String, track: &mut Track) {
        if text.is_empty() {
            return;
        }
        let Some(part) = self.enter(output, place, opening, track) else { return };
        if let Some(open) = self.item(output).parts.iter_mut().find(|open| open.part == part) {
            open.said = true;
        }
        track.delta(0, part, Delta::Text(text));
    }

    fn input(&mut self, output: u64, input: String, track: &mut Track) {
        let Some(open) = self.item(output).parts.first_mut() else { return };
        if !input.is_empty() {
            open.said = true;
            track.delta(0, open.part, Delta::Input(input));
        }
    }

    /// A text with its sources, as far as no delta told them.
    fn tell_text(
        &mut self,
        output: u64,
        place: u64,
        text: String,
        citations: Vec<Citation>,
        track: &mut Track,
    ) {
        if !self.open(output, place).is_some_and(|open| open.said) {
            self.say_text(output, place, Opening::Text, text, track);
        }
        let Some(open) = self.open(output, place) else { return };
        let told = open.cited.max(citations.len());
        let (part, untold) =
            (open.part, citations.into_iter().skip(std::mem::replace(&mut open.cited, told)));
        untold.for_each(|citation| track.delta(0, part, Delta::Citation(citation)));
    }

    fn finish_item(&mut self, output: u64, item: Json, track: &mut Track) {
        let Ok(parts) = item::read_output(item) else {
            track.fail("the provider sent an item that is none");
            return;
        };
        if std::mem::replace(&mut self.item(output).done, true) {
            return;
        }
        if self.item(output).kept {
            parts.into_iter().for_each(|part| track.whole(0, part));
            return;
        }
        for (place, part) in parts.into_iter().enumerate() {
            self.catch_up(output, place as u64, part, track);
        }
        for open in &self.item(output).parts {
            track.close(0, open.part);
        }
    }

    /// What the item says in full and no delta said, and its tokens.
    fn catch_up(&mut self, output: u64, place: u64, part: Part, track: &mut Track) {
        let tokens: Vec<Opaque> = part.opaque.iter().filter(|token| token.stands_alone()).cloned().collect();
        track.list_extras(&part.extras);
        let (opening, text) = match part.content.clone() {
            Content::Text { text, citations } => {
                self.tell_text(output, place, text, citations, track);
                (Opening::Text, String::new())
            }
            Content::Refusal { text } => (Opening::Refusal, text),
            Content::Reasoning { text } => (Opening::Reasoning, text),
            Content::ToolCall { id, name, input, custom } => {
                if self.item(output).parts.is_empty() {
                    self.called = true;
                    self.enter(output, 0, Opening::ToolCall { id, name, custom }, track);
                }
                if self.item(output).parts.first().is_some_and(|open| !open.said) {
                    self.input(output, input, track);
                }
                return;
            }
            _ => {
                track.whole(0, part);
                return;
            }
        };
        let said = self.item(output).parts.iter().any(|open| open.place == place && open.said);
        if !said {
            self.say_text(output, place, opening.clone(), text, track);
        }
        if !tokens.is_empty()
            && let Some(part) = self.enter(output, place, opening, track)
        {
            tokens.into_iter().for_each(|token| track.delta(0, part, Delta::Opaque(token)));
        }
    }

    fn end(&mut self, event: &mut Object, track: &mut Track) {
        start(event, track);
        let Some(Json::Object(mut response)) = event.take("response") else {
            track.fail("the provider ended without its response");
            return;
        };
        if self.items.is_empty()
            && let Some(Json::Array(output)) = response.take("output")
        {
            for (at, item) in output.into_iter().enumerate() {
                if let Json::Object(object) = &item {
                    self.add(at as u64, object.clone(), track);
                }
                self.finish_item(at as u64, item, track);
            }
        }
        let usage = response.get("usage").filter(|usage| !usage.is_blank()).map(Json::to_string);
        if let Some(usage) = usage {
            track.list_usage(&usage, OWN);
            track.usage(reply::read_usage(&usage));
        }
        track.list_rest(&response, "response", &reply::READ, OWN);
        let status = response.text("status").unwrap_or("completed");
        if reply::is_failure(status) {
            track.fail_with(&Json::Object(response).to_string());
            return;
        }
        let stop = reply::read_stop(status, response.get("incomplete_details"), self.called, self.refused);
        track.stop(0, stop.unwrap_or(Stop::new(StopReason::Other)));
        track.end();
    }
}

fn start(event: &Object, track: &mut Track) {
    if let Some(Json::Object(response)) = event.get("response")
        && !track.is_started()
    {
        let created = response.get("created_at").and_then(Json::as_u64);
        track.start(
            response.text("id").unwrap_or_default(),
            response.text("model").unwrap_or_default(),
            created,
        );
    }
}

fn number(event: &Object, key: &str) -> u64 {
    event.get(key).and_then(Json::as_u64).unwrap_or(0)
}
