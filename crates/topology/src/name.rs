//! The name of a class: short checked text, by the same rule as every other name.

use std::{fmt, str::FromStr};

use strongroom_types::{UnitId, id::IdError, rows::Key};

/// Names a class of promise, such as `evidence`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClassName(Box<str>);

impl ClassName {
    /// The text as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClassName {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        // One rule for names in the whole system: a unit's name is checked by it, and so is this.
        match text.parse::<UnitId>() {
            Ok(_) => Ok(Self(text.into())),
            Err(IdError::NotAName { text, max, .. }) => Err(IdError::NotAName { what: "ClassName", text, max }),
            Err(other) => Err(other),
        }
    }
}

impl fmt::Display for ClassName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ClassName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClassName({self})")
    }
}

impl Key for ClassName {
    /// Ends with a zero byte, which no name holds, so that a pair starting with a name keeps its order.
    fn write_to(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self.0.as_bytes());
        bytes.push(0);
    }
}

impl<C> minicbor::Encode<C> for ClassName {
    fn encode<W: minicbor::encode::Write>(
        &self,
        encoder: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        encoder.str(&self.0)?;
        Ok(())
    }
}

impl<'b, C> minicbor::Decode<'b, C> for ClassName {
    fn decode(decoder: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let position = decoder.position();
        decoder.str()?.parse().map_err(|_| minicbor::decode::Error::message("not a class name").at(position))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_name_obeys_the_rule_of_names_and_says_what_it_is() {
        assert_eq!("evidence".parse::<ClassName>().expect("a name").as_str(), "evidence");
        let error = "a/b".parse::<ClassName>().expect_err("has a slash");
        assert!(error.to_string().starts_with("ClassName \"a/b\" is not a name"), "{error}");
    }
}
