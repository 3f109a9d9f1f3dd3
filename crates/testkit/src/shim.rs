//! The disk shim from outside: compiles `shim/shim.c`, says what a process needs in its environment to be under it, sets
//! the rules for failing and waiting calls, and cuts the power of a node that was killed.
//!
//! A shim watches one folder whose subfolders are nodes. Its own files (library, journals, rules) lie beside it, on the
//! same file system. What the cut does is in `powercut`.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::powercut::{self, Loss};
use crate::random::Random;

const SOURCE: &str = include_str!("../shim/shim.c");

/// A compiled shim over one folder of nodes.
#[derive(Debug)]
pub struct Shim {
    own: PathBuf,
    nodes: PathBuf,
}

impl Shim {
    /// Compiles the shim into `own`, a folder that is made, to watch `nodes`.
    ///
    /// # Panics
    /// As all of it: where the machine does not do what must succeed.
    #[must_use]
    pub fn new(own: &Path, nodes: &Path) -> Self {
        fs::create_dir_all(own.join("journal")).expect("a folder for the journals");
        let shim = Self { own: own.to_owned(), nodes: nodes.to_owned() };
        compile(&own.join("shim.c"), SOURCE, &shim.library(), &["-pthread"]);
        shim
    }

    /// The environment of a process under the shim. With `only`, processes whose command line does not hold these words
    /// are left alone.
    #[must_use]
    pub fn environment(&self, only: Option<&str>) -> Vec<(OsString, OsString)> {
        let mut variables = vec![
            ("LD_PRELOAD".into(), self.library().into()),
            ("SHIM_FOLDER".into(), self.nodes.clone().into()),
            ("SHIM_JOURNAL".into(), self.journals().into()),
            ("SHIM_RULES".into(), self.own.join("rules").into()),
        ];
        variables.extend(only.map(|words| ("SHIM_ONLY".into(), words.into())));
        variables
    }

    /// Puts other rules in force, also in processes that run; none for a disk that does what it is told.
    pub fn set_rules(&self, rules: &[Rule<'_>]) {
        let text: String = rules.iter().map(Rule::line).collect();
        let draft = self.own.join("rules.new");
        fs::write(&draft, text).expect("writes the rules");
        fs::rename(draft, self.own.join("rules")).expect("replaces the rules");
    }

    /// Cuts the power of a node whose process is gone: what it did not sync is lost as `loss` says. Answers how much
    /// was taken back.
    pub fn cut(&self, node: &str, loss: Loss, random: &mut Random) -> powercut::Undone {
        powercut::cut(&self.journals(), &self.nodes, node, loss, random)
    }

    /// The paths of the changes and syncs that a node made under [`Rule::Trace`] since this was asked last.
    #[must_use]
    pub fn take_trace(&self, node: &str) -> Vec<String> {
        let path = self.journals().join(format!("{node}.trace"));
        let text = fs::read_to_string(&path).unwrap_or_default();
        // One that made none has no file.
        let _ = fs::remove_file(path);
        text.lines().map(str::to_owned).collect()
    }

    fn library(&self) -> PathBuf {
        self.own.join("shim.so")
    }

    fn journals(&self) -> PathBuf {
        self.own.join("journal")
    }
}

/// Writes the source of a library that is preloaded, and compiles it.
pub(crate) fn compile(source: &Path, text: &str, library: &Path, more: &[&str]) {
    fs::write(source, text).expect("writes the shim's source");
    let output = Command::new("cc")
        .args(["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-o"])
        .args([library, source])
        .args(more)
        .output()
        .expect("a C compiler runs");
    assert!(output.status.success(), "the shim does not compile: {}", String::from_utf8_lossy(&output.stderr));
}

/// What goes wrong on demand.
#[derive(Clone, Copy, Debug)]
pub enum Rule<'a> {
    /// Calls on paths that hold the text fail.
    Fail {
        /// Which calls.
        call: Call,
        /// With this number, such as 5 for EIO.
        error: i32,
        /// Part of the path.
        path: &'a str,
    },
    /// Calls on paths that hold the text wait first.
    Delay {
        /// Which calls.
        call: Call,
        /// So long.
        microseconds: u32,
        /// Part of the path.
        path: &'a str,
    },
    /// Every sync is answered as done and makes nothing durable.
    IgnoreSync,
    /// The process ends at its `number`th change or sync, from 1, on paths that hold the text.
    Kill {
        /// Which of them, counted from when the rules are read.
        number: u32,
        /// On which side of it.
        moment: Moment,
        /// Part of the path.
        path: &'a str,
    },
    /// Every change and sync is noted, for [`Shim::take_trace`].
    Trace,
}

/// On which side of a change or sync a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// It was not made.
    Before,
    /// It was made, and nothing else.
    After,
}

/// What kind of call a rule is about.
#[derive(Clone, Copy, Debug)]
pub enum Call {
    /// All that changes contents or names.
    Write,
    /// Syncs.
    Sync,
}

impl Rule<'_> {
    fn line(&self) -> String {
        let name = |call| match call {
            Call::Write => "write",
            Call::Sync => "sync",
        };
        match *self {
            Self::Fail { call, error, path } => format!("fail {error} {} {path}\n", name(call)),
            Self::Delay { call, microseconds, path } => format!("delay {microseconds} {} {path}\n", name(call)),
            Self::IgnoreSync => "ignore-sync\n".to_owned(),
            Self::Kill { number, moment: Moment::Before, path } => format!("kill {number} before {path}\n"),
            Self::Kill { number, moment: Moment::After, path } => format!("kill {number} after {path}\n"),
            Self::Trace => "trace\n".to_owned(),
        }
    }
}
