//! The Python client of `docs/clients` against a real cluster: the published `.proto` files are enough for others.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use strongroom_testkit::{Cluster, Shape, bytes};

/// A virtual environment with what the client needs and the code generated from `proto/`. It is made once for all
/// runs of one target folder; where it is not complete it is made again.
struct Python {
    program: PathBuf,
    generated: PathBuf,
    client: PathBuf,
}

impl Python {
    fn prepare() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let here = root.join("docs/clients/python");
        let requirements = here.join("requirements.txt");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-client");
        let python = Self {
            program: folder.join("venv/bin/python"),
            generated: folder.join("generated"),
            client: here.join("evidence.py"),
        };
        let (stamp, wanted) = (folder.join("complete"), fs::read(&requirements).expect("reads"));
        if fs::read(&stamp).ok().as_ref() != Some(&wanted) {
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(&folder).expect("a folder");
            succeed(Command::new("python3").args(["-m", "venv"]).arg(folder.join("venv")));
            let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
            succeed(Command::new(&python.program).args(install).arg(&requirements));
            fs::write(stamp, wanted).expect("writes");
        }
        python.generate(&root.join("proto"));
        python
    }

    fn generate(&self, proto: &Path) {
        let _ = fs::remove_dir_all(&self.generated);
        fs::create_dir_all(&self.generated).expect("a folder");
        let mut files = Vec::new();
        for area in fs::read_dir(proto.join("strongroom")).expect("reads") {
            let folder = area.expect("an entry").path().join("v1");
            files.extend(fs::read_dir(folder).expect("reads").map(|file| file.expect("an entry").path()));
        }
        let out = |kind: &str| format!("--{kind}={}", self.generated.display());
        let mut command = Command::new(&self.program);
        command.args(["-m", "grpc_tools.protoc", "-I"]).arg(proto);
        succeed(command.args([out("python_out"), out("grpc_python_out")]).args(files));
    }

    fn run(&self, cluster: &Cluster, identity: &str, words: &[&str]) -> Output {
        let context = fs::read_to_string(cluster.file("context.toml")).expect("reads");
        let endpoints = context.lines().find(|line| line.starts_with("endpoints")).expect("endpoints");
        let mut command = Command::new(&self.program);
        command.arg(&self.client).env("PYTHONPATH", &self.generated);
        for endpoint in endpoints.split('"').skip(1).step_by(2) {
            command.args(["--endpoint", endpoint]);
        }
        let file = |extension: &str| cluster.file(&format!("identities/{identity}.{extension}"));
        command.arg("--ca").arg(cluster.file("pki/client-ca.pem"));
        command.arg("--certificate").arg(file("pem")).arg("--key").arg(file("key"));
        command.args(words).output().expect("python runs")
    }

    fn json(&self, cluster: &Cluster, identity: &str, words: &[&str]) -> Value {
        let output = self.run(cluster, identity, words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON on stdout")
    }
}

fn succeed(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?} could not be started: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_client_in_another_language_ingests_asks_and_receives() {
    let python = Python::prepare();
    let cluster = Cluster::up(env!("CARGO_BIN_EXE_strongroom"), Shape { nodes: 3, ..Shape::default() });
    let original = cluster.path("from-python.mp4");
    let name = original.to_str().expect("UTF-8");
    // 64 MiB are committed at a time: the second stream begins behind the first step.
    let content = bytes((100 << 20) + 17, 9);
    fs::write(&original, &content).expect("writes");

    let cut = (90_u64 << 20).to_string();
    let words = ["ingest", name, "--device", "D1", "--unit", "U1", "--break-after", &cut];
    let item = python.json(&cluster, "station", &words);
    assert_eq!(item["sent_from"][0], 0);
    let resumed_from = item["sent_from"][1].as_u64().expect("a second stream");
    assert_eq!(resumed_from, 64 << 20, "what is committed is not sent again: {item:#}");
    cluster.done(&["verify", name]);

    let id = item["item"].as_str().expect("an item");
    let submitted = python.json(&cluster, "legal", &["submit", id, "--reason", "复议"]);
    let request = submitted["request"].as_str().expect("a number");
    let to = cluster.path("copies");
    let receive = ["receive", request, "--to", to.to_str().expect("UTF-8")];

    let refused = python.run(&cluster, "archivist", &receive);
    assert_eq!(refused.status.code(), Some(3));
    let said: Value = serde_json::from_slice(&refused.stderr).expect("JSON on stderr");
    assert_eq!(said["reason"], "APPROVAL_MISSING", "{said:#}");
    assert!(said["rule"].is_string() && said["remedy"].is_string(), "{said:#}");

    // An approval is signed by whoever gives it, in any language; another cluster's name makes it another decision.
    let context = fs::read_to_string(cluster.file("context.toml")).expect("reads");
    let named = context.lines().find_map(|line| line.strip_prefix("cluster = \"")?.strip_suffix('"'));
    let elsewhere = "00".repeat(16);
    let refused = python.run(&cluster, "approver", &["approve", request, "--cluster", &elsewhere]);
    let told = String::from_utf8(refused.stderr).expect("UTF-8");
    assert!(told.contains("you sign:") && told.contains(&format!("request {request}")), "{told}");
    let said: Value = serde_json::from_str(told.lines().last().expect("a line")).expect("JSON at the end");
    assert_eq!(said["reason"], "ASSENT_MISSING", "{said:#}");
    python.json(&cluster, "approver", &["approve", request, "--cluster", named.expect("a cluster")]);
    let received = python.json(&cluster, "archivist", &receive);
    let copy = received["files"][0].as_str().expect("a file");
    assert!(fs::read(copy).expect("reads") == content, "the copy is the original");
}
