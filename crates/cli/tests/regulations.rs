//! One realistic case under each of the five regulations, played by the scripts of `tests/regulations/` as a person would
//! type them: from the device's issue to the certificate of disposition, each refusal with its reason and its rule. Which
//! requirements a script names, it says itself.

use std::path::Path;
use std::process::Command;

/// Plays a script against a cluster of its own. The script ends the cluster, however it ends itself.
#[track_caller]
fn play(script: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/regulations").join(script);
    let output = Command::new("bash")
        .arg(&path)
        .args([Path::new(env!("CARGO_BIN_EXE_strongroom")), folder.path()])
        .output()
        .expect("bash runs");
    let (said, failed) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{script}: {}\n{said}\n{failed}", output.status);
    // A script that did nothing would end well too.
    assert!(said.lines().count() > 10, "{script} told only: {said}");
}

#[test]
fn a_case_in_xiamen() {
    play("xiamen.sh");
}

#[test]
fn a_case_in_qidong() {
    play("qidong.sh");
}

#[test]
fn a_case_in_neiqiu() {
    play("neiqiu.sh");
}

#[test]
fn a_case_of_the_12th_division() {
    play("shier-shi.sh");
}

#[test]
fn a_case_of_the_civil_air_defence_office() {
    play("renfang.sh");
}
