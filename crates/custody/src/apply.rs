//! The one entry that changes custody state.

use std::collections::{BTreeMap, BTreeSet};

use strongroom_types::{
    ItemId, NodeId, PrincipalId, Reason, RecordSeq, Refusal, UnixMillis, limits,
    rows::{Overlay, RowError, Rows},
};

use crate::{
    Act, Actor, Answer, Command, Fact, Record, Stamp, Value,
    access::{self, Stop},
    activity::{self, AddPhase, CorrectActivity, SetMoment},
    approval::{self, AttestPaper, ConfirmOral, EnterOral},
    assent::{self, Signed},
    case::{self, ArchiveCase, CloseCase, OpenCase, ReopenCase},
    clearance, clock,
    command::{
        ApproveProfile, ApproveRequest, ProposeProfile, RegisterPrincipal, RejectRequest, ReleaseQuarantine,
        RevokePrincipal, RevokeRequest, RotatePrincipal, SealOriginal, Under, WithdrawProfile, WithdrawRequest,
    },
    correction::{self, ApproveCorrection, WithdrawCorrection},
    device::{
        self, AnswerOffer, ConfirmFault, CorrectEntry, DockDevice, OfferDevice, ReportFault, ReportLoss, RestoreDevice,
        SealDevice, SendToRepair,
    },
    digest,
    disposal::{self, ApproveDisposal, SignDisposal, WithdrawDisposal},
    draw, erasure, exemption, genesis, hold, inspection, interruption, item, keeper,
    keeping::{self, ClassifyItem, ExtendItem, RestrictItem, TriggerItem},
    leave,
    mandate::{self, ConfirmMandate, GiveMandate, RevokeMandate},
    notice, proposal, register, removal, request, session, statement,
    tables::{ASSENTS, CLUSTER, ClusterRow, PrincipalRow},
    transfer,
    unit_change::{self, ApproveUnitChange, WithdrawUnitChange},
    upload, viewlist, voters,
};

/// What comes with a command besides itself.
#[derive(Clone, Debug)]
pub struct Context {
    /// Who asks.
    pub actor: Actor,
    /// Wall clock of whoever proposed it.
    pub wall: UnixMillis,
    /// Ledger position of the first record that this command appends.
    pub next_seq: RecordSeq,
    /// The caller's signature over what they decide, where one came and is theirs.
    pub signed: Option<Signed>,
}

/// What a command came to.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The answer, or the refusal: a refused command changed no row.
    pub outcome: Result<Answer, Refusal>,
    /// Records to append, in order, from [`Context::next_seq`] on.
    pub records: Vec<Record>,
}

/// Decides a command and changes the rows where it is granted.
///
/// # Errors
/// [`RowError`] where state cannot be read: the node must stop.
pub fn apply(rows: &mut dyn Rows, context: &Context, command: &Command) -> Result<Applied, RowError> {
    let mut overlay = Overlay::new(&*rows);
    let mut decision = Decision::new(&mut overlay, context, command)?;
    match decision.check_assent(command).and_then(|()| decide(&mut decision, command)) {
        Ok(answer) => {
            let records = decision.records;
            let changes = overlay.into_changes();
            let sum = digest::changed(&*rows, &changes)?;
            for ((table, key), value) in changes {
                match value {
                    Some(value) => rows.write(table, &key, value),
                    None => rows.remove(table, &key),
                }
            }
            if let Some(sum) = sum {
                digest::write(rows, &sum)?;
            }
            Ok(Applied { outcome: Ok(answer), records })
        }
        Err(Stop::Refused(refusal)) => {
            let record = decision.refusal_record(&refusal);
            Ok(Applied { outcome: Err(refusal), records: record.into_iter().collect() })
        }
        Err(Stop::Rows(error)) => Err(error),
    }
}

/// The record of a refusal that the composition above decided before custody was asked; none where it only says
/// "try again".
///
/// # Errors
/// [`RowError`] where state cannot be read: the node must stop.
pub fn refused(
    rows: &dyn Rows,
    context: &Context,
    command: &Command,
    refusal: &Refusal,
) -> Result<Option<Record>, RowError> {
    Ok(Decision::new(&mut Overlay::new(rows), context, command)?.refusal_record(refusal))
}

/// Like [`refused`], for an act that is no command of custody.
///
/// # Errors
/// [`RowError`] where state cannot be read: the node must stop.
pub fn refused_act(
    rows: &dyn Rows,
    context: &Context,
    act: Act,
    refusal: &Refusal,
) -> Result<Option<Record>, RowError> {
    let mut overlay = Overlay::new(rows);
    Ok(Decision::about_nothing(&mut overlay, context, act)?.refusal_record(refusal))
}

