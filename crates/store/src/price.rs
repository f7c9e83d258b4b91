//! What a use costs.
//!
//! In: quantities in disjoint buckets, a model's price, factors. Out: a charge. Everything is summed exactly and rounded up
//! once; no charge is negative, and a bucket without a price of its own has that of the bucket it is a part of, as
//! providers bill it.

mod named;

use crate::money::{Factor, NANOS_PER_USD, Nanos};

/// What was used, in buckets that do not overlap. Tokens, where nothing else is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quantities {
    /// Text input that was neither read from nor written to a cache.
    pub input: u64,
    pub cache_read: u64,
    /// Written to a cache for five minutes.
    pub cache_write: u64,
    /// Written to a cache for an hour.
    pub cache_write_1h: u64,
    pub audio_input: u64,
    pub image_input: u64,
    /// Visible text output.
    pub output: u64,
    pub reasoning: u64,
    pub audio_output: u64,
    pub image_output: u64,
    /// Answers that a price per call is charged for.
    pub calls: u64,
    /// Of sound or film, in thousandths of a second.
    pub millis: u64,
    pub images: Images,
}

/// Pictures that were made, all of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Images {
    pub count: u64,
    /// Nanodollars for each: [`Price::image`] finds it by size and quality.
    pub each: u64,
}

impl Quantities {
    /// Tokens of the prompt: what decides whether a long-context price holds.
    pub fn prompt(&self) -> u64 {
        [
            self.input,
            self.cache_read,
            self.cache_write,
            self.cache_write_1h,
            self.audio_input,
            self.image_input,
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }
}

/// Nanodollars per million units.
pub type Rate = u64;

/// One model's prices per million units. `None`: said nothing about; see the fall-backs in [`Price::rates`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Price {
    pub base: Rates,
    /// Holds for the whole request when its prompt is longer.
    pub long: Option<Long>,
    /// Nanodollars for each answer, whatever its tokens.
    pub per_call: u64,
    /// Nanodollars for each second of sound or film.
    pub per_second: u64,
    /// What a picture costs, by kind.
    pub images: Vec<ImagePrice>,
}

/// What a picture of a kind costs; what is `None` says nothing about the kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImagePrice {
    /// As callers name it: `1024x1024`.
    pub size: Option<String>,
    /// As callers name it: `high`.
    pub quality: Option<String>,
    /// Nanodollars for each.
    pub each: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Long {
    /// Tokens of the prompt above which these rates hold.
    pub above: u64,
    pub rates: Rates,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    pub input: Rate,
    pub output: Rate,
    pub cache_read: Option<Rate>,
    pub cache_write: Option<Rate>,
    pub cache_write_1h: Option<Rate>,
    pub reasoning: Option<Rate>,
    pub audio_input: Option<Rate>,
    pub audio_output: Option<Rate>,
    pub image_input: Option<Rate>,
    pub image_output: Option<Rate>,
}

/// Units that a rate is for, times the units of two factors.
const SCALE: i128 = UNITS * MILLIONTHS * MILLIONTHS;
const UNITS: i128 = 1_000_000;
const MILLIONTHS: i128 = 1_000_000;
const MILLIS: i128 = 1_000;
/// No request is charged more, whatever its provider says of it: ten million dollars. Sums of many must stay numbers that the
/// database can hold, or nothing could be settled any more.
pub const MOST_CHARGE: Nanos = Nanos(10_000_000 * NANOS_PER_USD);

/// What a price is multiplied by: of whom it is charged, and who answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Factors {
    pub group: Factor,
    pub channel: Factor,
}

impl Factors {
    pub const ONE: Factors = Factors { group: Factor::ONE, channel: Factor::ONE };
}

impl Price {
    /// The charge for a use: exact, then rounded up to a nanodollar once.
    pub fn charge(&self, used: &Quantities, factors: Factors) -> Nanos {
        let cost = |(units, rate): (u64, Rate)| i128::from(units).saturating_mul(i128::from(rate));
        let tokens = self.rates(used.prompt()).lines(used).map(cost);
        let whole = |line| cost(line).saturating_mul(UNITS);
        let others = [
            whole((used.calls, self.per_call)),
            whole((used.images.count, used.images.each)),
            cost((used.millis, self.per_second)).saturating_mul(UNITS / MILLIS),
        ];
        let exact = tokens.into_iter().chain(others).fold(0, i128::saturating_add);
        let scaled =
            exact.saturating_mul(i128::from(factors.group.0)).saturating_mul(i128::from(factors.channel.0));
        let rounded = scaled / SCALE + i128::from(scaled % SCALE != 0);
        Nanos(i64::try_from(rounded).unwrap_or(i64::MAX)).min(MOST_CHARGE)
    }

