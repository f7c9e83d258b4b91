//! Prices in the words of one-api, for those who come from there.
//!
//! In: a price. Out: its model ratio and its completion ratio, as decimals. One-api counts 500,000 units as a dollar and charges
//! a unit for each token at ratio 1: two dollars per million. Output costs the completion ratio times the input. A ratio must
//! never be rounded: what no decimal says exactly is not said.

use crate::{
    money::NANOS_PER_USD,
    price::{Price, Rate},
};

/// What one-api calls a dollar.
pub const UNITS_PER_USD: u64 = 500_000;
/// The price of a model of ratio 1: a unit for each of a million tokens.
const RATIO_ONE: Rate = 1_000_000 / UNITS_PER_USD * NANOS_PER_USD.unsigned_abs();
/// Decimals that a fraction of two `u64` can have at most, if it has an end: one for each factor two of the lower.
const DECIMALS: usize = 64;

/// A price as one-api writes it. Long prompts, caches, audio, images and prices per call are not in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ratio {
    /// Input: how many times two dollars per million tokens.
    pub model: Option<String>,
    /// Output: how many times the input. `None` where the input costs nothing, or the decimal has no end.
    pub completion: Option<String>,
}

impl Price {
    pub fn ratio(&self) -> Ratio {
        Ratio {
            model: quotient(self.base.input, RATIO_ONE),
            completion: quotient(self.base.output, self.base.input),
        }
    }
}

/// `above / below` as a decimal that is exact, by long division.
fn quotient(above: u64, below: u64) -> Option<String> {
    let (above, below) = (u128::from(above), u128::from(below));
    let mut text = above.checked_div(below)?.to_string();
    let mut rest = above % below;
    for place in 0..DECIMALS {
        if rest == 0 {
            break;
        }
        if place == 0 {
            text.push('.');
        }
        rest *= 10;
        text.push_str(&(rest / below).to_string());
        rest %= below;
    }
    (rest == 0).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Nanos, price::Rates};

    fn ratio(input: &str, output: &str) -> (Option<String>, Option<String>) {
        let rate = |usd| Nanos::from_usd(usd).unwrap().0.unsigned_abs();
        let base = Rates { input: rate(input), output: rate(output), ..Rates::default() };
        let ratio = Price { base, ..Price::default() }.ratio();
        (ratio.model, ratio.completion)
    }

    #[test]
    fn a_ratio_is_exact_or_not_said() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(ratio("2", "2"), (some("1"), some("1")));
        assert_eq!(ratio("2.5", "10"), (some("1.25"), some("4")));
        assert_eq!(ratio("0.15", "0.6"), (some("0.075"), some("4")));
        assert_eq!(ratio("0.2", "1.25"), (some("0.1"), some("6.25")));
        assert_eq!(ratio("1.1", "4.4"), (some("0.55"), some("4")));
        assert_eq!(ratio("0.13", "0"), (some("0.065"), some("0")));
        assert_eq!(ratio("0.000000001", "10000"), (some("0.0000000005"), some("10000000000000")));
        // 25/3: no end.
        assert_eq!(ratio("0.3", "2.5"), (some("0.15"), None));
        assert_eq!(ratio("0", "1"), (some("0"), None));
        assert_eq!(ratio("0", "0"), (some("0"), None));
    }

    #[test]
    fn the_longest_decimal_that_ends_is_said() {
        let text = quotient(1, 1 << 63).unwrap();
        assert_eq!(text.len(), "0.".len() + 63);
        assert_eq!(quotient(u64::MAX, u64::MAX - 1), None);
    }

    #[test]
    fn a_ratio_charges_in_units_what_the_price_charges_in_dollars() {
        // One-api: 1000 tokens × 1.25 = 1250 units of 1/500,000 dollar = 0.0025 dollars = 1000 × 2.5 / 1,000,000.
        assert_eq!(RATIO_ONE, Nanos::from_usd("2").unwrap().0.unsigned_abs());
        assert_eq!(UNITS_PER_USD * RATIO_ONE, 1_000_000 * NANOS_PER_USD.unsigned_abs());
    }
}
