//! What may hang on a model's name to say how much it shall think.
//!
//! In: a name. Out: the name without it, and the wish. Which of them count is each channel's choice: models have such names of
//! their own.

use dialect::chat::{Effort, Thinking, ThinkingMode};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Suffix {
    Thinking,
    NoThinking,
    Minimal,
    Low,
    Medium,
    High,
}

impl Suffix {
    pub const ALL: [Suffix; 6] =
        [Suffix::Thinking, Suffix::NoThinking, Suffix::Minimal, Suffix::Low, Suffix::Medium, Suffix::High];

    pub const fn text(self) -> &'static str {
        match self {
            Suffix::Thinking => "-thinking",
            Suffix::NoThinking => "-nothinking",
            Suffix::Minimal => "-minimal",
            Suffix::Low => "-low",
            Suffix::Medium => "-medium",
            Suffix::High => "-high",
        }
    }

    /// A name that has one, taken apart. None of them is another's end.
    pub fn split(name: &str) -> Option<(&str, Suffix)> {
        let apart = |suffix: Suffix| Some((name.strip_suffix(suffix.text())?, suffix));
        Suffix::ALL.into_iter().find_map(apart).filter(|(stem, _)| !stem.is_empty())
    }

    pub fn wish(self) -> Thinking {
        let (mode, effort) = match self {
            Suffix::Thinking => (Some(ThinkingMode::Adaptive), None),
            Suffix::NoThinking => (Some(ThinkingMode::Off), None),
            Suffix::Minimal => (None, Some(Effort::Minimal)),
            Suffix::Low => (None, Some(Effort::Low)),
            Suffix::Medium => (None, Some(Effort::Medium)),
            Suffix::High => (None, Some(Effort::High)),
        };
        Thinking { mode, effort, shown: None }
    }
}
