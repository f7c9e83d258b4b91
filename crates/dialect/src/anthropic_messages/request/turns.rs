//! From turns to messages.
//!
//! In: the turns of a conversation. Out: `system` and `messages`. Roles must alternate, results come right behind their
//! calls and before words, an answer does not end with thinking: the provider refuses what breaks that.

use crate::{
    Dialect,
    anthropic_messages::block,
    chat::{ChatRequest, Content, Format, Part, Role, Turn},
    fields::put_extras,
    loss::Losses,
    shortfall,
    translate::{Target, Untranslatable},
    tree::{Json, Object, object},
};

type Result<T> = std::result::Result<T, Untranslatable>;

const OWN: Dialect = Dialect::AnthropicMessages;

/// A message under way, while turns of one side are put together.
#[derive(Default)]
struct Message {
    role: &'static str,
    /// The results of tools, which stand before all words, also before those that came between them and their calls.
    results: Vec<Json>,
    blocks: Vec<Json>,
    extras: Object,
}

impl Message {
    fn of(role: &'static str) -> Message {
        Message { role, ..Message::default() }
    }
}

/// The messages under way.
#[derive(Default)]
struct Conversation {
    messages: Vec<Message>,
    /// Where the message is, or would be, that answers the calls of the last answer.
    answering: usize,
}

impl Conversation {
    /// The message that a turn's blocks go to: the one under way, or a new one.
    fn message(&mut self, role: &'static str) -> &mut Message {
        if self.messages.last().is_none_or(|last| last.role != role) {
            self.messages.push(Message::of(role));
        }
        let last = self.messages.len() - 1;
        if role == "assistant" {
            self.answering = last + 1;
        }
        &mut self.messages[last]
    }

    /// The message for results: the one right behind their calls, whatever was said in between.
    fn answer(&mut self) -> &mut Message {
        if self.messages.get(self.answering).is_none_or(|message| message.role != "user") {
            self.messages.insert(self.answering, Message::of("user"));
        }
        &mut self.messages[self.answering]
    }

    /// Thinking that nothing followed: an answer that was cut short by its limit, or by its reader.
    fn drop_last_thoughts(&mut self, losses: &mut Losses) {
        for message in self.messages.iter_mut().filter(|message| message.role == "assistant") {
            let said = message.blocks.iter().rposition(|block| !is_thought(block)).map_or(0, |last| last + 1);
            if message.blocks.len() > said {
                losses.add("messages.reasoning", OWN, "an answer does not end with thinking there");
            }
            message.blocks.truncate(said);
        }
    }

    /// The step under way is an answer that is to be gone on with, or one whose calls have their results now.
    fn forget_step(&mut self, losses: &mut Losses) {
        let (before, since) = self.messages.split_at_mut(self.answering);
        let goes_on = since.is_empty() || since.iter().any(|message| !message.results.is_empty());
        let Some(answer) = before.last_mut().filter(|_| goes_on) else { return };
        let whole = answer.blocks.len();
        answer.blocks.retain(|block| !is_thought(block));
        if answer.blocks.len() < whole {
            losses.add("messages.reasoning", OWN, "a step without thinking cannot have begun with it");
        }
    }

    /// The messages that say something, those of one side that are neighbours now as one.
    fn join(self) -> Vec<Message> {
        let mut joined: Vec<Message> = Vec::new();
        for mut message in self.messages {
            match joined.last_mut() {
                _ if message.results.is_empty() && message.blocks.is_empty() => {}
                Some(last) if last.role == message.role => {
                    last.results.append(&mut message.results);
                    last.blocks.append(&mut message.blocks);
                    last.extras.0.append(&mut message.extras.0);
                }
                _ => joined.push(message),
            }
        }
        joined
    }
}

fn is_thought(block: &Json) -> bool {
    let kind = block.as_object().and_then(|block| block.text("type"));
    matches!(kind, Some("thinking" | "redacted_thinking"))
}

