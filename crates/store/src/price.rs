//! What a use costs.
//!
//! In: quantities in disjoint buckets, a model's price, a factor. Out: a charge. Everything is summed exactly and rounded up
//! once; no charge is negative, and a bucket without a price of its own has that of the bucket it is a part of, as
//! providers bill it.

use crate::money::{Factor, Nanos};

/// What was used, in buckets that do not overlap. Tokens, but for `calls`.
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Price {
    pub base: Rates,
    /// Holds for the whole request when its prompt is longer.
    pub long: Option<Long>,
    /// Nanodollars for each answer, whatever its tokens.
    pub per_call: u64,
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

/// Units that a rate is for, times the units of a factor.
const SCALE: i128 = 1_000_000 * 1_000_000;

impl Price {
    /// The charge for a use: exact, then rounded up to a nanodollar once.
    pub fn charge(&self, used: &Quantities, factor: Factor) -> Nanos {
        let rates = self.rates(used.prompt());
        let cost = |(units, rate): (u64, Rate)| i128::from(units).saturating_mul(i128::from(rate));
        let calls = cost((used.calls, self.per_call)).saturating_mul(1_000_000);
        let exact = rates.lines(used).map(cost).into_iter().fold(calls, i128::saturating_add);
        let scaled = exact.saturating_mul(i128::from(factor.0));
        let rounded = scaled / SCALE + i128::from(scaled % SCALE != 0);
        Nanos(i64::try_from(rounded).unwrap_or(i64::MAX))
    }

    /// The most that so many tokens of input and output, and so many answers, can cost: every one of them at the dearest
    /// rate of its side.
    pub fn at_most(&self, input: u64, output: u64, calls: u64) -> Nanos {
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
        Price { base: dearest, long: None, per_call: self.per_call }.charge(&used, Factor::ONE)
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
            long: None,
            per_call: 0,
        }
    }

    #[test]
    fn a_charge_is_the_sum_of_its_buckets_rounded_up_once() {
        let used = Quantities { input: 1_000, cache_read: 2_000, output: 500, ..Quantities::default() };
        // 1000 × 2.5 + 2000 × 1.25 + 500 × 10, per million.
        assert_eq!(price().charge(&used, Factor::ONE), Nanos(10_000_000));
        assert_eq!(price().charge(&used, Factor(1_500_000)), Nanos(15_000_000));
        let one = Quantities { input: 1, ..Quantities::default() };
        assert_eq!(price().charge(&one, Factor::ONE), Nanos(2_500));
        // 2500 × 0.000333 = 0.8325: a nanodollar.
        assert_eq!(price().charge(&one, Factor(333)), Nanos(1));
        assert_eq!(price().charge(&Quantities::default(), Factor::ONE), Nanos::ZERO);
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
        assert_eq!(price().charge(&used, Factor::ONE), Nanos(40 * 2_500 + 30 * 10_000));
        let mut dearer = price();
        dearer.base.cache_write = Some(usd("5"));
        assert_eq!(dearer.charge(&used, Factor::ONE), Nanos(20 * 5_000 + 20 * 2_500 + 30 * 10_000));
    }

    #[test]
    fn a_long_prompt_costs_its_own_price_from_the_first_token() {
        let mut price = price();
        let rates = Rates { input: usd("5"), output: usd("15"), ..Rates::default() };
        price.long = Some(Long { above: 1_000, rates });
        let at = Quantities { input: 400, cache_read: 600, output: 10, ..Quantities::default() };
        assert_eq!(price.charge(&at, Factor::ONE), Nanos(400 * 2_500 + 600 * 1_250 + 10 * 10_000));
        let above = Quantities { input: 401, ..at };
        assert_eq!(price.charge(&above, Factor::ONE), Nanos(1_001 * 5_000 + 10 * 15_000));
    }

    #[test]
    fn a_hold_is_at_the_dearest_rate_of_each_side() {
        let mut price = price();
        assert_eq!(price.at_most(100, 10, 1), Nanos(100 * 2_500 + 10 * 10_000));
        price.base.cache_write_1h = Some(usd("5"));
        price.base.audio_output = Some(usd("40"));
        price.per_call = 7;
        assert_eq!(price.at_most(100, 10, 2), Nanos(100 * 5_000 + 10 * 40_000 + 14));
        let rates = Rates { input: usd("9"), output: usd("9"), ..Rates::default() };
        price.long = Some(Long { above: 100, rates });
        assert_eq!(price.at_most(101, 10, 0), Nanos(101 * 9_000 + 10 * 9_000));
    }

    #[test]
    fn absurd_counts_saturate() {
        let used = Quantities { input: u64::MAX, output: u64::MAX, calls: u64::MAX, ..Quantities::default() };
        let price = Price {
            base: Rates { input: u64::MAX, output: u64::MAX, ..Rates::default() },
            long: None,
            per_call: u64::MAX,
        };
        assert_eq!(price.charge(&used, Factor(u32::MAX)), Nanos(i64::MAX));
    }
}
