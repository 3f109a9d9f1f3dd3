//! Erasure schemes: k data and m parity shards.

use std::{fmt, str::FromStr};

use crate::limits;

/// k+m: any k of the k+m shards give the chunk back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErasureScheme {
    data: u8,
    parity: u8,
}

/// A scheme outside 1+1 to 16+4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a scheme is DATA+PARITY from 1+1 to {}+{}, such as 4+2", limits::DATA_SHARDS_MAX, limits::PARITY_SHARDS_MAX)]
pub struct SchemeError;

impl ErasureScheme {
    /// `data` from 1 to 16, `parity` from 1 to 4.
    ///
    /// # Errors
    /// [`SchemeError`] outside these bounds.
    pub const fn new(data: u8, parity: u8) -> Result<Self, SchemeError> {
        if data == 0 || data > limits::DATA_SHARDS_MAX || parity == 0 || parity > limits::PARITY_SHARDS_MAX {
            Err(SchemeError)
        } else {
            Ok(Self { data, parity })
        }
    }

    /// k.
    #[must_use]
    pub const fn data(self) -> usize {
        self.data as usize
    }

    /// m.
    #[must_use]
    pub const fn parity(self) -> usize {
        self.parity as usize
    }

    /// k+m.
    #[must_use]
    pub const fn total(self) -> usize {
        self.data() + self.parity()
    }

    /// Bytes of each shard of a sealed chunk of `sealed_bytes` (> 0): the last data shard is padded with zeros.
    #[must_use]
    pub const fn shard_bytes(self, sealed_bytes: usize) -> usize {
        sealed_bytes.div_ceil(self.data())
    }
}

impl fmt::Display for ErasureScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}", self.data, self.parity)
    }
}

impl FromStr for ErasureScheme {
    type Err = SchemeError;

    fn from_str(text: &str) -> Result<Self, SchemeError> {
        let (data, parity) = text.split_once('+').ok_or(SchemeError)?;
        Self::new(data.parse().map_err(|_| SchemeError)?, parity.parse().map_err(|_| SchemeError)?)
    }
}

impl<C> minicbor::Encode<C> for ErasureScheme {
    fn encode<W: minicbor::encode::Write>(
        &self,
        encoder: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        encoder.array(2)?.u8(self.data)?.u8(self.parity)?;
        Ok(())
    }
}

impl<'b, C> minicbor::Decode<'b, C> for ErasureScheme {
    fn decode(decoder: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let position = decoder.position();
        if decoder.array()? != Some(2) {
            return Err(minicbor::decode::Error::message("a scheme is an array of two").at(position));
        }
        Self::new(decoder.u8()?, decoder.u8()?)
            .map_err(|_| minicbor::decode::Error::message("scheme out of bounds").at(position))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips_and_bounds_hold() {
        for (text, good) in [
            ("1+1", true),
            ("4+2", true),
            ("16+4", true),
            ("0+1", false),
            ("17+2", false),
            ("4+5", false),
            ("4", false),
            ("4+0", false),
            ("+", false),
        ] {
            let parsed = text.parse::<ErasureScheme>();
            assert_eq!(parsed.is_ok(), good, "{text}");
            if let Ok(scheme) = parsed {
                assert_eq!(scheme.to_string(), text);
            }
        }
    }
}
