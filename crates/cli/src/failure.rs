//! How a command fails: one clear message, then why, then what can mend it, and the exit code that says which kind.

use std::error::Error;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

use strongroom_client::{ClientError, ContextError, CopyOutError, ExitKind, IngestError};
use strongroom_net::pki::PkiError;
use strongroom_types::{Reason, Refusal, rule};

use crate::lang::Lang;

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: Kind,
    message: String,
    /// Stable reason, where the cluster refused.
    reason: Option<Reason>,
    /// Rule or article, where one decided.
    rule: String,
    /// What the article says, where the rule is one.
    article: String,
    /// What or who can mend it.
    hint: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ended(ExitKind),
    /// Whoever read our output has gone: nothing is wrong.
    NobodyReads,
}

impl Failure {
    /// It could not be done: exit 1.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::of(ExitKind::Failed, message)
    }

    /// It was asked for wrongly: exit 2.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::of(ExitKind::Usage, message)
    }

    fn of(kind: ExitKind, message: impl Into<String>) -> Self {
        Self {
            kind: Kind::Ended(kind),
            message: message.into(),
            reason: None,
            rule: String::new(),
            article: String::new(),
            hint: String::new(),
        }
    }

    /// An error with everything that caused it: exit 1.
    pub(crate) fn caused_by(what: impl Into<String>, error: &dyn Error) -> Self {
        Self::failed(format!("{}: {}", what.into(), chain(error)))
    }

    /// A file that could not be read or written.
    pub(crate) fn file<'a>(doing: &'a str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + use<'a> {
        move |error| Self::failed(format!("could not {doing} {}: {error}", path.display()))
    }

    /// The output could not be written.
    pub(crate) fn output(error: &io::Error) -> Self {
        let mut failure = Self::failed(format!("could not write the output: {error}"));
        if error.kind() == io::ErrorKind::BrokenPipe {
            failure.kind = Kind::NobodyReads;
        }
        failure
    }

    /// The same, saying what can mend it where nothing said so before.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        if self.hint.is_empty() {
            self.hint = hint.into();
        }
        self
    }

    /// The first failure of several, which were told already.
    #[must_use]
    pub(crate) fn of_several(mut self, failed: usize, of: usize) -> Self {
        self.message = format!("{failed} of {of} failed; the first: {}", self.message);
        self
    }

    /// The reason that the cluster gave.
    pub(crate) const fn reason(&self) -> Option<Reason> {
        self.reason
    }

    /// The message alone.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The rule that decided, or nothing.
    pub(crate) fn rule(&self) -> &str {
        &self.rule
    }

    /// The exit code of the process.
    pub(crate) const fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::Ended(kind) => kind.code(),
            Kind::NobodyReads => 0,
        }
    }

    /// What people are told, without colours; nothing where nobody listens.
    pub(crate) fn told(&self, lang: Lang) -> String {
        let mut text = String::new();
        if self.kind == Kind::NobodyReads {
            return text;
        }
        let label = match self.kind {
            Kind::Ended(ExitKind::Refused) => lang.pick("refused", "拒绝"),
            Kind::Ended(ExitKind::Failed | ExitKind::Usage) | Kind::NobodyReads => lang.pick("error", "错误"),
        };
        // Writing to a string does not fail. What the cluster says of the case is English; what it comes to is told in
        // both languages.
        match (lang, self.reason) {
            (Lang::Zh, Some(reason)) => {
                let _ = writeln!(text, "{label}: {}", reason.chinese());
                let _ = writeln!(text, "详情: {}", self.message);
            }
            (Lang::Zh | Lang::En, _) => {
                let _ = writeln!(text, "{label}: {}", self.message);
            }
        }
        if let Some(reason) = self.reason {
            let _ = write!(text, "{}: {reason}", lang.pick("why", "依据"));
            if !self.rule.is_empty() {
                let _ = write!(text, " ({} {})", lang.pick("rule", "条款"), self.rule);
            }
            text.push('\n');
        }
        if let Some(words) = self.words(lang) {
            let _ = writeln!(text, "{}: {words}", lang.pick("it says", "条文"));
        }
        if !self.hint.is_empty() {
            let _ = writeln!(text, "{}: {}", lang.pick("hint", "提示"), self.hint);
        }
        text
    }

    /// What the rule says: an article in the words of its text, a general rule in the reader's language; nothing that the
    /// message says already.
    fn words(&self, lang: Lang) -> Option<&str> {
        let general = || rule::words(&self.rule).map(|(zh, en)| lang.pick(en, zh));
        let words = Some(self.article.as_str()).filter(|article| !article.is_empty()).or_else(general)?;
        (!self.message.contains(words)).then_some(words)
    }
}

