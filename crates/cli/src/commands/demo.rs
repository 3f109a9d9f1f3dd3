//! `strongroom demo`: the whole story on one machine, with real processes, real footage and real faults.
//!
//! Every step checks what it tells: where something does not come out as told, the demo fails. What it started it
//! ends, and what it made it deletes, also after Ctrl-C or a failure, unless it is told to keep everything.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use strongroom_client::{Client, Context, CopiedOut, IngestOptions, IngestedItem, Original};
use strongroom_ledger::TreeHead;
use strongroom_types::{ErasureScheme, ItemId, MediaType, Reason, RecordSeq, RequestId};
use tokio::time::{Instant, sleep};

use super::ledger::Auditor;
use super::{dev, item};
use crate::clock;
use crate::failure::Failure;
use crate::local::create::{self, Plan};
use crate::local::folder::DevFolder;
use crate::local::footage::{self, Recording};
use crate::local::process::Signal;
use crate::local::{health, process, tamper};
use crate::output::{Output, may_colour, short_size};
use crate::receipts;
use crate::session::Globals;
use crate::signals;

const NODES: u64 = 6;
const DISTRICTS: u64 = 3;
/// The district that is lost.
const LOST_DISTRICT: &str = "d3";
const RECORDINGS: u32 = 3;
const BACK_PATIENCE: Duration = Duration::from_secs(60);
const KILL_PATIENCE: Duration = Duration::from_secs(10);

/// How to show it.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Leave the cluster running and everything where it is
    #[arg(long)]
    keep: bool,
    /// Folder to work in, absent or empty; a temporary one without
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Demo {
    /// Does it.
    pub(crate) async fn run(self, globals: &Globals) -> Result<(), Failure> {
        let output = globals.output();
        let stage = Stage::set(self.dir, self.keep)?;
        let story = Story::tell(globals, &stage, output);
        tokio::select! {
            told = story => told,
            () = signals::told_to_end() => Err(Failure::failed(output.pick("interrupted", "已中断"))),
        }
    }
}

/// The folder, cleaned up at the end however that comes.
struct Stage {
    root: PathBuf,
    keep: bool,
}

impl Stage {
    fn set(dir: Option<PathBuf>, keep: bool) -> Result<Self, Failure> {
        let root = match dir {
            Some(dir) => dir,
            None => tempfile::Builder::new()
                .prefix("strongroom-demo-")
                .tempdir()
                .map_err(|error| Failure::caused_by("could not make a temporary folder", &error))?
                .keep(),
        };
        if fs::read_dir(&root).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(Failure::usage(format!("{} is not empty", root.display())).hint("choose an empty folder"));
        }
        fs::create_dir_all(&root).map_err(Failure::file("create", &root))?;
        let root = root.canonicalize().map_err(Failure::file("open", &root))?;
        Ok(Self { root, keep })
    }

    fn cluster(&self) -> PathBuf {
        self.root.join("cluster")
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        if let Ok(cluster) = DevFolder::open(&self.cluster()) {
            process::kill_now(cluster.nodes());
        }
        // What cannot be deleted stays: there is nobody left to tell.
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// The story, with what came before each step.
struct Story<'a> {
    output: Output,
    globals: Globals,
    stage: &'a Stage,
    cluster: DevFolder,
    context: Context,
    policy: String,
    step: u32,
    /// What was made and what became of it.
    ingested: Vec<(Recording, IngestedItem)>,
}

impl<'a> Story<'a> {
    async fn tell(globals: &Globals, stage: &'a Stage, output: Output) -> Result<(), Failure> {
        let started = Instant::now();
        let mut story = Self::begin(globals, stage, output).await?;
        story.ingest_footage().await?;
        let early = story.checkpoint().await?;
        story.verify_offline()?;
        let request = story.refusals().await?;
        story.approved_copy(request).await?;
        story.lose_a_district().await?;
        story.flip_a_byte().await?;
        story.check_the_ledger(early).await?;
        story.end(started.elapsed())
    }

    async fn begin(globals: &Globals, stage: &'a Stage, output: Output) -> Result<Self, Failure> {
        let scheme = ErasureScheme::new(4, 2).expect("within bounds");
        let plan = Plan::new(NODES, DISTRICTS, scheme, create::default_profiles())?;
        head(output, 1, "A cluster of six nodes in three districts", "六个节点、三个机房区域的集群")?;
        let cluster = create::create(&stage.cluster(), &plan, &clock::system()?)?;
        dev::bring_up(&cluster, output).await?;
        for node in cluster.nodes() {
            let voter = if node.node.voter {
                output.pick("voter", "投票节点")
            } else {
                output.pick("learner", "学习节点")
            };
            output.print(&format!("   {}  {}  {}  {voter}\n", node.node.name, node.node.district, node.node.client))?;
        }
        let globals = Globals { context: Some(cluster.context_file()), identity: None, ..globals.clone() };
        let context = cluster.context()?;
        let policy = receipts::read_policy(&cluster.policy_file())?;
        Ok(Self { output, globals, stage, cluster, context, policy, step: 1, ingested: Vec::new() })
    }