    /// Nanodollars for a picture: of the prices that fit, the one that says most about it, the size before the quality.
    pub fn image(&self, size: &str, quality: &str) -> Option<u64> {
        let says = |said: &Option<String>, asked: &str| match said.as_deref() {
            None => Some(0),
            Some(said) if said == asked => Some(1),
            Some(_) => None,
        };
        let fits = |price: &ImagePrice| {
            Some((2 * says(&price.size, size)? + says(&price.quality, quality)?, price.each))
        };
        self.images.iter().filter_map(fits).max_by_key(|(said, _)| *said).map(|(_, each)| each)
    }

    /// The most that so many tokens of input and output, and so many answers, can cost: every one of them at the dearest
    /// rate of its side.
    pub fn at_most(&self, input: u64, output: u64, calls: u64, factors: Factors) -> Nanos {
        let rates = self.rates(input);
        let [inputs @ .., reasoning, audio_output, image_output] =
            rates.lines(&Quantities::default()).map(|line| line.1);
        let [inputs @ .., text_output] = inputs;
        let dearest = Rates {
            input: inputs.into_iter().max().unwrap_or_default(),
            output: text_output.max(reasoning).max(audio_output).max(image_output),
            ..Rates::default()
        };
        let used = Quantities { input, output, calls, ..Quantities::default() };
        Price { base: dearest, per_call: self.per_call, ..Price::default() }.charge(&used, factors)
    }

    /// The most tokens of output for each of `calls` answers that so much pays for, beside so many of input.
    pub fn output_within(&self, budget: Nanos, input: u64, calls: u64, factors: Factors) -> Option<u64> {
        /// No model writes more.
        const MOST: u64 = 1 << 24;
        let cost = |each: u64| self.at_most(input, each.saturating_mul(calls), 1, factors);
        if cost(0) > budget {
            return None;
        }
        // The cost never falls with the output.
        let (mut affordable, mut too_much) = (0, MOST + 1);
        while too_much - affordable > 1 {
            let middle = affordable + (too_much - affordable) / 2;
            if cost(middle) <= budget { affordable = middle } else { too_much = middle }
        }
        Some(affordable)
    }

    fn rates(&self, prompt: u64) -> &Rates {
        match &self.long {
            Some(long) if prompt > long.above => &long.rates,
            _ => &self.base,
        }
    }
}

