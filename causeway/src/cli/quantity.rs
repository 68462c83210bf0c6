//! Durations, sizes and counts as people write and read them.
//!
//! Owns the words of the command line for quantities; knows nothing of what is measured. A duration
//! without a unit is seconds, everywhere: AMQP counts milliseconds here and seconds there, and a
//! person should not have to remember where.

use std::time::Duration;

/// The longest duration that is accepted: a year.
const DURATION_MAX_SECONDS: f64 = 366.0 * 24.0 * 3600.0;

/// Reads `10`, `1.5s`, `500ms`, `20us`, `2m`, `1h`; a number alone is seconds.
///
/// # Errors
/// Says what was expected if `text` is none of these or longer than a year.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let split = text
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit_seconds = match unit {
        "" | "s" => 1.0,
        "ms" => 1e-3,
        "us" => 1e-6,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => {
            return Err(format!(
                "`{unit}` is no unit of time; use us, ms, s, m or h"
            ));
        }
    };
    match number.trim().parse::<f64>() {
        Ok(number) if number >= 0.0 && number * unit_seconds <= DURATION_MAX_SECONDS => {
            Ok(Duration::from_secs_f64(number * unit_seconds))
        }
        Ok(_) => Err("a duration is not negative and not longer than a year".into()),
        Err(_) => Err("expected a duration such as 10, 1.5s, 500ms or 2m".into()),
    }
}

/// Reads a number of bytes: `100`, `10k` (1 000), `16Ki` (1 024), `1M`, `1Mi`; a `B` may follow.
///
/// # Errors
/// Says what was expected if `text` is none of these or more than 4 GB.
pub fn parse_size(text: &str) -> Result<usize, String> {
    let bare = text.strip_suffix('B').unwrap_or(text);
    let split = bare
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(bare.len());
    let (number, unit) = bare.split_at(split);
    let factor: u64 = match unit {
        "" => 1,
        "k" | "K" => 1_000,
        "Ki" => 1 << 10,
        "M" => 1_000_000,
        "Mi" => 1 << 20,
        "G" => 1_000_000_000,
        "Gi" => 1 << 30,
        _ => {
            return Err(format!(
                "`{unit}` is no unit of size; use k, Ki, M, Mi, G or Gi"
            ));
        }
    };
    let number: u64 = number
        .trim()
        .parse()
        .map_err(|_| String::from("expected a size in bytes such as 100, 10k or 1Mi"))?;
    number
        .checked_mul(factor)
        .and_then(|bytes| u32::try_from(bytes).ok())
        .and_then(|bytes| usize::try_from(bytes).ok())
        .ok_or_else(|| String::from("a size is at most 4 GB"))
}

/// A count with blanks between the thousands: `1 234 567`.
#[must_use]
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// Nanoseconds with the unit that leaves one to three digits before the point: `870 ns`, `12.3 µs`.
#[must_use]
pub fn nanoseconds(nanoseconds: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let value = nanoseconds as f64;
    match nanoseconds {
        0..1_000 => format!("{nanoseconds} ns"),
        1_000..1_000_000 => format!("{} µs", three_digits(value / 1e3)),
        1_000_000..1_000_000_000 => format!("{} ms", three_digits(value / 1e6)),
        _ => format!("{} s", three_digits(value / 1e9)),
    }
}

/// Bytes with a decimal unit: `100 B`, `12.3 kB`, `1 MB`.
#[must_use]
pub fn bytes(count: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let value = count as f64;
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{} kB", three_digits(value / 1e3)),
        1_000_000..1_000_000_000 => format!("{} MB", three_digits(value / 1e6)),
        _ => format!("{} GB", three_digits(value / 1e9)),
    }
}

/// A positive number with three digits that count; trailing zeros after the point are left out.
#[must_use]
pub fn three_digits(value: f64) -> String {
    let decimals = match value.abs() {
        v if v >= 99.95 => 0,
        v if v >= 9.995 => 1,
        v if v >= 0.9995 => 2,
        _ => 3,
    };
    let text = format!("{value:.decimals$}");
    match text.split_once('.') {
        Some(_) => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_and_seconds_where_silent() {
        assert_eq!(parse_duration("10"), Ok(Duration::from_secs(10)));
        assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("20us"), Ok(Duration::from_micros(20)));
        assert_eq!(parse_duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(parse_duration("0"), Ok(Duration::ZERO));
    }

    #[test]
    fn durations_that_make_no_sense_are_refused_with_a_reason() {
        assert!(
            parse_duration("10 parsec")
                .unwrap_err()
                .contains("no unit of time")
        );
        assert!(parse_duration("-1").unwrap_err().contains("not negative"));
        assert!(parse_duration("nan").is_err());
        assert!(parse_duration("inf").is_err());
        assert!(parse_duration("1e30").is_err());
        assert!(
            parse_duration("")
                .unwrap_err()
                .contains("expected a duration")
        );
    }

    #[test]
    fn sizes_are_decimal_or_binary() {
        assert_eq!(parse_size("100"), Ok(100));
        assert_eq!(parse_size("10k"), Ok(10_000));
        assert_eq!(parse_size("16KiB"), Ok(16_384));
        assert_eq!(parse_size("1MB"), Ok(1_000_000));
        assert!(parse_size("5G").is_err());
        assert!(parse_size("99999999999999999999").is_err());
        assert!(parse_size("1X").unwrap_err().contains("no unit of size"));
    }

    #[test]
    fn figures_show_three_digits() {
        assert_eq!(nanoseconds(870), "870 ns");
        assert_eq!(nanoseconds(12_345), "12.3 µs");
        assert_eq!(nanoseconds(1_000_000), "1 ms");
        assert_eq!(nanoseconds(2_500_000_000), "2.5 s");
        assert_eq!(bytes(1_000_000), "1 MB");
        assert_eq!(bytes(12_345), "12.3 kB");
        assert_eq!(three_digits(1140.2), "1140");
        assert_eq!(three_digits(0.2512), "0.251");
        assert_eq!(grouped(1_234_567), "1 234 567");
        assert_eq!(grouped(12), "12");
    }
}