    async fn ingest_footage(&mut self) -> Result<(), Failure> {
        self.next("The station ingests three recordings", "采集站接入三段录像")?;
        for number in 1..=RECORDINGS {
            let recording = footage::make(&self.stage.root.join("footage"), number, &clock::system()?)?;
            if number == 1 && !recording.is_video {
                self.say(
                    "ffmpeg is not at hand: random bytes stand in for video",
                    "未找到 ffmpeg，以随机数据代替录像",
                )?;
            }
            self.ingest(recording).await?;
        }
        self.say(
            "each receipt was verified and lies beside its file; only then may a device be cleared",
            "每份入库回执均已验证并存放在文件旁；此后方可清空设备",
        )
    }

    async fn ingest(&mut self, recording: Recording) -> Result<(), Failure> {
        let original = Original {
            device: create::DEVICE.parse().expect("a name"),
            unit: create::UNIT.parse().expect("a name"),
            file_name: recording.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            recorded_start: recording.start,
            recorded_end: recording.end,
            activity: None,
            labels: BTreeMap::from([("place".to_owned(), "演示路口".to_owned())]),
            media_type: Some(MediaType::Video),
            device_proof: None,
        };
        let verify = receipts::verifier(Some(self.policy.clone()));
        let item = self
            .client("station")?
            .ingest_file(&recording.path, &original, &IngestOptions::default(), &verify, |_| {})
            .await?;
        self.print(&format!(
            "   {}  {}  →  {}  #{}\n",
            original.file_name,
            short_size(item.size_bytes),
            item.item,
            item.record.0
        ))?;
        self.ingested.push((recording, item));
        Ok(())
    }

