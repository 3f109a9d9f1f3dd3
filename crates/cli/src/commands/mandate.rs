//! `strongroom mandate`: deputies who are appointed to preside, and rights that were lent.

use bytes::Bytes;
use clap::{Args, Subcommand};
use serde_json::json;
use strongroom_client::Page;
use strongroom_proto::mandate::{
    AppointDeputyRequest, ConfirmAppointmentRequest, DelegateRightRequest, Mandate as WireMandate,
    RevokeMandateRequest, Scope,
};
use strongroom_types::{PrincipalId, ProfileName, Role, UnitId, UnixMillis};

use super::request::Act;
use crate::failure::Failure;
use crate::session::{Globals, Usual};
use crate::shown::{self, done, some, time};

/// What can be done with mandates.
#[derive(Debug, Subcommand)]
pub(crate) enum Mandate {
    /// Makes a deputy the head 主持工作的副职, as security, by a document; counts once legal or the head has confirmed it
    ///
    /// Example: strongroom mandate appoint li --until 2026-12-31T00:00:00 --document 任字〔2026〕7号
    Appoint {
        /// To whom
        holder: PrincipalId,
        /// Number of the document 文号
        #[arg(long, value_name = "TEXT")]
        document: String,
        #[command(flatten)]
        term: Term,
    },
    /// Says, as a second person, that an appointment is what its document says
    ///
    /// Example: strongroom --as legal mandate confirm li --record 57
    Confirm {
        /// Whose
        holder: PrincipalId,
        /// Its number
        #[arg(long, value_name = "RECORD")]
        record: u64,
    },
    /// Lends one's own right to decide 授权, for the acts that are named
    ///
    /// It counts where the article says 或经授权的负责人, and is never lent on.
    /// Example: strongroom --as head mandate delegate zhang --act view --unit U1 --until 2026-04-01T00:00:00
    Delegate {
        /// To whom
        holder: PrincipalId,
        /// For which act; say it again for each
        #[arg(long = "act", value_enum, required = true)]
        acts: Vec<Act>,
        /// The role whose right it is
        #[arg(long, default_value = "head")]
        role: Role,
        /// Number of a document, where there is one
        #[arg(long, default_value = "", value_name = "TEXT")]
        document: String,
        #[command(flatten)]
        term: Term,
    },
    /// Ends a mandate before its time: whoever gave it, legal, the head or security
    ///
    /// Example: strongroom --as head mandate revoke zhang --record 57 --reason 回任
    Revoke {
        /// Whose
        holder: PrincipalId,
        /// Its number
        #[arg(long, value_name = "RECORD")]
        record: u64,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Mandates, by holder
    List {
        /// Only those of this person
        #[arg(long, value_name = "NAME")]
        holder: Option<PrincipalId>,
        /// At most those of so many people
        #[arg(long, default_value_t = 100, value_name = "COUNT")]
        limit: u32,
    },
}

/// From when until when, and for which footage.
#[derive(Debug, Args)]
pub(crate) struct Term {
    /// From when; without it, at once
    #[arg(long, value_name = "TIME")]
    from: Option<UnixMillis>,
    /// Until when: a year at most
    #[arg(long, value_name = "TIME")]
    until: UnixMillis,
    /// Only footage of this unit
    #[arg(long)]
    unit: Option<UnitId>,
    /// Only footage of the agency with this profile
    #[arg(long)]
    profile: Option<ProfileName>,
}

impl Term {
    fn scope(&self, acts: &[Act]) -> Scope {
        Scope {
            acts: acts.iter().map(|act| shown::act(act.wire()).to_owned()).collect(),
            unit_id: self.unit.as_ref().map_or_else(String::new, ToString::to_string),
            profile: self.profile.as_ref().map_or_else(String::new, ToString::to_string),
        }
    }
}

impl Mandate {
    /// Does it.
    pub(crate) async fn run(self, globals: &Globals) -> Result<(), Failure> {
        let usual = match &self {
            Self::Appoint { .. } => Usual::Security,
            Self::Confirm { .. } | Self::Delegate { .. } | Self::Revoke { .. } | Self::List { .. } => Usual::Legal,
        };
        let client = globals.client(usual)?;
        match self {
            Self::Appoint { holder, document, term } => {
                let request = AppointDeputyRequest {
                    holder: holder.to_string(),
                    scope: Some(term.scope(&[])),
                    from_unix_ms: term.from.map(|from| from.0),
                    until_unix_ms: term.until.0,
                    document,
                    ..Default::default()
                };
                done(globals, "holder", holder.as_str(), client.appoint_deputy(request).await?)
            }
            Self::Confirm { holder, record } => {
                let request = ConfirmAppointmentRequest {
                    holder: holder.to_string(),
                    mandate_record_seq: record,
                    ..Default::default()
                };
                done(globals, "holder", holder.as_str(), client.confirm_appointment(request).await?)
            }
            Self::Delegate { holder, acts, role, document, term } => {
                let request = DelegateRightRequest {
                    holder: holder.to_string(),
                    role: role.to_string(),
                    scope: Some(term.scope(&acts)),
                    from_unix_ms: term.from.map(|from| from.0),
                    until_unix_ms: term.until.0,
                    document,
                    ..Default::default()
                };
                done(globals, "holder", holder.as_str(), client.delegate_right(request).await?)
            }
            Self::Revoke { holder, record, reason } => {
                let request = RevokeMandateRequest {
                    holder: holder.to_string(),
                    mandate_record_seq: record,
                    reason,
                    ..Default::default()
                };
                done(globals, "holder", holder.as_str(), client.revoke_mandate(request).await?)
            }
            Self::List { holder, limit } => {
                let page = Page { size: limit, token: Bytes::new() };
                list(globals, &client.list_mandates(holder.as_ref(), page).await?.0)
            }
        }
    }
}

fn list(globals: &Globals, mandates: &[WireMandate]) -> Result<(), Failure> {
    let covers = |mandate: &WireMandate| {
        let scope = mandate.scope.clone().unwrap_or_default();
        let acts = if scope.acts.is_empty() { "every act".to_owned() } else { scope.acts.join(" ") };
        [acts, scope.unit_id, scope.profile].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
    };
    let json = mandates.iter().map(|mandate| {
        let scope = mandate.scope.clone().unwrap_or_default();
        json!({
            "holder": mandate.holder,
            "record": mandate.record_seq,
            "kind": mandate.kind,
            "role": mandate.role,
            "acts": scope.acts,
            "unit": some(&scope.unit_id),
            "profile": some(&scope.profile),
            "from": time(mandate.from_unix_ms),
            "until": time(mandate.until_unix_ms),
            "document": some(&mandate.document),
            "given_by": mandate.given_by,
            "state": mandate.state,
            "confirmed_by": some(&mandate.confirmed_by),
            "revoked_by": some(&mandate.revoked_by),
            "revocation": some(&mandate.revocation),
        })
    });
    let row = |mandate: &WireMandate| {
        vec![
            mandate.record_seq.to_string(),
            mandate.holder.clone(),
            mandate.kind.clone(),
            mandate.role.clone(),
            covers(mandate),
            time(mandate.from_unix_ms),
            time(mandate.until_unix_ms),
            mandate.state.clone(),
            mandate.given_by.clone(),
            mandate.document.clone(),
        ]
    };
    let heads = ["number", "holder", "kind", "office", "covers", "from", "good until", "state", "given by", "document"];
    globals.output().list(&json.collect(), &heads, &mandates.iter().map(row).collect::<Vec<_>>())
}
