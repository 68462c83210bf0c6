//! How values of entities read in a table.
//!
//! Owns the words and formats that operators of this kind of router know; it knows no table.

use amqp_codec::Value;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use management::client::Table;

use crate::cli::manager::plain;

/// An entity and the names of its attributes.
#[derive(Clone, Copy)]
pub(in crate::cli) struct Row<'a> {
    pub(in crate::cli) table: &'a Table,
    pub(in crate::cli) values: &'a [Value],
}

impl<'a> Row<'a> {
    /// All entities of a table.
    pub(in crate::cli) fn all(table: &'a Table) -> impl Iterator<Item = Self> + Clone {
        table.rows.iter().map(move |values| Row { table, values })
    }

    pub(in crate::cli) fn value(&self, name: &str) -> &'a Value {
        self.table.value(self.values, name)
    }

    pub(in crate::cli) fn text(&self, name: &str) -> String {
        plain(self.value(name))
    }

    pub(in crate::cli) fn number(&self, name: &str) -> Option<u64> {
        let value = self.value(name);
        let signed = || u64::try_from(value.as_i64()?).ok();
        value.as_u64().or_else(signed)
    }

    pub(in crate::cli) fn is(&self, name: &str) -> bool {
        self.value(name).as_bool().unwrap_or(false)
    }
}

/// A text, or a sign that there is none.
pub(in crate::cli) fn or_dash(text: String) -> String {
    match text.is_empty() {
        true => "-".into(),
        false => text,
    }
}

/// A list of names as a person writes it.
pub(in crate::cli) fn names(list: &Value) -> String {
    let names = list.as_list().unwrap_or_default();
    names.iter().map(plain).collect::<Vec<_>>().join(", ")
}

/// How a connection is encrypted.
pub(in crate::cli) fn security(row: &Row<'_>) -> String {
    if !row.is("isEncrypted") {
        return "no-security".into();
    }
    if row.text("sasl") == "GSSAPI" {
        return "Kerberos".into();
    }
    format!("{}({})", row.text("sslProto"), row.text("sslCipher"))
}

/// Who is at the other end of a connection, and how that is known.
pub(in crate::cli) fn authentication(row: &Row<'_>) -> String {
    if !row.is("isAuthenticated") {
        return "no-auth".into();
    }
    let user = row.text("user");
    let sasl = row.text("sasl");
    let mechanism = match sasl.as_str() {
        "ANONYMOUS" => return "anonymous-user".into(),
        "EXTERNAL" => "x.509",
        "GSSAPI" => "Kerberos",
        mechanism => mechanism,
    };
    match user.is_empty() {
        true => mechanism.to_owned(),
        false => format!("{user}({mechanism})"),
    }
}

/// Class, address and phase of an internal key: `M0q` is the mobile address `q` in phase 0.
pub(in crate::cli) fn key_parts(key: &str) -> (String, String, String) {
    let mut rest = key.chars();
    let Some(class) = rest.next() else {
        return (String::new(), String::new(), String::new());
    };
    let phase = match class {
        'M' => rest.next().map(String::from).unwrap_or_default(),
        _ => String::new(),
    };
    let class = match class {
        'M' => "mobile".into(),
        'R' => "router".into(),
        'A' => "area".into(),
        'L' => "local".into(),
        'T' => "topo".into(),
        'C' | 'E' => "link-in".into(),
        'D' | 'F' => "link-out".into(),
        'H' => "edge".into(),
        class => format!("unknown: {class}"),
    };
    (class, rest.as_str().to_owned(), phase)
}

/// `DDD:HH:MM:SS`.
pub(in crate::cli) fn long_time(seconds: Option<u64>) -> String {
    seconds.map_or_else(String::new, |seconds| {
        format!("{:03}:{}", seconds / 86_400, short_time(seconds % 86_400))
    })
}

/// `HH:MM:SS`.
pub(in crate::cli) fn short_time(seconds: u64) -> String {
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}", seconds % 60)
}

/// A second since the epoch in a format of `strftime`, in universal or local time.
pub(in crate::cli) fn moment(seconds: i64, format: &str, is_local: bool) -> String {
    let Ok(timestamp) = Timestamp::from_second(seconds) else {
        return String::new();
    };
    let zone = match is_local {
        true => TimeZone::system(),
        false => TimeZone::UTC,
    };
    timestamp.to_zoned(zone).strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_apart() {
        let parts = |key: &str| {
            let (class, address, phase) = key_parts(key);
            format!("{class}|{address}|{phase}")
        };
        assert_eq!(parts("M0$management"), "mobile|$management|0");
        assert_eq!(parts("Ltemp.x"), "local|temp.x|");
        assert_eq!(parts("Clr"), "link-in|lr|");
        assert_eq!(parts("Hedge"), "edge|edge|");
        assert_eq!(parts("?x"), "unknown: ?|x|");
        assert_eq!(parts("M"), "mobile||");
        assert_eq!(parts(""), "||");
    }

    #[test]
    fn times_are_written_as_operators_know_them() {
        assert_eq!(long_time(Some(90_061)), "001:01:01:01");
        assert_eq!(short_time(86_399), "23:59:59");
        assert_eq!(long_time(None), "");
        assert_eq!(
            moment(1_795_217_026, "%A %b %d %H:%M:%S %Y", false),
            "Friday Nov 20 23:23:46 2026"
        );
    }
}