fn decide(decision: &mut Decision<'_>, command: &Command) -> Result<Answer, Stop> {
    match command {
        Command::OpenUpload(open) => upload::open(decision, open),
        Command::ResumeUpload(resume) => upload::resume(decision, resume),
        Command::CommitProgress(progress) => upload::commit_progress(decision, progress),
        Command::Seal(seal) => upload::seal(decision, seal),
        Command::SealOriginal(seal) => upload::seal_original(decision, seal),
        Command::ExpireUploads(expire) => upload::expire(decision, expire),
        Command::LabelItem(label) => item::label(decision, label),
        Command::SubmitRequest(submit) => request::submit(decision, submit),
        Command::ApproveRequest(approve) => request::approve(decision, approve),
        Command::RejectRequest(reject) => request::reject(decision, reject),
        Command::BeginSession(begin) => session::begin(decision, begin),
        Command::EndSession(end) => session::end(decision, end),
        Command::RegisterPrincipal(register) => register::register_principal(decision, register),
        Command::RotatePrincipal(rotate) => register::rotate_principal(decision, rotate),
        Command::RevokePrincipal(revoke) => register::revoke_principal(decision, revoke),
        Command::AddUnit(unit) => register::add_unit(decision, unit),
        Command::AddDevice(device) => register::add_device(decision, device),
        Command::Tick(tick) => register::tick(decision, tick),
        Command::NoteRefusal(note) => register::note_refusal(decision, note),
        Command::CreateCluster(create) => genesis::create(decision, create),
        Command::ExtendItem(extend) => keeping::extend(decision, extend),
        Command::TriggerItem(trigger) => keeping::trigger(decision, trigger),
        Command::RestrictItem(restrict) => keeping::restrict(decision, restrict),
        Command::ClassifyItem(classify) => keeping::classify(decision, classify),
        Command::ReleaseQuarantine(release) => item::release_quarantine(decision, release),
        Command::OpenCase(open) => case::open(decision, open),
        Command::BindCase(bind) => case::bind(decision, bind),
        Command::CloseCase(close) => case::close(decision, close),
        Command::ArchiveCase(archive) => case::archive(decision, archive),
        Command::ReopenCase(reopen) => case::reopen(decision, reopen),
        Command::PlaceHold(place) => hold::place(decision, place),
        Command::ReleaseHold(release) => hold::release(decision, release),
        Command::ProposeCorrection(propose) => correction::propose(decision, propose),
        Command::ApproveCorrection(approve) => correction::approve(decision, approve),
        Command::WithdrawCorrection(withdraw) => correction::withdraw(decision, withdraw),
        Command::AdvanceClock(advance) => register::advance_clock(decision, advance),
        Command::OfferDevice(offer) => device::offer(decision, offer),
        Command::AnswerOffer(answer) => device::answer(decision, answer),
        Command::ReportLoss(loss) => device::report_loss(decision, loss),
        Command::ReportFault(fault) => device::report_fault(decision, fault),
        Command::ConfirmFault(confirm) => device::confirm_fault(decision, confirm),
        Command::SendToRepair(repair) => device::repair(decision, repair),
        Command::RestoreDevice(restore) => device::restore(decision, restore),
        Command::DockDevice(dock) => device::dock(decision, dock),
        Command::CorrectEntry(correct) => device::correct(decision, correct),
        Command::ClearPerson(clear) => clearance::clear(decision, clear),
        Command::NameKeeper(name) => keeper::name(decision, name),
        Command::OpenActivity(open) => activity::open(decision, open),
        Command::AddPhase(phase) => activity::add_phase(decision, phase),
        Command::SetMoment(moment) => activity::set_moment(decision, moment),
        Command::CorrectActivity(correct) => activity::correct(decision, correct),
        Command::AttachItem(attach) => activity::attach(decision, attach),
        Command::RecordInterruption(record) => interruption::record(decision, record),
        Command::RecordExemption(exempt) => exemption::record(decision, exempt),
        Command::FileStatement(file) => statement::file(decision, file),
        Command::AcknowledgeNotice(seen) => notice::acknowledge(decision, seen),
        Command::ProposeDisposal(propose) => disposal::propose(decision, propose),
        Command::ApproveDisposal(approve) => disposal::approve(decision, approve),
        Command::WithdrawDisposal(withdraw) => disposal::withdraw(decision, withdraw),
        Command::ExecuteDisposal(execute) => disposal::execute(decision, execute),
        Command::SignDisposal(sign) => disposal::sign(decision, sign),
        Command::NoteErasure(note) => erasure::note(decision, note),
        Command::AttestKeys(word) => erasure::attest(decision, word),
        Command::CloseLost(lost) => erasure::close_lost(decision, lost),
        Command::SweepDisposed(sweep) => erasure::sweep(decision, sweep),
        Command::ProposeProfile(propose) => proposal::propose(decision, propose),
        Command::ApproveProfile(approve) => proposal::approve(decision, approve),
        Command::WithdrawProfile(withdraw) => proposal::withdraw(decision, withdraw),
        Command::GiveMandate(give) => mandate::give(decision, give),
        Command::ConfirmMandate(confirm) => mandate::confirm(decision, confirm),
        Command::RevokeMandate(revoke) => mandate::revoke(decision, revoke),
        Command::WithdrawRequest(withdraw) => request::withdraw(decision, withdraw),
        Command::RevokeRequest(revoke) => request::revoke(decision, revoke),
        Command::FilePaper(file) => approval::file(decision, file),
        Command::AttestPaper(attest) => approval::attest(decision, attest),
        Command::EnterOral(enter) => approval::enter_oral(decision, enter),
        Command::ConfirmOral(confirm) => approval::confirm_oral(decision, confirm),
        Command::GiveList(give) => viewlist::give(decision, give),
        Command::CloseList(close) => viewlist::close(decision, close),
        Command::ProposeUnitChange(propose) => unit_change::propose(decision, propose),
        Command::ApproveUnitChange(approve) => unit_change::approve(decision, approve),
        Command::WithdrawUnitChange(withdraw) => unit_change::withdraw(decision, withdraw),
        Command::OfferCase(offer) => transfer::offer(decision, offer),
        Command::AnswerCase(answer) => transfer::answer(decision, answer),
        Command::LeavePrincipal(leave) => leave::leave(decision, leave),
        Command::StayPrincipal(stay) => leave::stay(decision, stay),
        Command::RecordDraw(record) => draw::record(decision, record),
        Command::CommitDraw(commit) => draw::commit(decision, commit),
        Command::RevealDraw(reveal) => draw::reveal(decision, reveal),
        Command::TargetInspection(target) => draw::target(decision, target),
        Command::RecordResult(result) => inspection::record(decision, result),
        Command::AnswerRectification(answer) => inspection::answer(decision, answer),
        Command::ProposeVoter(propose) => voters::propose(decision, propose),
        Command::ApproveVoter(approve) => voters::approve(decision, approve),
        Command::WithdrawVoter(withdraw) => voters::withdraw(decision, withdraw),
        Command::SealDevice(seal) => device::seal(decision, seal),
        Command::ProposeRemoval(propose) => removal::propose(decision, propose),
        Command::StepRemoval(step) => removal::step(decision, step),
        Command::ExecuteRemoval(execute) => removal::execute(decision, execute),
    }
}

