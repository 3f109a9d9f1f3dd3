//! Clock readings as voters sign them, and which of them a tick counts (semantics C2).
//!
//! Every replica verifies the signatures itself, against the keys that its own rows name: a leader can keep readings
//! back, but makes none up. What does not verify, or is not of a voter, is left out, as if it had not come.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};
use minicbor::bytes::ByteVec;
use strongroom_custody::{clock::Reading, command::Tick};
use strongroom_ledger::VerifierKey;
use strongroom_topology::read;
use strongroom_types::{
    NodeId,
    rows::{RowError, Rows, encode},
};

/// What a clock key signs begins with this, so that it can be taken for nothing else.
const DOMAIN: &[u8] = b"strongroom clock reading v1\n";

/// A reading with its signature, as it goes over the wire and into the log.
#[derive(minicbor::Encode, minicbor::Decode)]
struct SignedReading {
    /// [`Reading`] in stored form.
    #[n(0)]
    reading: ByteVec,
    /// Ed25519 over [`DOMAIN`] and those bytes.
    #[n(1)]
    signature: ByteVec,
}

/// Why a reading does not count.
#[derive(Debug, thiserror::Error)]
pub enum ReadingError {
    /// Bytes that are no signed reading.
    #[error("it does not decode: {0}")]
    NotAReading(String),
    /// It speaks for another node.
    #[error("it speaks for {found}, not for {expected}")]
    OtherNode {
        /// Whose it should be.
        expected: NodeId,
        /// Whose it says it is.
        found: NodeId,
    },
    /// The key does not verify it.
    #[error("its signature is not valid")]
    Signature,
}

/// Signs what a node's clocks say.
#[must_use]
pub fn sign(pair: &Ed25519KeyPair, reading: &Reading) -> Vec<u8> {
    let reading = encode(reading);
    let signature = pair.sign(&message(&reading));
    encode(&SignedReading { reading: reading.into(), signature: signature.as_ref().to_vec().into() })
}

/// The reading of `node`, where `vkey` verifies it.
///
/// # Errors
/// [`ReadingError`] where it does not count.
pub fn verify(node: NodeId, vkey: &VerifierKey, bytes: &[u8]) -> Result<Reading, ReadingError> {
    let (signed, reading) = decode(bytes)?;
    if reading.node != node {
        return Err(ReadingError::OtherNode { expected: node, found: reading.node });
    }
    UnparsedPublicKey::new(&ED25519, vkey.public())
        .verify(&message(&signed.reading), &signed.signature)
        .map_err(|_| ReadingError::Signature)?;
    Ok(reading)
}

/// The tick that these readings make: those of registered voters that verify, and how many voters there are.
pub(crate) fn counted(rows: &dyn Rows, signed: &[ByteVec]) -> Result<Tick, RowError> {
    let voters: Vec<_> = read::nodes(rows)?.into_iter().filter(|node| node.voter).collect();
    // Whatever a leader sends along, no more is verified than there are voters.
    let readings = signed.iter().take(voters.len()).filter_map(|bytes| {
        let (_, reading) = decode(bytes).ok()?;
        let voter = voters.iter().find(|voter| voter.id == reading.node)?;
        verify(voter.id, &voter.clock_vkey.parse().ok()?, bytes).ok()
    });
    Ok(Tick { readings: readings.collect(), voters: u32::try_from(voters.len()).unwrap_or(u32::MAX) })
}

fn decode(bytes: &[u8]) -> Result<(SignedReading, Reading), ReadingError> {
    let told = |error: minicbor::decode::Error| ReadingError::NotAReading(error.to_string());
    let signed: SignedReading = minicbor::decode(bytes).map_err(told)?;
    let reading = minicbor::decode(&signed.reading).map_err(told)?;
    Ok((signed, reading))
}

fn message(reading: &[u8]) -> Vec<u8> {
    [DOMAIN, reading].concat()
}