    fn verify_offline(&mut self) -> Result<(), Failure> {
        self.next("A receipt proves itself offline, bit for bit", "入库回执可离线验证，逐位一致")?;
        let (recording, item) = self.first();
        let receipt = receipts::path_of(&recording.path);
        let verdict = receipts::verify_files(&receipt, Some(&recording.path), Some(&self.policy))?;
        let cosigners = verdict.checkpoint.cosigned_by().len();
        self.print(&format!("   SHA-256 {}\n   {}\n", item.sha256, verdict.trust))?;
        self.print(&format!(
            "   {} #{} / {}, {} {cosigners}\n",
            self.output.pick("ledger record", "存证条目"),
            verdict.seq.0,
            verdict.checkpoint.head().size,
            self.output.pick("voters cosigned:", "联署节点数："),
        ))?;
        let forged = self.stage.root.join("forged.bin");
        let mut bytes = fs::read(&recording.path).map_err(Failure::file("read", &recording.path))?;
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&forged, &bytes).map_err(Failure::file("write", &forged))?;
        let refused = receipts::verify_files(&receipt, Some(&forged), Some(&self.policy));
        self.said_no("one bit of the file flipped", "翻转文件中的一位", refused.map(|_| ()), None)
    }

    /// What is refused, and the request that comes of it.
    async fn refusals(&mut self) -> Result<RequestId, Failure> {
        self.next("Nobody reads or deletes on their own", "任何人不得擅自读取或删除")?;
        let item = self.first().1.item;
        let legal = self.client("legal")?;
        let request = submit(&legal, item).await?;
        let to = self.stage.root.join("copy-refused");
        let refused = self.client("archivist")?.copy_out(request, &to, |_| {}).await;
        self.said_no(
            "the archivist copies out before anybody approved",
            "档案管理员在未获批准前复制",
            refused.map(|_| ()).map_err(Failure::from),
            Some(Reason::ApprovalMissing),
        )?;
        let refused = legal.approve_request(request).await;
        self.said_no(
            "the requester approves their own request",
            "申请人批准自己的申请",
            refused.map(|_| ()).map_err(Failure::from),
            None,
        )?;
        let as_security = Globals { identity: Some("security".to_owned()), ..self.globals.clone() };
        let refused = item::delete(&as_security, item).await?;
        self.said_no("somebody calls DeleteItem", "有人调用 DeleteItem", Err(refused), Some(Reason::NoSuchAct))?;
        Ok(request)
    }

    async fn approved_copy(&mut self, request: RequestId) -> Result<(), Failure> {
        self.next("Requested, approved, handed out: by three people", "申请、审批、提供由三人分别办理")?;
        let approved = self.client("approver")?.approve_request(request).await?;
        self.print(&format!(
            "   {request}: {} → {}\n",
            approved.requester,
            approved.approvals.iter().map(|by| by.approver.as_str()).collect::<Vec<_>>().join(", ")
        ))?;
        self.copy_and_compare(request, 0, "copy").await
    }

    async fn lose_a_district(&mut self) -> Result<(), Failure> {
        self.next("A whole district is lost; work goes on", "整个机房区域中断，业务不停")?;
        let lost: Vec<_> = self.cluster.nodes().filter(|node| node.node.district == LOST_DISTRICT).collect();
        let names: Vec<_> = lost.iter().map(|node| node.node.name.clone()).collect();
        for node in &lost {
            process::end(node, Signal::Kill, KILL_PATIENCE).await?;
        }
        self.print(&format!("   kill -9: {} ({LOST_DISTRICT})\n", names.join(" ")))?;
        let recording = footage::make(&self.stage.root.join("footage"), RECORDINGS + 1, &clock::system()?)?;
        self.ingest(recording).await?;
        for (index, folder) in [(0, "copy-old-item"), (self.ingested.len() - 1, "copy-new-item")] {
            let request = submit(&self.client("legal")?, self.ingested[index].1.item).await?;
            self.client("approver")?.approve_request(request).await?;
            self.copy_and_compare(request, index, folder).await?;
        }
        for node in self.cluster.nodes().filter(|node| names.contains(&node.node.name)) {
            process::start(&node)?;
        }
        health::wait(&self.cluster, &names, BACK_PATIENCE).await?;
        self.say("the district is back", "机房区域已恢复")
    }

    async fn flip_a_byte(&mut self) -> Result<(), Failure> {
        self.next(
            "An intruder changes a stored byte; no reader ever sees it",
            "入侵者改动存储的一个字节，读者永远看不到",
        )?;
        let item = self.first().1.item;
        let (node, tampered) = self
            .cluster
            .nodes()
            .find_map(|node| {
                let tampered = tamper::flip(&node.disk(), item, 0).ok().flatten()?;
                Some((node.node.name.clone(), tampered))
            })
            .ok_or_else(|| Failure::failed("no stored shard of the item was found"))?;
        self.print(&format!(
            "   {node}: {} @ {}: {:02x} → {:02x}\n",
            tampered.path.strip_prefix(self.stage.cluster()).unwrap_or(&tampered.path).display(),
            tampered.offset,
            tampered.before,
            tampered.after
        ))?;
        let request = submit(&self.client("legal")?, item).await?;
        self.client("approver")?.approve_request(request).await?;
        self.copy_and_compare(request, 0, "copy-after-tampering").await?;
        match self.bad_shard(item).await? {
            Some((node, fault)) => {
                self.print(&format!("   {}: {node}, {fault}\n", self.output.pick("found and named", "已发现并指明")))
            }
            None => self.say("read around it", "读取时已绕开"),
        }
    }

    /// The bad shard of the item that reading found; another node's answer may be a moment behind.
    async fn bad_shard(&self, item: ItemId) -> Result<Option<(String, String)>, Failure> {
        let ops = self.client("ops")?;
        for _ in 0..20 {
            let status = ops.show_status().await?;
            if let Some(bad) = status.bad_shards.iter().find(|bad| bad.item_id.as_ref() == item.as_bytes()) {
                return Ok(Some((bad.node.clone(), bad.fault.clone())));
            }
            sleep(Duration::from_millis(100)).await;
        }
        Ok(None)
    }

    async fn checkpoint(&self) -> Result<TreeHead, Failure> {
        Ok(Auditor::of(&self.globals)?.newest().await?.1.head())
    }

    async fn check_the_ledger(&mut self, early: TreeHead) -> Result<(), Failure> {
        self.next("The auditor checks the ledger without trusting it", "审计员无需信任即可核查存证日志")?;
        let auditor = Auditor::of(&self.globals)?;
        let (_, newest) = auditor.newest().await?;
        self.print(&format!(
            "   {} {} · {} {}\n",
            self.output.pick("checkpoint of", "校验点条目数"),
            newest.head().size,
            self.output.pick("policy", "信任策略"),
            newest.policy()
        ))?;
        let seq = self.first().1.record;
        let (_, _, checkpoint) = auditor.prove_inclusion(seq).await?;
        self.print(&format!(
            "   {} #{} {} {}\n",
            self.output.pick("the seal, record", "入库条目"),
            seq.0,
            self.output.pick("is in the ledger of", "包含于日志，条目数"),
            checkpoint.head().size
        ))?;
        auditor.prove_consistency(early, newest.head()).await?;
        self.print(&format!(
            "   {} {} {} {}\n",
            self.output.pick("the ledger of", "条目数"),
            early.size,
            self.output.pick("is unchanged at the beginning of that of", "的旧日志原样位于新日志开头，新日志条目数"),
            newest.head().size
        ))?;
        let refused = self.refused_records().await?;
        self.print(&format!("   {} {refused}\n", self.output.pick("refusals on record:", "已记录的拒绝次数：")))?;
        if refused == 0 {
            return Err(Failure::failed("the refusals of this demo are not on the ledger"));
        }
        Ok(())
    }

    async fn refused_records(&self) -> Result<usize, Failure> {
        let auditor = self.client("auditor")?;
        let (mut refused, mut next) = (0, RecordSeq(0));
        loop {
            let page = auditor.list_records(next, 500).await?.records;
            let Some(last) = page.last() else { return Ok(refused) };
            next = RecordSeq(last.seq + 1);
            refused += page.iter().filter(|record| record.result != "done").count();
        }
    }

    fn end(&self, took: Duration) -> Result<(), Failure> {
        head(self.output, self.step + 1, "Where to look next", "接下来")?;
        if self.stage.keep {
            self.print(&format!("   export STRONGROOM_CONTEXT={}\n", self.cluster.context_file().display()))?;
            for line in ["strongroom item list", "strongroom cluster status", "strongroom ledger records"] {
                self.print(&format!("   {line}\n"))?;
            }
            self.print(&format!("   strongroom dev down --delete --dir {}\n", self.cluster.root().display()))?;
        } else {
            self.say(
                "`strongroom demo --keep` leaves all of this running; `strongroom dev up --dir D` makes an empty cluster",
                "`strongroom demo --keep` 保留现场继续运行；`strongroom dev up --dir D` 新建空集群",
            )?;
        }
        self.print(&format!("   {:.1} s\n", took.as_secs_f64()))
    }

    /// Copies out and compares with what was ingested, byte by byte.
    async fn copy_and_compare(&self, request: RequestId, index: usize, folder: &str) -> Result<(), Failure> {
        let folder = self.stage.root.join(folder);
        let copied: CopiedOut = self.client("archivist")?.copy_out(request, &folder, |_| {}).await?;
        let [item] = copied.items.as_slice() else {
            return Err(Failure::failed(format!("{request} gave {} files, not one", copied.items.len())));
        };
        let original = &self.ingested[index].0.path;
        if read(original)? != read(&item.path)? {
            return Err(Failure::failed(format!("{} is not what was ingested", item.path.display())));
        }
        self.print(&format!(
            "   {request}: {} {}\n",
            item.path.file_name().unwrap_or_default().to_string_lossy(),
            self.output.pick("copied out, identical to the original", "已复制，与原件完全一致")
        ))
    }

    /// Shows a refusal, which must have come, and for the reason that was expected.
    fn said_no(
        &self,
        en: &str,
        zh: &str,
        outcome: Result<(), Failure>,
        expected: Option<Reason>,
    ) -> Result<(), Failure> {
        let Err(refused) = outcome else { return Err(Failure::failed(format!("this was not refused: {en}"))) };
        if expected.is_some() && refused.reason() != expected {
            return Err(refused);
        }
        let why = refused.reason().map(|reason| format!(" · {reason}")).unwrap_or_default();
        let rule = if refused.rule().is_empty() { String::new() } else { format!(" · {}", refused.rule()) };
        self.print(&format!("   ✗ {}\n     {}{why}{rule}\n", self.output.pick(en, zh), refused.message()))
    }

    fn first(&self) -> (&Recording, &IngestedItem) {
        let (recording, item) = self.ingested.first().expect("three recordings were ingested");
        (recording, item)
    }

    fn client(&self, identity: &str) -> Result<Client, Failure> {
        Ok(Client::connect(&self.context, Some(identity))?)
    }

    fn next(&mut self, en: &str, zh: &str) -> Result<(), Failure> {
        self.step += 1;
        head(self.output, self.step, en, zh)
    }

    fn say(&self, en: &str, zh: &str) -> Result<(), Failure> {
        self.print(&format!("   {}\n", self.output.pick(en, zh)))
    }

    fn print(&self, text: &str) -> Result<(), Failure> {
        self.output.print(text)
    }
}

fn head(output: Output, step: u32, en: &str, zh: &str) -> Result<(), Failure> {
    let text = output.pick(en, zh);
    if may_colour() {
        output.print(&format!("\n\u{1b}[1m{step}. {text}\u{1b}[0m\n"))
    } else {
        output.print(&format!("\n{step}. {text}\n"))
    }
}

async fn submit(legal: &Client, item: ItemId) -> Result<RequestId, Failure> {
    let fields = BTreeMap::from([("reason".to_owned(), "案件办理需要（演示）".to_owned())]);
    let request = legal.submit_request(strongroom_proto::request::Act::Copy, &[item], fields).await?;
    request.request_id.parse().map_err(|error| Failure::caused_by("could not read the request's number", &error))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(Failure::file("read", path))
}