const fn act_of(command: &Command) -> Act {
    match command {
        Command::OpenUpload(_) => Act::UploadOpen,
        Command::ResumeUpload(_) => Act::UploadResume,
        Command::CommitProgress(_) => Act::UploadProgress,
        Command::Seal(_) | Command::SealOriginal(_) => Act::ItemSeal,
        Command::ExpireUploads(_) => Act::UploadExpire,
        Command::LabelItem(_) => Act::ItemLabel,
        Command::SubmitRequest(_) => Act::RequestSubmit,
        Command::ApproveRequest(_) => Act::RequestApprove,
        Command::RejectRequest(_) => Act::RequestReject,
        Command::BeginSession(begin) => session::act_of(&begin.under),
        Command::EndSession(_) => Act::SessionEnd,
        Command::RegisterPrincipal(_) => Act::PrincipalRegister,
        Command::RotatePrincipal(_) => Act::PrincipalRotate,
        Command::RevokePrincipal(_) => Act::PrincipalRevoke,
        Command::AddUnit(_) => Act::UnitAdd,
        Command::AddDevice(_) => Act::DeviceAdd,
        Command::Tick(_) => Act::ClockTick,
        Command::NoteRefusal(note) => note.act,
        Command::CreateCluster(_) => Act::ClusterCreate,
        Command::ExtendItem(_) => Act::ItemExtend,
        Command::TriggerItem(_) => Act::ItemTrigger,
        Command::RestrictItem(restrict) => keeping::restrict_act(restrict),
        Command::ClassifyItem(_) => Act::ItemClassify,
        Command::ReleaseQuarantine(_) => Act::QuarantineRelease,
        Command::OpenCase(_) => Act::CaseOpen,
        Command::BindCase(_) => Act::CaseBind,
        Command::CloseCase(_) => Act::CaseClose,
        Command::ArchiveCase(_) => Act::CaseArchive,
        Command::ReopenCase(_) => Act::CaseReopen,
        Command::PlaceHold(_) => Act::HoldPlace,
        Command::ReleaseHold(_) => Act::HoldRelease,
        Command::ProposeCorrection(_) => Act::CorrectionPropose,
        Command::ApproveCorrection(_) => Act::CorrectionApprove,
        Command::WithdrawCorrection(_) => Act::CorrectionWithdraw,
        Command::AdvanceClock(_) => Act::ClockAdvance,
        Command::OfferDevice(offer) => offer.way.act(),
        Command::AnswerOffer(_) => Act::DeviceAccept,
        Command::ReportLoss(_) => Act::DeviceReportLoss,
        Command::ReportFault(_) => Act::DeviceReportFault,
        Command::ConfirmFault(_) => Act::DeviceConfirmFault,
        Command::SendToRepair(_) => Act::DeviceRepair,
        Command::RestoreDevice(_) => Act::DeviceRestore,
        Command::DockDevice(_) => Act::DeviceDock,
        Command::CorrectEntry(_) => Act::DeviceCorrect,
        Command::ClearPerson(_) => Act::DeviceClearance,
        Command::NameKeeper(_) => Act::KeeperName,
        Command::OpenActivity(_) => Act::ActivityOpen,
        Command::AddPhase(_) => Act::ActivityPhase,
        Command::SetMoment(_) => Act::ActivityMoment,
        Command::CorrectActivity(_) => Act::ActivityCorrect,
        Command::AttachItem(_) => Act::ActivityAttach,
        Command::RecordInterruption(_) => Act::ActivityInterruption,
        Command::RecordExemption(_) => Act::ActivityExempt,
        Command::FileStatement(_) => Act::ActivityFile,
        Command::AcknowledgeNotice(_) => Act::NoticeAcknowledge,
        Command::ProposeDisposal(_) => Act::DisposalPropose,
        Command::ApproveDisposal(_) => Act::DisposalApprove,
        Command::WithdrawDisposal(_) => Act::DisposalWithdraw,
        Command::ExecuteDisposal(_) => Act::DisposalExecute,
        Command::SignDisposal(_) => Act::DisposalSign,
        Command::NoteErasure(_) => Act::DisposalErase,
        Command::AttestKeys(_) => Act::DisposalAttest,
        Command::CloseLost(_) => Act::DisposalCloseLost,
        Command::SweepDisposed(_) => Act::DisposalSweep,
        Command::ProposeProfile(_) => Act::ProfilePropose,
        Command::ApproveProfile(_) => Act::ProfileApprove,
        Command::WithdrawProfile(_) => Act::ProfileWithdraw,
        Command::GiveMandate(give) => mandate::give_act(give.kind),
        Command::ConfirmMandate(_) => Act::MandateConfirm,
        Command::RevokeMandate(_) => Act::MandateRevoke,
        Command::WithdrawRequest(_) => Act::RequestWithdraw,
        Command::RevokeRequest(_) => Act::RequestRevoke,
        Command::FilePaper(_) => Act::PaperFile,
        Command::AttestPaper(_) => Act::PaperAttest,
        Command::EnterOral(_) => Act::OralEnter,
        Command::ConfirmOral(_) => Act::OralConfirm,
        Command::GiveList(_) => Act::ListGive,
        Command::CloseList(_) => Act::ListClose,
        Command::ProposeUnitChange(_) => Act::UnitPropose,
        Command::ApproveUnitChange(_) => Act::UnitApprove,
        Command::WithdrawUnitChange(_) => Act::UnitWithdraw,
        Command::OfferCase(_) => Act::CaseOffer,
        Command::AnswerCase(_) => Act::CaseAccept,
        Command::LeavePrincipal(_) | Command::StayPrincipal(_) => Act::PrincipalLeave,
        Command::RecordDraw(_) => Act::DrawRecord,
        Command::CommitDraw(_) => Act::DrawCommit,
        Command::RevealDraw(_) => Act::DrawReveal,
        Command::ProposeVoter(_) => Act::VoterPropose,
        Command::ApproveVoter(_) => Act::VoterApprove,
        Command::WithdrawVoter(_) => Act::VoterWithdraw,
        Command::TargetInspection(_) => Act::InspectionTarget,
        Command::RecordResult(_) => Act::InspectionResult,
        Command::AnswerRectification(_) => Act::InspectionRectify,
        Command::SealDevice(_) => Act::SecretSealDevice,
        Command::ProposeRemoval(_) => Act::SecretPropose,
        Command::StepRemoval(step) => removal::step_act(&step.step),
        Command::ExecuteRemoval(_) => Act::SecretExecute,
    }
}

