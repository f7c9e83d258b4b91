//! The `[[alias]]` blocks.
//!
//! In: the top level. Out: the names that stand for other models, each with its list. It must not ask who serves them: channels
//! of the database come and go.

use super::{
    AliasConfig,
    channel::is_model,
    fields::{Field, Fields},
    known,
    read::{Names, blocks},
    report::Report,
};

/// Models that one name may stand for. `attempts.max` is at most 20: more would never be tried.
const MOST_MODELS: usize = 20;

const EXPECTED: &str = "a list of models such as [\"gpt-5\", \"claude-sonnet-4-5\"]";

pub(super) fn aliases(report: &mut Report<'_>, top: &Fields<'_>) -> Vec<AliasConfig> {
    let mut names = Names::default();
    let mut aliases = Vec::new();
    for entry in blocks(report, top, "alias") {
        let Some(fields) = entry.fields(report, "an [[alias]] block", known::ALIAS) else { continue };
        let name = names.read(report, &fields);
        if let (Some(name), Some(field)) = (&name, fields.get(report, "name"))
            && (!is_model(name) || name.contains('*'))
        {
            field.wrong(report, "a name that callers can use for a model: without blanks and without *");
        }
        let models = fields.require(report, "models", EXPECTED).map(|field| models(report, &field));
        if let (Some(name), Some(models)) = (name, models) {
            aliases.push(AliasConfig { name, models });
        }
    }
    aliases
}

fn models(report: &mut Report<'_>, field: &Field<'_>) -> Vec<String> {
    let entries = field.list(report, EXPECTED).unwrap_or_default();
    if field.is_empty_list() || entries.len() > MOST_MODELS {
        field.problem(
            report,
            format!("found {} models, expected 1 to {MOST_MODELS}, in the order of trying", entries.len()),
        );
    }
    let expected = "a model's name in full, without *";
    let mut models: Vec<String> = Vec::new();
    for entry in entries {
        let Some(text) = entry.text(report, expected) else { continue };
        if text.is_empty() || text.contains('*') || !is_model(text) {
            entry.wrong(report, expected);
        } else if models.iter().any(|model| model == text) {
            entry.problem(report, format!("found {text:?} twice, expected each model once"));
        } else {
            models.push(text.to_owned());
        }
    }
    models
}
