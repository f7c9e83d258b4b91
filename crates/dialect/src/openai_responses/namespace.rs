//! Tools that stand in a namespace: a group with a name of its own, which calls repeat beside the tool's.
//!
//! In: a group of tools, a call's two names. Out: tools and calls with one name in the canonical form, and both of them
//! again. It must never divide a name that no client of this dialect put together: the mark is a letter of no name.

use super::request::read_tool;
use crate::{
    Dialect,
    chat::{Extras, NAMESPACE_MARK as MARK, Tool},
    fields::Fields,
    translate::Untranslatable,
    tree::{Json, Object, object},
};

const OWN: Dialect = Dialect::OpenaiResponses;

/// The extra that holds what else a group says, at its first tool.
const GROUP: &str = "namespace";

/// A tool that was loaded by a search is in a namespace of its own name, which is none.
pub(super) fn join(namespace: Option<&str>, name: String) -> String {
    match namespace {
        Some(namespace) if namespace != name => format!("{namespace}{MARK}{name}"),
        _ => name,
    }
}

pub(super) fn put_name(name: &str, fields: &mut Object) {
    match name.split_once(MARK) {
        Some((namespace, name)) => fields.put("name", name).put("namespace", namespace),
        None => fields.put("name", name),
    };
}

/// The tool's own name.
pub(super) fn strip(name: &str) -> &str {
    name.split_once(MARK).map_or(name, |(_, name)| name)
}

/// Whether all in the group can be called by the client alone.
pub(super) fn is_callable(group: &Object) -> bool {
    let tools = group.get("tools").and_then(Json::as_array).unwrap_or_default();
    let callable = |tool: &Json| {
        tool.as_object().is_some_and(|tool| matches!(tool.text("type"), Some("function" | "custom")))
    };
    !tools.is_empty() && tools.iter().all(callable)
}

pub(super) fn read_group(mut fields: Fields) -> Result<Vec<Tool>, Untranslatable> {
    let namespace = fields.need_text("name")?;
    let mut tools = Vec::new();
    for tool in fields.array("tools")?.unwrap_or_default() {
        let mut tool = read_tool(tool)?;
        if let Some((name, _)) = parts_of(&mut tool) {
            *name = format!("{namespace}{MARK}{name}");
        }
        tools.push(tool);
    }
    let group = fields.into_object();
    if let Some((_, extras)) = tools.first_mut().and_then(parts_of) {
        extras.add(OWN, "tools", GROUP, group.into());
    }
    Ok(tools)
}

fn parts_of(tool: &mut Tool) -> Option<(&mut String, &mut Extras)> {
    match tool {
        Tool::Function(function) => Some((&mut function.name, &mut function.extras)),
        Tool::Custom { name, extras, .. } => Some((name, extras)),
        Tool::Server { .. } => None,
    }
}

/// Puts a tool into its group, which is the last one written or a new one.
pub(super) fn put_tool(mut tool: Object, tools: &mut Vec<Json>) {
    let Some((namespace, name)) = tool.text("name").and_then(|name| name.split_once(MARK)) else {
        tools.push(tool.into());
        return;
    };
    let (namespace, name) = (namespace.to_owned(), name.to_owned());
    let about = tool.take(GROUP);
    for (key, value) in &mut tool.0 {
        if key == "name" {
            *value = (&name).into();
        }
    }
    let mut group = match tools.pop() {
        Some(Json::Object(last)) if is_group(&last, &namespace) && about.is_none() => last,
        last => {
            tools.extend(last);
            let mut group = object([("type", "namespace".into()), ("name", namespace.into())]);
            if let Some(Json::Object(about)) = about {
                group.0.extend(about.0);
            }
            group
        }
    };
    let mut inner = match group.take("tools") {
        Some(Json::Array(inner)) => inner,
        _ => Vec::new(),
    };
    inner.push(tool.into());
    group.put("tools", inner);
    tools.push(group.into());
}

fn is_group(tool: &Object, namespace: &str) -> bool {
    tool.text("type") == Some("namespace") && tool.text("name") == Some(namespace)
}
