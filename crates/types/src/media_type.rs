//! What an original is made of. Every rule treats all of them alike (R-000-2).

use std::{fmt, str::FromStr};

/// What an original is made of 资料种类, as whoever sends it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
pub enum MediaType {
    /// 录像.
    #[n(0)]
    Video,
    /// 录音.
    #[n(1)]
    Audio,
    /// 照片.
    #[n(2)]
    Photo,
    /// 文书: a signed form, a statement, a letter. It is no recording.
    #[n(3)]
    Document,
}

impl MediaType {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Video, Self::Audio, Self::Photo, Self::Document];

    /// The name on the wire and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Photo => "photo",
            Self::Document => "document",
        }
    }
}

/// A word that names none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no media type; media types are {all}", all = MediaType::ALL.map(MediaType::name).join(", "))]
pub struct MediaTypeError(String);

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for MediaType {
    type Err = MediaTypeError;

    fn from_str(text: &str) -> Result<Self, MediaTypeError> {
        Self::ALL
            .into_iter()
            .find(|media_type| media_type.name() == text)
            .ok_or_else(|| MediaTypeError(text.to_owned()))
    }
}
