//! What the operator wrote: a configuration drawn from the seed, as text and as facts for the model.

use std::fmt::Write;

use dialect::Dialect;

use crate::dice::Dice;

/// The models that callers name; each channel serves one or both.
pub(crate) const MODELS: [&str; 2] = ["sim-one", "sim-two"];
/// What a channel that renames calls [`MODELS`]`[0]`.
pub(crate) const RENAMED: &str = "upstream-one";

/// The waits of one channel, in milliseconds.
#[derive(Clone, Debug)]
pub(crate) struct Clocks {
    pub(crate) connect: u64,
    pub(crate) first_byte: u64,
    pub(crate) first_event: u64,
    pub(crate) idle: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Channel {
    pub(crate) name: String,
    pub(crate) provider: &'static str,
    /// For `custom` only.
    pub(crate) dialect: Option<Dialect>,
    pub(crate) host: String,
    pub(crate) secrets: Vec<String>,
    pub(crate) models: Vec<&'static str>,
    pub(crate) renames: bool,
    pub(crate) priority: i32,
    pub(crate) weight: u64,
    pub(crate) max_in_flight: Option<u64>,
    pub(crate) clocks: Clocks,
    /// Callers of other dialects are served, too.
    pub(crate) translates: bool,
}

impl Channel {
    pub(crate) fn speaks(&self, dialect: Dialect) -> bool {
        use Dialect::{AnthropicMessages, GeminiGenerate, OpenaiChat, OpenaiResponses};
        match self.provider {
            "custom" => self.dialect == Some(dialect),
            "openai" => matches!(dialect, OpenaiChat | OpenaiResponses),
            "xai" => matches!(dialect, OpenaiChat | OpenaiResponses | AnthropicMessages),
            "anthropic" => dialect == AnthropicMessages,
            "gemini" => matches!(dialect, GeminiGenerate | OpenaiChat),
            _ => dialect == OpenaiChat,
        }
    }

    /// In which dialect a caller of `dialect` is served here, if he is. What builds on a stored object is not translated.
    pub(crate) fn lane(&self, dialect: Dialect, builds: bool) -> Option<Dialect> {
        if self.speaks(dialect) {
            return Some(dialect);
        }
        let first = match self.provider {
            "custom" => self.dialect?,
            "anthropic" => Dialect::AnthropicMessages,
            "gemini" => Dialect::GeminiGenerate,
            "openai" => Dialect::OpenaiResponses,
            _ => Dialect::OpenaiChat,
        };
        (self.translates && !builds).then_some(first)
    }

    pub(crate) fn serves(&self, model: &str) -> bool {
        self.models.contains(&model)
    }

    /// The provider counts reasoning beside `completion_tokens`.
    pub(crate) fn reasons_apart(&self) -> bool {
        matches!(self.provider, "xai" | "gemini")
    }

    /// The provider sends usage unasked and may refuse to be asked.
    pub(crate) fn tells_usage_unasked(&self) -> bool {
        self.provider == "mistral"
    }
}

/// What a key, or all keys together, may do.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Caps {
    pub(crate) max_in_flight: Option<u64>,
    pub(crate) requests: Option<u64>,
    pub(crate) tokens: Option<u64>,
}

impl Caps {
    /// `chance`: of each limit, in a hundred.
    fn draw(dice: &mut Dice, chance: u64) -> Caps {
        Caps {
            max_in_flight: dice.chance(chance).then(|| dice.between(1, 8)),
            requests: dice.chance(chance).then(|| dice.pick(&[1, 6, 30, 120, 3_000])),
            tokens: dice.chance(chance).then(|| dice.pick(&[1_000, 9_000, 50_000, 1_000_000])),
        }
    }

    pub(crate) fn any(self) -> bool {
        self.max_in_flight.or(self.requests).or(self.tokens).is_some()
    }

    fn toml(self) -> String {
        let line = |name: &str, limit: Option<u64>| match limit {
            Some(limit) => format!("{name} = {limit}\n"),
            None => String::new(),
        };
        line("max_in_flight", self.max_in_flight)
            + &line("requests_per_minute", self.requests)
            + &line("tokens_per_minute", self.tokens)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) secret: String,
    /// `None`: all.
    pub(crate) only_model: Option<&'static str>,
    pub(crate) caps: Caps,
    /// It has a limit, which is far.
    pub(crate) pays: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) channels: Vec<Channel>,
    pub(crate) keys: Vec<Key>,
    /// Of all keys together.
    pub(crate) caps: Caps,
    /// How long a request waits for its limits, and how many wait at one.
    pub(crate) patience: Option<(u64, u64)>,
    pub(crate) total: Option<u64>,
    pub(crate) attempts_max: usize,
    pub(crate) deadline: u64,
    pub(crate) body_bytes: u64,
    pub(crate) in_flight: u64,
    pub(crate) queue: u64,
}

