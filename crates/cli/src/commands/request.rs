//! `strongroom request`: asking for footage, and deciding on asking.

use std::collections::BTreeMap;

use bytes::Bytes;
use clap::{Subcommand, ValueEnum};
use strongroom_client::Page;
use strongroom_proto::request;
use strongroom_types::{ItemId, PrincipalId, RecordSeq, RequestId, UnixMillis};

use crate::failure::Failure;
use crate::parse;
use crate::session::{Globals, Usual};
use crate::shown;

/// What can be done with requests.
#[derive(Debug, Subcommand)]
pub(crate) enum Request {
    /// Submits a request; the answer says what is still missing and who can give it
    Submit {
        /// What is asked for
        #[arg(long, value_enum)]
        act: Act,
        /// Item; say it again for each
        #[arg(long = "item", required = true, value_name = "ITEM")]
        items: Vec<ItemId>,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// Further field of the form; say it again for each
        #[arg(long = "field", value_parser = parse::pair, value_name = "NAME=VALUE")]
        fields: Vec<(String, String)>,
    },
    /// Approves, as one of the roles that the chain still asks for
    Approve {
        /// Such as REQ-1
        request: RequestId,
    },
    /// Rejects, with a reason
    Reject {
        /// Such as REQ-1
        request: RequestId,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Withdraws one's own request, while it waits
    ///
    /// Example: strongroom --as legal request withdraw REQ-1 --reason 已由当事人提供
    Withdraw {
        /// Such as REQ-1
        request: RequestId,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Takes an approval back, and with it the grant; whoever approved may, and of a grant legal too
    ///
    /// What is being read under it ends at the next read. Example: strongroom --as head request revoke REQ-1 --reason 误批
    Revoke {
        /// Such as REQ-1
        request: RequestId,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Files a form that an approver signed on paper, as legal
    ///
    /// The scan is ingested first, like any original. Example: strongroom request file-paper REQ-1 --form ITEM --approver head
    FilePaper {
        /// Such as REQ-1
        request: RequestId,
        /// The signed form, as an item
        #[arg(long, value_name = "ITEM")]
        form: ItemId,
        /// Who signed it
        #[arg(long, value_name = "NAME")]
        approver: PrincipalId,
    },
    /// Attests, as a second person, to having seen a form: it then is the approval of whoever signed it
    ///
    /// `request show` tells the number. Example: strongroom --as archivist request attest REQ-1 --paper 57
    Attest {
        /// Such as REQ-1
        request: RequestId,
        /// Number of the filing that was looked at
        #[arg(long, value_name = "RECORD")]
        paper: u64,
    },
    /// Enters an approval that was given by word of mouth, as legal; only where the profile says urgent-oral
    ///
    /// Example: strongroom request enter-oral REQ-1 --approver head --witness li --said-at 2026-03-01T21:40:00 --reason 现场等候
    EnterOral {
        /// Such as REQ-1
        request: RequestId,
        /// Who gave it
        #[arg(long, value_name = "NAME")]
        approver: PrincipalId,
        /// Who heard it too
        #[arg(long, value_name = "NAME")]
        witness: PrincipalId,
        /// When it was said
        #[arg(long, value_name = "TIME")]
        said_at: UnixMillis,
        /// Why it could not wait
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Confirms what one said, within a day of saying it; the head may too
    ///
    /// Example: strongroom --as head request confirm-oral REQ-1
    ConfirmOral {
        /// Such as REQ-1
        request: RequestId,
    },
    /// One request: where it stands, every step, and who can do what next
    Show {
        /// Such as REQ-1
        request: RequestId,
    },
    /// Requests, newest first
    List {
        /// Only those that still wait for approvals
        #[arg(long)]
        pending: bool,
        /// At most so many
        #[arg(long, default_value_t = 100, value_name = "COUNT")]
        limit: usize,
    },
}

/// One of the five acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Act {
    /// 查阅
    View,
    /// 复制调取
    Copy,
    /// 移送
    Transfer,
    /// 对外提供
    Provide,
    /// 公开
    Publish,
}

impl Act {
    pub(crate) const fn wire(self) -> request::Act {
        match self {
            Self::View => request::Act::View,
            Self::Copy => request::Act::Copy,
            Self::Transfer => request::Act::Transfer,
            Self::Provide => request::Act::Provide,
            Self::Publish => request::Act::Publish,
        }
    }
}

impl Request {
    /// Does it.
    pub(crate) async fn run(self, globals: &Globals) -> Result<(), Failure> {
        let client = globals.client(Usual::Legal)?;
        let shown = match self {
            Self::Submit { act, items, reason, fields } => {
                let fields = form(reason, fields)?;
                client.submit_request(act.wire(), &items, fields).await?
            }
            Self::Approve { request } => client.approve_request(request).await?,
            Self::Reject { request, reason } => client.reject_request(request, &reason).await?,
            Self::Withdraw { request, reason } => client.withdraw_request(request, &reason).await?,
            Self::Revoke { request, reason } => client.revoke_request(request, &reason).await?,
            Self::FilePaper { request, form, approver } => client.file_paper(request, form, &approver).await?,
            Self::Attest { request, paper } => client.attest_paper(request, RecordSeq(paper)).await?,
            Self::EnterOral { request, approver, witness, said_at, reason } => {
                let entry = request::EnterOralApprovalRequest {
                    request_id: request.to_string(),
                    approver: approver.to_string(),
                    witness: witness.to_string(),
                    said_at_unix_ms: said_at.0,
                    reason,
                    ..Default::default()
                };
                client.enter_oral_approval(entry).await?
            }
            Self::ConfirmOral { request } => client.confirm_oral_approval(request).await?,
            Self::Show { request } => client.show_request(request).await?,
            Self::List { pending, limit } => return list(globals, &client, pending, limit).await,
        };
        globals.output().show(&shown::request_json(&shown), |page| shown::request_page(page, &shown))
    }
}

/// The form's fields; the reason has an option of its own because every form has it.
fn form(reason: Option<String>, fields: Vec<(String, String)>) -> Result<BTreeMap<String, String>, Failure> {
    let mut form = BTreeMap::new();
    for (name, value) in reason.map(|reason| ("reason".to_owned(), reason)).into_iter().chain(fields) {
        if form.insert(name.clone(), value).is_some() {
            return Err(Failure::usage(format!("the field {name:?} is given twice")));
        }
    }
    Ok(form)
}

async fn list(
    globals: &Globals,
    client: &strongroom_client::Client,
    pending: bool,
    limit: usize,
) -> Result<(), Failure> {
    let (mut requests, mut token) = (Vec::new(), Bytes::new());
    while requests.len() < limit {
        let size = u32::try_from((limit - requests.len()).min(100)).unwrap_or(100);
        let page = client.list_requests(pending, Page { size, token }).await?;
        requests.extend(page.requests);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    requests.truncate(limit);
    globals.output().show(&requests.iter().map(shown::request_json).collect(), |page| {
        let row = |request: &request::Request| {
            vec![
                request.request_id.clone(),
                shown::act(request.act()).to_owned(),
                shown::state(request.state()).to_owned(),
                request.requester.clone(),
                shown::time(request.submitted_at_unix_ms),
                request.item_ids.len().to_string(),
                request.missing.join("; "),
            ]
        };
        let rows: Vec<_> = requests.iter().map(row).collect();
        page.table(&["request", "act", "state", "requester", "submitted", "items", "missing"], &rows);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn the_reason_is_a_field_like_any_other() {
        let made = form(Some("case 7".to_owned()), vec![pair("case", "7")]).expect("a form");
        assert_eq!(made, BTreeMap::from([pair("reason", "case 7"), pair("case", "7")]));
        assert_eq!(form(Some("a".to_owned()), vec![pair("reason", "b")]).expect_err("twice").exit_code(), 2);
    }
}
