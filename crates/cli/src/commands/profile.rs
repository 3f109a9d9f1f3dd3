//! `strongroom profile`: an agency's regulation as data. `check` needs no cluster.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value, json};
use strongroom_custody::profile::{self, Needed, RequestAct};
use strongroom_types::{ProfileName, Role};

use crate::failure::Failure;
use crate::session::{Globals, Usual};

/// What can be done with profiles.
#[derive(Debug, Subcommand)]
pub(crate) enum Profile {
    /// All profiles
    List,
    /// The newest version of a profile, as it was given
    Show {
        /// Its name
        name: ProfileName,
    },
    /// Reads a profile file and says what it means; needs no cluster
    Check {
        /// The file
        file: PathBuf,
    },
}

impl Profile {
    /// Does it.
    pub(crate) async fn run(self, globals: &Globals) -> Result<(), Failure> {
        match self {
            Self::List => list(globals).await,
            Self::Show { name } => {
                let shown = globals.client(Usual::Security)?.show_profile(&name).await?;
                let json = json!({ "name": shown.name, "version": shown.version, "toml": shown.toml });
                globals.output().show(&json, |page| {
                    page.line(format!("# {}@{}", shown.name, shown.version));
                    page.line(shown.toml.trim_end());
                })
            }
            Self::Check { file } => {
                let text = std::fs::read_to_string(&file).map_err(Failure::file("read", &file))?;
                let profile = profile::Profile::from_toml(&text)
                    .map_err(|error| Failure::failed(format!("{}: {error}", file.display())))?;
                show_checked(globals, &profile)
            }
        }
    }
}

async fn list(globals: &Globals) -> Result<(), Failure> {
    let profiles = globals.client(Usual::Security)?.list_profiles().await?;
    let json = profiles
        .iter()
        .map(|profile| {
            json!({
                "name": profile.name,
                "version": profile.version,
                "agency": profile.agency,
                "floor": profile.floor,
            })
        })
        .collect();
    globals.output().show(&json, |page| {
        let row = |profile: &strongroom_proto::admin::ProfileSummary| {
            vec![profile.name.clone(), profile.version.to_string(), profile.agency.clone(), profile.floor.clone()]
        };
        let rows: Vec<_> = profiles.iter().map(row).collect();
        page.table(&["profile", "version", "agency", "floor"], &rows);
    })
}

fn show_checked(globals: &Globals, profile: &profile::Profile) -> Result<(), Failure> {
    let acts: Value = profile
        .acts
        .iter()
        .map(|(act, rule)| {
            let rule = json!({
                "requesters": names(&rule.requesters),
                "approvers": names(&rule.approvers),
                "needed": needed(rule.needed),
                "executors": names(&rule.executors),
                "fields": rule.fields,
                "valid_days": rule.valid_days,
                "uses": rule.uses,
                "rule": rule.source.rule,
            });
            (act.name().to_owned(), rule)
        })
        .collect::<serde_json::Map<_, _>>()
        .into();
    let refused: Vec<_> =
        RequestAct::ALL.into_iter().filter(|act| !profile.acts.contains_key(act)).map(RequestAct::name).collect();
    let json = json!({
        "name": profile.name.as_str(),
        "agency": profile.agency,
        "floor_months": profile.floor.as_ref().map(|floor| floor.months),
        "acts": acts,
        "refused_acts": refused,
        "standing_view": profile.standing_view.as_ref().map(|view| names(&view.roles)),
    });
    let output = globals.output();
    output.show(&json, |page| {
        let floor = profile.floor.as_ref().map_or_else(
            || output.pick("unspecified: everything is kept", "未规定：全部保留").to_owned(),
            |floor| format!("{} {} ({})", floor.months, output.pick("months", "个月"), floor.source.rule),
        );
        page.facts(&[("profile", profile.name.to_string()), ("agency", profile.agency.clone()), ("floor", floor)]);
        let rows: Vec<_> = profile
            .acts
            .iter()
            .map(|(act, rule)| {
                vec![
                    act.name().to_owned(),
                    names(&rule.requesters).join(", "),
                    format!("{} {}", needed(rule.needed), names(&rule.approvers).join(", ")),
                    names(&rule.executors).join(", "),
                    rule.source.rule.clone(),
                ]
            })
            .collect();
        page.table(&["act", "requester", "approved by", "executor", "rule"], &rows);
        if !refused.is_empty() {
            let says = output.pick("refused, because the profile names no approver", "未规定审批人，一律拒绝");
            page.line(format!("{says}: {}", refused.join(", ")));
        }
    })
}

fn names(roles: &[Role]) -> Vec<&'static str> {
    roles.iter().map(|role| role.name()).collect()
}

const fn needed(needed: Needed) -> &'static str {
    match needed {
        Needed::All => "all",
        Needed::Any => "any",
    }
}
