//! Amounts, prices and factors: integers, each with its unit in its name.
//!
//! In: decimal text from files and people. Out: integers, and decimal text again. There are no floats here: what cannot be
//! said exactly is refused, never rounded in silence.

use std::fmt;

/// Nanodollars in a dollar.
pub const NANOS_PER_USD: i64 = 1_000_000_000;
/// Decimals of a dollar that an amount can have.
const DECIMALS: usize = 9;
/// Dollars that one amount may be at most: far from the ends of `i64`, so that sums of many stay inside.
const MOST_USD: i64 = 1_000_000_000;

/// An amount of money in nanodollars. Sums saturate: a balance that cannot be written down must not become its opposite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(pub i64);

/// Why a text is no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotMoney {
    NotDecimal,
    TooFine,
    TooLarge,
}

impl fmt::Display for NotMoney {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotMoney::NotDecimal => "not a decimal number such as 12.5",
            NotMoney::TooFine => "more than nine decimals",
            NotMoney::TooLarge => "beyond a thousand million dollars",
        })
    }
}

impl std::error::Error for NotMoney {}

impl Nanos {
    pub const ZERO: Nanos = Nanos(0);

    /// Reads dollars such as `12`, `0.0025` or `-3.50`.
    pub fn from_usd(text: &str) -> Result<Nanos, NotMoney> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) || digits.ends_with('.') {
            return Err(NotMoney::NotDecimal);
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > DECIMALS {
            return Err(NotMoney::TooFine);
        }
        let usd: i64 = whole.parse().map_err(|_| NotMoney::TooLarge)?;
        if usd > MOST_USD {
            return Err(NotMoney::TooLarge);
        }
        let rest: i64 = format!("{fraction:0<DECIMALS$}").parse().map_err(|_| NotMoney::NotDecimal)?;
        let nanos = usd * NANOS_PER_USD + rest;
        Ok(Nanos(if negative { -nanos } else { nanos }))
    }

    #[must_use]
    pub fn plus(self, other: Nanos) -> Nanos {
        Nanos(self.0.saturating_add(other.0))
    }

    #[must_use]
    pub fn minus(self, other: Nanos) -> Nanos {
        Nanos(self.0.saturating_sub(other.0))
    }
}

/// The longest amount as text: a sign, ten digits, a point and nine decimals.
const LONGEST_TEXT: usize = 21;

/// Dollars as a decimal, as short as it is exact: `0.0025`, `12`, `-3.5`. Digit by digit, from the last: three amounts
/// are written for every request.
impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.unsigned_abs();
        let (mut whole, mut rest) = (nanos / NANOS_PER_USD as u64, nanos % NANOS_PER_USD as u64);
        let mut decimals = if rest == 0 { 0 } else { DECIMALS };
        while decimals > 0 && rest.is_multiple_of(10) {
            (rest, decimals) = (rest / 10, decimals - 1);
        }
        let mut text = [0; LONGEST_TEXT];
        let mut start = LONGEST_TEXT;
        let mut put = |byte: u8| {
            start -= 1;
            text[start] = byte;
        };
        for _ in 0..decimals {
            put(b'0' + (rest % 10) as u8);
            rest /= 10;
        }
        if decimals > 0 {
            put(b'.');
        }
        loop {
            put(b'0' + (whole % 10) as u8);
            whole /= 10;
            if whole == 0 {
                break;
            }
        }
        if self.0 < 0 {
            put(b'-');
        }
        f.write_str(str::from_utf8(&text[start..]).unwrap_or_default())
    }
}

/// A factor in millionths: a group's, or a channel's discount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Factor(pub u32);

impl Factor {
    pub const ONE: Factor = Factor(1_000_000);
}

impl Default for Factor {
    fn default() -> Factor {
        Factor::ONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_read_exactly_or_not_at_all() {
        for (text, nanos) in [
            ("0", 0),
            ("12", 12_000_000_000),
            ("0.0025", 2_500_000),
            ("-3.50", -3_500_000_000),
            ("0.000000001", 1),
            ("1.0000000000000", 1_000_000_000),
            ("1000000000", 1_000_000_000_000_000_000),
        ] {
            assert_eq!(Nanos::from_usd(text), Ok(Nanos(nanos)), "{text}");
        }
        for text in ["", ".", ".5", "5.", "1e3", "+1", "1,5", " 1", "--1", "0x1", "1.2.3", "NaN", "１"] {
            assert_eq!(Nanos::from_usd(text), Err(NotMoney::NotDecimal), "{text}");
        }
        assert_eq!(Nanos::from_usd("0.0000000001"), Err(NotMoney::TooFine));
        assert_eq!(Nanos::from_usd("1000000001"), Err(NotMoney::TooLarge));
        assert_eq!(Nanos::from_usd("99999999999999999999"), Err(NotMoney::TooLarge));
    }

    #[test]
    fn what_is_written_is_read_again() {
        for nanos in [0, 1, -1, 10, 999_999_999, 1_000_000_000, -2_500_000, 123_456_789_012_345_678] {
            let text = Nanos(nanos).to_string();
            assert_eq!(Nanos::from_usd(&text), Ok(Nanos(nanos)), "{text}");
        }
        assert_eq!(Nanos(2_500_000).to_string(), "0.0025");
        assert_eq!(Nanos(-3_500_000_000).to_string(), "-3.5");
        assert_eq!(Nanos(i64::MIN).to_string(), "-9223372036.854775808");
    }
}
