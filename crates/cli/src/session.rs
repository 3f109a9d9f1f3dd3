//! Who talks to which cluster: the options that every command has, and what they come to.

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use strongroom_client::{Client, ClientSettings, Confirm, Context};
use strongroom_types::{Reason, Refusal};

use crate::failure::Failure;
use crate::lang::Lang;
use crate::output::{Format, Output};

/// Options of every command.
#[derive(Clone, Debug, Args)]
pub(crate) struct Globals {
    /// Context file: which cluster, where, and as whom
    #[arg(long, global = true, env = "STRONGROOM_CONTEXT", value_name = "FILE")]
    pub(crate) context: Option<PathBuf>,
    /// Identity of the context to act as
    #[arg(long = "as", global = true, value_name = "NAME")]
    pub(crate) identity: Option<String>,
    /// Form of the data on stdout
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORM")]
    pub(crate) output: Format,
    /// Language of messages; by default that of LANG
    #[arg(long, global = true, value_enum, value_name = "LANG")]
    pub(crate) lang: Option<Lang>,
    /// Sign decisions without being asked at the terminal
    #[arg(long, global = true)]
    pub(crate) yes: bool,
    /// Set where a cluster answered that it is only a trial.
    #[arg(skip)]
    pub(crate) met_trial: Arc<AtomicBool>,
}

/// What an identity is needed for, where none is named: the role that usually does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Usual {
    /// Sends originals.
    Station,
    /// Reads the catalogue and asks for footage.
    Legal,
    /// Hands out copies.
    Archivist,
    /// Keeps devices.
    Custodian,
    /// Registers principals, units, profiles.
    Security,
    /// Reads the ledger.
    Auditor,
    /// Runs the machines.
    Ops,
    /// Records, and keeps activities.
    Recorder,
    /// Heads a unit.
    UnitHead,
    /// Inspects.
    Inspector,
}

impl Usual {
    const fn name(self) -> &'static str {
        match self {
            Self::Station => "station",
            Self::Legal => "legal",
            Self::Archivist => "archivist",
            Self::Custodian => "custodian",
            Self::Security => "security",
            Self::Auditor => "auditor",
            Self::Ops => "ops",
            Self::Recorder => "recorder",
            Self::UnitHead => "unit-head",
            Self::Inspector => "inspector",
        }
    }
}

impl Globals {
    /// Says, where it is so, that what was shown is no evidence.
    pub(crate) fn tell_of_trial(&self) {
        if self.met_trial.load(Ordering::Relaxed) {
            let output = self.output();
            output.talk(output.pick(
                "this is a trial cluster: its clock can be set, and nothing in it is evidence",
                "这是试验集群：时钟可以拨动，其中内容不作为证据",
            ));
        }
    }

    /// How to show things.
    pub(crate) fn output(&self) -> Output {
        let lang = self.lang.unwrap_or_else(|| Lang::of_environment(|name| std::env::var(name).ok()));
        Output { format: self.output, lang }
    }

    /// The context.
    pub(crate) fn context(&self) -> Result<Context, Failure> {
        let path = self.context.as_deref().ok_or_else(|| {
            Failure::usage("no cluster is named").hint(
                "say --context FILE or set STRONGROOM_CONTEXT; `strongroom dev up --dir D` makes a cluster and D/context.toml",
            )
        })?;
        Ok(Context::load(path)?)
    }

    /// A client as whoever was named, or as who usually does this.
    pub(crate) fn client(&self, usual: Usual) -> Result<Client, Failure> {
        self.client_with(usual, ClientSettings::default())
    }

    /// Like [`Self::client`], with settings.
    pub(crate) fn client_with(&self, usual: Usual, settings: ClientSettings) -> Result<Client, Failure> {
        let context = self.context()?;
        let identity = self.identity_in(&context, usual);
        let confirm = Some(self.confirm());
        let settings = ClientSettings { met_trial: Arc::clone(&self.met_trial), confirm, ..settings };
        Ok(Client::connect_with(&context, identity, settings)?)
    }

    /// Shows what is about to be signed. Somebody who sits at a terminal is asked; for a script it is told on stderr.
    fn confirm(&self) -> Confirm {
        let (output, yes) = (self.output(), self.yes);
        Arc::new(move |text| {
            output.talk(output.pick("you sign:", "您将签署："));
            for line in text.lines() {
                output.talk(format!("  {line}"));
            }
            if yes || !io::stdin().is_terminal() {
                return Ok(());
            }
            output.talk(output.pick("sign? [y/N]", "确认签署？[y/N]"));
            let mut word = String::new();
            // Who cannot be heard has not agreed.
            let heard = io::stdin().read_line(&mut word).is_ok();
            if heard && word.trim().eq_ignore_ascii_case("y") {
                return Ok(());
            }
            Err(Refusal::new(Reason::AssentMissing, "", "it was not signed", "say y where you are asked, or --yes"))
        })
    }

    /// The identity to act as; none leaves it to the context's default.
    pub(crate) fn identity_in<'a>(&'a self, context: &Context, usual: Usual) -> Option<&'a str> {
        let has = |name: &str| context.identity_names().any(|known| known == name);
        self.identity.as_deref().or_else(|| Some(usual.name()).filter(|name| has(name)))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn globals(identity: Option<&str>) -> Globals {
        Globals {
            context: None,
            identity: identity.map(str::to_owned),
            output: Format::Text,
            lang: None,
            yes: false,
            met_trial: Arc::default(),
        }
    }

    #[test]
    fn who_is_not_named_acts_as_who_usually_does_it() {
        let text = "cluster = \"01010101010101010101010101010101\"\nendpoints = [\"a:1\"]\nca = \"ca.pem\"\n\
                    [identities.station]\ncertificate = \"s.pem\"\nkey = \"s.key\"\n";
        let context = Context::parse(text, Path::new("context.toml")).expect("a context");
        assert_eq!(globals(None).identity_in(&context, Usual::Station), Some("station"));
        assert_eq!(globals(None).identity_in(&context, Usual::Legal), None);
        assert_eq!(globals(Some("boss")).identity_in(&context, Usual::Station), Some("boss"));
    }

    #[test]
    fn no_context_is_a_mistake_in_the_command_line() {
        assert_eq!(globals(None).context().expect_err("none is named").exit_code(), 2);
    }
}