/// What a command names before anything is looked up: a refusal of whatever kind says what was attempted.
fn subject_of(command: &Command) -> (Vec<ItemId>, BTreeMap<Fact, Value>) {
    let facts = |facts: &[(Fact, Value)]| facts.iter().cloned().collect();
    match command {
        Command::OpenUpload(open) | Command::SealOriginal(SealOriginal { open, .. }) => (
            vec![open.item],
            facts(&[
                (Fact::Device, open.description.device.as_str().into()),
                (Fact::Unit, open.description.unit.as_str().into()),
            ]),
        ),
        Command::ResumeUpload(resume) => (vec![resume.item], facts(&[])),
        Command::CommitProgress(progress) => (vec![progress.item], facts(&[])),
        Command::Seal(seal) => (vec![seal.item], facts(&[])),
        Command::LabelItem(label) => (vec![label.item], facts(&[])),
        Command::SubmitRequest(submit) => (
            // What is too long is refused; its record need not be as long.
            submit.items.iter().take(limits::REQUEST_ITEMS_MAX).copied().collect(),
            facts(&[(Fact::RequestAct, submit.act.name().into())]),
        ),
        Command::ApproveRequest(ApproveRequest { request })
        | Command::RejectRequest(RejectRequest { request, .. })
        | Command::WithdrawRequest(WithdrawRequest { request, .. })
        | Command::RevokeRequest(RevokeRequest { request, .. })
        | Command::AttestPaper(AttestPaper { request, .. })
        | Command::EnterOral(EnterOral { request, .. })
        | Command::ConfirmOral(ConfirmOral { request }) => (Vec::new(), facts(&[(Fact::Request, (*request).into())])),
        Command::FilePaper(file) => (vec![file.form], facts(&[(Fact::Request, file.request.into())])),
        Command::GiveMandate(GiveMandate { holder, .. })
        | Command::ConfirmMandate(ConfirmMandate { holder, .. })
        | Command::RevokeMandate(RevokeMandate { holder, .. }) => {
            (Vec::new(), facts(&[(Fact::Principal, holder.as_str().into())]))
        }
        Command::GiveList(give) => (
            give.items.iter().take(limits::REQUEST_ITEMS_MAX).copied().collect(),
            facts(&[(Fact::Principal, give.viewer.as_str().into())]),
        ),
        Command::CloseList(close) => (Vec::new(), facts(&[(Fact::Principal, close.viewer.as_str().into())])),
        Command::BeginSession(begin) => match &begin.under {
            Under::CopyOut(request) => (Vec::new(), facts(&[(Fact::Request, (*request).into())])),
            Under::View(request, item) => (vec![*item], facts(&[(Fact::Request, (*request).into())])),
            Under::StandingView(item, _) => (vec![*item], facts(&[])),
            Under::Removal(removal) => (Vec::new(), facts(&[(Fact::Removal, (*removal).into())])),
        },
        Command::EndSession(end) => (Vec::new(), facts(&[(Fact::Session, end.session.as_bytes().as_slice().into())])),
        Command::RegisterPrincipal(RegisterPrincipal { principal, .. })
        | Command::RotatePrincipal(RotatePrincipal { principal, .. })
        | Command::RevokePrincipal(RevokePrincipal { principal, .. }) => {
            (Vec::new(), facts(&[(Fact::Principal, principal.as_str().into())]))
        }
        Command::AddUnit(unit) => (Vec::new(), facts(&[(Fact::Unit, unit.unit.as_str().into())])),
        Command::AddDevice(device) => (
            Vec::new(),
            facts(&[(Fact::Device, device.device.as_str().into()), (Fact::Unit, device.unit.as_str().into())]),
        ),
        Command::NoteRefusal(note) => (note.item.into_iter().collect(), facts(&[])),
        Command::ExtendItem(ExtendItem { item, .. })
        | Command::TriggerItem(TriggerItem { item, .. })
        | Command::RestrictItem(RestrictItem { item, .. })
        | Command::ClassifyItem(ClassifyItem { item, .. })
        | Command::ReleaseQuarantine(ReleaseQuarantine { item, .. }) => (vec![*item], facts(&[])),
        Command::BindCase(bind) => (
            bind.items.iter().take(limits::BATCH_ITEMS_MAX).copied().collect(),
            facts(&[(Fact::Case, bind.case.as_str().into())]),
        ),
        Command::OpenCase(OpenCase { case, .. })
        | Command::CloseCase(CloseCase { case, .. })
        | Command::ArchiveCase(ArchiveCase { case, .. })
        | Command::ReopenCase(ReopenCase { case, .. }) => (Vec::new(), facts(&[(Fact::Case, case.as_str().into())])),
        Command::PlaceHold(place) => (
            place.scope.items.iter().take(limits::BATCH_ITEMS_MAX).copied().collect(),
            facts(&[(Fact::Hold, place.hold.as_str().into())]),
        ),
        Command::ReleaseHold(release) => (Vec::new(), facts(&[(Fact::Hold, release.hold.as_str().into())])),
        Command::ProposeCorrection(propose) => {
            (propose.mistake.item().into_iter().collect(), facts(&[(Fact::Mistake, propose.mistake.name().into())]))
        }
        Command::ApproveCorrection(ApproveCorrection { correction })
        | Command::WithdrawCorrection(WithdrawCorrection { correction, .. }) => {
            (Vec::new(), facts(&[(Fact::Correction, correction.0.into())]))
        }
        Command::AdvanceClock(advance) => {
            (Vec::new(), facts(&[(Fact::AdvancedMs, advance.by_ms.unsigned_abs().into())]))
        }
        Command::OfferDevice(OfferDevice { device, .. })
        | Command::AnswerOffer(AnswerOffer { device, .. })
        | Command::ReportLoss(ReportLoss { device, .. })
        | Command::ReportFault(ReportFault { device, .. })
        | Command::ConfirmFault(ConfirmFault { device })
        | Command::SendToRepair(SendToRepair { device, .. })
        | Command::RestoreDevice(RestoreDevice { device, .. })
        | Command::DockDevice(DockDevice { device, .. })
        | Command::SealDevice(SealDevice { device, .. })
        | Command::CorrectEntry(CorrectEntry { device, .. }) => {
            (Vec::new(), facts(&[(Fact::Device, device.as_str().into())]))
        }
        Command::ClearPerson(clear) => (Vec::new(), facts(&[(Fact::Principal, clear.person.as_str().into())])),
        Command::NameKeeper(name) => (
            Vec::new(),
            facts(&[(Fact::Unit, name.unit.as_str().into()), (Fact::Principal, name.principal.as_str().into())]),
        ),
        Command::OpenActivity(open) => (Vec::new(), activity::facts(&open.activity, &open.unit)),
        Command::AddPhase(AddPhase { activity, .. })
        | Command::SetMoment(SetMoment { activity, .. })
        | Command::CorrectActivity(CorrectActivity { activity, .. }) => {
            (Vec::new(), facts(&[(Fact::Activity, activity.as_str().into())]))
        }
        Command::AttachItem(attach) => (vec![attach.item], facts(&[(Fact::Activity, attach.activity.as_str().into())])),
        Command::RecordInterruption(record) => {
            (record.items(), facts(&[(Fact::Activity, record.activity.as_str().into())]))
        }
        Command::RecordExemption(exempt) => {
            (exempt.work_record.into_iter().collect(), facts(&[(Fact::Activity, exempt.activity.as_str().into())]))
        }
        Command::FileStatement(file) => (vec![file.item], facts(&[(Fact::Activity, file.activity.as_str().into())])),
        Command::AcknowledgeNotice(seen) => (Vec::new(), facts(&[(Fact::Unit, seen.unit.as_str().into())])),
        Command::ProposeDisposal(propose) => {
            let items = propose.items.iter().take(limits::DISPOSAL_ITEMS_MAX);
            (items.map(|proposed| proposed.item).collect(), facts(&[]))
        }
        Command::ApproveDisposal(ApproveDisposal { batch })
        | Command::WithdrawDisposal(WithdrawDisposal { batch, .. })
        | Command::SignDisposal(SignDisposal { batch }) => (Vec::new(), facts(&[(Fact::Batch, (*batch).into())])),
        Command::ExecuteDisposal(execute) => (Vec::new(), facts(&[(Fact::Batch, execute.batch.into())])),
        Command::NoteErasure(note) => (
            Vec::new(),
            facts(&[(Fact::Disk, note.disk.as_bytes().as_slice().into()), (Fact::Order, note.order.0.into())]),
        ),
        Command::AttestKeys(word) => (Vec::new(), facts(&[(Fact::Batch, word.batch.into())])),
        Command::CloseLost(lost) => (Vec::new(), facts(&[(Fact::Finding, lost.keeper.to_string().into())])),
        Command::Tick(_) | Command::ExpireUploads(_) | Command::CreateCluster(_) | Command::SweepDisposed(_) => {
            (Vec::new(), facts(&[]))
        }
        // The name stands in the text, which may not read: what was proposed is told by the text itself, cut short.
        Command::ProposeProfile(ProposeProfile { toml }) => (
            Vec::new(),
            facts(&[(Fact::ProfileText, toml.chars().take(limits::NAME_BYTES_MAX).collect::<String>().into())]),
        ),
        Command::ApproveProfile(ApproveProfile { profile, .. })
        | Command::WithdrawProfile(WithdrawProfile { profile, .. }) => {
            (Vec::new(), facts(&[(Fact::Profile, profile.as_str().into())]))
        }
        Command::ProposeUnitChange(propose) => (Vec::new(), unit_change::attempted(&propose.change)),
        Command::ApproveUnitChange(ApproveUnitChange { proposal })
        | Command::WithdrawUnitChange(WithdrawUnitChange { proposal, .. }) => {
            (Vec::new(), facts(&[(Fact::Proposal, proposal.0.into())]))
        }
        Command::OfferCase(offer) => {
            (Vec::new(), facts(&[(Fact::Case, offer.case.as_str().into()), (Fact::ToUnit, offer.to.as_str().into())]))
        }
        Command::AnswerCase(answer) => (Vec::new(), facts(&[(Fact::Case, answer.case.as_str().into())])),
        Command::LeavePrincipal(leave) => (
            Vec::new(),
            facts(&[(Fact::Principal, leave.person.as_str().into()), (Fact::Receiver, leave.to.as_str().into())]),
        ),
        Command::StayPrincipal(stay) => (Vec::new(), facts(&[(Fact::Principal, stay.person.as_str().into())])),
        Command::RecordDraw(record) => (
            Vec::new(),
            facts(&[(
                Fact::Query,
                hold::told(&record.query).chars().take(limits::TEXT_BYTES_MAX).collect::<String>().into(),
            )]),
        ),
        Command::CommitDraw(commit) => (Vec::new(), facts(&[(Fact::Draw, commit.draw.into())])),
        Command::RevealDraw(reveal) => (Vec::new(), facts(&[(Fact::Draw, reveal.draw.into())])),
        Command::ProposeVoter(propose) => {
            (Vec::new(), facts(&[(Fact::Node, format!("{} {}", propose.old, propose.new).into())]))
        }
        Command::ApproveVoter(approve) => (Vec::new(), facts(&[(Fact::Proposal, approve.change.0.into())])),
        Command::WithdrawVoter(withdraw) => (Vec::new(), facts(&[(Fact::Proposal, withdraw.change.0.into())])),
        Command::TargetInspection(target) => (
            target.items.iter().take(limits::TARGET_ITEMS_MAX).copied().collect(),
            facts(&[(Fact::Way, "targeted".into())]),
        ),
        Command::RecordResult(result) => (vec![result.item], inspection::facts(result.of)),
        Command::AnswerRectification(answer) => (vec![answer.item], inspection::facts(answer.of)),
        Command::ProposeRemoval(propose) => {
            (propose.items.iter().take(limits::REMOVAL_ITEMS_MAX).copied().collect(), facts(&[]))
        }
        Command::StepRemoval(step) => (Vec::new(), facts(&[(Fact::Removal, step.removal.into())])),
        Command::ExecuteRemoval(execute) => (Vec::new(), facts(&[(Fact::Removal, execute.removal.into())])),
    }
}

