//! `strongroom profile`: an agency's regulation as data. `check` needs no cluster.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Value, json};
use strongroom_custody::profile::{self, Explained, Left, RequestAct};
use strongroom_proto::profile::{PreviewProfileResponse, Proposal, UnitEffects};
use strongroom_types::{ProfileName, RecordSeq};

use crate::failure::Failure;
use crate::output::Output;
use crate::session::{Globals, Usual};
use crate::shown;

/// What can be done with profiles.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  strongroom profile check city.toml --lang zh       says what the file means, and every mistake by line
  strongroom profile preview city.toml               counts the stored items that it would lengthen
  strongroom profile propose city.toml               as the security officer
  strongroom profile show city --proposed            read by whoever approves it
  strongroom --as head profile approve city --record 57
  strongroom profile withdraw city --reason '报批未完成'    within 24 hours of compliance time")]
pub(crate) enum Profile {
    /// All profiles, and the versions that wait
    List,
    /// The newest version of a profile, as it was given
    Show {
        /// Its name
        name: ProfileName,
        /// The version that waits for approval or for its day, with the record by which it is approved
        #[arg(long)]
        proposed: bool,
    },
    /// Reads a profile file and says what it means and what it leaves open; needs no cluster
    Check {
        /// The file
        file: PathBuf,
    },
    /// Counts what a version would do to stored items, by unit; writes nothing
    Preview {
        /// The file
        file: PathBuf,
    },
    /// Proposes a new agency's profile or a new version; another person approves it
    Propose {
        /// The file
        file: PathBuf,
    },
    /// Approves the version that waits; it takes effect after 24 hours of compliance time
    Approve {
        /// The profile's name
        name: ProfileName,
        /// Record of the proposal, as `profile show --proposed` names it
        #[arg(long, value_name = "SEQ")]
        record: u64,
    },
    /// Withdraws the version that waits, approved or not
    Withdraw {
        /// The profile's name
        name: ProfileName,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

impl Profile {
    /// Does it.
    pub(crate) async fn run(self, globals: &Globals) -> Result<(), Failure> {
        match self {
            Self::List => list(globals).await,
            Self::Show { name, proposed: true } => show_proposed(globals, &name).await,
            Self::Show { name, proposed: false } => {
                let shown = globals.client(Usual::Security)?.show_profile(&name).await?;
                let json = json!({ "name": shown.name, "version": shown.version, "toml": shown.toml });
                globals.output().show(&json, |page| {
                    page.line(format!("# {}@{}", shown.name, shown.version));
                    page.line(shown.toml.trim_end());
                })
            }
            Self::Check { file } => show_checked(globals.output(), &checked(&file)?.1),
            Self::Preview { file } => {
                let (text, _) = checked(&file)?;
                show_preview(globals.output(), &globals.client(Usual::Security)?.preview_profile(&text).await?)
            }
            Self::Propose { file } => {
                let (text, _) = checked(&file)?;
                show_proposal(globals.output(), &globals.client(Usual::Security)?.propose_profile(&text).await?)
            }
            Self::Approve { name, record } => {
                let client = globals.client(Usual::Legal)?;
                show_proposal(globals.output(), &client.approve_profile(&name, RecordSeq(record)).await?)
            }
            Self::Withdraw { name, reason } => {
                let record = globals.client(Usual::Security)?.withdraw_profile(&name, &reason).await?;
                let json = json!({ "profile": name.as_str(), "record": record.0 });
                let facts = [("profile", name.to_string()), ("record", record.to_string())];
                globals.output().show(&json, |page| page.facts(&facts))
            }
        }
    }
}

/// The file and what it says. Every mistake is told as `file:line:column`, where editors jump to.
pub(crate) fn checked(file: &Path) -> Result<(String, profile::Profile), Failure> {
    let text = std::fs::read_to_string(file).map_err(Failure::file("read", file))?;
    match profile::Profile::from_toml(&text) {
        Ok(profile) => Ok((text, profile)),
        Err(mistakes) => {
            let line = |mistake: &profile::Mistake| {
                let place = if mistake.place.is_empty() { String::new() } else { format!("{}: ", mistake.place) };
                format!("{}:{}:{}: {place}{}", file.display(), mistake.line, mistake.column, mistake.what)
            };
            let told = mistakes.0.iter().map(line).collect::<Vec<_>>().join("\n");
            Err(Failure::failed(told).hint("mend the profile: docs/profiles.md says what each key takes"))
        }
    }
}

async fn list(globals: &Globals) -> Result<(), Failure> {
    let client = globals.client(Usual::Security)?;
    let profiles = client.list_profiles().await?;
    let waiting = client.list_proposals().await?;
    let of = |name: &str| waiting.iter().find(|proposal| proposal.name == name);
    let new = waiting.iter().filter(|proposal| profiles.iter().all(|profile| profile.name != proposal.name));
    let mut json: Vec<_> = profiles
        .iter()
        .map(|profile| {
            json!({
                "name": profile.name,
                "version": profile.version,
                "agency": profile.agency,
                "floor": profile.floor,
                "waiting": of(&profile.name).map(proposal_json),
            })
        })
        .collect();
    let unborn =
        |proposal: &Proposal| json!({ "name": proposal.name, "version": null, "waiting": proposal_json(proposal) });
    json.extend(new.clone().map(unborn));
    globals.output().show(&json.into(), |page| {
        let told = |proposal: Option<&Proposal>| {
            proposal.map_or_else(String::new, |proposal| state(globals.output(), proposal))
        };
        let row = |profile: &strongroom_proto::admin::ProfileSummary| {
            let waiting = told(of(&profile.name));
            let (name, agency) = (profile.name.clone(), profile.agency.clone());
            vec![name, profile.version.to_string(), agency, profile.floor.clone(), waiting]
        };
        let unborn = |proposal: &Proposal| {
            vec![proposal.name.clone(), String::new(), String::new(), String::new(), told(Some(proposal))]
        };
        let rows: Vec<_> = profiles.iter().map(row).chain(new.clone().map(unborn)).collect();
        page.table(&["profile", "version", "agency", "floor", "waiting"], &rows);
    })
}

async fn show_proposed(globals: &Globals, name: &ProfileName) -> Result<(), Failure> {
    let waiting = globals.client(Usual::Security)?.list_proposals().await?;
    let Some(proposal) = waiting.iter().find(|proposal| proposal.name == name.as_str()) else {
        return Err(Failure::failed(format!("no version of {name} waits")));
    };
    let output = globals.output();
    let mut json = proposal_json(proposal);
    json["toml"] = proposal.toml.clone().into();
    output.show(&json, |page| {
        page.line(format!("# {}@{}: {}", proposal.name, proposal.version, state(output, proposal)));
        page.line(proposal.toml.trim_end());
    })
}

fn show_proposal(output: Output, proposal: &Proposal) -> Result<(), Failure> {
    output.show(&proposal_json(proposal), |page| {
        page.facts(&[
            ("profile", format!("{}@{}", proposal.name, proposal.version)),
            ("record", proposal.record_seq.to_string()),
            ("state", state(output, proposal)),
        ]);
    })
}

/// Where a version that waits stands, in words.
fn state(output: Output, proposal: &Proposal) -> String {
    let Proposal { version, proposed_by, approved_by, record_seq, .. } = proposal;
    match proposal.effective_at_unix_ms {
        Some(at) => {
            let (by, from) = (output.pick("approved by", "批准人"), output.pick("takes effect at", "生效时间"));
            format!("@{version} {by} {approved_by}, {from} {}", shown::time(at))
        }
        None => {
            let (by, record) = (output.pick("proposed by", "提出人"), output.pick("record", "存证条目"));
            format!("@{version} {by} {proposed_by}, {record} {record_seq}")
        }
    }
}

fn proposal_json(proposal: &Proposal) -> Value {
    json!({
        "name": proposal.name,
        "version": proposal.version,
        "record": proposal.record_seq,
        "proposed_by": proposal.proposed_by,
        "proposed_at": shown::time(proposal.proposed_at_unix_ms),
        "approved_by": Some(&proposal.approved_by).filter(|name| !name.is_empty()),
        "effective_at": proposal.effective_at_unix_ms.map(shown::time),
    })
}

fn show_preview(output: Output, preview: &PreviewProfileResponse) -> Result<(), Failure> {
    let unit = |unit: &UnitEffects| {
        json!({
            "unit": unit.unit_id,
            "lengthened": unit.lengthened_count,
            "left": unit.left_count,
            "unending": unit.unending_count,
            "ending": unit.ending_count,
        })
    };
    let refusal = Some(&preview.refusal).filter(|refusal| !refusal.is_empty());
    let json = json!({
        "name": preview.name,
        "version": refusal.is_none().then_some(preview.version),
        "units": preview.units.iter().map(unit).collect::<Vec<_>>(),
        "refusal": refusal,
    });
    output.show(&json, |page| {
        let version = if refusal.is_some() { String::new() } else { format!("@{}", preview.version) };
        let refused = refusal.cloned().unwrap_or_default();
        page.facts(&[("profile", format!("{}{version}", preview.name)), ("would be refused", refused)]);
        let row = |unit: &UnitEffects| {
            let counts = [unit.lengthened_count, unit.left_count, unit.unending_count, unit.ending_count];
            [unit.unit_id.clone()].into_iter().chain(counts.map(|count| count.to_string())).collect()
        };
        let rows: Vec<Vec<_>> = preview.units.iter().map(row).collect();
        page.table(&["unit", "lengthened", "left", "kept without an end", "given an end"], &rows);
    })
}

fn show_checked(output: Output, profile: &profile::Profile) -> Result<(), Failure> {
    let (explained, left) = (profile::explained(profile), profile::left_open(profile));
    output.show(&checked_json(profile, &explained, &left), |page| {
        page.facts(&[("profile", profile.name.to_string()), ("agency", profile.agency.clone())]);
        page.line("");
        for Explained { place, zh, en, source } in &explained {
            page.line(format!("{place}: {}", output.pick(en, zh)));
            page.line(format!("    {}", cited(output, source)));
        }
        page.line("");
        page.line(output.pick("left open, so nothing is guessed:", "未规定，不作推定："));
        for Left { place, zh, en, source } in &left {
            page.line(format!("{place}: {}", output.pick(en, zh)));
            match source.as_ref().filter(|source| !source.rule.is_empty() || !source.note.is_empty()) {
                Some(source) => page.line(format!("    {}", cited(output, source))),
                None => page.line(format!("    {}", output.pick("the file does not mention it", "文件未提及"))),
            }
        }
    })
}

/// Rule, words and note of a value on one line.
fn cited(output: Output, source: &profile::Source) -> String {
    let interpreted = output.pick("(the text is silent: the stricter reading)", "（原文未写，从严解释）");
    let parts = [
        source.rule.as_str(),
        source.article.as_str(),
        if source.interpreted { interpreted } else { "" },
        source.note.as_str(),
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

fn checked_json(profile: &profile::Profile, explained: &[Explained], left: &[Left]) -> Value {
    let acts: serde_json::Map<_, _> = profile
        .acts
        .iter()
        .map(|(act, rules)| (act.name().to_owned(), rules.iter().map(rule_json).collect::<Vec<_>>().into()))
        .collect();
    let refused: Vec<_> =
        RequestAct::ALL.into_iter().filter(|act| !profile.acts.contains_key(act)).map(RequestAct::name).collect();
    let source = |source: &profile::Source| {
        json!({
            "rule": source.rule,
            "article": source.article,
            "interpreted": source.interpreted,
            "note": source.note,
        })
    };
    let said =
        |line: &Explained| json!({ "place": line.place, "zh": line.zh, "en": line.en, "source": source(&line.source) });
    let open = |left: &Left| json!({ "place": left.place, "zh": left.zh, "en": left.en, "source": left.source.as_ref().map(source) });
    json!({
        "name": profile.name.as_str(),
        "agency": profile.agency,
        "floor_months": profile.floor.as_ref().map(|floor| floor.months),
        "acts": acts,
        "refused_acts": refused,
        "values": explained.iter().map(said).collect::<Vec<_>>(),
        "left_open": left.iter().map(open).collect::<Vec<_>>(),
    })
}

fn rule_json(rule: &profile::ActRule) -> Value {
    let names = |roles: &[strongroom_types::Role]| roles.iter().map(|role| role.name()).collect::<Vec<_>>();
    json!({
        "purpose": rule.purpose.as_ref().map(|purpose| &purpose.code),
        "requesters": names(&rule.requesters),
        "approvers": rule.approvers.to_string(),
        "executors": names(&rule.executors),
        "fields": rule.fields,
        "register": rule.registered,
        "recipients": rule.recipients.iter().map(|kind| kind.name()).collect::<Vec<_>>(),
        "valid_days": rule.valid_days,
        "uses": rule.uses,
        "rule": rule.source.rule,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_of_a_file_is_told_where_an_editor_finds_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("city.toml");
        let text =
            "name = \"city\"\nagency = \"局\"\n[floor]\nmonths = 0\nrule = \"x\"\n[standing-view]\nroles = [\"ops\"]\n";
        std::fs::write(&file, text).expect("writes");
        let failure = checked(&file).expect_err("four mistakes");
        let lines: Vec<_> = failure.message().lines().collect();
        let at = |line: &str| format!("{}:{line}", file.display());
        assert!(lines[0].starts_with(&at("4:10: floor.months: takes 1 to 1200")), "{lines:?}");
        assert!(lines.iter().any(|line| line.starts_with(&at("7:9: standing-view.roles: ops may never"))), "{lines:?}");
        assert_eq!(failure.exit_code(), 1);
    }
}
