//! `strongroom secret`: what may be a state secret. A device that was sealed, and removals to a classified carrier, from the
//! proposal to the certificate.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use strongroom_client::{Client, CopyOutProgress, NewRemoval, Page as ListPage, SealedDevice};
use strongroom_custody::removal::{Statement, is_signed};
use strongroom_net::pki::{self, StatementKey};
use strongroom_package::FileDigests;
use strongroom_proto::secret::{
    Obligation, PlannedRemoval, Removal, RemovalItem, RemovalPart, RemovalStep, SecretCopy, ShowRemovalResponse,
};
use strongroom_types::{ActivityId, DeviceId, ItemId, NodeId, PrincipalId, RemovalId, UnixMillis};

use crate::failure::Failure;
use crate::output::{Output, Page, short_size};
use crate::session::{Globals, Usual};
use crate::shown;

use super::copy_out::Bars;

/// What can be done about state secrets.
#[derive(Debug, Subcommand)]
pub(crate) enum Secret {
    /// Records at the station that a device may hold a state secret: it was not uploaded, and sealed by hand. Nothing of
    /// its content is said. Example: strongroom --as station secret seal-device D7 --envelope MF-0031 --found-by recorder
    /// --reason "疑似国家秘密，未上传"
    SealDevice(SealDevice),
    /// Draws the receiver's key: NAME.key stays with the receiver, NAME.pub is named in the proposal. Needs no cluster; a key of
    /// OpenSSL does as well. Example: strongroom secret key lisi --to /media/keys
    Key {
        /// Name of the two files
        name: String,
        /// Folder to write them to
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
    },
    /// Proposes a removal; with --dry-run only says what each item would be told and what would follow it. Example:
    /// strongroom --as legal secret propose --item 5f0c… --organ "市国家保密局" --receiver 李四 --receiver-key lisi.pub
    /// --carrier JM-2026-014 --executor archivist --basis "保密审查意见〔2026〕3号" --copy "备份磁带 B12=信息中心"
    Propose(Propose),
    /// Approves a removal: the secrecy office first, then the head. Example: strongroom --as secrecy secret approve RMV-1
    Approve {
        /// Such as RMV-1
        removal: RemovalId,
    },
    /// Withdraws a removal that is not executed. Example: strongroom secret withdraw RMV-1 --reason "已解密"
    Withdraw {
        /// Such as RMV-1
        removal: RemovalId,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Writes the originals and the statement that the receiver signs into a folder, for the carrier; only the executor
    /// can. Run again after it broke off, it goes on. Example: strongroom --as archivist secret hand-over RMV-1 --to /media/jm
    HandOver {
        /// Such as RMV-1
        removal: RemovalId,
        /// Folder to write to
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
    },
    /// Signs, as the receiver and offline, after every file on the carrier was compared with the statement. Example:
    /// strongroom secret sign /media/jm --key lisi.key --to RMV-1.signature
    Sign {
        /// Folder with the originals and the statement
        carrier: PathBuf,
        /// The receiver's private key, in PEM
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// File to write the signature to
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// Files what the receiver signed. Example: strongroom --as archivist secret file-signature RMV-1 --signature
    /// RMV-1.signature
    FileSignature {
        /// Such as RMV-1
        removal: RemovalId,
        /// The signature: 64 bytes, as `secret sign` or `openssl pkeyutl -sign -rawin` write them
        #[arg(long, value_name = "FILE")]
        signature: PathBuf,
    },
    /// Executes a removal that the receiver signed for: from here on nothing brings its items back. With --dry-run only says
    /// what would go, what would follow it and what is missing. Example: strongroom --as archivist secret execute RMV-1
    /// --supervisor inspector --supervisor unit-head
    Execute {
        /// Such as RMV-1
        removal: RemovalId,
        /// Supervisor 监销人; two are named
        #[arg(long = "supervisor", required = true, value_name = "NAME")]
        supervisors: Vec<PrincipalId>,
        /// Changes nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Copies that a removal lists; with --destroyed ticks one off. Example: strongroom --as custodian secret copies RMV-1
    /// --destroyed 0 --on 2026-04-02T10:00:00+08:00 --note "采集站缓存已清除"
    Copies(Copies),
    /// Signs, as one of its supervisors, that nothing is left; the second signature closes it. Example: strongroom --as
    /// inspector secret close RMV-1
    Close {
        /// Such as RMV-1
        removal: RemovalId,
    },
    /// One removal with its items, what follows them, its copies, and what each disk and replica did. Example: strongroom
    /// secret show RMV-1 --statement RMV-1.statement
    Show {
        /// Such as RMV-1
        removal: RemovalId,
        /// Also writes what the receiver signs to this file
        #[arg(long, value_name = "FILE")]
        statement: Option<PathBuf>,
    },
    /// Removals, newest first. Example: strongroom secret list --open
    List {
        /// Only those that are not closed and not withdrawn
        #[arg(long)]
        open: bool,
        /// At most so many
        #[arg(long, default_value_t = 100, value_name = "COUNT")]
        limit: usize,
    },
    /// Writes the certificate of a closed removal, which `strongroom verify` checks offline. Example: strongroom secret
    /// certificate RMV-1 --to RMV-1.certificate
    Certificate {
        /// Such as RMV-1
        removal: RemovalId,
        /// File to write; the removal's name with .certificate where none is given
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
}

/// A sealed device.
#[derive(Debug, Args)]
pub(crate) struct SealDevice {
    /// Register number of the device
    device: DeviceId,
    /// Number of the seal on its envelope
    #[arg(long, value_name = "NUMBER")]
    envelope: String,
    /// Who found it
    #[arg(long, value_name = "NAME")]
    found_by: PrincipalId,
    /// Why, without content
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// The activity that was recorded, where it is known
    #[arg(long, value_name = "NUMBER")]
    activity: Option<ActivityId>,
}

/// A proposal.
#[derive(Debug, Args)]
pub(crate) struct Propose {
    /// Item; say it again for each
    #[arg(long = "item", required = true, value_name = "ITEM")]
    items: Vec<ItemId>,
    /// The receiving organ 接收单位
    #[arg(long, value_name = "TEXT")]
    organ: String,
    /// Who receives it 接收人
    #[arg(long, value_name = "TEXT")]
    receiver: String,
    /// The receiver's Ed25519 public key or certificate, in PEM
    #[arg(long, value_name = "FILE")]
    receiver_key: PathBuf,
    /// Number of the classified carrier 涉密载体编号
    #[arg(long, value_name = "NUMBER")]
    carrier: String,
    /// Who alone hands the originals over and executes it
    #[arg(long, value_name = "NAME")]
    executor: PrincipalId,
    /// What it rests on
    #[arg(long, value_name = "TEXT")]
    basis: String,
    /// A copy that the cluster cannot know of, such as a disc or a backup: PLACE=WHO MUST DESTROY IT; say it again for each
    #[arg(long = "copy", value_parser = copy_at, value_name = "PLACE=WHO")]
    copies: Vec<(String, String)>,
    /// Changes nothing: shows what the rules say to each item, and what would follow it
    #[arg(long)]
    dry_run: bool,
}

/// Copies of a removal.
#[derive(Debug, Args)]
pub(crate) struct Copies {
    /// Such as RMV-1
    removal: RemovalId,
    /// The copy to tick off, by its number
    #[arg(long, value_name = "NUMBER", requires = "note")]
    destroyed: Option<u64>,
    /// When it was destroyed; now where nothing is said
    #[arg(long, value_name = "TIME", requires = "destroyed")]
    on: Option<UnixMillis>,
    /// How it was destroyed
    #[arg(long, value_name = "TEXT", requires = "destroyed")]
    note: Option<String>,
}

fn copy_at(text: &str) -> Result<(String, String), String> {
    let (place, keeper) = text.rsplit_once('=').ok_or("say PLACE=WHO MUST DESTROY IT")?;
    Ok((place.to_owned(), keeper.to_owned()))
}

impl Secret {
    /// Does it.
    pub(crate) async fn run(self, globals: &Globals) -> Result<(), Failure> {
        match &self {
            Self::Key { name, to } => return draw_key(globals, name, to),
            Self::Sign { carrier, key, to } => return sign(globals, carrier, key, to),
            _ => {}
        }
        let usual = match &self {
            Self::SealDevice(_) => Usual::Station,
            Self::HandOver { .. } | Self::FileSignature { .. } | Self::Execute { .. } => Usual::Archivist,
            Self::Copies(_) => Usual::Custodian,
            _ => Usual::Legal,
        };
        let client = globals.client(usual)?;
        let removal = match self {
            Self::SealDevice(seal) => return seal.run(globals, &client).await,
            Self::Propose(propose) => return propose.run(globals, &client).await,
            Self::Approve { removal } => client.approve_removal(removal).await?,
            Self::Withdraw { removal, reason } => client.withdraw_removal(removal, &reason).await?,
            Self::HandOver { removal, to } => return hand_over(globals, &client, removal, &to).await,
            Self::FileSignature { removal, signature } => {
                let signature = fs::read(&signature).map_err(Failure::file("read", &signature))?;
                client.file_signature(removal, &signature).await?
            }
            Self::Execute { removal, dry_run: true, .. } => return show(globals, &client, removal, None).await,
            Self::Execute { removal, supervisors, dry_run: false } => {
                client.execute_removal(removal, &supervisors).await?
            }
            Self::Copies(copies) => return copies.run(globals, &client).await,
            Self::Close { removal } => client.close_removal(removal).await?,
            Self::Show { removal, statement } => return show(globals, &client, removal, statement.as_deref()).await,
            Self::List { open, limit } => return list(globals, &client, open, limit).await,
            Self::Certificate { removal, to } => return certificate(globals, &client, removal, to).await,
            Self::Key { .. } | Self::Sign { .. } => unreachable!("these need no cluster"),
        };
        globals.output().show(&removal_json(&removal), |page| removal_page(page, &removal))
    }
}

impl SealDevice {
    async fn run(self, globals: &Globals, client: &Client) -> Result<(), Failure> {
        let sealed = SealedDevice {
            device: self.device,
            envelope: self.envelope,
            found_by: self.found_by,
            reason: self.reason,
            activity: self.activity,
        };
        let record = client.seal_device(&sealed).await?;
        shown::done(globals, "device", sealed.device.as_str(), record)
    }
}

impl Propose {
    async fn run(self, globals: &Globals, client: &Client) -> Result<(), Failure> {
        let output = globals.output();
        let pem = fs::read(&self.receiver_key).map_err(Failure::file("read", &self.receiver_key))?;
        let receiver_key = pki::statement_key_of(&pem)?;
        if self.dry_run {
            let planned = client.plan_removal(&self.items).await?;
            return output.show(&planned.iter().map(planned_json).collect(), |page| {
                let rows: Vec<_> = planned.iter().map(planned_row).collect();
                page.table(&["item", "verdict", "rule", "why"], &rows);
                let follows = planned.iter().flat_map(|one| follows_rows(output, &one.item_id, &one.obligations));
                follows_table(page, &follows.collect::<Vec<_>>());
            });
        }
        let removal = NewRemoval {
            items: self.items,
            organ: self.organ,
            receiver: self.receiver,
            receiver_key,
            carrier: self.carrier,
            basis: self.basis,
            executor: self.executor,
            copies: self.copies,
        };
        let removal = client.propose_removal(&removal).await?;
        output.show(&removal_json(&removal), |page| removal_page(page, &removal))
    }
}

impl Copies {
    async fn run(self, globals: &Globals, client: &Client) -> Result<(), Failure> {
        if let (Some(copy), Some(note)) = (self.destroyed, &self.note) {
            let on = UnixMillis(super::device::at(self.on)?);
            client.destroy_copy(self.removal, copy, on, note).await?;
        }
        let shown = client.show_removal(self.removal).await?;
        let rows: Vec<_> = shown.copies.iter().map(copy_row).collect();
        globals.output().list(&shown.copies.iter().map(copy_json).collect(), &COPY_HEADS, &rows)
    }
}

fn draw_key(globals: &Globals, name: &str, to: &Path) -> Result<(), Failure> {
    let key = StatementKey::create()?;
    fs::create_dir_all(to).map_err(Failure::file("create", to))?;
    super::pki::check_name(name)?;
    let (private, public) = (to.join(format!("{name}.key")), to.join(format!("{name}.pub")));
    if private.exists() {
        return Err(Failure::failed(format!("{} is there already", private.display()))
            .hint("choose another name or folder: it may be the only one"));
    }
    pki::write_private(&private, &key.private_pem())?;
    pki::write_public(&public, &key.public_pem())?;
    let json = json!({ "key": private.display().to_string(), "public": public.display().to_string() });
    globals.output().show(&json, |page| {
        page.facts(&[("key", private.display().to_string()), ("public key", public.display().to_string())]);
    })
}

/// Compares every file with the statement, and signs it only where all of them fit.
fn sign(globals: &Globals, carrier: &Path, key: &Path, to: &Path) -> Result<(), Failure> {
    let output = globals.output();
    let path = statement_in(carrier)?;
    let text = fs::read(&path).map_err(Failure::file("read", &path))?;
    let statement = Statement::parse_canonical(&text)
        .map_err(|error| Failure::caused_by(format!("could not read {}", path.display()), &error))?;
    let mut files = Vec::new();
    for entry in fs::read_dir(carrier).map_err(Failure::file("read", carrier))? {
        let path = entry.map_err(Failure::file("read", carrier))?.path();
        if path.is_file() {
            let mut file = File::open(&path).map_err(Failure::file("read", &path))?;
            let digests = FileDigests::of(&mut file).map_err(Failure::file("read", &path))?;
            files.push((path, digests));
        }
    }
    let mut found = Vec::new();
    for one in &statement.items {
        let fits = |(_, digests): &&(PathBuf, FileDigests)| {
            (digests.sha256, digests.blake3, digests.size_bytes) == (one.sha256, one.blake3, one.size_bytes)
        };
        let Some((path, _)) = files.iter().find(fits) else {
            return Err(Failure::failed(format!(
                "no file on the carrier is item {} of the statement: nothing was signed",
                one.item
            ))
            .hint("have the originals handed over again into an empty folder: `strongroom secret hand-over`"));
        };
        found.push((one, path));
    }
    let pem = fs::read_to_string(key).map_err(Failure::file("read", key))?;
    let key = StatementKey::load(&pem)?;
    let signature = key.sign(&text)?;
    if !is_signed(&key.public()?, &text, &signature) {
        return Err(Failure::failed("the signature that was made does not verify: nothing was written"));
    }
    fs::write(to, &signature).map_err(Failure::file("write", to))?;
    let json = json!({
        "removal": statement.removal.to_string(),
        "carrier": statement.carrier,
        "organ": statement.organ,
        "receiver": statement.receiver,
        "items": found.iter().map(|(one, path)| json!({
            "item": one.item.to_string(),
            "file": path.display().to_string(),
            "sha256": one.sha256.to_string(),
            "blake3": one.blake3.to_string(),
        })).collect::<Vec<_>>(),
        "signature": to.display().to_string(),
    });
    output.show(&json, |page| {
        page.facts(&[
            ("removal", statement.removal.to_string()),
            ("carrier", statement.carrier.clone()),
            ("receiving organ", statement.organ.clone()),
            ("receiver", statement.receiver.clone()),
            ("signature", to.display().to_string()),
        ]);
        let row = |(one, path): &(&strongroom_custody::removal::StatedItem, &PathBuf)| {
            vec![one.item.to_string(), short_size(one.size_bytes), path.display().to_string(), one.sha256.to_string()]
        };
        page.table(&["item", "size", "file", "sha256"], &found.iter().map(row).collect::<Vec<_>>());
    })
}

/// The one statement on a carrier.
fn statement_in(carrier: &Path) -> Result<PathBuf, Failure> {
    let mut found = Vec::new();
    for entry in fs::read_dir(carrier).map_err(Failure::file("read", carrier))? {
        let path = entry.map_err(Failure::file("read", carrier))?.path();
        if path.extension().is_some_and(|extension| extension == "statement") {
            found.push(path);
        }
    }
    match found.pop() {
        Some(only) if found.is_empty() => Ok(only),
        Some(_) => Err(Failure::failed(format!("{} holds more than one statement", carrier.display()))),
        None => Err(Failure::failed(format!("{} holds no statement", carrier.display()))
            .hint("`strongroom secret hand-over` writes it beside the originals")),
    }
}

async fn hand_over(globals: &Globals, client: &Client, removal: RemovalId, to: &Path) -> Result<(), Failure> {
    let mut bars = Bars::new(globals.output());
    let handed = client.hand_over(removal, to, |progress: CopyOutProgress| bars.tell(&progress)).await;
    bars.finish();
    let handed = handed?;
    let json = json!({
        "removal": handed.removal.to_string(),
        "session": handed.session.to_string(),
        "begun": handed.begun.0,
        "ended": handed.ended.0,
        "statement": handed.statement.display().to_string(),
        "items": handed.items.iter().map(super::copy_out::item_json).collect::<Vec<_>>(),
    });
    globals.output().show(&json, |page| {
        page.facts(&[
            ("removal", handed.removal.to_string()),
            ("statement", handed.statement.display().to_string()),
            ("record", handed.ended.to_string()),
        ]);
        let row = |item: &strongroom_client::CopiedItem| {
            vec![item.item.to_string(), short_size(item.size_bytes), item.path.display().to_string()]
        };
        page.table(&["item", "size", "file"], &handed.items.iter().map(row).collect::<Vec<_>>());
    })
}

async fn show(globals: &Globals, client: &Client, removal: RemovalId, statement: Option<&Path>) -> Result<(), Failure> {
    let shown = client.show_removal(removal).await?;
    let Some(removal) = &shown.removal else {
        return Err(Failure::failed("the node answered without the removal"));
    };
    if let Some(path) = statement {
        fs::write(path, &shown.statement).map_err(Failure::file("write", path))?;
    }
    let output = globals.output();
    output.show(&shown_json(removal, &shown), |page| {
        removal_page(page, removal);
        page.line("");
        let row = |item: &RemovalItem| {
            let digest = hex::encode(&item.sha256);
            vec![hex::encode(&item.item_id), item.unit_id.clone(), short_size(item.size_bytes), digest]
        };
        page.table(&["item", "unit", "size", "sha256"], &shown.items.iter().map(row).collect::<Vec<_>>());
        let follows = shown.items.iter().flat_map(|item| follows_rows(output, &item.item_id, &item.obligations));
        follows_table(page, &follows.collect::<Vec<_>>());
        if !shown.copies.is_empty() {
            page.line("");
            page.table(&COPY_HEADS, &shown.copies.iter().map(copy_row).collect::<Vec<_>>());
        }
        if !shown.parts.is_empty() {
            page.line("");
            let rows: Vec<_> = shown.parts.iter().map(part_row).collect();
            page.table(&["node", "disk", "state", "shards", "record"], &rows);
        }
    })
}

async fn list(globals: &Globals, client: &Client, open: bool, limit: usize) -> Result<(), Failure> {
    let (mut removals, mut token) = (Vec::new(), Bytes::new());
    while removals.len() < limit {
        let size = u32::try_from((limit - removals.len()).min(100)).unwrap_or(100);
        let page = client.list_removals(open, ListPage { size, token }).await?;
        removals.extend(page.removals);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    removals.truncate(limit);
    let row = |removal: &Removal| {
        let form = removal.form.clone().unwrap_or_default();
        vec![
            removal.removal_id.clone(),
            removal.state.clone(),
            removal.proposal.as_ref().map(|step| step.principal.clone()).unwrap_or_default(),
            removal.item_count.to_string(),
            removal.units.join(" "),
            form.carrier,
            form.organ,
            removal.copies_open.to_string(),
        ]
    };
    let heads = ["removal", "state", "proposed by", "items", "units", "carrier", "receiving organ", "open copies"];
    let rows: Vec<_> = removals.iter().map(row).collect();
    globals.output().list(&removals.iter().map(removal_json).collect(), &heads, &rows)
}

async fn certificate(
    globals: &Globals,
    client: &Client,
    removal: RemovalId,
    to: Option<PathBuf>,
) -> Result<(), Failure> {
    let certificate = client.fetch_removal_certificate(removal).await?;
    let path = to.unwrap_or_else(|| PathBuf::from(format!("{removal}.certificate")));
    fs::write(&path, &certificate).map_err(Failure::file("write", &path))?;
    let path = path.display().to_string();
    globals.output().show(&json!({ "removal": removal.to_string(), "certificate": path }), |page| {
        page.line(format!("wrote {path}; check it with: strongroom verify {path}"));
    })
}

fn step_json(step: &RemovalStep) -> Value {
    json!({ "principal": step.principal, "at": shown::time(step.at_unix_ms), "record": step.record_seq })
}

fn removal_json(removal: &Removal) -> Value {
    let form = removal.form.as_ref().map(|form| {
        json!({
            "organ": form.organ,
            "receiver": form.receiver,
            "receiver_key": hex::encode(&form.receiver_key),
            "carrier": form.carrier,
            "basis": form.basis,
        })
    });
    json!({
        "removal": removal.removal_id,
        "state": removal.state,
        "proposal": removal.proposal.as_ref().map(step_json),
        "form": form,
        "executor": removal.executor,
        "units": removal.units,
        "item_count": removal.item_count,
        "approvals": removal.approvals.iter().map(step_json).collect::<Vec<_>>(),
        "handed_over": removal.handed_over.as_ref().map(step_json),
        "signed": removal.signed.as_ref().map(step_json),
        "execution": removal.execution.as_ref().map(step_json),
        "supervisors": removal.supervisors,
        "signatures": removal.signatures.iter().map(step_json).collect::<Vec<_>>(),
        "disks_pending": removal.disks_pending,
        "replicas_pending": removal.replicas_pending,
        "copies": removal.copies,
        "copies_open": removal.copies_open,
        "missing": removal.missing,
        "withdrawn_by": shown::some(&removal.withdrawn_by),
        "withdrawn_reason": shown::some(&removal.withdrawn_reason),
    })
}

fn removal_page(page: &mut Page, removal: &Removal) {
    let step =
        |step: &RemovalStep| format!("{} at {} (#{})", step.principal, shown::time(step.at_unix_ms), step.record_seq);
    let one = |taken: Option<&RemovalStep>| taken.map(step).unwrap_or_default();
    let steps = |steps: &[RemovalStep]| steps.iter().map(step).collect::<Vec<_>>().join("; ");
    let form = removal.form.clone().unwrap_or_default();
    page.facts(&[
        ("removal", removal.removal_id.clone()),
        ("state", removal.state.clone()),
        ("basis", form.basis),
        ("receiving organ", form.organ),
        ("receiver", form.receiver),
        ("receiver's key", hex::encode(&form.receiver_key)),
        ("carrier", form.carrier),
        ("executed by", removal.executor.clone()),
        ("items", removal.item_count.to_string()),
        ("units", removal.units.join(" ")),
        ("proposed", one(removal.proposal.as_ref())),
        ("approved", steps(&removal.approvals)),
        ("handed over", one(removal.handed_over.as_ref())),
        ("receiver's signature", one(removal.signed.as_ref())),
        ("executed", one(removal.execution.as_ref())),
        ("supervisors", removal.supervisors.join(", ")),
        ("signed", steps(&removal.signatures)),
        ("copies", removal.copies.to_string()),
        ("open copies", removal.copies_open.to_string()),
        ("missing", removal.missing.join("; ")),
        ("withdrawn", [removal.withdrawn_by.as_str(), removal.withdrawn_reason.as_str()].join(" ").trim().to_owned()),
    ]);
}

fn shown_json(removal: &Removal, shown: &ShowRemovalResponse) -> Value {
    let item = |item: &RemovalItem| {
        json!({
            "item": hex::encode(&item.item_id),
            "unit": item.unit_id,
            "size_bytes": item.size_bytes,
            "sha256": hex::encode(&item.sha256),
            "blake3": hex::encode(&item.blake3),
            "obligations": item.obligations.iter().map(obligation_json).collect::<Vec<_>>(),
        })
    };
    let part = |part: &RemovalPart| {
        json!({
            "node": NodeId(part.node_id).to_string(),
            "disk": (!part.disk_id.is_empty()).then(|| hex::encode(&part.disk_id)),
            "state": part.state,
            "shards": part.shards,
            "record": part.record_seq,
        })
    };
    let mut value = removal_json(removal);
    value["items"] = shown.items.iter().map(item).collect();
    value["copy_list"] = shown.copies.iter().map(copy_json).collect();
    value["statement"] = String::from_utf8_lossy(&shown.statement).into();
    value["parts"] = shown.parts.iter().map(part).collect();
    value
}

fn obligation_json(one: &Obligation) -> Value {
    json!({
        "by": one.by,
        "rule": one.rule,
        "text_zh": one.text_zh,
        "text_en": one.text_en,
        "until": one.until_unix_ms.map(shown::time),
        "record": one.record_seq,
    })
}

fn follows_rows(output: Output, item: &[u8], obligations: &[Obligation]) -> Vec<Vec<String>> {
    let row = |one: &Obligation| {
        let words = output.pick(&one.text_en, &one.text_zh).to_owned();
        vec![hex::encode(item), one.by.clone(), words, shown::end(one.until_unix_ms), format!("#{}", one.record_seq)]
    };
    obligations.iter().map(row).collect()
}

fn follows_table(page: &mut Page, rows: &[Vec<String>]) {
    if !rows.is_empty() {
        page.line("");
        page.table(&["item", "follows it", "why", "kept until", "record"], rows);
    }
}

const COPY_HEADS: [&str; 6] = ["copy", "place", "must destroy it", "told by", "destroyed", "note"];

fn copy_json(copy: &SecretCopy) -> Value {
    json!({
        "copy": copy.copy,
        "place": copy.place,
        "keeper": copy.keeper,
        "told_by_record": copy.told_by_record,
        "destroyed": copy.destroyed_unix_ms.map(shown::time),
        "note": shown::some(&copy.note),
        "ticked": copy.ticked.as_ref().map(step_json),
    })
}

fn copy_row(copy: &SecretCopy) -> Vec<String> {
    vec![
        copy.copy.map_or_else(|| "–".to_owned(), |number| number.to_string()),
        copy.place.clone(),
        copy.keeper.clone(),
        copy.told_by_record.map(|seq| format!("#{seq}")).unwrap_or_default(),
        copy.destroyed_unix_ms.map(shown::time).unwrap_or_default(),
        copy.note.clone(),
    ]
}

fn part_row(part: &RemovalPart) -> Vec<String> {
    let disk = if part.disk_id.is_empty() { "(keys)".to_owned() } else { hex::encode(&part.disk_id) };
    vec![
        NodeId(part.node_id).to_string(),
        disk,
        part.state.clone(),
        part.shards.to_string(),
        part.record_seq.to_string(),
    ]
}

fn planned_json(planned: &PlannedRemoval) -> Value {
    let verdict = planned.verdict.clone().unwrap_or_default();
    json!({
        "item": hex::encode(&planned.item_id),
        "eligible": verdict.reason.is_empty(),
        "verdict": {
            "reason": verdict.reason,
            "rule": verdict.rule,
            "message": verdict.message,
            "remedy": verdict.remedy,
        },
        "obligations": planned.obligations.iter().map(obligation_json).collect::<Vec<_>>(),
    })
}

fn planned_row(planned: &PlannedRemoval) -> Vec<String> {
    let verdict = planned.verdict.clone().unwrap_or_default();
    let reason = if verdict.reason.is_empty() { "may go".to_owned() } else { verdict.reason };
    vec![hex::encode(&planned.item_id), reason, verdict.rule, verdict.message]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_told_with_who_must_destroy_it() {
        assert_eq!(copy_at("备份磁带 B12=信息中心"), Ok(("备份磁带 B12".to_owned(), "信息中心".to_owned())));
        assert_eq!(copy_at("a=b=c"), Ok(("a=b".to_owned(), "c".to_owned())));
        assert!(copy_at("nobody").is_err());
    }
}