/// A decision in the making: the rows as this command would leave them, and the records it would append.
pub(crate) struct Decision<'a> {
    /// The rows; dropped where the command is refused.
    pub(crate) rows: &'a mut dyn Rows,
    /// Wall time of the command, near the voters' median.
    pub(crate) wall: UnixMillis,
    context: &'a Context,
    stamp: Stamp,
    asked: Act,
    items: Vec<ItemId>,
    subject: BTreeMap<Fact, Value>,
    records: Vec<Record>,
    /// The decider's signature, until it is in a record.
    assent: Option<Signed>,
}

impl<'a> Decision<'a> {
    fn new(rows: &'a mut dyn Rows, context: &'a Context, command: &Command) -> Result<Self, RowError> {
        let mut decision = Self::about_nothing(rows, context, act_of(command))?;
        let (items, subject) = subject_of(command);
        decision.subject = subject;
        decision.about_all(&items);
        Ok(decision)
    }

    fn about_nothing(rows: &'a mut dyn Rows, context: &'a Context, asked: Act) -> Result<Self, RowError> {
        let wall = clock::read(&*rows)?.bounded_wall(context.wall);
        let stamp = stamp_of(&*rows, &context.actor)?;
        let (items, subject, records) = (Vec::new(), BTreeMap::new(), Vec::new());
        Ok(Self { rows, wall, context, stamp, asked, items, subject, records, assent: None })
    }
}

