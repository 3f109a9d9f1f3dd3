//! Recovery shares: the key-encryption key split so that any m of n give it back and fewer say nothing about it.
//!
//! Shamir's scheme over GF(2⁸) (the field of AES), byte by byte: byte b of the key is the value at 0 of a polynomial of
//! degree m − 1 whose other coefficients are random, and share x holds its value at x. Arithmetic on secrets uses no
//! table and no branch, so that neither caches nor time depend on the key.
//!
//! A share is written on paper as text:
//!
//! ```text
//! SRSHARE1-3of5-2-5f0e…(key id, 16 digits)-xxxxxxxx-…(eight groups of eight digits)-cccccccc
//!          m  n index                      value of the share                      checksum
//! ```
//!
//! The checksum finds slips of the pen; [`combine`] compares the key with the id in the shares, which finds the rest.

use std::{fmt, str::FromStr};

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::wrap::{KekId, KeyEncryptionKey};

/// Most shares of one key.
pub const SHARES_MAX: u8 = 16;

const FORM: &str = "SRSHARE1";
const CHECKSUM_DOMAIN: &str = "strongroom recovery share checksum";
const GROUP_DIGITS: usize = 8;
const GROUPS: usize = 2 * KEY_BYTES / GROUP_DIGITS;
const KEY_BYTES: usize = 32;

/// Numbers of shares that make no sense, or a random source that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// m and n out of bounds.
    #[error(
        "could not split into {count} shares of which {threshold} suffice: 1 to n suffice, of at most {SHARES_MAX}"
    )]
    Numbers {
        /// m.
        threshold: u8,
        /// n.
        count: u8,
    },
    /// The random source gave only zeros: each share would be the key itself.
    #[error("could not split: the random source gives no randomness")]
    NotRandom,
}

/// Text that is not a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ShareTextError {
    /// Another form.
    #[error("not a recovery share: write {FORM}-MofN-INDEX-KEYID-VALUE-CHECKSUM as it is on the paper")]
    Form,
    /// The right form, with a slip of the pen in it.
    #[error("recovery share {index} has a mistake in it: its checksum does not fit")]
    Checksum {
        /// The index that it names, which may be the mistake.
        index: u8,
    },
}

/// Why shares do not give a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CombineError {
    /// No share at all.
    #[error("could not recover the key: no share was given")]
    None,
    /// Shares of another key or of another splitting.
    #[error("could not recover the key: share {index} is of another set than share {first}")]
    Mixed {
        /// The first share.
        first: u8,
        /// The one that does not belong to it.
        index: u8,
    },
    /// The same share twice.
    #[error("could not recover the key: share {index} was given twice")]
    Repeated {
        /// The share.
        index: u8,
    },
    /// Fewer than m.
    #[error("could not recover the key: {threshold} shares are needed, found {found}")]
    TooFew {
        /// m.
        threshold: u8,
        /// Shares given.
        found: usize,
    },
    /// Together they give another key: one of them is false, or they come from different splittings of this key.
    #[error("could not recover the key: these shares do not give key {kek}")]
    WrongKey {
        /// The key they name.
        kek: KekId,
    },
    /// The key is right, but a share beyond the first m does not agree with it.
    #[error("could not confirm the key: share {index} does not agree with the others")]
    Disagrees {
        /// The share.
        index: u8,
    },
}

/// One of n shares of a key. As secret as a part of the key: it does not print, only [`Share::to_text`] shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Share {
    threshold: u8,
    count: u8,
    index: u8,
    kek: KekId,
    value: [u8; KEY_BYTES],
}

impl Drop for Share {
    fn drop(&mut self) {
        self.value.zeroize();
    }
}

impl ZeroizeOnDrop for Share {}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Share({} of {}-of-{} for {}, redacted)", self.index, self.threshold, self.count, self.kek)
    }
}

impl Share {
    /// m: how many shares give the key.
    #[must_use]
    pub const fn threshold(&self) -> u8 {
        self.threshold
    }

    /// n: how many shares there are.
    #[must_use]
    pub const fn count(&self) -> u8 {
        self.count
    }

    /// Which one this is, from 1 to n.
    #[must_use]
    pub const fn index(&self) -> u8 {
        self.index
    }

    /// The key that it is a share of.
    #[must_use]
    pub const fn kek(&self) -> KekId {
        self.kek
    }

