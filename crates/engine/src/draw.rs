//! Proofs of draws 抽样证明, from the rows of one replica.

use strongroom_custody::{
    Act, Fact, Record,
    draw::{self, CommitDraw, row::DrawState},
};
use strongroom_package::{
    DrawProof, DrawRecords, FactsError,
    draw::{DrawFacts, DrawStep, RecordedDraw},
};
use strongroom_types::{
    ClusterId, DrawCommitment, DrawId, DrawSeed, DrawShare, NodeId, PopulationDigest, Reason, Refusal, rows::Rows,
};

use crate::{
    catalog::{broken, refusal_of},
    disposal::signed,
    machine::CHECKPOINT,
    receipt::{CustodyRecords, evidence},
};

/// The proof of a completed draw. It is verified before it is given out.
///
/// # Errors
/// `WRONG_STATE` where the draw is not completed, `RECEIPT_PENDING` where its last record is not cosigned yet, or a fault
/// of ours.
pub fn proof(rows: &dyn Rows, id: DrawId) -> Result<Vec<u8>, Refusal> {
    let row = draw::read(rows, id).map_err(refusal_of)?;
    let DrawState::Completed(_, last) = row.state else {
        return Err(Refusal::new(
            Reason::WrongState,
            "C7",
            format!("{id} is {}: there is a proof when it is drawn", row.state.name()),
            format!("who is waited for: `strongroom draw show {id}`"),
        ));
    };
    let checkpoint = CHECKPOINT.read(rows, &()).map_err(|error| broken(&error))?;
    let Some(checkpoint) = checkpoint.filter(|checkpoint| checkpoint.size > last.0) else {
        return Err(Refusal::new(
            Reason::ReceiptPending,
            "C3",
            format!("{id} is drawn; its last record is not yet cosigned by a majority of the voters"),
            "ask again in a moment",
        ));
    };
    let proved = |seq| evidence(rows, seq, checkpoint.size, &checkpoint.note);
    let records = row.records().into_iter().map(proved).collect::<Result<_, _>>()?;
    let items = draw::population(rows, id).map_err(|error| broken(&error))?;
    let issued = DrawProof::issue(id, items, records, &CustodyRecords);
    Ok(issued.map_err(|error| broken(&error))?.to_bytes())
}

impl DrawRecords for CustodyRecords {
    fn draw(&self, record: &[u8]) -> Result<DrawFacts, FactsError> {
        let record = Record::from_bytes(record).map_err(|error| FactsError(error.to_string()))?;
        if let Some(reason) = record.refused {
            return Err(FactsError(format!("the record is of a refusal: {reason}")));
        }
        let draw = parsed(&record, Fact::Draw)?;
        Ok(DrawFacts { draw, at: record.wall, step: step(&record, draw)? })
    }
}

fn step(record: &Record, draw: DrawId) -> Result<DrawStep, FactsError> {
    Ok(match record.act {
        Act::DrawRecord => DrawStep::Recorded(Box::new(recorded(record)?)),
        Act::DrawCommit => {
            let commitment: DrawCommitment = fixed(record, Fact::Commitment)?;
            let commit = CommitDraw { draw, commitment, signature: Vec::new().into(), vkey: String::new() };
            let signed = signed(record, |cluster, node| draw::commit_message(cluster, node, &commit))?;
            DrawStep::Committed { node: parsed(record, Fact::Node)?, commitment, signed }
        }
        Act::DrawReveal => {
            let share: DrawShare = fixed(record, Fact::Share)?;
            DrawStep::Revealed { node: parsed(record, Fact::Node)?, share }
        }
        Act::DrawAdvance => match record.text(Fact::State) {
            Some("revealing") => DrawStep::Closed,
            Some("overdue") => DrawStep::Overdue,
            Some("completed") => {
                let seed: DrawSeed = fixed(record, Fact::Seed)?;
                DrawStep::Completed { seed, sample: record.items.clone() }
            }
            state => return Err(FactsError(format!("the draw came to {state:?}, where nothing is drawn"))),
        },
        other => return Err(FactsError(format!("the record is of {}, no step of a draw", other.name()))),
    })
}

fn recorded(record: &Record) -> Result<RecordedDraw, FactsError> {
    let text = |fact: Fact| record.text(fact).map(str::to_owned).ok_or_else(|| missing(fact));
    let number = |fact: Fact| record.number(fact).ok_or_else(|| missing(fact));
    let voters = text(Fact::Voters)?;
    let voters = voters.split(' ').map(|node| node.parse::<NodeId>().map_err(|_| missing(Fact::Voters)));
    let repeats = record.text(Fact::Repeats).map(|draw| draw.parse().map_err(|_| missing(Fact::Repeats)));
    Ok(RecordedDraw {
        cluster: fixed::<ClusterId>(record, Fact::Cluster)?,
        inspector: record.stamp.principal.clone().ok_or_else(|| FactsError("the record names nobody".to_owned()))?,
        rule: record.rule.clone(),
        query: text(Fact::Query)?,
        ratio_percent: number(Fact::RatioPercent)?,
        items: number(Fact::Count)?,
        population: fixed::<PopulationDigest>(record, Fact::Population)?,
        sample: number(Fact::SampleCount)?,
        voters: voters.collect::<Result<_, _>>()?,
        repeats: repeats.transpose()?,
        reason: record.text(Fact::ReasonGiven).unwrap_or_default().to_owned(),
    })
}

fn fixed<'a, T: TryFrom<&'a [u8]>>(record: &'a Record, fact: Fact) -> Result<T, FactsError> {
    record.bytes(fact).and_then(|bytes| T::try_from(bytes).ok()).ok_or_else(|| missing(fact))
}

fn parsed<T: std::str::FromStr>(record: &Record, fact: Fact) -> Result<T, FactsError> {
    record.text(fact).and_then(|text| text.parse().ok()).ok_or_else(|| missing(fact))
}

fn missing(fact: Fact) -> FactsError {
    FactsError(format!("the record does not name {}", fact.name()))
}
