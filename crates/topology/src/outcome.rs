//! How a rule ends: accepted, refused, or with rows that cannot be read.

use strongroom_types::{Refusal, rows::RowError};

use crate::command::{Answer, Applied, Event};

/// Why a rule went no further. Rules decide first and write last, so nothing has been written by then.
pub(crate) enum Stop {
    /// An ordinary answer.
    Refused(Refusal),
    /// The node must stop.
    Rows(RowError),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<RowError> for Stop {
    fn from(error: RowError) -> Self {
        Self::Rows(error)
    }
}

pub(crate) type Outcome = Result<Applied, Stop>;

pub(crate) fn split(outcome: Outcome) -> Result<Result<Applied, Refusal>, RowError> {
    match outcome {
        Ok(applied) => Ok(Ok(applied)),
        Err(Stop::Refused(refusal)) => Ok(Err(refusal)),
        Err(Stop::Rows(error)) => Err(error),
    }
}

pub(crate) fn done(events: Vec<Event>) -> Outcome {
    Ok(Applied { answer: Answer::Done, events })
}

pub(crate) fn answered(answer: Answer) -> Outcome {
    Ok(Applied { answer, events: Vec::new() })
}
