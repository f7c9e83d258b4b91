//! Durations and sizes as people write them.
//!
//! In: `10s`, `32MiB`. Out: a value, or nothing where the text is not of that form. Ranges are the caller's matter.

use std::time::Duration;

/// What a duration looks like, for messages.
pub(super) const DURATION: &str = "a duration such as \"500ms\", \"10s\", \"5m\" or \"1h\"";
/// What a size looks like, for messages.
pub(super) const SIZE: &str = "a size such as \"32MiB\", \"512KB\" or a number of bytes";

/// A whole number with its unit: `ms`, `s`, `m`, `h` or `d`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(millis).map(Duration::from_millis)
}

/// A whole number with its unit: `B`, thousands (`KB`, `MB`, `GB`) or powers of 1024 (`KiB`, `MiB`, `GiB`).
pub(super) fn size(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let bytes = match unit.to_ascii_lowercase().as_str() {
        "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(bytes)
}

/// The shortest way to write `duration`, for messages.
pub(super) fn show(duration: Duration) -> String {
    let millis = duration.as_millis();
    match millis {
        0 => "0s".to_owned(),
        _ if millis > 86_400_000 && millis.is_multiple_of(86_400_000) => format!("{}d", millis / 86_400_000),
        _ if millis.is_multiple_of(3_600_000) => format!("{}h", millis / 3_600_000),
        _ if millis.is_multiple_of(60_000) => format!("{}m", millis / 60_000),
        _ if millis.is_multiple_of(1_000) => format!("{}s", millis / 1_000),
        _ => format!("{millis}ms"),
    }
}

fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (digits, unit) = text.split_at(end);
    Some((digits.parse().ok()?, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(duration("10s"), Some(Duration::from_secs(10)));
        assert_eq!(duration("5 m"), Some(Duration::from_secs(300)));
        assert_eq!(duration("1h"), Some(Duration::from_secs(3600)));
        assert_eq!(duration("2d"), Some(Duration::from_secs(2 * 86_400)));
        for wrong in
            ["", "10", "s", "-1s", "1.5s", "1w", "10S", "99999999999999999999s", "18446744073709551615h"]
        {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sizes_count_in_thousands_or_in_powers_of_two() {
        assert_eq!(size("32MiB"), Some(33_554_432));
        assert_eq!(size("32 MB"), Some(32_000_000));
        assert_eq!(size("512kb"), Some(512_000));
        for wrong in ["", "32", "MB", "32M", "-1KB", "18446744073709551615GiB"] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_shown_duration_reads_back() {
        for millis in [1, 999, 1_000, 90_000, 60_000, 7_200_000] {
            let value = Duration::from_millis(millis);
            assert_eq!(duration(&show(value)), Some(value));
        }
    }
}