impl Setup {
    pub(crate) fn draw(dice: &mut Dice) -> Setup {
        // Worlds in a hurry have clocks of seconds, the others the defaults' order of magnitude.
        let hurry = dice.chance(60);
        let tight = dice.chance(40);
        let channels = (0..dice.between(1, 4)).map(|number| channel(dice, number, hurry)).collect();
        let keys = (0..dice.between(1, 3))
            .map(|number| Key {
                name: format!("key-{number}"),
                secret: format!("sk-caller-{number}-{:08x}", dice.next() as u32),
                only_model: dice.chance(15).then(|| dice.pick(&MODELS)),
                caps: Caps::draw(dice, 15),
                pays: number % 2 == 0,
            })
            .collect();
        Setup {
            channels,
            keys,
            caps: Caps::draw(dice, 10),
            patience: dice.chance(50).then(|| (dice.time(60_000) + 1, dice.between(1, 12))),
            total: dice.chance(15).then(|| dice.between(2_000, 120_000)),
            attempts_max: dice.between(1, 5) as usize,
            deadline: if hurry { dice.between(1_000, 60_000) } else { dice.between(30_000, 300_000) },
            body_bytes: dice.pick(&[4_096, 65_536, 1 << 20]),
            in_flight: if tight { dice.between(1, 12) } else { 1_000 },
            queue: if tight { dice.between(0, 12) } else { 1_000 },
        }
    }

    /// As the operator would write it.
    pub(crate) fn toml(&self) -> String {
        let mut text = String::new();
        let total = self.total.map_or("\"none\"".to_owned(), |total| format!("\"{total}ms\""));
        let _ = writeln!(
            text,
            "[timeouts]\ntotal = {total}\n[attempts]\nmax = {}\ndeadline = \"{}ms\"\n[bounds]\nbody_bytes = {}\nin_flight = {}\nqueue = {}",
            self.attempts_max, self.deadline, self.body_bytes, self.in_flight, self.queue
        );
        text.push_str(crate::money::PRICE);
        for key in &self.keys {
            let _ = writeln!(text, "[[key]]\nname = {:?}\nsecret = {:?}", key.name, key.secret);
            if let Some(model) = key.only_model {
                let _ = writeln!(text, "models = [{model:?}]");
            }
            if key.pays {
                let _ = writeln!(text, "spend_limit = 1000000");
            }
            text.push_str(&key.caps.toml());
        }
        let _ = writeln!(text, "[limits]\n{}", self.caps.toml());
        if let Some((wait, queue)) = self.patience {
            let _ = writeln!(text, "wait = \"{wait}ms\"\nqueue = {queue}");
        }
        for channel in &self.channels {
            let Clocks { connect, first_byte, first_event, idle } = channel.clocks;
            let _ = writeln!(
                text,
                "[[channel]]\nname = {:?}\nprovider = {:?}\nbase_url = \"https://{}\"\nsecrets = {:?}\nmodels = {:?}\npriority = {}\nweight = {}\ntranslate = {}\n\
                timeouts = {{ connect = \"{connect}ms\", first_byte = \"{first_byte}ms\", first_event = \"{first_event}ms\", idle = \"{idle}ms\" }}",
                channel.name,
                channel.provider,
                channel.host,
                channel.secrets,
                channel.models,
                channel.priority,
                channel.weight,
                channel.translates
            );
            if let Some(dialect) = channel.dialect {
                let _ = writeln!(text, "dialect = {:?}", dialect.name());
            }
            if channel.renames {
                let _ = writeln!(text, "rename = {{ {:?} = {RENAMED:?} }}", MODELS[0]);
            }
            if let Some(most) = channel.max_in_flight {
                let _ = writeln!(text, "max_in_flight = {most}");
            }
        }
        text
    }
}

fn channel(dice: &mut Dice, number: u64, hurry: bool) -> Channel {
    let provider = dice.weigh(&[
        (8, "custom"),
        (3, "openai"),
        (3, "xai"),
        (1, "mistral"),
        (1, "anthropic"),
        (1, "gemini"),
    ]);
    let clocks = if hurry {
        Clocks {
            connect: dice.between(100, 3_000),
            first_byte: dice.between(200, 30_000),
            first_event: dice.between(200, 30_000),
            idle: dice.between(200, 30_000),
        }
    } else {
        Clocks { connect: 10_000, first_byte: 900_000, first_event: 300_000, idle: 300_000 }
    };
    Channel {
        name: format!("channel-{number}"),
        provider,
        dialect: (provider == "custom").then(|| dice.pick(&Dialect::ALL)),
        host: format!("up-{number}.hidden-{:04x}.example", dice.next() as u16),
        secrets: (0..dice.between(1, 3))
            .map(|nth| format!("topsecret-{number}-{nth}-{:08x}", dice.next() as u32))
            .collect(),
        models: if dice.chance(80) { MODELS.to_vec() } else { vec![dice.pick(&MODELS)] },
        renames: dice.chance(30),
        priority: dice.between(0, 2) as i32,
        weight: dice.between(1, 5),
        max_in_flight: dice.chance(25).then(|| dice.between(1, 6)),
        clocks,
        translates: dice.chance(60),
    }
}
