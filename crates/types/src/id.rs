//! Identifiers. Random ones are 16 bytes shown as hex; given ones are short checked text; counted ones are integers.

use std::{fmt, str::FromStr};

use crate::{cbor::fixed_bytes, limits};

/// Why a text or a byte string is not the identifier it was taken for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// A byte string of another length.
    #[error("{what} takes {expected} bytes, found {found}")]
    WrongLength {
        /// The type that was asked for.
        what: &'static str,
        /// Its length in bytes.
        expected: usize,
        /// What came.
        found: usize,
    },
    /// Text that is not hexadecimal of the right length.
    #[error("{what} takes {digits} hexadecimal digits")]
    NotHex {
        /// The type that was asked for.
        what: &'static str,
        /// How many digits it has.
        digits: usize,
    },
    /// A name that is empty, too long or holds control characters, slashes or outer spaces.
    #[error("{what} {text:?} is not a name: 1 to {max} bytes, no control characters, no '/' and no outer spaces")]
    NotAName {
        /// The type that was asked for.
        what: &'static str,
        /// The text that came, cut to a printable length.
        text: String,
        /// Greatest length in bytes.
        max: usize,
    },
    /// A number without its prefix, or out of range.
    #[error("{what} {text:?} is not of the form {prefix}NUMBER")]
    NotNumbered {
        /// The type that was asked for.
        what: &'static str,
        /// The text that came.
        text: String,
        /// The letters before the number.
        prefix: &'static str,
    },
}

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);
        fixed_bytes!($name, 16);
    };
}

random_id! {
    /// One original with its catalogue entry; drawn at random when its upload is opened.
    ItemId
}
random_id! {
    /// One disk (a data folder with a marker); drawn when the disk is formatted.
    DiskId
}
random_id! {
    /// One cluster; drawn when it is created and written into every marker.
    ClusterId
}
random_id! {
    /// One session of reading under a grant; drawn at `begin`.
    SessionId
}

macro_rules! named_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// The text as it was given.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                if is_name(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(IdError::NotAName {
                        what: stringify!($name),
                        text: text.chars().take(80).collect(),
                        max: limits::NAME_BYTES_MAX,
                    })
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl<C> minicbor::Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                encoder: &mut minicbor::Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                encoder.str(&self.0)?;
                Ok(())
            }
        }

        impl<'b, C> minicbor::Decode<'b, C> for $name {
            fn decode(decoder: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
                let position = decoder.position();
                decoder
                    .str()?
                    .parse()
                    .map_err(|_| minicbor::decode::Error::message("not a name").at(position))
            }
        }
    };
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= limits::NAME_BYTES_MAX
        && text.trim() == text
        && !text.chars().any(|c| c.is_control() || c == '/')
}

named_id! {
    /// A person, station or service as the cluster knows it; one certificate key at a time.
    PrincipalId
}
named_id! {
    /// An organisational unit 执法单位; rights are scoped by it.
    UnitId
}
named_id! {
    /// A recording device's register number 设备编号.
    DeviceId
}
named_id! {
    /// A case's number 案号.
    CaseId
}
named_id! {
    /// A hold 暂缓销毁: the name of a legal matter that forbids disposal.
    HoldId
}
named_id! {
    /// An enforcement activity 执法活动.
    ActivityId
}
named_id! {
    /// A failure domain 机房区域.
    DistrictName
}
named_id! {
    /// A profile 管理制度配置: one agency's regulation as data.
    ProfileName
}
named_id! {
    /// Chosen by the caller; the same key with the same content is answered the same again.
    IdempotencyKey
}