    /// The text to write on paper; wiped when dropped.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(128));
        text.push_str(&format!("{FORM}-{}of{}-{}-{}", self.threshold, self.count, self.index, self.kek));
        let value = Zeroizing::new(hex::encode(self.value));
        for group in 0..GROUPS {
            text.push('-');
            text.push_str(&value[group * GROUP_DIGITS..(group + 1) * GROUP_DIGITS]);
        }
        text.push('-');
        text.push_str(&hex::encode(self.checksum()));
        text
    }

    fn checksum(&self) -> [u8; 4] {
        let hash = blake3::Hasher::new_derive_key(CHECKSUM_DOMAIN)
            .update(&[self.threshold, self.count, self.index])
            .update(self.kek.as_bytes())
            .update(&self.value)
            .finalize();
        *hash.as_bytes().first_chunk().expect("a hash is longer than its first 4 bytes")
    }

    fn is_of_the_same_set(&self, other: &Self) -> bool {
        (self.threshold, self.count, self.kek) == (other.threshold, other.count, other.kek)
    }
}

impl FromStr for Share {
    type Err = ShareTextError;

    /// Reads what [`Share::to_text`] wrote, in upper or lower case, with or without white space and line breaks.
    fn from_str(text: &str) -> Result<Self, ShareTextError> {
        let mut letters = Zeroizing::new(String::with_capacity(text.len()));
        letters.extend(text.chars().filter(|letter| !letter.is_whitespace()).map(|letter| letter.to_ascii_lowercase()));
        let (share, checksum) = parse(&letters).ok_or(ShareTextError::Form)?;
        if share.checksum() == checksum { Ok(share) } else { Err(ShareTextError::Checksum { index: share.index }) }
    }
}

fn parse(letters: &str) -> Option<(Share, [u8; 4])> {
    let (form, rest) = letters.split_once('-')?;
    let (numbers, rest) = rest.split_once('-')?;
    let (threshold, count) = numbers.split_once("of")?;
    let (index, rest) = rest.split_once('-')?;
    let (kek, rest) = rest.split_once('-')?;
    let (value, checksum) = rest.rsplit_once('-')?;
    let mut share = Share {
        threshold: number(threshold)?,
        count: number(count)?,
        index: number(index)?,
        kek: KekId::new([0; 8]),
        value: [0; KEY_BYTES],
    };
    let digits = Zeroizing::new(value.replace('-', ""));
    let (mut kek_bytes, mut checksum_bytes) = ([0; 8], [0; 4]);
    hex::decode_to_slice(kek, &mut kek_bytes).ok()?;
    hex::decode_to_slice(digits.as_bytes(), &mut share.value).ok()?;
    hex::decode_to_slice(checksum, &mut checksum_bytes).ok()?;
    share.kek = KekId::new(kek_bytes);
    let in_bounds = are_possible(share.threshold, share.count) && (1..=share.count).contains(&share.index);
    (form.eq_ignore_ascii_case(FORM) && in_bounds).then_some((share, checksum_bytes))
}

