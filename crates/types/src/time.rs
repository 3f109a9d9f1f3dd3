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

    /// Days of a month, written out a second time.
    fn days_of(year: i64, month: i64) -> i64 {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        match month {
            2 => 28 + i64::from(leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }

    /// Scality #2613: a year is no 365 days.
    #[test]
    fn g5_for_every_date_of_a_century_no_floor_is_short_by_a_second_or_over_by_more_than_a_day() {
        const DAY_MS: i64 = 86_400_000;
        // 2000-01-01T00:00 in Beijing, and the days since then of the first of each month.
        let origin = at("2000-01-01T00:00:00").0;
        let mut firsts = Vec::new();
        let mut days = 0;
        for month in 0..12 * 203 {
            firsts.push(days);
            days += days_of(2000 + month / 12, month % 12 + 1);
        }
        let mut tried = 0_u32;
        for month in 0..12 * 101_i64 {
            for day in 0..days_of(2000 + month / 12, month % 12 + 1) {
                let first = firsts[usize::try_from(month).expect("small")];
                for time_ms in [0, 1, 1000, DAY_MS / 2, DAY_MS - 1000, DAY_MS - 1] {
                    let start = UnixMillis(origin + (first + day) * DAY_MS + time_ms);
                    for months in [1, 6, 12, 24, 120, 1200] {
                        let to = month + months;
                        let clamped = day.min(days_of(2000 + to / 12, to % 12 + 1) - 1);
                        let same_day = firsts[usize::try_from(to).expect("small")] + clamped;
                        let least = origin + same_day * DAY_MS + time_ms;
                        let end = start.plus_months_rounded_up(u32::try_from(months).expect("small")).0;
                        assert!(end >= least, "{start} + {months} months is short");
                        assert!(end - least < DAY_MS, "{start} + {months} months is over by a day");
                        assert_eq!((end - origin) % DAY_MS, 0, "{start} + {months} months ends at a midnight");
                        tried += 1;
                    }
                }
            }
        }
        assert_eq!(tried, 36_890 * 36, "every day from 2000 to 2100");
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