macro_rules! counted_id {
    ($(#[$doc:meta])* $name:ident, $int:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub $int);

        impl<C> minicbor::Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                encoder: &mut minicbor::Encoder<W>,
                context: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                minicbor::Encode::encode(&self.0, encoder, context)
            }
        }

        impl<'b, C> minicbor::Decode<'b, C> for $name {
            fn decode(decoder: &mut minicbor::Decoder<'b>, context: &mut C) -> Result<Self, minicbor::decode::Error> {
                minicbor::Decode::decode(decoder, context).map(Self)
            }
        }
    };
    ($(#[$doc:meta])* $name:ident, $int:ty, $prefix:literal) => {
        counted_id! { $(#[$doc])* $name, $int }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                text.strip_prefix($prefix)
                    .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
                    .and_then(|digits| digits.parse().ok())
                    .map(Self)
                    .ok_or_else(|| IdError::NotNumbered {
                        what: stringify!($name),
                        text: text.chars().take(80).collect(),
                        prefix: $prefix,
                    })
            }
        }
    };
}

counted_id! {
    /// A storage node, and its Raft id; counted from 1 and never reused. Shown as `n1`.
    NodeId, u64, "n"
}
counted_id! {
    /// A placement group. Shown as `v1`.
    VolumeId, u64, "v"
}
counted_id! {
    /// A request 调取使用申请. Shown as `REQ-1`.
    RequestId, u64, "REQ-"
}
counted_id! {
    /// A correction 更正 of a mistake. Shown as `COR-1`.
    CorrectionId, u64, "COR-"
}
counted_id! {
    /// A batch of a disposal 销毁批次. Shown as `DSP-1`.
    BatchId, u64, "DSP-"
}
counted_id! {
    /// A removal to a classified carrier 移交涉密载体. Shown as `RMV-1`. Batches and removals are numbered in one sequence: what
    /// disks and replicas do for either is kept under its number.
    RemovalId, u64, "RMV-"
}
counted_id! {
    /// A draw of a sample for inspection 抽样. Shown as `DRAW-1`.
    DrawId, u64, "DRAW-"
}
counted_id! {
    /// Position of a record in the ledger, from 0. Shown as `#0`.
    RecordSeq, u64, "#"
}
counted_id! {
    /// Position of a chunk in its original, from 0.
    ChunkIndex, u64
}
counted_id! {
    /// Raised by each opened or resumed upload stream; older ones can commit nothing more.
    UploadEpoch, u32
}
counted_id! {
    /// Raised when a slot of a volume moves to another disk.
    PlacementEpoch, u32
}
counted_id! {
    /// Position of a shard in its stripe and of its slot in the volume, from 0; data first, then parity.
    ShardIndex, u8
}

impl fmt::Display for ChunkIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for ShardIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_refused_when_it_could_hide_or_escape() {
        for bad in ["", " a", "a ", "a/b", "a\nb", "\u{7f}", &"x".repeat(limits::NAME_BYTES_MAX + 1)] {
            assert!(bad.parse::<UnitId>().is_err(), "{bad:?} was taken");
        }
        for good in ["U1", "城管执法大队 一中队", "a b", "..x"] {
            assert_eq!(good.parse::<UnitId>().expect("valid").as_str(), good);
        }
    }

    #[test]
    fn counted_ids_take_only_their_own_text() {
        assert_eq!("n7".parse::<NodeId>(), Ok(NodeId(7)));
        assert_eq!(RequestId(12).to_string(), "REQ-12");
        for bad in ["7", "n", "n+7", "n-1", "v7", "n99999999999999999999999"] {
            assert!(bad.parse::<NodeId>().is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn random_ids_round_trip_through_text_and_cbor() {
        let id = ItemId::new([0xab; 16]);
        assert_eq!(id.to_string().parse::<ItemId>(), Ok(id));
        let bytes = minicbor::to_vec(id).expect("encodes");
        assert_eq!(bytes[0], 0x50, "a CBOR byte string of 16");
        assert_eq!(minicbor::decode::<ItemId>(&bytes).expect("decodes"), id);
        assert!(minicbor::decode::<ItemId>(&bytes[..10]).is_err());
    }
}