impl Decision<'_> {
    /// What takes the decider's signature has it, and it is not one that was used before. Nodes decide nothing of these.
    fn check_assent(&mut self, command: &Command) -> Result<(), Stop> {
        let Some(assent) = assent::asked(&*self.rows, command)? else { return Ok(()) };
        let principal = self.authorize(self.asked)?;
        let Some(signed) = &self.context.signed else { return Err(assent::missing(&assent).into()) };
        if !assent::is_fresh(&clock::read(&*self.rows)?, self.wall, signed.signature.at) {
            let message =
                format!("what decides {} was signed at {}, and it is {}", assent.act(), signed.signature.at, self.wall);
            let remedy = "decide again; where the clocks differ by more than an hour, set the one that is wrong";
            return Err(Refusal::new(Reason::AssentMissing, "C5", message, remedy).into());
        }
        let used = (principal.id, signed.key.clone());
        if ASSENTS.read(&*self.rows, &used)?.is_some() {
            return Err(Refusal::new(
                Reason::IdempotencyKeyReused,
                "C5",
                format!("the assent with key {} was used before", signed.key),
                "decide again: each call draws a key of its own",
            )
            .into());
        }
        ASSENTS.write(self.rows, &used, &self.next_seq());
        self.assent = Some(signed.clone());
        Ok(())
    }

    /// The principal that asks, where the table lets it do `act`.
    pub(crate) fn authorize(&self, act: Act) -> Result<PrincipalRow, Stop> {
        match &self.context.actor {
            Actor::Client(key) => access::authorize(&*self.rows, key, act),
            Actor::Node(node) => Err(only_people(*node, act).into()),
        }
    }

    /// The principal whose key asks, as the record has it.
    pub(crate) fn principal(&self) -> Option<PrincipalId> {
        self.stamp.principal.clone()
    }

    /// The node that asks, where the cluster itself does.
    pub(crate) fn node(&self) -> Result<NodeId, Refusal> {
        match &self.context.actor {
            Actor::Node(node) => Ok(*node),
            Actor::Client(key) => Err(Refusal::new(
                Reason::RoleNotAllowed,
                "C5",
                format!("{} is done by the cluster itself, not by key {}", self.asked.name(), key.short()),
                "",
            )),
        }
    }

    /// Notes an item that the command turns out to be about, so that a refusal names it too.
    pub(crate) fn about(&mut self, item: ItemId) {
        if !self.items.contains(&item) {
            self.items.push(item);
        }
    }

    /// As [`Self::about`], of many.
    pub(crate) fn about_all(&mut self, items: &[ItemId]) {
        let known: BTreeSet<_> = self.items.iter().copied().collect();
        self.items.extend(items.iter().filter(|item| !known.contains(item)));
    }

    /// Appends a record of why one item was left out of what is done.
    pub(crate) fn record_left_out(&mut self, act: Act, refusal: &Refusal, item: ItemId, facts: BTreeMap<Fact, Value>) {
        self.record_refused(self.stamp.clone(), act, refusal, vec![item], facts);
    }

    /// Bounds the wall time anew, after the clock was ticked.
    pub(crate) fn rebound_wall(&mut self) -> Result<(), RowError> {
        self.wall = clock::read(&*self.rows)?.bounded_wall(self.context.wall);
        Ok(())
    }

    /// Ledger position of the next record that this command appends.
    pub(crate) fn next_seq(&self) -> RecordSeq {
        RecordSeq(self.context.next_seq.0 + self.records.len() as u64)
    }

    /// Appends a record of what is done.
    pub(crate) fn record(
        &mut self,
        act: Act,
        rule: &str,
        items: Vec<ItemId>,
        mut facts: BTreeMap<Fact, Value>,
    ) -> RecordSeq {
        // The first record of a decision is the decision's own.
        if let Some(Signed { key, signature }) = self.assent.take() {
            facts.insert(Fact::AssentKey, key.as_str().into());
            facts.insert(Fact::AssentTime, signature.at.into());
            facts.insert(Fact::AssentBy, signature.public_key.as_slice().into());
            facts.insert(Fact::AssentSignature, signature.value.as_slice().into());
        }
        let seq = self.next_seq();
        self.records.push(Record {
            wall: self.wall,
            stamp: self.stamp.clone(),
            act,
            refused: None,
            rule: rule.to_owned(),
            items,
            facts,
        });
        seq
    }

    /// The bytes of the record that was appended last.
    pub(crate) fn newest_record(&self) -> Vec<u8> {
        self.records.last().map(Record::to_bytes).unwrap_or_default()
    }

    /// Appends a record of a refusal that was decided elsewhere.
    pub(crate) fn record_refused(
        &mut self,
        stamp: Stamp,
        act: Act,
        refusal: &Refusal,
        items: Vec<ItemId>,
        mut facts: BTreeMap<Fact, Value>,
    ) -> RecordSeq {
        let seq = self.next_seq();
        facts.insert(Fact::Message, refusal.message.as_str().into());
        self.records.push(Record {
            wall: self.wall,
            stamp,
            act,
            refused: Some(refusal.reason),
            rule: refusal.rule.clone(),
            items,
            facts,
        });
        seq
    }

    /// What the cluster is.
    pub(crate) fn cluster(&self) -> Result<ClusterRow, Stop> {
        CLUSTER.read(&*self.rows, &())?.ok_or_else(|| {
            Stop::Rows(RowError::Corrupt { table: CLUSTER.name, detail: "there is no cluster row".to_owned() })
        })
    }

    /// Every refusal is a record (G9), except those that only say "try again".
    fn refusal_record(&self, refusal: &Refusal) -> Option<Record> {
        if refusal.reason.kind() == strongroom_types::ErrorKind::TryAgain {
            return None;
        }
        let mut facts = self.subject.clone();
        facts.insert(Fact::Message, refusal.message.as_str().into());
        Some(Record {
            wall: self.wall,
            stamp: self.stamp.clone(),
            act: self.asked,
            refused: Some(refusal.reason),
            rule: refusal.rule.clone(),
            items: self.items.clone(),
            facts,
        })
    }
}

fn stamp_of(rows: &dyn Rows, actor: &Actor) -> Result<Stamp, RowError> {
    match actor {
        Actor::Node(node) => Ok(Stamp { principal: None, key: None, node: Some(*node) }),
        Actor::Client(key) => Ok(Stamp { principal: principal_of(rows, key)?, key: Some(*key), node: None }),
    }
}

/// The principal that a key belongs to, revoked or not.
pub(crate) fn principal_of(rows: &dyn Rows, key: &strongroom_types::KeyHash) -> Result<Option<PrincipalId>, RowError> {
    crate::tables::PRINCIPALS_BY_KEY.read(rows, key)
}

fn only_people(node: NodeId, act: Act) -> Refusal {
    Refusal::new(Reason::RoleNotAllowed, "C5", format!("node {node} may not {}: it takes a principal", act.name()), "")
}
