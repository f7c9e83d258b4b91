//! Tokens that nobody told.
//!
//! In: samples of what was asked and of what was delivered, and how much there was. Out: a usage, which is marked as an
//! estimate wherever it is shown. It must run where blocking is allowed: the vocabulary takes a third of a second to load, and some
//! fifty megabytes for as long as it is used.

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};

use dialect::{Delivered, Prompt, Usage};
use tiktoken_rs::CoreBPE;

/// The vocabulary goes when it was not used for this long: an idle gateway is small.
const KEPT: Duration = Duration::from_secs(10);
/// Time for the texts of one batch of settlements; the rest of them are reckoned by their bytes. Whoever waits for the batch, and
/// what runs meanwhile, must be written down in time.
const BATCH_TIME: Duration = Duration::from_millis(50);
/// Tokens that set a message apart from the next.
const PER_MESSAGE: u64 = 4;
/// Without a vocabulary: bytes of Latin text for a token. Of other scripts, a character is taken for one.
const BYTES_PER_TOKEN: u64 = 4;

/// What there is to estimate a usage from.
#[derive(Debug, Default)]
pub struct Unmeasured {
    pub prompt: Prompt,
    pub delivered: Delivered,
    /// What the provider had said by then: its input, and the least of its output.
    pub said: Option<Usage>,
    /// The operation writes: else it has a prompt only.
    pub writes: bool,
}

/// Counts tokens; loads its vocabulary at the first use.
#[derive(Default)]
pub struct Tokenizer {
    vocabulary: Option<Arc<CoreBPE>>,
    used: Option<Instant>,
    until: Option<Instant>,
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer").field("loaded", &self.vocabulary.is_some()).finish_non_exhaustive()
    }
}

impl Tokenizer {
    /// A batch begins, with time of its own.
    pub fn begin(&mut self) {
        if self.vocabulary.is_none() {
            self.vocabulary = vocabulary();
        }
        let now = Instant::now();
        (self.used, self.until) = (Some(now), Some(now + BATCH_TIME));
    }

    /// Whether the vocabulary is there and was not used for a while.
    pub fn is_idle(&self) -> bool {
        self.used.is_some_and(|used| used.elapsed() >= KEPT)
    }

    /// The usage, as well as it can be told.
    pub fn estimate(&self, unmeasured: &Unmeasured) -> Usage {
        let Unmeasured { prompt, delivered, said, writes } = unmeasured;
        let mut usage = said.unwrap_or_else(|| Usage { input: self.prompt(prompt), ..Usage::default() });
        if *writes {
            let [output, reasoning] = self.delivered(delivered);
            usage.reasoning = usage.reasoning.max(reasoning);
            usage.output = usage.output.max(output);
        }
        usage
    }

    fn prompt(&self, prompt: &Prompt) -> u64 {
        let text = self.scaled(prompt.sample(), [prompt.text])[0];
        text + prompt.messages * PER_MESSAGE + prompt.inline_tokens
    }

    fn delivered(&self, delivered: &Delivered) -> [u64; 2] {
        self.scaled(delivered.sample(), [delivered.output(), delivered.reasoning()])
    }

    /// Tokens of texts of so many bytes each that are like the sample.
    fn scaled<const N: usize>(&self, (sample, length): (String, u64), bytes: [u64; N]) -> [u64; N] {
        let tokens = self.count(&sample);
        bytes.map(|bytes| bytes.saturating_mul(tokens).div_ceil(length.max(1)))
    }

    fn count(&self, text: &str) -> u64 {
        let late = self.until.is_none_or(|until| Instant::now() >= until);
        match &self.vocabulary {
            Some(vocabulary) if !late => vocabulary.encode_ordinary(text).len() as u64,
            _ => reckon(text),
        }
    }
}

/// The one vocabulary of the process, for as long as somebody has it.
fn vocabulary() -> Option<Arc<CoreBPE>> {
    static LOADED: Mutex<Weak<CoreBPE>> = Mutex::new(Weak::new());
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(vocabulary) = loaded.upgrade() {
        return Some(vocabulary);
    }
    // The newest public one: other providers' differ from it by some tenths at most.
    let vocabulary = Arc::new(tiktoken_rs::o200k_base().ok()?);
    *loaded = Arc::downgrade(&vocabulary);
    Some(vocabulary)
}

fn reckon(text: &str) -> u64 {
    let (mut latin, mut others) = (0_u64, 0_u64);
    for character in text.chars() {
        if character.len_utf8() < 3 { latin += character.len_utf8() as u64 } else { others += 1 }
    }
    latin.div_ceil(BYTES_PER_TOKEN) + others
}

#[cfg(test)]
mod tests {
    use dialect::{Dialect, Door, Operation, read_delivered};

    use super::*;

    fn unmeasured(prompt: &str, answer: &str) -> Unmeasured {
        let body = serde_json::json!({"model": "m", "messages": [{"role": "user", "content": prompt}]});
        let reply = serde_json::json!({"choices": [{"message": {"content": answer}}]});
        let door = Door::new(Dialect::OpenaiChat, Operation::Chat);
        Unmeasured {
            prompt: Prompt::of(body.to_string().as_bytes()),
            delivered: read_delivered(door, reply.to_string().as_bytes()),
            said: None,
            writes: true,
        }
    }

    #[test]
    fn a_text_is_tokenized_and_a_long_one_is_taken_to_go_on_as_it_began() {
        let mut tokenizer = Tokenizer::default();
        tokenizer.begin();
        let one = "The quick brown fox jumps over the lazy dog.\n";
        assert_eq!(
            tokenizer.estimate(&unmeasured(one, one)),
            Usage { input: 14, output: 10, ..Usage::default() }
        );
        let many = tokenizer.estimate(&unmeasured(one, &one.repeat(10_000)));
        assert!((98_000..102_000).contains(&many.output), "{many:?}");
        let chinese = tokenizer.estimate(&unmeasured("你好，世界", "你好，世界"));
        assert!((2..=5).contains(&chinese.output), "{chinese:?}");
        assert!(!tokenizer.is_idle());
    }

    #[test]
    fn without_its_vocabulary_it_reckons() {
        let usage = Tokenizer::default().estimate(&unmeasured("12345678", "你好 and so on"));
        assert_eq!((usage.input, usage.output), (2 + 4, 2 + 3));
        assert_eq!(Tokenizer::default().estimate(&Unmeasured::default()), Usage::default());
    }

    #[test]
    fn what_the_provider_said_is_the_least() {
        let said = Usage { input: 7, cache_read: 3, output: 50, ..Usage::default() };
        let unmeasured = Unmeasured { said: Some(said), ..unmeasured("a b c d", "a b c d") };
        assert_eq!(Tokenizer::default().estimate(&unmeasured), said);
    }
}