/// `forgets`: the step under way must be sent without the thinking that it began with.
pub(super) fn put(
    request: &ChatRequest,
    target: &Target<'_>,
    forgets: bool,
    body: &mut Object,
    losses: &mut Losses,
) -> Result<()> {
    let (leading, conversation) = request.leading();
    let mut system = Vec::new();
    for turn in leading {
        shortfall::list_turn(turn, OWN, losses);
        block::encode_all(&turn.parts, &mut system, losses)?;
    }
    if matches!(request.format, Some(Format::JsonObject)) {
        system.push(object([("type", "text".into()), ("text", shortfall::JSON_IN_WORDS.into())]).into());
    }
    let mut under_way = Conversation::default();
    for turn in conversation {
        shortfall::list_turn(turn, OWN, losses);
        add_turn(turn, target, &mut under_way, losses)?;
    }
    under_way.drop_last_thoughts(losses);
    if forgets {
        under_way.forget_step(losses);
    }
    let mut messages = under_way.join();
    if messages.is_empty() && !system.is_empty() {
        losses.add("messages.role", OWN, "a conversation needs a user: the system's words were sent as one");
        let blocks = std::mem::take(&mut system);
        messages.push(Message { blocks, ..Message::of("user") });
    }
    trim_prefill(&mut messages);
    body.put_some("system", Some(shorten(system)).filter(|system| !system.is_blank()));
    let messages = messages.into_iter().map(|mut message| {
        message.results.append(&mut message.blocks);
        let mut fields = object([("role", message.role.into()), ("content", shorten(message.results))]);
        fields.0.extend(message.extras.0);
        Json::Object(fields)
    });
    body.put("messages", messages.collect::<Vec<_>>());
    Ok(())
}

fn add_turn(
    turn: &Turn,
    target: &Target<'_>,
    conversation: &mut Conversation,
    losses: &mut Losses,
) -> Result<()> {
    let role = match turn.role {
        Role::User | Role::Tool => "user",
        Role::Assistant => "assistant",
        Role::System | Role::Developer if target.mid_system => "system",
        Role::System | Role::Developer => {
            losses.add(
                "messages.role",
                OWN,
                "instructions in mid-conversation were sent as the user's words",
            );
            "user"
        }
    };
    let instructs = matches!(turn.role, Role::System | Role::Developer) && role == "user";
    let mut blocks = Vec::new();
    if instructs {
        let mut parts: Vec<Part> = turn.parts.clone();
        for part in &mut parts {
            if let Content::Text { text, .. } = &mut part.content {
                *text = format!("<system>{text}</system>");
            }
        }
        block::encode_all(&parts, &mut blocks, losses)?;
    } else {
        block::encode_all(&turn.parts, &mut blocks, losses)?;
    }
    if blocks.is_empty() {
        return Ok(());
    }
    let message = if turn.role == Role::Tool {
        let message = conversation.answer();
        message.results.append(&mut blocks);
        message
    } else {
        let message = conversation.message(role);
        message.blocks.append(&mut blocks);
        message
    };
    put_extras(&turn.extras, OWN, "messages", &mut message.extras);
    Ok(())
}

/// The provider refuses an answer begun with white space at its end.
fn trim_prefill(messages: &mut [Message]) {
    let Some(Message { role: "assistant", blocks, .. }) = messages.last_mut() else { return };
    let Some(Json::Object(block)) = blocks.last_mut() else { return };
    for (key, value) in &mut block.0 {
        if let ("text", Json::String(text)) = (&**key, value) {
            text.truncate(text.trim_end().len());
        }
    }
}

/// One block that is nothing but text is written as a string.
fn shorten(mut blocks: Vec<Json>) -> Json {
    if let [Json::Object(block)] = blocks.as_mut_slice()
        && block.0.len() == 2
        && block.text("type") == Some("text")
        && let Some(text) = block.take("text")
    {
        return text;
    }
    Json::Array(blocks)
}
