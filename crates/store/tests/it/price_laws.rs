//! What holds of every price, whatever it is.

use proptest::prelude::*;
use store::{
    Factor, Nanos,
    price::{Factors, Images, Long, MOST_CHARGE, Price, Quantities, Rates},
};

fn rate() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 1..100_000_000_000_u64, Just(10_000_000_000_000)]
}

fn rates() -> impl Strategy<Value = Rates> {
    let part = || prop::option::of(rate());
    let parts = (part(), part(), part(), part(), part(), part(), part(), part());
    (rate(), rate(), parts).prop_map(|(input, output, parts)| Rates {
        input,
        output,
        cache_read: parts.0,
        cache_write: parts.1,
        cache_write_1h: parts.2,
        reasoning: parts.3,
        audio_input: parts.4,
        audio_output: parts.5,
        image_input: parts.6,
        image_output: parts.7,
    })
}

fn price() -> impl Strategy<Value = Price> {
    (rates(), rate(), rate()).prop_map(|(base, per_call, per_second)| Price {
        base,
        per_call,
        per_second,
        ..Price::default()
    })
}

fn used() -> impl Strategy<Value = Quantities> {
    let count = || prop_oneof![Just(0), 0..2_000_000_u64];
    let tokens = prop::collection::vec(count(), 10);
    (tokens, 0..4_u64, 0..100_000_u64, 0..10_u64, rate()).prop_map(|(tokens, calls, millis, count, each)| {
        Quantities {
            input: tokens[0],
            cache_read: tokens[1],
            cache_write: tokens[2],
            cache_write_1h: tokens[3],
            audio_input: tokens[4],
            image_input: tokens[5],
            output: tokens[6],
            reasoning: tokens[7],
            audio_output: tokens[8],
            image_output: tokens[9],
            calls,
            millis,
            images: Images { count, each },
        }
    })
}

fn factors() -> impl Strategy<Value = Factors> {
    let factor = || prop_oneof![Just(Factor::ONE), Just(Factor(0)), (1..5_000_000_u32).prop_map(Factor)];
    (factor(), factor()).prop_map(|(group, channel)| Factors { group, channel })
}

/// The buckets of two uses put together; their pictures are of one kind.
fn sum(one: &Quantities, other: &Quantities) -> Quantities {
    Quantities {
        input: one.input + other.input,
        cache_read: one.cache_read + other.cache_read,
        cache_write: one.cache_write + other.cache_write,
        cache_write_1h: one.cache_write_1h + other.cache_write_1h,
        audio_input: one.audio_input + other.audio_input,
        image_input: one.image_input + other.image_input,
        output: one.output + other.output,
        reasoning: one.reasoning + other.reasoning,
        audio_output: one.audio_output + other.audio_output,
        image_output: one.image_output + other.image_output,
        calls: one.calls + other.calls,
        millis: one.millis + other.millis,
        images: Images { count: one.images.count + other.images.count, each: one.images.each },
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_charge_is_never_negative_and_nothing_costs_nothing(price in price(), used in used(), factors in factors()) {
        prop_assert!(price.charge(&used, factors) >= Nanos::ZERO);
        prop_assert_eq!(price.charge(&Quantities::default(), factors), Nanos::ZERO);
    }

    #[test]
    fn buckets_are_disjoint(price in price(), one in used(), other in used(), factors in factors()) {
        let other = Quantities { images: Images { each: one.images.each, ..other.images }, ..other };
        let charge = |used: &Quantities| price.charge(used, factors).0;
        let (whole, parts) = (charge(&sum(&one, &other)), charge(&one) + charge(&other));
        // Each part was rounded up by less than a nanodollar; and no charge goes beyond the most that there can be.
        let adds_up = parts <= whole + 1 || whole == MOST_CHARGE.0;
        prop_assert!(whole <= parts && adds_up, "{} is not {}", whole, parts);
    }

    #[test]
    fn factors_are_exact(price in price(), used in used(), factor in 0..5_000_000_u32) {
        let by = |group, channel| price.charge(&used, Factors { group: Factor(group), channel: Factor(channel) });
        prop_assert_eq!(by(factor, 1_000_000), by(1_000_000, factor));
        prop_assert_eq!(by(2_000_000, 500_000), by(1_000_000, 1_000_000));
        prop_assert!(by(factor, 900_000) <= by(factor, 1_000_000));
    }

    #[test]
    fn a_hold_covers_whatever_the_tokens_are(
        price in price(), above in prop::option::of(0..1_000_000_u64), long in rates(), used in used(), factors in factors()
    ) {
        let price = Price { long: above.map(|above| Long { above, rates: long }), ..price };
        let used = Quantities { millis: 0, images: Images::default(), ..used };
        let output = used.output + used.reasoning + used.audio_output + used.image_output;
        prop_assert!(price.charge(&used, factors) <= price.at_most(used.prompt(), output, used.calls, factors));
    }

    #[test]
    fn what_is_within_a_budget_is_paid_for_and_one_more_is_not(
        price in price(), budget in 0..100_000_000_000_i64, input in 0..100_000_u64, calls in 1..4_u64, factors in factors()
    ) {
        let cost = |output: u64| price.at_most(input, output * calls, 1, factors);
        match price.output_within(Nanos(budget), input, calls, factors) {
            None => prop_assert!(cost(0) > Nanos(budget)),
            Some(output) => {
                prop_assert!(cost(output) <= Nanos(budget));
                prop_assert!(output == 1 << 24 || cost(output + 1) > Nanos(budget));
            }
        }
    }
}