/// An error and what caused it, each once.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            let _ = write!(text, ": {said}");
        }
        cause = error.source();
    }
    text
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        ClientError::Refused(refusal).into()
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let kind = Kind::Ended(error.exit_kind());
        match error {
            ClientError::Refused(Refusal { reason, rule, message, remedy, article }) => {
                Self { kind, message, reason: Some(reason), rule, article, hint: remedy }
            }
            ClientError::Context(error) => error.into(),
            ClientError::Unreachable { .. } => Self { kind, ..Self::failed(chain(&error)) }
                .hint("is a node running? `strongroom dev status --dir D` tells for a cluster of this machine"),
            ClientError::NotTrusted { .. } => Self { kind, ..Self::failed(chain(&error)) }
                .hint("the context's ca, certificate and key must be those of this cluster, and not expired: `strongroom pki inspect`"),
            ClientError::Protocol { .. } | ClientError::Tls(_) | ClientError::Address(_) => {
                Self { kind, ..Self::failed(chain(&error)) }
            }
        }
    }
}

impl From<ContextError> for Failure {
    fn from(error: ContextError) -> Self {
        Self::usage(chain(&error))
    }
}

impl From<IngestError> for Failure {
    fn from(error: IngestError) -> Self {
        let kind = error.exit_kind();
        match error {
            IngestError::Client(error) => error.into(),
            IngestError::Stalled { .. } => {
                Self::of(kind, chain(&error)).hint("run the same command again: it goes on where it was")
            }
            IngestError::File { .. }
            | IngestError::FileChanged { .. }
            | IngestError::DigestMismatch { .. }
            | IngestError::ReceiptRejected { .. }
            | IngestError::ReceiptInTheWay { .. } => Self::of(kind, chain(&error)),
        }
    }
}

impl From<CopyOutError> for Failure {
    fn from(error: CopyOutError) -> Self {
        let kind = error.exit_kind();
        match error {
            CopyOutError::Client(error) => error.into(),
            CopyOutError::Stalled { .. } => {
                Self::of(kind, chain(&error)).hint("run the same command again: it goes on where it was")
            }
            CopyOutError::File { .. }
            | CopyOutError::FolderTaken { .. }
            | CopyOutError::InTheWay { .. }
            | CopyOutError::WrongBytes { .. } => Self::of(kind, chain(&error)),
        }
    }
}

impl From<PkiError> for Failure {
    fn from(error: PkiError) -> Self {
        Self::failed(chain(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_with_its_rule_and_its_remedy() {
        let mut refusal =
            Refusal::new(Reason::ApprovalMissing, "R-003-6c", "REQ-1 has no approval", "ask the approver");
        refusal.article = "须经主管领导同意".to_owned();
        let failure = Failure::from(refusal);
        assert_eq!(failure.exit_code(), 3);
        assert_eq!(
            failure.told(Lang::En),
            "refused: REQ-1 has no approval\nwhy: APPROVAL_MISSING (rule R-003-6c)\nit says: 须经主管领导同意\n\
             hint: ask the approver\n"
        );
        assert_eq!(
            failure.told(Lang::Zh),
            "拒绝: 尚缺审批\n详情: REQ-1 has no approval\n依据: APPROVAL_MISSING (条款 R-003-6c)\n\
             条文: 须经主管领导同意\n提示: ask the approver\n"
        );
    }

    #[test]
    fn a_general_rule_is_told_in_the_language_of_the_reader_and_nothing_is_told_twice() {
        let failure = Failure::from(Refusal::new(Reason::HoldActive, "G7", "I-1 is long-term", ""));
        assert!(failure.told(Lang::En).contains("it says: long-term has no end\n"));
        assert!(failure.told(Lang::Zh).contains("条文: 长期保存没有终止日期\n"));
        let mut refusal = Refusal::new(Reason::InvalidArgument, "R-X", "no; the text says: 第一条", "");
        refusal.article = "第一条".to_owned();
        assert!(!Failure::from(refusal).told(Lang::En).contains("it says"));
    }

    #[test]
    fn exit_codes_tell_kinds_apart() {
        assert_eq!(Failure::failed("x").exit_code(), 1);
        assert_eq!(Failure::usage("x").exit_code(), 2);
        assert_eq!(Failure::from(Refusal::invalid("x")).exit_code(), 2);
        assert_eq!(Failure::from(Refusal::not_found("item")).exit_code(), 1);
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        let failure = Failure::output(&io::ErrorKind::BrokenPipe.into());
        assert_eq!((failure.exit_code(), failure.told(Lang::En)), (0, String::new()));
        assert_eq!(Failure::output(&io::ErrorKind::StorageFull.into()).exit_code(), 1);
    }

    #[test]
    fn the_first_hint_stays() {
        assert!(Failure::failed("x").hint("first").hint("second").told(Lang::En).contains("hint: first\n"));
    }
}