impl Rates {
    fn lines(&self, used: &Quantities) -> [(u64, Rate); 10] {
        let cache_write = self.cache_write.unwrap_or(self.input);
        [
            (used.input, self.input),
            (used.cache_read, self.cache_read.unwrap_or(self.input)),
            (used.cache_write, cache_write),
            (used.cache_write_1h, self.cache_write_1h.unwrap_or(cache_write)),
            (used.audio_input, self.audio_input.unwrap_or(self.input)),
            (used.image_input, self.image_input.unwrap_or(self.input)),
            (used.output, self.output),
            (used.reasoning, self.reasoning.unwrap_or(self.output)),
            (used.audio_output, self.audio_output.unwrap_or(self.output)),
            (used.image_output, self.image_output.unwrap_or(self.output)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(text: &str) -> Rate {
        Nanos::from_usd(text).unwrap().0 as u64
    }

    fn price() -> Price {
        Price {
            base: Rates {
                input: usd("2.5"),
                output: usd("10"),
                cache_read: Some(usd("1.25")),
                ..Rates::default()
            },
            ..Price::default()
        }
    }

    fn group(millionths: u32) -> Factors {
        Factors { group: Factor(millionths), ..Factors::ONE }
    }

    #[test]
    fn a_charge_is_the_sum_of_its_buckets_rounded_up_once() {
        let used = Quantities { input: 1_000, cache_read: 2_000, output: 500, ..Quantities::default() };
        // 1000 × 2.5 + 2000 × 1.25 + 500 × 10, per million.
        assert_eq!(price().charge(&used, Factors::ONE), Nanos(10_000_000));
        assert_eq!(price().charge(&used, group(1_500_000)), Nanos(15_000_000));
        let one = Quantities { input: 1, ..Quantities::default() };
        assert_eq!(price().charge(&one, Factors::ONE), Nanos(2_500));
        // 2500 × 0.000333 = 0.8325: a nanodollar.
        assert_eq!(price().charge(&one, group(333)), Nanos(1));
        assert_eq!(price().charge(&Quantities::default(), Factors::ONE), Nanos::ZERO);
    }

    #[test]
    fn parts_without_a_price_cost_what_the_whole_costs() {
        let used = Quantities {
            cache_write: 10,
            cache_write_1h: 10,
            audio_input: 10,
            image_input: 10,
            reasoning: 10,
            audio_output: 10,
            image_output: 10,
            ..Quantities::default()
        };
        assert_eq!(price().charge(&used, Factors::ONE), Nanos(40 * 2_500 + 30 * 10_000));
        let mut dearer = price();
        dearer.base.cache_write = Some(usd("5"));
        assert_eq!(dearer.charge(&used, Factors::ONE), Nanos(20 * 5_000 + 20 * 2_500 + 30 * 10_000));
    }

    #[test]
    fn a_long_prompt_costs_its_own_price_from_the_first_token() {
        let mut price = price();
        let rates = Rates { input: usd("5"), output: usd("15"), ..Rates::default() };
        price.long = Some(Long { above: 1_000, rates });
        let at = Quantities { input: 400, cache_read: 600, output: 10, ..Quantities::default() };
        assert_eq!(price.charge(&at, Factors::ONE), Nanos(400 * 2_500 + 600 * 1_250 + 10 * 10_000));
        let above = Quantities { input: 401, ..at };
        assert_eq!(price.charge(&above, Factors::ONE), Nanos(1_001 * 5_000 + 10 * 15_000));
    }

    #[test]
    fn a_hold_is_at_the_dearest_rate_of_each_side() {
        let mut price = price();
        assert_eq!(price.at_most(100, 10, 1, Factors::ONE), Nanos(100 * 2_500 + 10 * 10_000));
        price.base.cache_write_1h = Some(usd("5"));
        price.base.audio_output = Some(usd("40"));
        price.per_call = 7;
        assert_eq!(price.at_most(100, 10, 2, Factors::ONE), Nanos(100 * 5_000 + 10 * 40_000 + 14));
        let rates = Rates { input: usd("9"), output: usd("9"), ..Rates::default() };
        price.long = Some(Long { above: 100, rates });
        assert_eq!(price.at_most(101, 10, 0, Factors::ONE), Nanos(101 * 9_000 + 10 * 9_000));
    }

    #[test]
    fn factors_are_multiplied_before_the_one_rounding() {
        let one = Quantities { input: 1, ..Quantities::default() };
        let factors = Factors { group: Factor(333), channel: Factor(3_000_000_000) };
        // 2500 × 0.000333 × 3000 = 2497.5: rounded once, not 1 × 3000.
        assert_eq!(price().charge(&one, factors), Nanos(2_498));
        assert_eq!(price().at_most(1, 0, 0, factors), Nanos(2_498));
    }

    #[test]
    fn pictures_cost_by_size_and_quality_and_sound_by_the_second() {
        let kind = |size: &str, quality: &str, each| {
            let said = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            ImagePrice { size: said(size), quality: said(quality), each }
        };
        let images = vec![
            kind("", "", 1),
            kind("", "high", 2),
            kind("1024x1024", "", 3),
            kind("1024x1024", "high", 4),
        ];
        let price = Price { images, per_second: 100_000, ..price() };
        assert_eq!(price.image("512x512", "low"), Some(1));
        assert_eq!(price.image("512x512", "high"), Some(2));
        assert_eq!(price.image("1024x1024", "low"), Some(3));
        assert_eq!(price.image("1024x1024", "high"), Some(4));
        assert_eq!(Price::default().image("1024x1024", "high"), None);
        let images = Images { count: 3, each: 40_000_000 };
        let used = Quantities { millis: 1_500, images, ..Quantities::default() };
        assert_eq!(price.charge(&used, Factors::ONE), Nanos(120_000_000 + 150_000));
    }

    #[test]
    fn a_budget_pays_for_so_much_output() {
        let price = price();
        // 100 × 2500 of input, then 10,000 for each token.
        assert_eq!(price.output_within(Nanos(250_000 + 50_000), 100, 1, Factors::ONE), Some(5));
        assert_eq!(price.output_within(Nanos(250_000 + 59_999), 100, 2, Factors::ONE), Some(2));
        assert_eq!(price.output_within(Nanos(249_999), 100, 1, Factors::ONE), None);
        assert_eq!(price.output_within(Nanos(250_000), 100, 1, Factors::ONE), Some(0));
    }

    #[test]
    fn absurd_counts_saturate() {
        let used = Quantities {
            input: u64::MAX,
            output: u64::MAX,
            calls: u64::MAX,
            millis: u64::MAX,
            ..Quantities::default()
        };
        let price = Price {
            base: Rates { input: u64::MAX, output: u64::MAX, ..Rates::default() },
            per_call: u64::MAX,
            per_second: u64::MAX,
            ..Price::default()
        };
        assert_eq!(price.charge(&used, group(u32::MAX)), MOST_CHARGE);
    }
}
