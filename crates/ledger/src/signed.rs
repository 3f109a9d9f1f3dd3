//! A checkpoint with its signature lines: the note that is published, stored and shipped (C2SP signed-note).
//!
//! ```text
//!  strongroom.example/CLUSTERID          origin
//!  1234                                  size
//!  CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2…=    root
//!
//!  — strongroom.example/CLUSTERID …      the log: key id, 64 bytes
//!  — strongroom.example/CLUSTERID/n1 …   cosigners by name, then key id: key id, time, 64 bytes
//!  — strongroom.example/CLUSTERID/n2 …
//! ```
//!
//! A value in hand is canonical, and nothing more: only [`crate::Policy::verify`] says whether it counts.

use std::fmt;

use strongroom_types::UnixMillis;

use crate::{Checkpoint, KeyName, checkpoint::CheckpointError};

/// Largest signed checkpoint in bytes.
pub const NOTE_BYTES_MAX: usize = 32 << 10;
/// Most cosignatures on a checkpoint.
pub const COSIGNATURES_MAX: usize = 64;
/// Latest time of a cosignature in seconds: what still has milliseconds in 64 bits.
const TIME_S_MAX: u64 = (i64::MAX / 1000).unsigned_abs();

/// One cosigner's timestamped signature over a checkpoint (`cosignature/v1`).
#[derive(Clone, PartialEq, Eq)]
pub struct Cosignature {
    name: KeyName,
    key_id: u32,
    time_s: u64,
    signature: [u8; 64],
}

/// A checkpoint, the log's signature, and cosignatures in order.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    log_key_id: u32,
    log_signature: [u8; 64],
    cosignatures: Vec<Cosignature>,
}

/// Why bytes are not a signed checkpoint, or a cosignature could not join one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// More than [`NOTE_BYTES_MAX`].
    #[error("a signed checkpoint of {0} bytes is beyond {NOTE_BYTES_MAX}")]
    TooLong(usize),
    /// No note text and signature lines.
    #[error("not a signed note: text, an empty line, signature lines")]
    NotANote,
    /// The text is not a checkpoint.
    #[error("the note's text is not a checkpoint")]
    Checkpoint(#[source] CheckpointError),
    /// A signature line of no form that we know.
    #[error("signature line {0} is neither the log's nor a cosigner's")]
    SignatureLine(usize),
    /// The first signature line is not under the log's name.
    #[error("the first signature is of {found}, not of the log {origin}")]
    NotTheLog {
        /// The checkpoint's origin.
        origin: KeyName,
        /// The name on the line.
        found: KeyName,
    },
    /// A cosigner twice.
    #[error("{0} has cosigned already")]
    Duplicate(KeyName),
    /// More than [`COSIGNATURES_MAX`].
    #[error("more than {COSIGNATURES_MAX} cosignatures")]
    TooMany,
    /// It reads, but would be written otherwise.
    #[error("the note is not in canonical form")]
    NotCanonical,
}

impl Cosignature {
    pub(crate) const fn new(name: KeyName, key_id: u32, time_s: u64, signature: [u8; 64]) -> Self {
        Self { name, key_id, time_s, signature }
    }

    /// Reads one signature line with its newline, as a voter or a witness answers it.
    ///
    /// # Errors
    /// [`NoteError`] for anything that `to_string` does not write.
    pub fn parse_canonical(line: &str) -> Result<Self, NoteError> {
        let cosignature = Self::of_line(line.strip_suffix('\n').ok_or(NoteError::NotANote)?, 0)?;
        if cosignature.to_string() == line { Ok(cosignature) } else { Err(NoteError::NotCanonical) }
    }

    /// The cosigner's name.
    #[must_use]
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// The id of the cosigner's key.
    #[must_use]
    pub const fn key_id(&self) -> u32 {
        self.key_id
    }

    /// When the cosigner says that it looked; whole seconds.
    #[must_use]
    pub fn time(&self) -> UnixMillis {
        UnixMillis(i64::try_from(self.time_s * 1000).expect("checked against TIME_S_MAX when built"))
    }

    pub(crate) const fn time_s(&self) -> u64 {
        self.time_s
    }

    pub(crate) const fn signature(&self) -> &[u8; 64] {
        &self.signature
    }

    fn of_line(line: &str, number: usize) -> Result<Self, NoteError> {
        let (name, key_id, data) = signature_line(line, number)?;
        let (time, signature) = data.split_first_chunk::<8>().ok_or(NoteError::SignatureLine(number))?;
        let time_s = u64::from_be_bytes(*time);
        let signature = <[u8; 64]>::try_from(signature).map_err(|_| NoteError::SignatureLine(number))?;
        if time_s > TIME_S_MAX {
            return Err(NoteError::SignatureLine(number));
        }
        Ok(Self { name, key_id, time_s, signature })
    }

    fn place(&self) -> (&KeyName, u32) {
        (&self.name, self.key_id)
    }
}

