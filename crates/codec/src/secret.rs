//! Keys of 32 bytes: wiped when dropped, never printed, and made into AES-256-GCM keys in one place.

use aws_lc_rs::aead::{AES_256_GCM, LessSafeKey, UnboundKey};

/// Names a 256-bit secret. Each gets a type of its own so that one cannot be passed for another.
macro_rules! secret_key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, zeroize::Zeroize, zeroize::ZeroizeOnDrop)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Takes 32 bytes from a cryptographic random source, which the caller wipes afterwards.
            #[must_use]
            pub const fn generate(random: [u8; 32]) -> Self {
                Self(random)
            }

            /// Takes the bytes of a key that exists already.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The secret itself: for the wire between nodes and for wrapping, never for a log or a row.
            #[must_use]
            pub const fn expose(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(redacted)"))
            }
        }
    };
}

pub(crate) use secret_key;

/// The expanded AES-256-GCM key, which wipes itself too.
pub(crate) fn aes_256_gcm(secret: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, secret).expect("32 bytes are an AES-256 key"))
}
