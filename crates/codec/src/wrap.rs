//! Wrapping of item keys by the key-encryption key: AES-256-GCM with the item id as associated data.
//!
//! A wrapped key is what a row holds; it opens only with the same key-encryption key and for the same item, so rows
//! cannot be swapped. It carries the id of the key that wrapped it, so that the wrong key is told from a
//! damaged row. Nonces are random and come from the caller: 96 bits are enough for 2³² wraps under one key.

use aws_lc_rs::aead::{Aad, Nonce};
use strongroom_types::ItemId;
use zeroize::Zeroizing;

use crate::{
    seal::{ItemKey, TAG_BYTES},
    secret,
};

/// Bytes of a nonce.
pub const NONCE_BYTES: usize = 12;

const WRAPPED_BYTES: usize = 32 + TAG_BYTES;
const ID_DOMAIN: &str = "strongroom key-encryption key id";

secret::secret_key! {
    /// The key that wraps all item keys of a cluster; in voters' memory only, and in the recovery shares.
    KeyEncryptionKey
}

impl KeyEncryptionKey {
    /// Its public name, from which nothing about the key follows.
    #[must_use]
    pub fn id(&self) -> KekId {
        let hash = Zeroizing::new(blake3::derive_key(ID_DOMAIN, &self.0));
        KekId(*hash.first_chunk().expect("a hash is longer than its first 8 bytes"))
    }
}

/// The public name of a [`KeyEncryptionKey`]: the first 8 bytes of a hash of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode)]
#[cbor(transparent)]
pub struct KekId(#[cbor(n(0), with = "minicbor::bytes")] [u8; 8]);

impl KekId {
    /// Wraps bytes that are already of the right length.
    #[must_use]
    pub const fn new(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

impl std::fmt::Display for KekId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl std::fmt::Debug for KekId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KekId({self})")
    }
}

/// An item key as a row holds it.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct WrappedKey {
    #[n(0)]
    kek: KekId,
    #[cbor(n(1), with = "minicbor::bytes")]
    nonce: [u8; NONCE_BYTES],
    // The key's ciphertext, then the tag.
    #[cbor(n(2), with = "minicbor::bytes")]
    ciphertext: [u8; WRAPPED_BYTES],
}

impl WrappedKey {
    /// Which key wrapped it.
    #[must_use]
    pub const fn kek(&self) -> KekId {
        self.kek
    }
}

/// Why an item key stays wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnwrapError {
    /// Wrapped by another key-encryption key.
    #[error("could not unwrap the key of item {item}: it is wrapped by {wrapped_by}, not by {given}")]
    OtherKek {
        /// The item.
        item: ItemId,
        /// The key that the row names.
        wrapped_by: KekId,
        /// The key at hand.
        given: KekId,
    },
    /// The row is damaged or another item's.
    #[error("could not unwrap the key of item {item}: the row is not authentic")]
    NotAuthentic {
        /// The item.
        item: ItemId,
    },
}

/// Wraps `key` for its row. `nonce` is random and never used before with this key-encryption key.
#[must_use]
pub fn wrap(kek: &KeyEncryptionKey, item: ItemId, key: &ItemKey, nonce: [u8; NONCE_BYTES]) -> WrappedKey {
    // Ciphertext from here on: `key` is encrypted before this buffer leaves the function.
    let mut ciphertext = [0; WRAPPED_BYTES];
    let (secret, tag_bytes) = ciphertext.split_at_mut(32);
    secret.copy_from_slice(key.expose());
    let tag = secret::aes_256_gcm(&kek.0)
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(item.as_bytes()), secret)
        .expect("32 bytes are far below what GCM takes");
    tag_bytes.copy_from_slice(tag.as_ref());
    WrappedKey { kek: kek.id(), nonce, ciphertext }
}

/// Unwraps the key of `item`.
///
/// # Errors
/// [`UnwrapError`] if it was wrapped by another key-encryption key, for another item, or is damaged.
pub fn unwrap(kek: &KeyEncryptionKey, item: ItemId, wrapped: &WrappedKey) -> Result<ItemKey, UnwrapError> {
    let given = kek.id();
    if wrapped.kek != given {
        return Err(UnwrapError::OtherKek { item, wrapped_by: wrapped.kek, given });
    }
    let mut buffer = Zeroizing::new(wrapped.ciphertext);
    let nonce = Nonce::assume_unique_for_key(wrapped.nonce);
    let secret = secret::aes_256_gcm(&kek.0)
        .open_in_place(nonce, Aad::from(item.as_bytes()), buffer.as_mut_slice())
        .map_err(|_| UnwrapError::NotAuthentic { item })?;
    Ok(ItemKey::from_bytes(*secret.first_chunk().expect("a wrapped key holds 32 bytes")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ITEM: ItemId =
        ItemId::new([0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf]);

    fn counting<const N: usize>(from: usize) -> [u8; N] {
        std::array::from_fn(|at| u8::try_from(from + at).expect("below 256"))
    }

    fn kek() -> KeyEncryptionKey {
        KeyEncryptionKey::from_bytes(counting(0x40))
    }

    fn wrapped() -> WrappedKey {
        wrap(&kek(), ITEM, &ItemKey::from_bytes(counting(0)), counting(0x10))
    }

    #[test]
    fn a_wrapped_key_has_these_stored_bytes() {
        // The ciphertext was computed with Python's `cryptography`; the id is BLAKE3's derive_key.
        let stored = minicbor::to_vec(wrapped()).expect("encodes");
        let expected = concat!(
            "83",
            "480213c57211f17427",
            "4c101112131415161718191a1b",
            "5830793b3fd252941224a6afdc5be7f501b9150696da12045c1c6077d3cac774accf",
            "c664c65da24a732f4f9aba3318fc3221",
        );
        assert_eq!(hex::encode(&stored), expected);
        assert_eq!(minicbor::decode::<WrappedKey>(&stored).expect("decodes"), wrapped());
    }

    #[test]
    fn a_wrapped_key_unwraps_for_its_item_alone() {
        let key = unwrap(&kek(), ITEM, &wrapped()).expect("the right key and item");
        assert_eq!(key.expose(), &counting(0));
        let other = ItemId::new([1; 16]);
        let error = unwrap(&kek(), other, &wrapped()).expect_err("another item");
        assert_eq!(error, UnwrapError::NotAuthentic { item: other });
    }

    #[test]
    fn the_wrong_key_is_told_from_a_damaged_row() {
        let wrong = KeyEncryptionKey::from_bytes([1; 32]);
        let error = unwrap(&wrong, ITEM, &wrapped()).expect_err("another key");
        assert_eq!(error, UnwrapError::OtherKek { item: ITEM, wrapped_by: kek().id(), given: wrong.id() });
        for at in 0..WRAPPED_BYTES {
            let mut damaged = wrapped();
            damaged.ciphertext[at] ^= 1;
            let error = unwrap(&kek(), ITEM, &damaged).expect_err("damaged");
            assert_eq!(error, UnwrapError::NotAuthentic { item: ITEM });
        }
    }

    #[test]
    fn a_key_encryption_key_does_not_print() {
        assert_eq!(format!("{:?}", kek()), "KeyEncryptionKey(redacted)");
    }
}