fn number(text: &str) -> Option<u8> {
    text.bytes().all(|digit| digit.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

const fn are_possible(threshold: u8, count: u8) -> bool {
    1 <= threshold && threshold <= count && count <= SHARES_MAX
}

/// Splits the key into `count` shares of which any `threshold` give it back. `random` fills a buffer from a
/// cryptographic source.
///
/// # Errors
/// [`SplitError`] if the numbers are out of bounds or the source gives only zeros.
pub fn split(
    secret: &KeyEncryptionKey,
    threshold: u8,
    count: u8,
    mut random: impl FnMut(&mut [u8]),
) -> Result<Vec<Share>, SplitError> {
    if !are_possible(threshold, count) {
        return Err(SplitError::Numbers { threshold, count });
    }
    // Coefficients from the highest power down to the first; the one of power 0 is the key.
    let mut coefficients = Zeroizing::new(vec![[0; KEY_BYTES]; usize::from(threshold - 1)]);
    for coefficient in coefficients.iter_mut() {
        random(coefficient);
        if *coefficient == [0; KEY_BYTES] {
            return Err(SplitError::NotRandom);
        }
    }
    let kek = secret.id();
    let share_at = |index: u8| {
        let mut share = Share { threshold, count, index, kek, value: [0; KEY_BYTES] };
        for coefficient in coefficients.iter().chain([secret.expose()]) {
            for (byte, next) in share.value.iter_mut().zip(coefficient) {
                *byte = multiply(*byte, index) ^ next;
            }
        }
        share
    };
    Ok((1..=count).map(share_at).collect())
}

/// The key of which these are shares: m of them or more, in any order. All that are given must agree.
///
/// # Errors
/// [`CombineError`] if they are too few, of different sets, or do not give the key that they name.
pub fn combine(shares: &[Share]) -> Result<KeyEncryptionKey, CombineError> {
    let first = shares.first().ok_or(CombineError::None)?;
    if let Some(stranger) = shares.iter().find(|share| !share.is_of_the_same_set(first)) {
        return Err(CombineError::Mixed { first: first.index, index: stranger.index });
    }
    let repeated = |at: usize| shares[..at].iter().any(|earlier| earlier.index == shares[at].index);
    if let Some(at) = (0..shares.len()).find(|at| repeated(*at)) {
        return Err(CombineError::Repeated { index: shares[at].index });
    }
    if shares.len() < usize::from(first.threshold) {
        return Err(CombineError::TooFew { threshold: first.threshold, found: shares.len() });
    }
    let (needed, more) = shares.split_at(usize::from(first.threshold));
    let key = KeyEncryptionKey::from_bytes(*interpolate(needed, 0));
    if key.id() != first.kek {
        return Err(CombineError::WrongKey { kek: first.kek });
    }
    match more.iter().find(|share| *interpolate(needed, share.index) != share.value) {
        Some(share) => Err(CombineError::Disagrees { index: share.index }),
        None => Ok(key),
    }
}

/// Value at `x` of the polynomials through these shares (Lagrange).
fn interpolate(shares: &[Share], x: u8) -> Zeroizing<[u8; KEY_BYTES]> {
    let mut value = Zeroizing::new([0; KEY_BYTES]);
    for share in shares {
        let weight = shares.iter().filter(|other| other.index != share.index).fold(1, |weight, other| {
            let step = multiply(x ^ other.index, inverse(share.index ^ other.index));
            multiply(weight, step)
        });
        for (sum, byte) in value.iter_mut().zip(&share.value) {
            *sum ^= multiply(*byte, weight);
        }
    }
    value
}

/// Product in GF(2⁸) modulo x⁸ + x⁴ + x³ + x + 1, by eight steps whatever the factors.
const fn multiply(a: u8, b: u8) -> u8 {
    let (mut product, mut shifted, mut rest) = (0, a, b);
    let mut step = 0;
    while step < 8 {
        // 0xff where the lowest bit of `rest` is set; 0xff where `shifted` overflows.
        product ^= shifted & (rest & 1).wrapping_neg();
        shifted = (shifted << 1) ^ (0x1b & (shifted >> 7).wrapping_neg());
        rest >>= 1;
        step += 1;
    }
    product
}

/// a²⁵⁴, which is 1/a (and 0 for 0).
const fn inverse(a: u8) -> u8 {
    let (mut power, mut square) = (1, a);
    let mut step = 0;
    while step < 7 {
        square = multiply(square, square);
        power = multiply(power, square);
        step += 1;
    }
    power
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::seeded;

    fn kek() -> KeyEncryptionKey {
        KeyEncryptionKey::from_bytes(std::array::from_fn(|at| u8::try_from(at + 0x40).expect("below 256")))
    }

    fn source(seed: u64) -> impl FnMut(&mut [u8]) {
        let mut next = seed;
        move |bytes| {
            next += 2;
            bytes.copy_from_slice(&seeded(bytes.len(), next));
        }
    }

    fn shares(threshold: u8, count: u8) -> Vec<Share> {
        split(&kek(), threshold, count, source(1)).expect("possible numbers")
    }

    #[test]
    fn the_field_is_that_of_aes() {
        // FIPS 197, 4.2 and 4.4.
        assert_eq!(multiply(0x57, 0x83), 0xc1);
        assert_eq!(multiply(0x57, 0x13), 0xfe);
        assert_eq!(inverse(0x53), 0xca);
        assert_eq!(inverse(0), 0);
        for a in 1..=255 {
            assert_eq!(multiply(a, inverse(a)), 1, "{a}");
        }
    }

    #[test]
    fn every_m_of_n_give_the_key() {
        for (threshold, count) in [(1, 1), (1, 3), (2, 2), (2, 3), (3, 5), (5, 7)] {
            let all = shares(threshold, count);
            for set in 0_u32..1 << count {
                let chosen: Vec<Share> =
                    all.iter().filter(|share| (set >> (share.index - 1)) & 1 == 1).rev().cloned().collect();
                match combine(&chosen) {
                    Ok(key) => {
                        assert!(chosen.len() >= usize::from(threshold));
                        assert_eq!(key.expose(), kek().expose());
                    }
                    Err(CombineError::None) => assert!(chosen.is_empty()),
                    Err(error) => {
                        assert_eq!(error, CombineError::TooFew { threshold, found: chosen.len() });
                        assert!(chosen.len() < usize::from(threshold));
                    }
                }
            }
        }
    }

    #[test]
    fn fewer_shares_than_m_fit_every_key() {
        // Two of a 3-of-5, and any third value at index 5: there is a polynomial for it, and each gives another key.
        let all = shares(3, 5);
        let mut keys: Vec<[u8; KEY_BYTES]> = (0..=255)
            .map(|byte| {
                let mut third = all[4].clone();
                third.value[0] = byte;
                *interpolate(&[all[0].clone(), all[1].clone(), third], 0)
            })
            .collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 256);
    }

    #[test]
    fn shares_of_different_sets_are_not_mixed() {
        let mut mixed = shares(2, 3);
        let other_key = KeyEncryptionKey::from_bytes([5; 32]);
        mixed[1] = split(&other_key, 2, 3, source(9)).expect("possible")[1].clone();
        assert_eq!(combine(&mixed).expect_err("mixed"), CombineError::Mixed { first: 1, index: 2 });
        // Another splitting of the same key cannot be told by its labels, only by the key that comes out.
        mixed[1] = split(&kek(), 2, 3, source(9)).expect("possible")[1].clone();
        assert_eq!(combine(&mixed[..2]).expect_err("mixed"), CombineError::WrongKey { kek: kek().id() });
    }

    #[test]
    fn false_and_repeated_shares_are_found() {
        let mut all = shares(2, 4);
        assert_eq!(combine(&[all[2].clone(), all[2].clone()]).expect_err("twice"), CombineError::Repeated { index: 3 });
        all[2].value[31] ^= 1;
        assert_eq!(combine(&all).expect_err("false"), CombineError::Disagrees { index: 3 });
        assert_eq!(combine(&all[1..]).expect_err("false"), CombineError::WrongKey { kek: kek().id() });
    }

    #[test]
    fn impossible_numbers_and_a_dead_random_source_are_refused() {
        for (threshold, count) in [(0, 1), (2, 1), (1, SHARES_MAX + 1), (0, 0)] {
            let error = split(&kek(), threshold, count, source(1)).expect_err("impossible");
            assert_eq!(error, SplitError::Numbers { threshold, count });
        }
        let error = split(&kek(), 2, 3, |_: &mut [u8]| ()).expect_err("no randomness");
        assert_eq!(error, SplitError::NotRandom);
    }

    #[test]
    fn a_share_has_this_text() {
        let share = Share { threshold: 3, count: 5, index: 2, kek: KekId::new([0xab; 8]), value: [0x17; KEY_BYTES] };
        let text = share.to_text();
        assert_eq!(
            text.as_str(),
            "SRSHARE1-3of5-2-abababababababab-17171717-17171717-17171717-17171717-17171717-17171717-17171717-17171717-480d90fc"
        );
        assert_eq!(text.parse::<Share>(), Ok(share.clone()));
        let as_typed = text.to_ascii_uppercase().replace('-', " -\n");
        assert_eq!(as_typed.parse::<Share>(), Ok(share.clone()));
        assert_eq!(format!("{share:?}"), "Share(2 of 3-of-5 for abababababababab, redacted)");
    }

    #[test]
    fn a_slip_of_the_pen_anywhere_is_found() {
        let text = shares(3, 5)[1].to_text();
        for at in 0..text.len() {
            for digit in ['0', '1', '7', 'e'] {
                let mut slip = text.to_string();
                slip.replace_range(at..=at, &digit.to_string());
                if !slip.eq_ignore_ascii_case(&text) {
                    assert!(slip.parse::<Share>().is_err(), "{slip}");
                }
            }
            assert!(text[..at].parse::<Share>().is_err());
        }
        assert!("".parse::<Share>().is_err());
        for numbers in ["0of5", "6of5", "3of17", "+3of5", "3of"] {
            assert_eq!(text.replace("3of5", numbers).parse::<Share>(), Err(ShareTextError::Form), "{numbers}");
        }
        assert_eq!(text.replace("3of5-2", "3of5-3").parse::<Share>(), Err(ShareTextError::Checksum { index: 3 }));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn any_key_survives_paper(secret: [u8; 32], numbers in (1..=SHARES_MAX).prop_flat_map(|n| (1..=n, Just(n))), seed: u32) {
            let key = KeyEncryptionKey::from_bytes(secret);
            let (threshold, count) = numbers;
            let all = split(&key, threshold, count, source(u64::from(seed))).expect("possible numbers");
            let read: Vec<Share> = all.iter().map(|share| share.to_text().parse().expect("a share")).collect();
            let last = &read[usize::from(count - threshold)..];
            let combined = combine(last).expect("enough");
            prop_assert_eq!(combined.expose(), &secret);
        }
    }
}
