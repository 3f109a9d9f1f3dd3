//! The salted commitment: binds a leaf to its record's bytes and says nothing about them.
//!
//! Records are short and guessable, so a bare digest would let anyone test a guess. With a salt that is erased
//! along with the record, the leaf is a random-looking number for good. The salt derives from a seed that comes with the
//! command and is not kept; one seed gives every record of its command another salt.

use std::fmt;

use aws_lc_rs::hmac;
use sha2::{Digest, Sha256};
use strongroom_types::RecordSeq;

const RECORD_DOMAIN: &[u8] = b"strongroom record v1";
const SALT_DOMAIN: &[u8] = b"strongroom salt v1";

/// What a leaf says of its record: SHA-256 over domain, salt, length and bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Commitment([u8; 32]);

/// The secret half of a commitment, stored beside the record and erased with it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Salt([u8; 32]);

/// Commits to `record` under `salt`: SHA-256("strongroom record v1" ‖ salt ‖ length as u64 big-endian ‖ record).
#[must_use]
pub fn commit(salt: &Salt, record: &[u8]) -> Commitment {
    let size_bytes = u64::try_from(record.len()).expect("a slice's length fits 64 bits");
    let digest = Sha256::new()
        .chain_update(RECORD_DOMAIN)
        .chain_update(salt.0)
        .chain_update(size_bytes.to_be_bytes())
        .chain_update(record)
        .finalize();
    Commitment(digest.into())
}

/// The salt of record `seq`: HMAC-SHA-256 under `seed` of "strongroom salt v1" ‖ seq as u64 big-endian.
#[must_use]
pub fn salt(seed: &[u8; 32], seq: RecordSeq) -> Salt {
    let key = hmac::Key::new(hmac::HMAC_SHA256, seed);
    let mut context = hmac::Context::with_key(&key);
    context.update(SALT_DOMAIN);
    context.update(&seq.0.to_be_bytes());
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.sign().as_ref());
    Salt(bytes)
}

macro_rules! bytes_32 {
    ($name:ident) => {
        impl $name {
            /// Wraps bytes that were stored before.
            #[must_use]
            pub const fn new(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl<C> minicbor::Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                encoder: &mut minicbor::Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                encoder.bytes(&self.0)?;
                Ok(())
            }
        }

        impl<'b, C> minicbor::Decode<'b, C> for $name {
            fn decode(decoder: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
                let position = decoder.position();
                <[u8; 32]>::try_from(decoder.bytes()?)
                    .map(Self)
                    .map_err(|_| minicbor::decode::Error::message("takes 32 bytes").at(position))
            }
        }
    };
}
bytes_32!(Commitment);
bytes_32!(Salt);

impl fmt::Debug for Commitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Commitment({})", hex::encode(self.0))
    }
}

impl fmt::Debug for Salt {
    /// Never the bytes: a salt in a log would let its reader test guesses for ever.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Expected values were computed with Python's hashlib and hmac from the definitions above.
    #[test]
    fn the_salt_and_the_commitment_have_fixed_values() {
        let salt = salt(&[0x11; 32], RecordSeq(7));
        assert_eq!(hex::encode(salt.as_bytes()), "5963ea7514758f34c9d96c5e6b78ea33ed412aea101c165d45291c8d2ef03809");
        assert_eq!(
            hex::encode(commit(&salt, b"record").as_bytes()),
            "c241cff801c452a550afbb7a22547b7664452d6d2548f5c5084f84f6b988785b"
        );
        assert_eq!(
            hex::encode(commit(&Salt::new([0; 32]), b"").as_bytes()),
            "10f990f25b84ab25d3b3288cce232c682b540eaa738007198c9b66e119b55282"
        );
    }

    #[test]
    fn another_seed_sequence_salt_or_record_commits_to_something_else() {
        let base = salt(&[1; 32], RecordSeq(1));
        assert_ne!(base, salt(&[2; 32], RecordSeq(1)));
        assert_ne!(base, salt(&[1; 32], RecordSeq(2)));
        let commitment = commit(&base, b"a");
        assert_ne!(commitment, commit(&base, b"a\0"));
        assert_ne!(commitment, commit(&base, b"b"));
        assert_ne!(commitment, commit(&Salt::new([0; 32]), b"a"));
    }

    #[test]
    fn a_salt_does_not_print_itself() {
        assert_eq!(format!("{:?}", Salt::new([0xab; 32])), "Salt(…)");
    }
}
