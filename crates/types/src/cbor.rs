//! minicbor for our fixed-size byte values: a CBOR byte string of exactly the type's length.

use minicbor::{Decoder, Encoder, decode, encode};

pub(crate) fn encode_bytes<W: encode::Write>(
    bytes: &[u8],
    encoder: &mut Encoder<W>,
) -> Result<(), encode::Error<W::Error>> {
    encoder.bytes(bytes)?;
    Ok(())
}

pub(crate) fn decode_bytes<const N: usize>(decoder: &mut Decoder<'_>) -> Result<[u8; N], decode::Error> {
    let position = decoder.position();
    <[u8; N]>::try_from(decoder.bytes()?)
        .map_err(|_| decode::Error::message("byte string of the wrong length").at(position))
}

/// Gives a `pub struct Name([u8; N])` its constructor, hex text form and CBOR form.
macro_rules! fixed_bytes {
    ($name:ident, $len:expr) => {
        impl $name {
            /// Wraps bytes that are already of the right length.
            #[must_use]
            pub const fn new(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// The bytes, most significant first.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// The first eight hex digits: enough for a log line, never for a decision.
            #[must_use]
            pub fn short(&self) -> String {
                hex::encode(&self.0[..4])
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = crate::id::IdError;

            fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
                <[u8; $len]>::try_from(bytes).map(Self).map_err(|_| crate::id::IdError::WrongLength {
                    what: stringify!($name),
                    expected: $len,
                    found: bytes.len(),
                })
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::id::IdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let mut bytes = [0; $len];
                hex::decode_to_slice(text, &mut bytes)
                    .map_err(|_| crate::id::IdError::NotHex { what: stringify!($name), digits: $len * 2 })?;
                Ok(Self(bytes))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({})", stringify!($name), hex::encode(self.0))
            }
        }

        impl<C> minicbor::Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                encoder: &mut minicbor::Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                crate::cbor::encode_bytes(&self.0, encoder)
            }
        }

        impl<'b, C> minicbor::Decode<'b, C> for $name {
            fn decode(decoder: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
                crate::cbor::decode_bytes(decoder).map(Self)
            }
        }
    };
}

pub(crate) use fixed_bytes;
