//! The verifier's clock is an argument: [`UnixTime`], whole seconds, no time zone.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use time::format_description::well_known::Rfc3339;
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time};

/// Seconds since 1970-01-01T00:00:00Z. Its text form is RFC 3339 in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(u64);

impl UnixTime {
    /// The time this many seconds after 1970.
    pub const fn from_secs(secs: u64) -> UnixTime {
        UnixTime(secs)
    }

    /// Seconds after 1970.
    pub const fn as_secs(self) -> u64 {
        self.0
    }

    /// This time and `secs` more, or the last time there is.
    pub const fn saturating_add_secs(self, secs: u64) -> UnixTime {
        UnixTime(self.0.saturating_add(secs))
    }

    /// Seconds from `earlier` to this time; none when it is not earlier.
    pub const fn saturating_secs_since(self, earlier: UnixTime) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Reads RFC 3339 text such as `2026-05-12T00:00:00Z`; fractions are dropped. `None` for
    /// anything else and for years before 1970.
    pub fn parse_rfc3339(text: &str) -> Option<UnixTime> {
        let parsed = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        u64::try_from(parsed.unix_timestamp()).ok().map(UnixTime)
    }

    /// The time of a calendar date in UTC, as certificates write it. `None` when there is no such
    /// date or it lies before 1970.
    pub(crate) fn from_calendar(year: u16, rest: [u8; 5]) -> Option<UnixTime> {
        let [month, day, hour, minute, second] = rest;
        let month = Month::try_from(month).ok()?;
        let date = Date::from_calendar_date(i32::from(year), month, day).ok()?;
        let time = Time::from_hms(hour, minute, second).ok()?;
        let stamp = PrimitiveDateTime::new(date, time).assume_utc().unix_timestamp();
        u64::try_from(stamp).ok().map(UnixTime)
    }
}

impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = i64::try_from(self.0)
            .ok()
            .and_then(|secs| OffsetDateTime::from_unix_timestamp(secs).ok())
            .and_then(|time| time.format(&Rfc3339).ok());
        match text {
            Some(text) => f.write_str(&text),
            // Past the year 9999 there is no RFC 3339 text.
            None => write!(f, "second {} after 1970", self.0),
        }
    }
}

impl Serialize for UnixTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UnixTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        UnixTime::parse_rfc3339(&text).ok_or_else(|| de::Error::custom(format!("\"{text}\" is not an RFC 3339 time")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_seconds_agree() {
        let time = UnixTime::parse_rfc3339("2026-05-12T01:02:03Z").unwrap();
        assert_eq!(time.as_secs(), 1_778_547_723);
        assert_eq!(time.to_string(), "2026-05-12T01:02:03Z");
        assert_eq!(UnixTime::from_calendar(2026, [5, 12, 1, 2, 3]), Some(time));
    }

    #[test]
    fn what_is_not_a_time_is_not_read() {
        for text in ["", "2026-05-12", "2026-13-01T00:00:00Z", "1969-12-31T23:59:59Z"] {
            assert_eq!(UnixTime::parse_rfc3339(text), None, "{text}");
        }
        assert_eq!(UnixTime::from_calendar(2026, [2, 30, 0, 0, 0]), None);
    }

    #[test]
    fn the_far_end_neither_overflows_nor_panics() {
        let end = UnixTime::from_secs(u64::MAX).saturating_add_secs(1);
        assert_eq!(end.as_secs(), u64::MAX);
        assert!(end.to_string().contains("after 1970"));
    }
}
