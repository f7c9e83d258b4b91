//! What an earlier answer showed, for dialects whose answers are words and calls.
//!
//! In: a request and the dialect it goes to. Out: the request with pictures, sounds and files of answers as the user's,
//! behind the results where there are any; `None` where there are none, which is the rule. "Now in blue" needs the picture.

use std::mem::take;

use crate::{
    Dialect,
    chat::{ChatRequest, Content, Part, Role, Turn},
};

pub(super) const SENT_AS_USERS: &str =
    "an answer has words and calls there: what it showed was sent as the user's";

pub(super) fn hand_over(request: &ChatRequest, dialect: Dialect) -> Option<ChatRequest> {
    let answers = request.turns.iter().filter(|turn| turn.role == Role::Assistant);
    if dialect == Dialect::GeminiGenerate || !answers.flat_map(|turn| &turn.parts).any(shows) {
        return None;
    }
    let mut request = request.clone();
    let mut shown = Vec::new();
    for mut turn in take(&mut request.turns) {
        if turn.role != Role::Tool {
            request.turns.extend(as_users(&mut shown));
        }
        if turn.role == Role::Assistant {
            (shown, turn.parts) = turn.parts.into_iter().partition(shows);
        }
        request.turns.push(turn);
    }
    request.turns.extend(as_users(&mut shown));
    Some(request)
}

fn shows(part: &Part) -> bool {
    matches!(part.content, Content::Image { .. } | Content::Audio { .. } | Content::File { .. })
}

fn as_users(shown: &mut Vec<Part>) -> Option<Turn> {
    Some(take(shown)).filter(|parts| !parts.is_empty()).map(|parts| Turn::new(Role::User, parts))
}
