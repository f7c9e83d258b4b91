//! What the model may call.
//!
//! In: tool definitions and choices of a dialect. Out: the shared shape. A server tool is never turned into a function:
//! nobody would answer its calls.

use std::collections::HashSet;

use super::{CacheMark, Extras};
use crate::{Dialect, tree::Json};

/// Between a tool's namespace and its name, where a dialect has groups of tools (Responses). No name has that letter, so
/// the others are sent one that they take in its place, and calls find back to their group.
pub const NAMESPACE_MARK: char = '\u{1f}';

#[derive(Clone, Debug, PartialEq)]
pub enum Tool {
    /// Arguments are JSON of a schema.
    Function(Function),
    /// Its input is free text.
    Custom {
        name: String,
        description: Option<String>,
        /// OpenAI's grammar of the text.
        format: Option<Json>,
        extras: Extras,
    },
    /// Run by the provider itself.
    Server {
        dialect: Dialect,
        /// Its type (`web_search_20250305`, `code_interpreter`, `googleSearch`).
        kind: String,
        /// As it came.
        definition: Json,
    },
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Function {
    pub name: String,
    pub description: Option<String>,
    /// JSON Schema; `None`: no arguments.
    pub schema: Option<Json>,
    pub strict: Option<bool>,
    pub cache: Option<CacheMark>,
    pub extras: Extras,
}

impl Tool {
    /// The name by which the model calls it.
    pub fn name(&self) -> &str {
        match self {
            Tool::Function(function) => &function.name,
            Tool::Custom { name, .. } => name,
            Tool::Server { kind, .. } => kind,
        }
    }
}

/// The tools among them whose input is free text.
pub(crate) fn custom_names(tools: &[Tool]) -> HashSet<&str> {
    let customs = tools.iter().filter(|tool| matches!(tool, Tool::Custom { .. }));
    customs.map(Tool::name).collect()
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolChoice {
    Auto,
    None,
    /// Some tool must be called.
    Required,
    /// This one must be called.
    Named(String),
    /// Only these may be called; `required`: one of them must be.
    Subset {
        names: Vec<String>,
        required: bool,
    },
}
