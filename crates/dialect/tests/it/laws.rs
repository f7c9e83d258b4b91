//! decode∘encode is the identity on canonical values that a dialect can carry; a cut changes nothing; nothing panics.

use dialect::{
    Accounting, Dialect, Framing, Usage,
    chat::{
        Candidate, ChatReply, ChatRequest, Content, Effort, Format, Function, Opaque, OpaqueKind, Part, Role,
        Shown, Source, Stop, StopReason, Thinking, ThinkingMode, Tool, ToolChoice, Turn,
    },
    translate::{
        FromPath, Replay, Sampling, Target, Telling, ThinkingForm, decode_reply, decode_request,
        encode_reply, encode_reply_as_stream, encode_request,
    },
    tree::Json,
};
use proptest::{collection::vec, option, prelude::*, sample::select};

use crate::{
    gather::{decode, encode, gather, gist},
    grammar::check,
};

fn words() -> impl Strategy<Value = String> {
    "[a-zA-Zäß😀\"\\\\\n\t/ ]{0,12}x"
}

fn names() -> impl Strategy<Value = String> {
    "[a-z]{3,8}"
}

fn json_object() -> impl Strategy<Value = String> {
    vec(
        ("[a-z]{1,5}", select(vec!["1", "2.50", "true", "null", "\"é\"", "[1,{}]", "9007199254740993"])),
        1..4,
    )
    .prop_map(|members| {
        let members: Vec<String> = members.iter().map(|(key, value)| format!("\"{key}y\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    })
}

fn media(dialect: Dialect) -> BoxedStrategy<Content> {
    let image = Source::Inline { mime: "image/png".into(), data: "aGk=".into() };
    let link = Source::Url { url: "https://example.com/a.png".into(), mime: None };
    let link = match dialect {
        Dialect::GeminiGenerate => {
            Source::Url { url: "https://example.com/a.png".into(), mime: Some("image/png".into()) }
        }
        _ => link,
    };
    let file = Source::Inline { mime: "application/pdf".into(), data: "aGk=".into() };
    select(vec![
        Content::Image { source: image, detail: None },
        Content::Image { source: link, detail: None },
        // Gemini has no name for a file.
        Content::File {
            source: file,
            name: Some("a.pdf".into()).filter(|_| dialect != Dialect::GeminiGenerate),
        },
    ])
    .boxed()
}

/// Thinking as the dialect gives it out itself.
fn thinking(dialect: Dialect) -> BoxedStrategy<Option<Part>> {
    let kind = match dialect {
        Dialect::OpenaiResponses => OpaqueKind::Encrypted,
        _ => OpaqueKind::Signature,
    };
    let own = words().prop_map(move |text| {
        let token = Opaque { dialect, kind, value: "c2lnbmVk".into(), maker: None };
        Part::reasoning(text, if dialect == Dialect::OpenaiChat { Vec::new() } else { vec![token] })
    });
    option::of(own).boxed()
}

/// An assistant's turn and, where it calls, the results.
fn exchange(dialect: Dialect, number: usize) -> BoxedStrategy<Vec<Turn>> {
    let parallel = 0..3usize;
    let said = (
        thinking(dialect),
        option::of(words()),
        vec((names(), json_object(), words(), any::<bool>()), parallel),
    );
    (vec(words(), 1..3), option::of(media(dialect)), said)
        .prop_map(move |(asked, medium, (thought, text, calls))| {
            let mut asked: Vec<Part> = asked.into_iter().map(Part::text).collect();
            asked.extend(medium.map(Part::new));
            let mut said: Vec<Part> = thought.into_iter().collect();
            said.extend(text.filter(|_| true).map(Part::text));
            if said.iter().all(|part| matches!(part.content, Content::Reasoning { .. })) {
                said.push(Part::text("so x"));
            }
            let mut results = Vec::new();
            for (at, (name, input, result, failed)) in calls.into_iter().enumerate() {
                let id = format!("call_{number}_{at}");
                let custom = false;
                said.push(Part::new(Content::ToolCall { id: id.clone(), name: name.clone(), input, custom }));
                let named = dialect == Dialect::GeminiGenerate;
                let says = matches!(dialect, Dialect::AnthropicMessages | Dialect::GeminiGenerate);
                results.push(Part::new(Content::ToolResult {
                    call_id: id,
                    name: named.then_some(name),
                    parts: vec![Part::text(result)],
                    is_error: failed && says,
                    custom: false,
                }));
            }
            let mut turns = vec![Turn::new(Role::User, asked), Turn::new(Role::Assistant, said)];
            if !results.is_empty() {
                turns.push(Turn::new(Role::Tool, results));
                turns.push(Turn::new(Role::Assistant, vec![Part::text("done x")]));
            }
            turns
        })
        .boxed()
}

fn tools(dialect: Dialect) -> BoxedStrategy<Vec<Tool>> {
    let openai = matches!(dialect, Dialect::OpenaiChat | Dialect::OpenaiResponses);
    let schema =
        Json::parse(br#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}"#).unwrap();
    (vec((names(), option::of(words()), any::<bool>()), 1..4), any::<bool>())
        .prop_map(move |(functions, custom)| {
            let mut tools: Vec<Tool> = functions
                .into_iter()
                .enumerate()
                .map(|(at, (name, description, strict))| {
                    let strict = match dialect {
                        Dialect::GeminiGenerate => None,
                        Dialect::AnthropicMessages => Some(true).filter(|_| strict),
                        _ => Some(strict),
                    };
                    let schema = Some(schema.clone());
                    Tool::Function(Function {
                        name: format!("{name}{at}"),
                        description,
                        schema,
                        strict,
                        ..Function::default()
                    })
                })
                .collect();
            if custom && openai {
                let format =
                    Some(Json::parse(br#"{"type":"grammar","syntax":"lark","definition":"a"}"#).unwrap());
                let (name, description) = ("patch".to_owned(), Some("free".to_owned()));
                tools.push(Tool::Custom { name, description, format, extras: Default::default() });
            }
            tools
        })
        .boxed()
}

fn requests(dialect: Dialect) -> BoxedStrategy<ChatRequest> {
    let turns = (option::of(words()), exchange(dialect, 0), exchange(dialect, 1), words()).prop_map(
        |(system, first, second, last)| {
            let mut turns: Vec<Turn> =
                system.map(|text| Turn::new(Role::System, vec![Part::text(text)])).into_iter().collect();
            turns.extend(first);
            turns.extend(second);
            turns.push(Turn::new(Role::User, vec![Part::text(last)]));
            turns
        },
    );
    let number = |text: &str| match Json::parse(text.as_bytes()) {
        Ok(Json::Number(number)) => Some(number),
        _ => None,
    };
    let options = (
        any::<bool>(),
        option::of(1..9000u64),
        any::<bool>(),
        any::<bool>(),
        0..5usize,
        0..3usize,
        0..6usize,
    );
    (turns, tools(dialect), options)
        .prop_map(move |(turns, tools, (stream, limit, warm, sampled, choice, format, effort))| {
            let anthropic = dialect == Dialect::AnthropicMessages;
            let gemini = dialect == Dialect::GeminiGenerate;
            let responses = dialect == Dialect::OpenaiResponses;
            let schema = Json::parse(br#"{"type":"object","properties":{}}"#).unwrap();
            let named = tools[0].name().to_owned();
            let both: Vec<String> = tools.iter().map(|tool| tool.name().to_owned()).collect();
            let mut request = ChatRequest {
                model: "m".into(),
                stream,
                wants_usage: stream || dialect != Dialect::OpenaiChat,
                turns,
                max_output: limit.map(|limit| limit + 16).or(anthropic.then_some(7000)),
                tool_choice: [
                    None,
                    Some(ToolChoice::Auto),
                    Some(ToolChoice::None),
                    Some(ToolChoice::Named(named)),
                    // Anthropic has none: there the tools themselves are fewer.
                    Some(ToolChoice::Subset { names: both, required: true })
                        .filter(|_| tools.len() > 1 && !anthropic),
                ][choice]
                    .clone(),
                tools,
                temperature: number("0.70").filter(|_| warm),
                top_p: number("0.9").filter(|_| sampled),
                stop: if sampled && !responses { vec!["a".into(), "b".into()] } else { Vec::new() },
                format: match format {
                    1 => Some(Format::JsonObject).filter(|_| !anthropic),
                    2 => Some(Format::JsonSchema {
                        name: Some("n".to_owned()).filter(|_| !anthropic && !gemini),
                        description: None,
                        schema,
                        strict: Some(true).filter(|_| !anthropic && !gemini),
                    }),
                    _ => None,
                },
                end_user: Some("u".to_owned()).filter(|_| warm && !gemini),
                ..ChatRequest::default()
            };
            if matches!(request.tool_choice, None | Some(ToolChoice::Auto)) && !warm && !sampled {
                let budget = ThinkingMode::Budget(2048);
                request.thinking = match (dialect, effort) {
                    (Dialect::OpenaiChat | Dialect::OpenaiResponses, effort) => {
                        Thinking { effort: Some(Effort::ALL[effort]), ..Thinking::default() }
                    }
                    (Dialect::AnthropicMessages, 0..2) => {
                        request.max_output = Some(6000);
                        Thinking { mode: Some(budget), effort: None, shown: Some(Shown::Hidden) }
                    }
                    (Dialect::GeminiGenerate, 0..3) => {
                        Thinking { mode: Some(budget), effort: None, shown: Some(Shown::Auto) }
                    }
                    _ => Thinking { mode: Some(ThinkingMode::Off), ..Thinking::default() },
                };
                request.parallel_calls = Some(false).filter(|_| !gemini);
                if anthropic {
                    request.tool_choice = Some(ToolChoice::Auto);
                }
            }
            if responses {
                request.extras.add(dialect, "", "store", Json::Bool(true));
            }
            request
        })
        .boxed()
}

fn replies(dialect: Dialect) -> BoxedStrategy<ChatReply> {
    let said = (thinking(dialect), option::of(words()), vec((names(), json_object()), 0..3usize), 0..4usize);
    let counts = (0..9u64, 0..9u64, 0..9u64, 0..9u64, 1..9u64);
    (said, counts)
        .prop_map(move |((thought, text, calls, stop), (input, cached, written, reasoning, output))| {
            let mut parts: Vec<Part> = thought.into_iter().collect();
            parts.extend(text.map(Part::text));
            let called = !calls.is_empty();
            for (at, (name, input)) in calls.into_iter().enumerate() {
                let id = format!("call_{at}");
                parts.push(Part::new(Content::ToolCall { id, name, input, custom: false }));
            }
            let reason = match stop {
                0 if called => StopReason::ToolCalls,
                1 => StopReason::MaxOutput,
                2 if dialect != Dialect::AnthropicMessages => StopReason::Filtered,
                2 => StopReason::Refused,
                _ if called => StopReason::ToolCalls,
                _ => StopReason::EndTurn,
            };
            let gemini = dialect == Dialect::GeminiGenerate;
            let timed = matches!(dialect, Dialect::OpenaiChat | Dialect::OpenaiResponses);
            ChatReply {
                id: "answer1".into(),
                model: "m".into(),
                created_s: timed.then_some(1_800_000_000),
                candidates: vec![Candidate { parts, stop: Some(Stop::new(reason)), ..Candidate::default() }],
                usage: Some(Usage {
                    input,
                    cache_read: cached,
                    cache_write: if gemini { 0 } else { written },
                    output,
                    reasoning,
                    ..Usage::default()
                }),
                ..ChatReply::default()
            }
        })
        .boxed()
}

fn any_dialect<T: std::fmt::Debug + 'static>(
    of: fn(Dialect) -> BoxedStrategy<T>,
) -> impl Strategy<Value = (Dialect, T)> {
    select(Dialect::ALL.to_vec())
        .prop_flat_map(move |dialect| of(dialect).prop_map(move |value| (dialect, value)))
}

fn without_ids(mut reply: ChatReply) -> ChatReply {
    for part in reply.candidates.iter_mut().flat_map(|candidate| &mut candidate.parts) {
        part.opaque.retain(|token| token.kind != OpaqueKind::Id);
    }
    reply
}

/// A model that takes little of what can be asked for.
const NARROW: Target<'static> = Target {
    max_output: Some(2000),
    ceiling: Some(1500),
    efforts: &[Effort::Low],
    budgets: (128, 1200),
    always_thinks: true,
    sampling: Sampling::Nothing,
    schemas: false,
    ..Target::UNKNOWN
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn requests_come_back((dialect, request) in any_dialect(requests)) {
        let thinking = match dialect {
            Dialect::OpenaiChat | Dialect::OpenaiResponses => ThinkingForm::Effort,
            _ => ThinkingForm::Budget,
        };
        let efforts = &Effort::ALL;
        let target = Target { model: "m", replay: Replay::Text, thinking, efforts, ..Target::default() };
        let encoded = encode_request(dialect, &request, &target).unwrap();
        let path = FromPath { model: "m", stream: request.stream };
        let again = decode_request(dialect, &encoded.body, path).unwrap();
        prop_assert_eq!(&again, &request, "{}", String::from_utf8_lossy(&encoded.body));
        prop_assert!(encoded.losses.is_empty(), "{:?}", encoded.losses);
    }

    #[test]
    fn replies_come_back((dialect, reply) in any_dialect(replies)) {
        let encoded = encode_reply(dialect, &reply, &Telling::default());
        let again = decode_reply(dialect, &encoded.body, Accounting::Standard).unwrap();
        // `length` and a call, a filter and a call: one of the two is told.
        prop_assert_eq!(&without_ids(again), &reply, "{}", String::from_utf8_lossy(&encoded.body));
    }

    /// Whatever a request asks for, each dialect gets it, or the loss is named, or it is refused; and what it gets, it
    /// can read.
    #[test]
    fn requests_go_everywhere((_, request) in any_dialect(requests), to in select(Dialect::ALL.to_vec()), form in 0..3usize, narrow in any::<bool>()) {
        let thinking = [ThinkingForm::Budget, ThinkingForm::Effort, ThinkingForm::Never][form];
        let target = Target { model: "m", thinking, ..if narrow { NARROW } else { Target::UNKNOWN } };
        if let Ok(encoded) = encode_request(to, &request, &target) {
            let again = decode_request(to, &encoded.body, FromPath { model: "m", stream: request.stream }).unwrap();
            let texts = |request: &ChatRequest| -> String {
                let parts = request.turns.iter().flat_map(|turn| &turn.parts);
                parts.filter_map(|part| match &part.content { Content::Text { text, .. } => Some(&**text), _ => None }).collect()
            };
            prop_assert!(texts(&again).contains(&texts(&request)) || !encoded.losses.is_empty());
            let foreign = again.turns.iter().flat_map(|turn| &turn.parts).flat_map(|part| &part.opaque);
            prop_assert!(foreign.clone().all(|token| token.dialect == to), "{:?}", foreign.collect::<Vec<_>>());
        }
    }

    /// An answer told as a stream says what it says as a whole.
    #[test]
    fn streams_say_what_replies_say((from, reply) in any_dialect(replies), to in select(Dialect::ALL.to_vec())) {
        let events = crate::play::play(&reply);
        prop_assert_eq!(check(&events, true), Ok(()));
        let telling = Telling { wants_usage: true, ..Telling::default() };
        let out = encode(to, &events, &telling);
        let again = decode(to, Framing::Sse, Accounting::Standard, &[&out]);
        prop_assert_eq!(check(&again, true), Ok(()));
        // Also one that came whole, for a client that asked for a stream.
        let whole = encode_reply_as_stream(to, reply.clone(), telling, |_| {});
        let unrolled = decode(to, Framing::Sse, Accounting::Standard, &[&whole.body]);
        prop_assert_eq!(check(&unrolled, true), Ok(()));
        prop_assert_eq!(gist(&gather(&unrolled)), gist(&reply), "{:?} to {:?}: {}", from, to, String::from_utf8_lossy(&whole.body));
        prop_assert_eq!(gist(&gather(&again)), gist(&reply), "{:?} to {:?}: {}", from, to, String::from_utf8_lossy(&out));
        // What a client of another dialect keeps for us comes back: tokens are carried through all of them.
        let tokens = |reply: &ChatReply| -> Vec<String> {
            let parts = reply.candidates.iter().flat_map(|candidate| &candidate.parts);
            let tokens = parts.flat_map(|part| &part.opaque).filter(|token| token.kind != OpaqueKind::Id);
            tokens.map(|token| format!("{token:?}")).collect()
        };
        prop_assert_eq!(tokens(&gather(&again)), tokens(&reply), "{:?} to {:?}: {}", from, to, String::from_utf8_lossy(&out));
    }
}