impl fmt::Display for Cosignature {
    /// The signature line with its newline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let data = [&self.time_s.to_be_bytes()[..], &self.signature].concat();
        write_line(f, &self.name, self.key_id, data)
    }
}

impl fmt::Debug for Cosignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cosignature({} {:08x} at {})", self.name, self.key_id, self.time())
    }
}

impl SignedCheckpoint {
    pub(crate) const fn new(checkpoint: Checkpoint, log_key_id: u32, log_signature: [u8; 64]) -> Self {
        Self { checkpoint, log_key_id, log_signature, cosignatures: Vec::new() }
    }

    /// Reads a signed checkpoint; only the canonical bytes are taken.
    ///
    /// # Errors
    /// [`NoteError`] for anything that `to_string` does not write.
    pub fn parse_canonical(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong(bytes.len()));
        }
        let note = std::str::from_utf8(bytes).map_err(|_| NoteError::NotANote)?;
        let (text, signatures) = note.split_once("\n\n").ok_or(NoteError::NotANote)?;
        let checkpoint = Checkpoint::parse_canonical(&format!("{text}\n")).map_err(NoteError::Checkpoint)?;
        let mut lines = signatures.strip_suffix('\n').ok_or(NoteError::NotANote)?.split('\n');

        let (name, log_key_id, signature) = signature_line(lines.next().ok_or(NoteError::NotANote)?, 0)?;
        if name != *checkpoint.origin() {
            return Err(NoteError::NotTheLog { origin: checkpoint.origin().clone(), found: name });
        }
        let signature = <[u8; 64]>::try_from(signature.as_slice()).map_err(|_| NoteError::SignatureLine(0))?;
        let mut signed = Self::new(checkpoint, log_key_id, signature);
        for (number, line) in (1..).zip(lines) {
            signed.insert(Cosignature::of_line(line, number)?)?;
        }
        if signed.to_string().as_bytes() == bytes { Ok(signed) } else { Err(NoteError::NotCanonical) }
    }

    /// The same checkpoint with one more cosignature, in its place.
    ///
    /// Whether the signature is good is asked of [`crate::Policy::check_cosignature`].
    ///
    /// # Errors
    /// [`NoteError::Duplicate`] or [`NoteError::TooMany`].
    pub fn with_cosignature(mut self, cosignature: Cosignature) -> Result<Self, NoteError> {
        self.insert(cosignature)?;
        Ok(self)
    }

    /// The same checkpoint as the log signed it, without any cosignature.
    #[must_use]
    pub fn by_log_alone(&self) -> Self {
        Self::new(self.checkpoint.clone(), self.log_key_id, self.log_signature)
    }

    /// What is signed.
    #[must_use]
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The cosignatures, by name.
    #[must_use]
    pub fn cosignatures(&self) -> &[Cosignature] {
        &self.cosignatures
    }

    /// The note as it is published.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.to_string().into_bytes()
    }

    pub(crate) const fn log_key_id(&self) -> u32 {
        self.log_key_id
    }

    pub(crate) const fn log_signature(&self) -> &[u8; 64] {
        &self.log_signature
    }

    fn insert(&mut self, cosignature: Cosignature) -> Result<(), NoteError> {
        let Err(position) = self.cosignatures.binary_search_by(|other| other.place().cmp(&cosignature.place())) else {
            return Err(NoteError::Duplicate(cosignature.name));
        };
        if self.cosignatures.len() == COSIGNATURES_MAX {
            return Err(NoteError::TooMany);
        }
        self.cosignatures.insert(position, cosignature);
        Ok(())
    }
}

impl fmt::Display for SignedCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.checkpoint)?;
        write_line(f, self.checkpoint.origin(), self.log_key_id, self.log_signature.to_vec())?;
        self.cosignatures.iter().try_for_each(|cosignature| write!(f, "{cosignature}"))
    }
}

impl fmt::Debug for SignedCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignedCheckpoint({:?} {:?})", self.checkpoint, self.cosignatures)
    }
}

fn signature_line(line: &str, number: usize) -> Result<(KeyName, u32, Vec<u8>), NoteError> {
    let signature =
        signed_note::Signature::from_bytes(line.as_bytes()).map_err(|_| NoteError::SignatureLine(number))?;
    let name = signature.name().parse().map_err(|_| NoteError::SignatureLine(number))?;
    Ok((name, signature.id(), signature.signature().to_vec()))
}

