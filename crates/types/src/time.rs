//! Instants and the one calendar: Asia/Shanghai as a fixed +08:00, never the machine's time-zone files.

use std::{fmt, str::FromStr};

use jiff::{Span, Timestamp, civil, tz};

/// Beijing time, without daylight saving: China has had one offset since 1991.
pub const CHINA: tz::Offset = tz::offset(8);

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixMillis(pub i64);

/// Text that is not an instant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a time: write 2026-03-01T09:30:00+08:00, or 2026-03-01T09:30:00 for Beijing time")]
pub struct TimeError(String);

impl UnixMillis {
    /// This instant, later by `ms` (saturating).
    #[must_use]
    pub const fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this instant; negative if it is later.
    #[must_use]
    pub const fn since_ms(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The end of a floor of `months` calendar months: the same day of the month in Beijing (the month's last
    /// day where there is none), rounded up to the next local midnight. Never short, and over by at most a day.
    #[must_use]
    pub fn plus_months_rounded_up(self, months: u32) -> Self {
        let Some(start) = self.in_china() else { return Self(i64::MAX) };
        let Ok(same_time) = start.checked_add(Span::new().months(i64::from(months))) else {
            return Self(i64::MAX);
        };
        let midnight = same_time.date().to_datetime(civil::Time::midnight());
        let end = if same_time == midnight { Ok(midnight) } else { midnight.checked_add(Span::new().days(1)) };
        end.ok().and_then(Self::from_china).unwrap_or(Self(i64::MAX))
    }

    fn in_china(self) -> Option<civil::DateTime> {
        Some(CHINA.to_datetime(Timestamp::from_millisecond(self.0).ok()?))
    }

    fn from_china(local: civil::DateTime) -> Option<Self> {
        Some(Self(CHINA.to_timestamp(local).ok()?.as_millisecond()))
    }
}

impl fmt::Display for UnixMillis {
    /// RFC 3339 in Beijing time to the millisecond; `never` for the end of what has no end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.in_china() {
            Some(local) => write!(f, "{local:.3}+08:00"),
            None => f.write_str("never"),
        }
    }
}

impl fmt::Debug for UnixMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UnixMillis({self})")
    }
}

impl FromStr for UnixMillis {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        if let Ok(instant) = text.parse::<Timestamp>() {
            return Ok(Self(instant.as_millisecond()));
        }
        text.parse::<civil::DateTime>().ok().and_then(Self::from_china).ok_or_else(|| TimeError(text.to_owned()))
    }
}

impl<C> minicbor::Encode<C> for UnixMillis {
    fn encode<W: minicbor::encode::Write>(
        &self,
        encoder: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        encoder.i64(self.0)?;
        Ok(())
    }
}

impl<'b, C> minicbor::Decode<'b, C> for UnixMillis {
    fn decode(decoder: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        decoder.i64().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> UnixMillis {
        text.parse().expect("a time")
    }

    #[test]
    fn months_clamp_to_the_month_and_round_up_to_midnight() {
        for (start, months, end) in [
            ("2026-01-31T10:00:00", 1, "2026-03-01T00:00:00"),
            ("2024-02-29T23:59:59", 12, "2025-03-01T00:00:00"),
            ("2026-08-31T00:00:00", 6, "2027-02-28T00:00:00"),
            ("2026-08-31T00:00:00.001", 6, "2027-03-01T00:00:00"),
            ("2026-01-01T00:00:00", 24, "2028-01-01T00:00:00"),
            // 16:00Z is the next day's midnight in Beijing.
            ("2026-05-31T16:00:00Z", 6, "2026-12-01T00:00:00"),
        ] {
            assert_eq!(at(start).plus_months_rounded_up(months), at(end), "{start} + {months} months");
        }
    }

    #[test]
    fn a_start_beyond_the_calendar_has_no_end() {
        assert_eq!(UnixMillis(i64::MAX).plus_months_rounded_up(1), UnixMillis(i64::MAX));
        assert_eq!(UnixMillis(i64::MAX).to_string(), "never");
    }

    #[test]
    fn text_form_is_beijing_time() {
        assert_eq!(UnixMillis(0).to_string(), "1970-01-01T08:00:00.000+08:00");
        assert_eq!(at("1970-01-01T08:00:00"), UnixMillis(0));
        assert_eq!(at("1970-01-01T00:00:00Z"), UnixMillis(0));
        assert!("yesterday".parse::<UnixMillis>().is_err());
    }
}
