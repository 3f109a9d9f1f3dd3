//! What the receiver of a carrier signs: which originals, by their digests, went to which carrier in which removal.
//!
//! ```text
//!  strongroom removal statement v1
//!  cluster   HEX
//!  removal   RMV-n
//!  carrier   TEXT
//!  organ     TEXT
//!  receiver  TEXT
//!  item      HEX  BYTES  SHA-256  BLAKE3          one line each, by id
//! ```
//!
//! A name and its value are one space apart, each line ends with a line end. The text itself is signed, Ed25519 over its
//! bytes, so that other people's tools can show it and sign it: `openssl pkeyutl -sign -rawin`. Its first line is the
//! domain: nothing else that is signed here begins so.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use strongroom_types::{ClusterId, EraseList, EraseTarget, ItemDigest, ItemId, RemovalId, Sha256Digest};

const DOMAIN: &str = "strongroom removal statement v1";

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The cluster that hands the bytes over.
    pub cluster: ClusterId,
    /// The removal.
    pub removal: RemovalId,
    /// Number of the classified carrier 涉密载体编号.
    pub carrier: String,
    /// The receiving organ 接收单位.
    pub organ: String,
    /// Who receives it 接收人.
    pub receiver: String,
    /// The originals, by id.
    pub items: Vec<StatedItem>,
}

/// One original of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatedItem {
    /// The item.
    pub item: ItemId,
    /// Its length.
    pub size_bytes: u64,
    /// Its SHA-256.
    pub sha256: Sha256Digest,
    /// Its BLAKE3.
    pub blake3: ItemDigest,
}

/// Bytes that are no statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these bytes are no statement of a removal in its one form")]
pub struct NotAStatement;

impl Statement {
    /// The bytes that are signed.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut text = format!(
            "{DOMAIN}\ncluster {}\nremoval {}\ncarrier {}\norgan {}\nreceiver {}\n",
            self.cluster, self.removal, self.carrier, self.organ, self.receiver
        );
        for one in &self.items {
            text += &format!("item {} {} {} {}\n", one.item, one.size_bytes, one.sha256, one.blake3);
        }
        text.into_bytes()
    }

    /// Reads a statement, and only exactly the bytes that [`Self::to_bytes`] gives.
    ///
    /// # Errors
    /// [`NotAStatement`].
    pub fn parse_canonical(bytes: &[u8]) -> Result<Self, NotAStatement> {
        let text = std::str::from_utf8(bytes).map_err(|_| NotAStatement)?;
        let mut lines = text.lines();
        if lines.next() != Some(DOMAIN) {
            return Err(NotAStatement);
        }
        let mut named = |name: &str| {
            let line = lines.next().ok_or(NotAStatement)?;
            line.strip_prefix(name).and_then(|rest| rest.strip_prefix(' ')).ok_or(NotAStatement)
        };
        let statement = Self {
            cluster: named("cluster")?.parse().map_err(|_| NotAStatement)?,
            removal: named("removal")?.parse().map_err(|_| NotAStatement)?,
            carrier: named("carrier")?.to_owned(),
            organ: named("organ")?.to_owned(),
            receiver: named("receiver")?.to_owned(),
            items: lines.map(stated).collect::<Result<_, _>>()?,
        };
        if statement.to_bytes() == bytes { Ok(statement) } else { Err(NotAStatement) }
    }

    /// What may be erased when it is signed: exactly its originals; none where it names none.
    #[must_use]
    pub fn erase_list(&self) -> Option<EraseList> {
        EraseList::new(self.items.iter().map(|one| EraseTarget::Item(one.item))).ok()
    }
}

fn stated(line: &str) -> Result<StatedItem, NotAStatement> {
    let mut words = line.strip_prefix("item ").ok_or(NotAStatement)?.split(' ');
    let mut word = || words.next().ok_or(NotAStatement);
    Ok(StatedItem {
        item: word()?.parse().map_err(|_| NotAStatement)?,
        size_bytes: word()?.parse().map_err(|_| NotAStatement)?,
        sha256: word()?.parse().map_err(|_| NotAStatement)?,
        blake3: word()?.parse().map_err(|_| NotAStatement)?,
    })
}

/// Whether `signature` is the one of this Ed25519 key over a statement.
#[must_use]
pub fn is_signed(key: &[u8; 32], statement: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, key).verify(statement, signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Statement {
        Statement {
            cluster: ClusterId::new([0xc1; 16]),
            removal: RemovalId(3),
            carrier: "JM-2026-014".to_owned(),
            organ: "市国家保密局".to_owned(),
            receiver: "李 四".to_owned(),
            items: vec![StatedItem {
                item: ItemId::new([1; 16]),
                size_bytes: 9,
                sha256: Sha256Digest::new([2; 32]),
                blake3: ItemDigest::new([3; 32]),
            }],
        }
    }

    #[test]
    fn its_text_is_fixed() {
        let text = format!(
            "strongroom removal statement v1\ncluster {}\nremoval RMV-3\ncarrier JM-2026-014\norgan 市国家保密局\n\
             receiver 李 四\nitem {} 9 {} {}\n",
            "c1".repeat(16),
            "01".repeat(16),
            "02".repeat(32),
            "03".repeat(32)
        );
        assert_eq!(String::from_utf8(sample().to_bytes()).expect("text"), text);
        assert_eq!(Statement::parse_canonical(text.as_bytes()), Ok(sample()));
    }

    #[test]
    fn another_spelling_is_no_statement() {
        let text = String::from_utf8(sample().to_bytes()).expect("text");
        for (name, other) in [
            ("another domain", text.replace("v1", "v2")),
            ("a line more", format!("{text}\n")),
            ("no line end", text.trim_end().to_owned()),
            ("a word more", text.replace(" 9 ", " 9  ")),
            ("a number spelt otherwise", text.replace(" 9 ", " 09 ")),
            ("a line less", text.replace("organ 市国家保密局\n", "")),
            ("nothing", String::new()),
        ] {
            assert_eq!(Statement::parse_canonical(other.as_bytes()), Err(NotAStatement), "{name}");
        }
    }
}