fn write_line(f: &mut fmt::Formatter<'_>, name: &KeyName, key_id: u32, data: Vec<u8>) -> fmt::Result {
    let line = signed_note::Signature::new(name.to_string(), key_id, data).map_err(|_| fmt::Error)?.to_bytes();
    f.write_str(&String::from_utf8_lossy(&line))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{Cluster, golden};

    /// One log and three voters over a tree of three leaves; computed by Python's `cryptography` from the
    /// specifications' text.
    const GOLDEN: &str = golden::SIGNED_CHECKPOINT;

    #[test]
    fn a_signed_checkpoint_has_the_fixed_bytes_that_other_tools_write() {
        let signed = Cluster::golden().signed_checkpoint(golden::HEAD);
        assert_eq!(signed.to_string(), GOLDEN);
        assert_eq!(SignedCheckpoint::parse_canonical(GOLDEN.as_bytes()), Ok(signed));
    }

    #[test]
    fn the_note_library_finds_our_log_signature_valid() {
        let vkey = Cluster::golden().log.verifier().to_string();
        let verifier = signed_note::StandardVerifier::new(&vkey).expect("a verifier key to others");
        let note = signed_note::Note::from_bytes(GOLDEN.as_bytes()).expect("a note to others");
        let known = signed_note::VerifierList::new(vec![Box::new(verifier)]);
        let (valid, unknown) = note.verify(&known).expect("verifies");
        assert_eq!((valid.len(), unknown.len()), (1, 3));
    }

    #[test]
    fn lines_out_of_order_twice_or_of_another_form_are_refused() {
        let lines: Vec<&str> = GOLDEN.split_inclusive('\n').collect();
        let note = |order: &[usize]| order.iter().map(|line| lines[*line]).collect::<String>();
        assert_eq!(note(&[0, 1, 2, 3, 4, 5, 6, 7]), GOLDEN);
        for (order, error) in [
            (&[0, 1, 2, 3, 4, 6, 5, 7][..], NoteError::NotCanonical),
            (&[0, 1, 2, 3, 4, 5, 5, 6, 7], NoteError::Duplicate("strongroom.example/golden/n1".parse().expect("name"))),
            (
                &[0, 1, 2, 3, 5, 4],
                NoteError::NotTheLog {
                    origin: "strongroom.example/golden".parse().expect("name"),
                    found: "strongroom.example/golden/n1".parse().expect("name"),
                },
            ),
            (&[0, 1, 2, 3, 4, 4], NoteError::SignatureLine(1)),
            (&[0, 1, 2, 3, 4, 3], NoteError::SignatureLine(1)),
            (&[0, 1, 2, 3], NoteError::NotANote),
            (&[0, 1, 2], NoteError::NotANote),
        ] {
            assert_eq!(SignedCheckpoint::parse_canonical(note(order).as_bytes()), Err(error), "lines {order:?}");
        }
        let long = vec![b'x'; NOTE_BYTES_MAX + 1];
        assert_eq!(SignedCheckpoint::parse_canonical(&long), Err(NoteError::TooLong(NOTE_BYTES_MAX + 1)));
    }

    #[test]
    fn a_cosignature_travels_as_its_line_and_joins_in_any_order() {
        let cluster = Cluster::golden();
        let bare = cluster.log.sign(golden::HEAD).expect("signs");
        let mut lines: Vec<String> =
            cluster.signed_checkpoint(golden::HEAD).cosignatures().iter().map(ToString::to_string).collect();
        lines.reverse();
        let joined = lines.iter().try_fold(bare, |signed, line| {
            signed.with_cosignature(Cosignature::parse_canonical(line).expect("a line"))
        });
        assert_eq!(joined.expect("joins").to_string(), GOLDEN);
        assert!(Cosignature::parse_canonical(lines[0].trim_end()).is_err());
        assert!(Cosignature::parse_canonical(&format!("{}\n", lines[0])).is_err());
    }

    #[test]
    fn a_time_beyond_64_bits_of_milliseconds_is_refused() {
        let name: KeyName = "w".parse().expect("a name");
        let line = |time_s| Cosignature::new(name.clone(), 1, time_s, [0; 64]).to_string();
        let latest = Cosignature::parse_canonical(&line(TIME_S_MAX)).expect("the latest");
        assert_eq!(latest.time().0, i64::MAX / 1000 * 1000);
        assert_eq!(Cosignature::parse_canonical(&line(TIME_S_MAX + 1)), Err(NoteError::SignatureLine(0)));
        assert_eq!(Cosignature::parse_canonical(&line(u64::MAX)), Err(NoteError::SignatureLine(0)));
    }

    proptest! {
        #[test]
        fn foreign_bytes_are_a_note_only_if_they_are_its_bytes(
            bytes in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..300),
                "[a-z/.\n0-9+=— ]{0,200}".prop_map(String::into_bytes),
            ],
        ) {
            if let Ok(signed) = SignedCheckpoint::parse_canonical(&bytes) {
                prop_assert_eq!(signed.to_bytes(), bytes);
            }
        }

        #[test]
        fn damaged_notes_do_not_panic(at in 0..GOLDEN.len(), len in 0usize..40, with in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut bytes = GOLDEN.as_bytes().to_vec();
            let end = (at + len).min(bytes.len());
            bytes.splice(at..end, with);
            if let Ok(signed) = SignedCheckpoint::parse_canonical(&bytes) {
                prop_assert_eq!(signed.to_bytes(), bytes);
            }
        }
    }
}
