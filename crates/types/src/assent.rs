//! Assents 签署: what a person signs who decides, with the key of their certificate (ADR 0020). The node that passes a decision on
//! cannot make one, and neither can it make another one of it.
//!
//! An assent is plain text, so that a program in any language can show it and sign it:
//!
//! ```text
//! strongroom assent v1
//! cluster 9a1b…
//! key 5f3c…
//! time 1780000000000
//! act disposal.approve
//! batch DSP-1
//! item 0101… 到期鉴定
//! ```
//!
//! The key is the call's idempotency key: it makes each assent good for one call. The time is the signer's own, in milliseconds
//! since 1970: what was signed long ago decides nothing now. Line breaks in a value are written as spaces.

use std::{collections::BTreeMap, fmt::Display};

use sha2::{Digest, Sha256};

use crate::{
    BatchId, CaseId, ClusterId, CorrectionId, DiskId, HoldId, IdempotencyKey, ItemId, KeyHash, NodeId, PrincipalId,
    ProfileName, RecordSeq, RemovalId, RequestId, Role, UnitId, UnixMillis,
};

/// Stands for every unit, act or profile.
const EVERY: &str = "*";
/// First line of every assent.
const DOMAIN: &str = "strongroom assent v1";

/// What somebody assents to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assent {
    act: &'static str,
    lines: Vec<(&'static str, String)>,
}

impl Assent {
    const fn of(act: &'static str) -> Self {
        Self { act, lines: Vec::new() }
    }

    fn about(mut self, name: &'static str, value: impl Display) -> Self {
        self.lines.push((name, value.to_string().replace(['\n', '\r'], " ")));
        self
    }

    fn about_all<T: Display>(self, name: &'static str, values: impl IntoIterator<Item = T>) -> Self {
        values.into_iter().fold(self, |assent, value| assent.about(name, value))
    }

