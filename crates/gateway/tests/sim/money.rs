//! The money of a world: what each request costs by the model, and that nothing is held when nobody is here.

use std::collections::BTreeMap;

use dialect::{Dialect, Usage};
use gateway::{ending::Ending, settlement::Settlement};
use store::Nanos;

use crate::{model::Story, world::World};

/// What everything costs, as the operator writes it.
pub(crate) const PRICE: &str = "[[price]]\nmodel = \"*\"\ninput = 2.5\noutput = 10\n";
/// The same in nanodollars for each token.
const INPUT: u64 = 2_500;
const OUTPUT: u64 = 10_000;

/// What a request is charged, and that an estimate stands only where the provider said nothing, or not the end.
pub(crate) fn of_one(
    story: &Story<'_>,
    told: Option<Usage>,
    settlement: &Settlement,
    wrong: &mut Vec<String>,
) {
    let nothing = matches!(settlement.ending, Ending::Refused | Ending::Rejected | Ending::Failed);
    let due = story.answer().is_some() && !nothing;
    let expected = match settlement.usage.filter(|_| due) {
        None => 0,
        Some(usage) => {
            let output = usage.output + usage.reasoning + usage.audio_output + usage.image_output;
            (usage.total() - output) * INPUT + output * OUTPUT
        }
    };
    if settlement.charge.amount != Nanos(expected as i64) {
        wrong.push(format!("charged {:?}, should be {expected} nanodollars", settlement.charge));
    }
    if due && settlement.usage.is_none() {
        wrong.push("delivered, and charged by nothing".to_owned());
    }
    if settlement.owed.is_some() {
        wrong.push("an estimate was owed and not made".to_owned());
    }
    if !settlement.estimated {
        return;
    }
    let anthropic = story.answer().is_some_and(|call| call.asked.dialect == Dialect::AnthropicMessages);
    let right = match (told, settlement.usage) {
        (None, _) => due,
        // What a message begins with is its input; the output is said at its end.
        (Some(told), Some(usage)) => {
            due && anthropic && usage.input == told.input && usage.output >= told.output
        }
        (Some(_), None) => false,
    };
    if !right {
        wrong.push(format!("estimated as {:?} where {told:?} was told", settlement.usage));
    }
}

/// Of all requests together: the purses have what the settlements say.
pub(crate) fn of_all(world: &World, broken: &mut Vec<String>) {
    let mut charged: BTreeMap<&str, Nanos> = BTreeMap::new();
    for (_, settlement) in &world.settlements {
        let Some(key) = &settlement.key else { continue };
        let sum = charged.entry(key).or_default();
        *sum = sum.plus(settlement.charge.amount);
    }
    for (key, (held, spent)) in &world.purses {
        if *held != Nanos::ZERO {
            broken.push(format!("{key}: {held} is held by nobody"));
        }
        let charged = charged.get(key.as_str()).copied().unwrap_or_default();
        if *spent != charged {
            broken.push(format!("{key}: {spent} is spent, its settlements sum to {charged}"));
        }
    }
}
