//! Everything that anybody can ask the cluster to do, and the one table of which role may ask it.

use strongroom_types::Role;

macro_rules! acts {
    ($($(#[$doc:meta])* $number:literal $variant:ident $name:literal [$($role:ident)*];)*) => {
        /// An act, as records name it. Numbers are stored and never reused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode)]
        #[cbor(index_only)]
        pub enum Act {
            $($(#[$doc])* #[n($number)] $variant,)*
        }

        impl Act {
            /// Every act.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name in records, such as `item.seal`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Roles that may ask for it. A profile can narrow this, never widen it; no role at all means that
            /// only the cluster itself does it.
            #[must_use]
            pub const fn roles(self) -> &'static [Role] {
                match self { $(Self::$variant => &[$(Role::$role),*],)* }
            }
        }
    };
}

acts! {
    /// Opens an upload.
    1 UploadOpen "upload.open" [Station];
    /// Takes an upload over with a new stream.
    2 UploadResume "upload.resume" [Station];
    /// Commits progress of an upload.
    3 UploadProgress "upload.progress" [];
    /// Seals an original.
    4 ItemSeal "item.seal" [Station];
    /// Fetches the receipt of an item of the caller's unit.
    5 ReceiptFetch "receipt.fetch" [Station];
    /// Reads one catalogue entry.
    6 ItemShow "item.show" [Recorder Custodian UnitHead Legal Archivist Approver Head Inspector Auditor Secrecy];
    /// Lists catalogue entries.
    7 ItemList "item.list" [Recorder Custodian UnitHead Legal Archivist Approver Head Inspector Auditor Secrecy];
    /// Asks why an item is kept.
    8 ItemExplain "item.explain" [Recorder Custodian UnitHead Legal Archivist Approver Head Inspector Auditor Secrecy];
    /// Appends a label.
    9 ItemLabel "item.label" [Recorder Custodian UnitHead Legal];
    /// Reads the records of one item.
    10 ItemRecords "item.records" [Custodian UnitHead Legal Archivist Head Inspector Auditor Secrecy];
    /// Asks for footage.
    11 RequestSubmit "request.submit" [Recorder Custodian UnitHead Legal Inspector];
    /// Approves a request.
    12 RequestApprove "request.approve" [UnitHead Legal Approver Head];
    /// Rejects a request.
    13 RequestReject "request.reject" [UnitHead Legal Approver Head];
    /// Reads one request.
    14 RequestShow "request.show" [Recorder Custodian UnitHead Legal Archivist Approver Head Inspector Auditor];
    /// Lists requests.
    15 RequestList "request.list" [Recorder Custodian UnitHead Legal Archivist Approver Head Inspector Auditor];
    /// Begins a copy-out.
    16 CopyOutBegin "copy-out.begin" [Custodian UnitHead Legal Archivist];
    /// Begins a view.
    17 ViewBegin "view.begin" [Recorder Custodian UnitHead Legal Archivist Approver Head Inspector];
    /// Reads footage within a session.
    18 SessionRead "session.read" [Recorder Custodian UnitHead Legal Archivist Approver Head Inspector];
    /// Ends a session.
    19 SessionEnd "session.end" [Recorder Custodian UnitHead Legal Archivist Approver Head Inspector];
    /// Registers a principal.
    20 PrincipalRegister "principal.register" [Security];
    /// Replaces a principal's key.
    21 PrincipalRotate "principal.rotate" [Security];
    /// Ends a principal's access.
    22 PrincipalRevoke "principal.revoke" [Security];
    /// Lists principals.
    23 PrincipalList "principal.list" [Security Auditor];
    /// Registers a unit.
    24 UnitAdd "unit.add" [Security];
    /// Lists units.
    25 UnitList "unit.list" [Recorder Custodian UnitHead Legal Archivist Approver Head Inspector Ops Security Auditor Secrecy];
    /// Registers a device.
    26 DeviceAdd "device.add" [Custodian];
    /// Lists devices.
    27 DeviceList "device.list" [Recorder Custodian UnitHead Legal Archivist Approver Head Inspector Security Auditor Secrecy];
    /// Reads a profile.
    28 ProfileShow "profile.show" [Recorder Custodian UnitHead Legal Archivist Approver Head Inspector Ops Security Auditor];
    /// Reads records with their people and places.
    29 LedgerRecords "ledger.records" [Auditor];
    /// Reads checkpoints, proofs and the policy, which hold no personal data.
    30 LedgerProve "ledger.prove" [Legal Archivist Head Inspector Ops Security Auditor];
    /// Reads the state of the machines.
    31 ClusterStatus "cluster.status" [Ops Security Auditor];
    /// Creates the cluster.
    32 ClusterCreate "cluster.create" [];
    /// Takes a node in or changes it.
    33 NodeChange "node.change" [];
    /// Advances the compliance clock.
    34 ClockTick "clock.tick" [];
    /// Records an outage of the compliance clock.
    35 ClockOutage "clock.outage" [];
    /// Connects without a certificate that we know.
    36 Connect "connect" [];
    /// Calls something that does not exist, such as deleting an item.
    37 NoSuchCall "no-such-call" [];
    /// Expires an upload without progress.
    38 UploadExpire "upload.expire" [];
    /// Activates a profile.
    39 ProfileActivate "profile.activate" [];
    /// Finds a shard that is missing, corrupt or lying.
    40 ShardFault "shard.fault" [];
    /// Keeps an item until a later date.
    41 ItemExtend "item.extend" [Custodian Legal];
    /// Keeps an item without end, for one of the profile's reasons.
    42 ItemTrigger "item.trigger" [Custodian UnitHead Legal];
    /// Leaves an item to lawful chains only.
    43 ItemRestrict "item.restrict" [Custodian Legal Secrecy];
    /// Ends the restriction of an item.
    44 ItemUnrestrict "item.unrestrict" [Custodian Legal];
    /// Sets the confidentiality of an item.
    45 ItemClassify "item.classify" [Custodian UnitHead Legal Secrecy];
    /// Takes one of the two steps that release an item from quarantine.
    46 QuarantineRelease "quarantine.release" [Custodian UnitHead];
    /// Opens a case.
    47 CaseOpen "case.open" [Recorder Custodian UnitHead Legal];
    /// Binds items to a case.
    48 CaseBind "case.bind" [Recorder Custodian UnitHead Legal];
    /// Says how a case ended.
    49 CaseClose "case.close" [UnitHead Legal];
    /// Archives a case's file for a term.
    50 CaseArchive "case.archive" [Legal Archivist];
    /// Takes a case up again.
    51 CaseReopen "case.reopen" [UnitHead Legal];
    /// Reads one case.
    52 CaseShow "case.show" [Recorder Custodian UnitHead Legal Archivist Approver Head Inspector Auditor];
    /// Lists cases.
    53 CaseList "case.list" [Recorder Custodian UnitHead Legal Archivist Approver Head Inspector Auditor];
    /// Places or widens a hold.
    54 HoldPlace "hold.place" [Custodian UnitHead Legal Head];
    /// Takes one of the two steps that release a hold.
    55 HoldRelease "hold.release" [Legal Head];
    /// Reads one hold.
    56 HoldShow "hold.show" [Custodian UnitHead Legal Archivist Approver Head Inspector Auditor];
    /// Lists holds.
    57 HoldList "hold.list" [Custodian UnitHead Legal Archivist Approver Head Inspector Auditor];
    /// Proposes a correction.
    58 CorrectionPropose "correction.propose" [Legal Head];
    /// Approves a correction.
    59 CorrectionApprove "correction.approve" [Legal Head];
    /// Withdraws a correction that is not yet in force.
    60 CorrectionWithdraw "correction.withdraw" [Legal Head];
    /// Lets time pass in a trial cluster.
    107 ClockAdvance "clock.advance" [Ops];
    /// Lists corrections, or reads one.
    106 CorrectionList "correction.list" [Custodian UnitHead Legal Archivist Head Inspector Auditor];

    /// Issues a device: the giver's step.
    67 DeviceIssue "device.issue" [Custodian];
    /// Hands a device over to another person: the giver's step.
    68 DeviceHandOver "device.hand-over" [Recorder Custodian UnitHead Legal];
    /// Returns a device to the store: the giver's step.
    69 DeviceReturn "device.return" [Recorder Custodian UnitHead Legal];
    /// Accepts a device or declines it: the receiver's step.
    70 DeviceAccept "device.accept" [Recorder Custodian UnitHead Legal];
    /// Reports a device lost.
    71 DeviceReportLoss "device.report-loss" [Recorder Custodian UnitHead Legal];
    /// Reports a device's fault.
    72 DeviceReportFault "device.report-fault" [Recorder Custodian UnitHead Legal];
    /// Confirms a device's fault.
    73 DeviceConfirmFault "device.confirm-fault" [UnitHead];
    /// Sends a device to be mended.
    74 DeviceRepair "device.repair" [Custodian];
    /// Takes a device back that was mended or found.
    75 DeviceRestore "device.restore" [Custodian Secrecy];
    /// Records what was seen when a device was docked.
    76 DeviceDock "device.dock" [Station Custodian];
    /// Appends a correction to a device's register.
    77 DeviceCorrect "device.correct" [Custodian];
    /// Reads a device's register, and which devices were not collected.
    78 DeviceLedger "device.ledger" [Recorder Custodian UnitHead Legal Archivist Approver Head Inspector Auditor Secrecy];
    /// Clears a person of devices.
    79 DeviceClearance "device.clearance" [Custodian UnitHead];
    /// Names the custodian or a deputy of a unit, or the custodian of a device.
    80 KeeperName "unit.keeper" [UnitHead Head];
    /// Says that a notice was seen.
    81 NoticeAcknowledge "notice.acknowledge" [UnitHead Head];
    /// Opens an activity.
    82 ActivityOpen "activity.open" [Recorder Custodian UnitHead Legal];
    /// Adds a phase to an activity.
    83 ActivityPhase "activity.phase" [Recorder Custodian UnitHead Legal];
    /// Says when an activity ended, or another instant that deadlines are counted from.
    84 ActivityMoment "activity.moment" [Recorder Custodian UnitHead Legal];
    /// Corrects an activity.
    85 ActivityCorrect "activity.correct" [Recorder Custodian UnitHead Legal];
    /// Attaches an item to an activity, or takes it out.
    86 ActivityAttach "activity.attach" [Recorder Custodian UnitHead Legal];
    /// Records an interruption.
    87 ActivityInterruption "activity.interruption" [Recorder Custodian UnitHead Legal];
    /// Records an exemption.
    88 ActivityExempt "activity.exempt" [Recorder Custodian UnitHead Legal];
    /// Files a statement with an interruption or an exemption.
    89 ActivityFile "activity.file" [Recorder Custodian UnitHead Legal];
    /// Reads activities, their gaps, deadlines and registers.
    90 ActivityShow "activity.show" [Recorder Custodian UnitHead Legal Archivist Approver Head Inspector Auditor];
    /// Proposes a batch of items for disposal.
    91 DisposalPropose "disposal.propose" [Legal Archivist];
    /// Approves a batch: legal first, then the head.
    92 DisposalApprove "disposal.approve" [Legal Head];
    /// Withdraws a batch that is not executed.
    93 DisposalWithdraw "disposal.withdraw" [Legal Archivist Head];
    /// Executes an approved batch.
    94 DisposalExecute "disposal.execute" [Custodian Archivist];
    /// Signs, as a supervisor, that a batch is gone.
    95 DisposalSign "disposal.sign" [Custodian UnitHead Legal Archivist Approver Head Inspector];
    /// Erases on a disk what a batch names.
    96 DisposalErase "disposal.erase" [];
    /// Gives a replica's word that it holds no key of a batch.
    97 DisposalAttest "disposal.attest" [];
    /// Closes a disk or replica as lost.
    98 DisposalCloseLost "disposal.close-lost" [Legal Archivist Head];
    /// Sweeps rows that disposed items left.
    99 DisposalSweep "disposal.sweep" [];
    /// Reads one batch or removal and its certificate.
    100 DisposalShow "disposal.show" [Custodian UnitHead Legal Archivist Approver Head Inspector Auditor Secrecy];
    /// Lists batches or removals.
    101 DisposalList "disposal.list" [Custodian UnitHead Legal Archivist Approver Head Inspector Auditor Secrecy];
    /// Asks what a proposal would be told, item by item.
    102 DisposalPlan "disposal.plan" [Legal Archivist];
    /// Shows a disk a permit that does not verify.
    103 PermitShow "permit.show" [];
    /// Proposes a profile or a new version of one.
    61 ProfilePropose "profile.propose" [Security];
    /// Approves a version that was proposed.
    62 ProfileApprove "profile.approve" [Legal Head];
    /// Withdraws a version before it takes effect.
    63 ProfileWithdraw "profile.withdraw" [Legal Head Security];
    /// Counts what a version would do to stored items.
    64 ProfilePreview "profile.preview" [Legal Head Security Auditor];

    /// Makes a deputy the head, by a document.
    140 MandateAppoint "mandate.appoint" [Security];
    /// Lends one's own right to decide.
    141 MandateDelegate "mandate.delegate" [Approver Head];
    /// Says that an appointment is what its document says.
    142 MandateConfirm "mandate.confirm" [Legal Head];
    /// Ends a mandate before its time.
    143 MandateRevoke "mandate.revoke" [Legal Approver Head Security];
    /// Lists mandates.
    144 MandateList "mandate.list" [Recorder Custodian UnitHead Legal Archivist Approver Head Inspector Security Auditor];
    /// Withdraws one's own request.
    145 RequestWithdraw "request.withdraw" [Recorder Custodian UnitHead Legal Inspector];
    /// Takes an approval or a grant back.
    146 RequestRevoke "request.revoke" [UnitHead Legal Approver Head];
    /// Ends a request that nobody decided, or a grant that ran out.
    147 RequestLapse "request.lapse" [];
    /// Files a signed form as an approval.
    148 PaperFile "request.file-paper" [Legal];
    /// Attests to having seen a signed form.
    149 PaperAttest "request.attest-paper" [Custodian UnitHead Legal Archivist Approver Head];
    /// Enters an oral approval.
    150 OralEnter "request.enter-oral" [Legal];
    /// Confirms an oral approval.
    151 OralConfirm "request.confirm-oral" [UnitHead Legal Approver Head];
    /// Finds an oral approval that nobody confirmed in time.
    152 OralOverdue "request.oral-overdue" [];
    /// Hands items to somebody to look at.
    153 ListGive "list.give" [Recorder Custodian UnitHead];
    /// Closes such a list.
    154 ListClose "list.close" [Recorder Custodian UnitHead Legal Head Inspector];
    /// Reads such lists.
    155 ListShow "list.show" [Recorder Custodian UnitHead Legal Head Inspector Auditor];
    /// Proposes a new name of a unit, a merger, a split or an abolition.
    130 UnitPropose "unit.propose" [Security];
    /// Approves what becomes of units.
    131 UnitApprove "unit.approve" [Legal Head];
    /// Withdraws a change of units before it takes effect.
    132 UnitWithdraw "unit.withdraw" [Legal Head Security];
    /// Counts what a change of units would move.
    133 UnitPlan "unit.plan" [Legal Head Security Auditor];
    /// Puts a change of units in effect.
    134 UnitChange "unit.change" [];
    /// Offers a case to another unit: the giver's step.
    135 CaseOffer "case.offer" [UnitHead Legal];
    /// Takes a case that is offered, or ends the offer.
    136 CaseAccept "case.accept" [UnitHead Legal];
    /// Notes that somebody leaves, or takes it back.
    137 PrincipalLeave "principal.leave" [Security];
    /// Reads what waits for somebody.
    138 PrincipalTasks "principal.tasks" [UnitHead Head Security Auditor];
    /// Ends the access of somebody whose date has come.
    139 PrincipalLeft "principal.left" [];
    /// Records a draw of a sample, or asks what one would select from.
    160 DrawRecord "draw.record" [UnitHead Legal Head Inspector];
    /// Commits a voter to its share of a draw.
    161 DrawCommit "draw.commit" [];
    /// Reveals a voter's share of a draw.
    162 DrawReveal "draw.reveal" [];
    /// Takes a draw further: commitments stand, it is drawn, overdue or void.
    163 DrawAdvance "draw.advance" [];
    /// Reads one draw, what it selected and what proves it.
    164 DrawShow "draw.show" [UnitHead Legal Head Inspector Auditor];
    /// Lists draws and targeted inspections.
    165 DrawList "draw.list" [UnitHead Legal Head Inspector Auditor];
    /// Records that items are inspected because a complaint names them.
    166 InspectionTarget "inspection.target" [UnitHead Legal Head Inspector];
    /// Commits to every row that decides retention.
    177 LedgerDigest "ledger.digest" [];
    /// Enters what was found of an item of an inspection.
    178 InspectionResult "inspection.result" [UnitHead Legal Head Inspector];
    /// Says that what was found wrong is put right.
    179 InspectionRectify "inspection.rectify" [Recorder Custodian UnitHead Legal Head Inspector];
    /// Finds that it was not put right in time.
    180 InspectionOverdue "inspection.overdue" [];
    /// Reads the sheet of an inspection.
    181 InspectionSheet "inspection.sheet" [UnitHead Legal Head Inspector Auditor];
    /// Reads the compliance clock with its outages, and asks what a correction of them would come to.
    182 ClockShow "clock.show" [Legal Head Inspector Ops Security Auditor];
    /// Puts a correction of outages in force.
    183 ClockCorrect "clock.correct" [];
    /// Proposes to replace a voter.
    184 VoterPropose "voter.propose" [Ops];
    /// Approves that a voter is replaced.
    185 VoterApprove "voter.approve" [Security];
    /// Withdraws the replacement of a voter before it is approved.
    186 VoterWithdraw "voter.withdraw" [Ops Security];
    /// Records that a device was sealed by hand because a state secret may be on it, and was not uploaded.
    170 SecretSealDevice "secret.seal-device" [Recorder Station Custodian UnitHead Legal Secrecy];
    /// Proposes a removal to a classified carrier, or asks what a proposal would be told.
    171 SecretPropose "secret.propose" [Custodian Legal Secrecy];
    /// Approves a removal: the secrecy office first, then the head.
    172 SecretApprove "secret.approve" [Head Secrecy];
    /// Withdraws a removal that is not executed.
    173 SecretWithdraw "secret.withdraw" [Custodian Legal Head Secrecy];
    /// Files what the receiver of a carrier signed.
    174 SecretSign "secret.sign" [Custodian UnitHead Legal Archivist];
    /// Executes a removal.
    175 SecretExecute "secret.execute" [Custodian UnitHead Legal Archivist];
    /// Ticks a copy of what was removed off as destroyed.
    176 SecretCopy "secret.copy" [Custodian UnitHead Legal Archivist Secrecy];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_and_their_keepers_never_touch_footage() {
        let disposal = Act::ALL.iter().filter(|act| act.name().starts_with("disposal."));
        let disposal = disposal.filter(|act| !matches!(act, Act::DisposalShow | Act::DisposalList));
        let footage = [Act::CopyOutBegin, Act::ViewBegin, Act::SessionRead, Act::RequestSubmit, Act::RequestApprove];
        for act in footage.iter().chain(disposal) {
            for role in [Role::Ops, Role::Security, Role::Auditor, Role::Station] {
                assert!(!act.roles().contains(&role), "{role} may {}", act.name());
            }
        }
        // The secrecy office decides about footage that it never sees.
        assert!(footage.iter().all(|act| !act.roles().contains(&Role::Secrecy)));
    }

    #[test]
    fn a_station_can_do_nothing_but_ingest_dock_and_say_that_a_device_was_sealed() {
        let may: Vec<_> =
            Act::ALL.iter().filter(|act| act.roles().contains(&Role::Station)).map(|act| act.name()).collect();
        assert_eq!(
            may,
            ["upload.open", "upload.resume", "item.seal", "receipt.fetch", "device.dock", "secret.seal-device"]
        );
    }

    #[test]
    fn names_are_unique() {
        for (position, act) in Act::ALL.iter().enumerate() {
            assert!(Act::ALL[..position].iter().all(|other| other.name() != act.name()));
        }
    }
}
