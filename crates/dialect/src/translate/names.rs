//! Tool names that a dialect would refuse, fitted to it.
//!
//! In: a request and the dialect it goes to. Out: the request with other names, and which stands for which, so that the
//! answer can be told in the client's own. Two tools must never get one name.

use std::collections::{HashMap, HashSet};

use crate::{
    Dialect,
    chat::{ChatRequest, Content, NAMESPACE_MARK, Tool, ToolChoice},
};

/// A tool's name that was changed on the way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renamed {
    pub sent: String,
    pub asked: String,
}

/// What a dialect takes for a name: how long, and which letters besides Latin ones, digits, `_` and `-`.
fn limits(dialect: Dialect) -> (usize, &'static str) {
    match dialect {
        Dialect::OpenaiChat | Dialect::OpenaiResponses => (64, ""),
        Dialect::AnthropicMessages => (128, ""),
        Dialect::GeminiGenerate => (64, ".:"),
    }
}

fn fits(name: &str, dialect: Dialect) -> bool {
    match name.split_once(NAMESPACE_MARK) {
        Some((namespace, name)) if dialect == Dialect::OpenaiResponses => {
            fits_alone(namespace, dialect) && fits_alone(name, dialect)
        }
        _ => fits_alone(name, dialect),
    }
}

fn fits_alone(name: &str, dialect: Dialect) -> bool {
    let (length, more) = limits(dialect);
    let begins =
        dialect != Dialect::GeminiGenerate || name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-') || more.contains(c);
    !name.is_empty() && name.len() <= length && begins && name.chars().all(letter)
}

/// `None`: every name fits as it is, which is the rule.
pub(super) fn fit(request: &ChatRequest, dialect: Dialect) -> Option<(ChatRequest, Vec<Renamed>)> {
    let called = request.turns.iter().flat_map(|turn| &turn.parts).filter_map(|part| match &part.content {
        Content::ToolCall { name, .. } => Some(name.as_str()),
        _ => None,
    });
    let defined = request.tools.iter().filter(|tool| !matches!(tool, Tool::Server { .. })).map(Tool::name);
    let names: Vec<&str> = defined.chain(called).collect();
    if names.iter().all(|name| fits(name, dialect)) {
        return None;
    }
    let mut sent: HashMap<String, String> = HashMap::new();
    let mut renamed = Vec::new();
    let mut inventor = Inventor {
        dialect,
        taken: names.iter().map(|name| (*name).to_owned()).collect(),
        numbers: HashMap::new(),
    };
    for name in &names {
        if fits(name, dialect) || sent.contains_key(*name) {
            continue;
        }
        let new = inventor.invent(name);
        renamed.push(Renamed { sent: new.clone(), asked: (*name).to_owned() });
        sent.insert((*name).to_owned(), new);
    }
    let mut request = request.clone();
    let change = |name: &mut String| {
        if let Some(new) = sent.get(name) {
            name.clone_from(new);
        }
    };
    for tool in &mut request.tools {
        match tool {
            Tool::Function(function) => change(&mut function.name),
            Tool::Custom { name, .. } => change(name),
            Tool::Server { .. } => {}
        }
    }
    match &mut request.tool_choice {
        Some(ToolChoice::Named(name)) => change(name),
        Some(ToolChoice::Subset { names, .. }) => names.iter_mut().for_each(change),
        _ => {}
    }
    for part in request.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
        match &mut part.content {
            Content::ToolCall { name, .. } | Content::ToolResult { name: Some(name), .. } => change(name),
            _ => {}
        }
    }
    Some((request, renamed))
}

/// Makes names. A client may bring thousands that only differ in letters which the dialect lacks: each is made at once.
struct Inventor {
    dialect: Dialect,
    taken: HashSet<String>,
    /// The last number that was added to a beginning.
    numbers: HashMap<String, u64>,
}

impl Inventor {
    fn invent(&mut self, name: &str) -> String {
        let (length, more) = limits(self.dialect);
        let keep = |c: char| {
            if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') || more.contains(c) { c } else { '_' }
        };
        let mut base: String = name.chars().map(keep).collect();
        if !base.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            base.insert(0, '_');
        }
        base.truncate(length);
        if self.taken.insert(base.clone()) {
            return base;
        }
        let number = self.numbers.entry(base.clone()).or_insert(1);
        loop {
            *number += 1;
            let tail = format!("_{number}");
            let new = format!("{}{tail}", &base[..base.len().min(length - tail.len())]);
            if self.taken.insert(new.clone()) {
                return new;
            }
        }
    }
}
