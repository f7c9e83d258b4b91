//! To be written.

use super::Config;

/// How `env:NAME` is looked up.
pub trait Environment {
    fn get(&self, name: &str) -> Option<String>;
}

/// One thing wrong with the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// 1-based line in the file.
    pub line: usize,
    /// Dotted key, `channel[0].base_url`; empty for a syntax error.
    pub key: String,
    /// What was found and what was expected. Never the value of a secret.
    pub message: String,
}

/// Parses and checks the whole file.
pub fn parse(text: &str, environment: &dyn Environment) -> Result<Config, Vec<Problem>> {
    let _ = (text, environment);
    todo!()
}