    /// Name of the act, such as `disposal.approve`.
    #[must_use]
    pub const fn act(&self) -> &'static str {
        self.act
    }

    /// What is signed at `time`: UTF-8, a line feed after each line.
    #[must_use]
    pub fn text(&self, cluster: ClusterId, key: &IdempotencyKey, time: UnixMillis) -> String {
        let mut text = format!("{DOMAIN}\ncluster {cluster}\nkey {key}\ntime {}\nact {}\n", time.0, self.act);
        for (name, value) in &self.lines {
            text += &format!("{name} {value}\n");
        }
        text
    }

    /// Approves a request: who asks, for what, which items, and what the form says.
    #[must_use]
    pub fn approve_request(
        request: RequestId,
        requester: &str,
        act: &str,
        items: impl IntoIterator<Item = ItemId>,
        fields: &BTreeMap<String, String>,
    ) -> Self {
        let fields = fields.iter().map(|(name, value)| format!("{name} {value}"));
        Self::of("request.approve")
            .about("request", request)
            .about("requester", requester)
            .about("asks-for", act)
            .about_all("item", items)
            .about_all("field", fields)
    }

    /// Attests to having seen a form.
    #[must_use]
    pub fn attest_paper(request: RequestId, paper: RecordSeq) -> Self {
        Self::of("request.attest-paper").about("request", request).about("record", paper.0)
    }

    /// Enters what an approver said.
    #[must_use]
    pub fn enter_oral(
        request: RequestId,
        approver: &PrincipalId,
        witness: &PrincipalId,
        said_at: UnixMillis,
        reason: &str,
    ) -> Self {
        Self::of("request.enter-oral")
            .about("request", request)
            .about("approver", approver)
            .about("witness", witness)
            .about("said-at", said_at.0)
            .about("reason", reason)
    }

    /// Confirms an oral approval.
    #[must_use]
    pub fn confirm_oral(request: RequestId) -> Self {
        Self::of("request.confirm-oral").about("request", request)
    }

    /// Takes one of the two steps that release a hold.
    #[must_use]
    pub fn release_hold(hold: &HoldId, reason: &str) -> Self {
        Self::of("hold.release").about("hold", hold).about("reason", reason)
    }

    /// Approves a correction.
    #[must_use]
    pub fn approve_correction(correction: CorrectionId) -> Self {
        Self::of("correction.approve").about("correction", correction)
    }

    /// Approves the disposal of these items, each with its basis, in the order of their ids.
    #[must_use]
    pub fn approve_disposal<'a>(batch: BatchId, items: impl IntoIterator<Item = (ItemId, &'a str)>) -> Self {
        let items = items.into_iter().map(|(item, basis)| format!("{item} {basis}"));
        Self::of("disposal.approve").about("batch", batch).about_all("item", items)
    }

    /// Executes a disposal under these supervisors.
    #[must_use]
    pub fn execute_disposal(batch: BatchId, supervisors: &[PrincipalId]) -> Self {
        Self::of("disposal.execute").about("batch", batch).about_all("supervisor", supervisors)
    }

    /// Signs that a batch is gone.
    #[must_use]
    pub fn sign_disposal(batch: BatchId) -> Self {
        Self::of("disposal.sign").about("batch", batch)
    }

    /// Approves a profile's version.
    #[must_use]
    pub fn approve_profile(profile: &ProfileName, proposal: RecordSeq) -> Self {
        Self::of("profile.approve").about("profile", profile).about("record", proposal.0)
    }

    /// Registers a principal.
    #[must_use]
    pub fn register_principal(principal: &PrincipalId, key: &KeyHash, roles: &[Role], unit: Option<&UnitId>) -> Self {
        Self::of("principal.register")
            .about("principal", principal)
            .about("public-key", key)
            .about_all("role", roles)
            .about("unit", unit.map_or(EVERY, UnitId::as_str))
    }

    /// Gives a principal another key.
    #[must_use]
    pub fn rotate_principal(principal: &PrincipalId, key: &KeyHash) -> Self {
        Self::of("principal.rotate").about("principal", principal).about("public-key", key)
    }

    /// Gives a mandate.
    #[must_use]
    pub fn give_mandate(terms: &MandateTerms<'_>) -> Self {
        Self::of(if terms.is_appointment { "mandate.appoint" } else { "mandate.delegate" })
            .about("holder", terms.holder)
            .about("role", terms.role)
            .about("for", if terms.acts.is_empty() { EVERY.to_owned() } else { terms.acts.join(" ") })
            .about("unit", terms.unit.map_or(EVERY, UnitId::as_str))
            .about("profile", terms.profile.map_or(EVERY, ProfileName::as_str))
            .about("from", terms.from.map_or_else(|| "now".to_owned(), |from| from.0.to_string()))
            .about("until", terms.until.0)
            .about("document", terms.document)
    }

    /// Confirms an appointment.
    #[must_use]
    pub fn confirm_mandate(holder: &PrincipalId, mandate: RecordSeq) -> Self {
        Self::of("mandate.confirm").about("holder", holder).about("record", mandate.0)
    }

    /// Approves a change of units.
    #[must_use]
    pub fn approve_unit_change(proposal: RecordSeq) -> Self {
        Self::of("unit.approve").about("record", proposal.0)
    }

    /// Approves that one node votes in place of another.
    #[must_use]
    pub fn approve_voter(change: RecordSeq, old: NodeId, new: NodeId) -> Self {
        Self::of("voter.approve").about("record", change.0).about("old", old).about("new", new)
    }

    /// Approves a removal to a classified carrier: what its receiver signs, and the key that they sign with.
    #[must_use]
    pub fn approve_removal(removal: RemovalId, statement: &[u8], receiver_key: &[u8]) -> Self {
        Self::of("secret.approve").about("removal", removal).about_removal(statement, receiver_key)
    }

    /// Executes a removal under these supervisors.
    #[must_use]
    pub fn execute_removal(
        removal: RemovalId,
        statement: &[u8],
        receiver_key: &[u8],
        supervisors: &[PrincipalId],
    ) -> Self {
        Self::of("secret.execute")
            .about("removal", removal)
            .about_removal(statement, receiver_key)
            .about_all("supervisor", supervisors)
    }

    fn about_removal(self, statement: &[u8], receiver_key: &[u8]) -> Self {
        self.about("statement", hex::encode(Sha256::digest(statement))).about("receiver-key", hex::encode(receiver_key))
    }

    /// Signs that nothing is left of what was removed.
    #[must_use]
    pub fn close_removal(removal: RemovalId) -> Self {
        Self::of("disposal.sign").about("removal", removal)
    }

    /// Calls a disk lost.
    #[must_use]
    pub fn lose_disk(disk: DiskId, reason: &str) -> Self {
        Self::of("disposal.close-lost").about("disk", disk).about("reason", reason)
    }

    /// Calls a node's replica of the metadata lost.
    #[must_use]
    pub fn lose_replica(node: NodeId, reason: &str) -> Self {
        Self::of("disposal.close-lost").about("replica", node).about("reason", reason)
    }

    /// Archives a case: its evidence is kept for a term from then on; none of months is for good.
    #[must_use]
    pub fn archive_case(case: &CaseId, date: UnixMillis, months: Option<u32>) -> Self {
        let months = months.map_or_else(|| "permanent".to_owned(), |months| months.to_string());
        Self::of("case.archive").about("case", case).about("date", date.0).about("months", months)
    }

    /// Takes one of the two steps that release an item from quarantine.
    #[must_use]
    pub fn release_quarantine(item: ItemId, reason: &str) -> Self {
        Self::of("quarantine.release").about("item", item).about("reason", reason)
    }
}

/// What a mandate says.
#[derive(Clone, Debug)]
pub struct MandateTerms<'a> {
    /// An appointment, or else a delegation.
    pub is_appointment: bool,
    /// Who gets it.
    pub holder: &'a PrincipalId,
    /// Whose right it is.
    pub role: Role,
    /// For which acts; none for every act.
    pub acts: Vec<&'a str>,
    /// For footage of this unit alone.
    pub unit: Option<&'a UnitId>,
    /// For footage under this profile alone.
    pub profile: Option<&'a ProfileName>,
    /// From when; none for at once.
    pub from: Option<UnixMillis>,
    /// Until when.
    pub until: UnixMillis,
    /// Number of the document.
    pub document: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assent_is_plain_text_of_one_line_for_each_value() {
        let assent = Assent::release_hold(&"复议-7".parse().expect("a name"), "案件\n已结\r");
        let key = "k-1".parse().expect("a key");
        assert_eq!(
            assent.text(ClusterId::new([0xc1; 16]), &key, UnixMillis(7)),
            format!(
                "strongroom assent v1\ncluster {}\nkey k-1\ntime 7\nact hold.release\nhold 复议-7\nreason 案件 已结 \n",
                "c1".repeat(16)
            )
        );
        let other = Assent::approve_disposal(BatchId(7), [(ItemId::new([1; 16]), "到期")]);
        assert!(
            other
                .text(ClusterId::new([0; 16]), &key, UnixMillis(7))
                .ends_with(&format!("batch DSP-7\nitem {} 到期\n", "01".repeat(16)))
        );
    }
}
