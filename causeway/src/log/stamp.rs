//! The time at the beginning of a line.
//!
//! A format is written once a second and only the microseconds for each line, because converting to
//! local time costs more than the rest of the line.

use std::fmt::Write as _;
use std::time::SystemTime;

use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// What `timestampFormat` and `timestampsInUTC` ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    utc: bool,
    format: Option<Format>,
}

/// A format given by the user: `strftime` makes of it a text with microseconds left open.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Format(String);

impl Stamp {
    /// A stamp in UTC or local time; without a format, `2026-11-20 23:28:50.047523 +0000`.
    ///
    /// The format is first read as `strftime` reads it, then as `printf` does with the microseconds
    /// as only argument, so these are written `%%06lu`.
    ///
    /// # Errors
    ///
    /// A format that one of the two cannot read, as a text for the user.
    pub fn new(utc: bool, format: Option<&str>) -> Result<Self, String> {
        let Some(format) = format else {
            return Ok(Self { utc, format: None });
        };
        let probe = Zoned::new(Timestamp::UNIX_EPOCH, TimeZone::UTC);
        let pattern = strtime::format(format, &probe).map_err(|error| error.to_string())?;
        insert_micros(&pattern, 0)?;
        Ok(Self {
            utc,
            format: Some(Format(format.to_owned())),
        })
    }
}

/// Writes stamps, remembering the second it wrote last.
#[derive(Debug)]
pub(super) struct Stamper {
    stamp: Stamp,
    zone: TimeZone,
    second: Option<i64>,
    before: String,
    after: String,
}

impl Stamper {
    pub(super) fn new(stamp: Stamp) -> Self {
        let zone = if stamp.utc {
            TimeZone::UTC
        } else {
            TimeZone::system()
        };
        Self {
            stamp,
            zone,
            second: None,
            before: String::new(),
            after: String::new(),
        }
    }

    /// Appends the time to a line.
    pub(super) fn write(&mut self, time: SystemTime, line: &mut String) {
        let time = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH);
        let micros = u32::try_from(time.subsec_microsecond()).unwrap_or_default();
        if self.second != Some(time.as_second()) {
            self.second = Some(time.as_second());
            self.prepare(&time.to_zoned(self.zone.clone()));
        }
        if self.stamp.format.is_some() {
            line.push_str(&insert_micros(&self.before, micros).unwrap_or_default());
            return;
        }
        write!(line, "{}.{micros:06}{}", self.before, self.after)
            .expect("a string takes whatever is written");
    }

    fn prepare(&mut self, time: &Zoned) {
        let text = |format: &str| strtime::format(format, time).unwrap_or_default();
        match &self.stamp.format {
            Some(Format(format)) => self.before = text(format),
            None => {
                self.before = text("%Y-%m-%d %H:%M:%S");
                self.after = text(" %z");
            }
        }
    }
}

/// Does what `printf` does with a pattern and one unsigned number.
fn insert_micros(pattern: &str, micros: u32) -> Result<String, String> {
    let mut result = String::with_capacity(pattern.len() + 6);
    let mut rest = pattern;
    while let Some(at) = rest.find('%') {
        result.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(behind) = rest.strip_prefix('%') {
            result.push('%');
            rest = behind;
            continue;
        }
        let zeros = rest.starts_with('0');
        let digits = rest
            .find(|character: char| !character.is_ascii_digit())
            .unwrap_or(rest.len());
        let width = rest[..digits].parse::<usize>().unwrap_or(0);
        rest = rest[digits..].trim_start_matches('l');
        let Some(behind) = rest.strip_prefix(['u', 'd', 'i']).filter(|_| width <= 20) else {
            return Err(format!(
                "'%{rest}' stands for no number; write microseconds as %%06lu"
            ));
        };
        rest = behind;
        if zeros {
            write!(result, "{micros:0width$}")
        } else {
            write!(result, "{micros:width$}")
        }
        .expect("a string takes whatever is written");
    }
    result.push_str(rest);
    Ok(result)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn stamped(utc: bool, format: Option<&str>, micros: u64) -> String {
        let time = SystemTime::UNIX_EPOCH + Duration::from_micros(micros);
        let mut line = String::new();
        Stamper::new(Stamp::new(utc, format).unwrap()).write(time, &mut line);
        line
    }

    #[test]
    fn the_default_has_microseconds_and_offset() {
        assert_eq!(
            stamped(true, None, 1_795_217_330_047_523),
            "2026-11-20 23:28:50.047523 +0000"
        );
    }

    #[test]
    fn a_format_is_expanded_twice() {
        assert_eq!(
            stamped(true, Some("%s.%%06lu"), 1_795_217_419_050_798),
            "1795217419.050798"
        );
        assert_eq!(stamped(true, Some("%H:%M %%%%"), 0), "00:00 %");
        assert_eq!(stamped(true, Some("x%%3lux"), 7), "x  7x");
    }

    #[test]
    fn the_second_is_written_anew_when_it_changes() {
        let mut stamper = Stamper::new(Stamp::new(true, None).unwrap());
        let mut line = String::new();
        for millis in [1_000, 1_500, 2_000] {
            stamper.write(
                SystemTime::UNIX_EPOCH + Duration::from_millis(millis),
                &mut line,
            );
            line.push('|');
        }
        assert_eq!(
            line,
            "1970-01-01 00:00:01.000000 +0000|1970-01-01 00:00:01.500000 +0000|\
             1970-01-01 00:00:02.000000 +0000|"
        );
    }

    #[test]
    fn formats_that_cannot_be_read_are_told() {
        for format in ["%", "%%s", "%%*u", "%%999999999999u", "%%n"] {
            assert!(Stamp::new(false, Some(format)).is_err(), "{format}");
        }
    }
}
