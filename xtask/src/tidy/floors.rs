//! The floors of ARCHITECTURE.md against `cargo metadata`: arrows between crates only go down, never sideways.

use anyhow::{Context, Result};
use serde_json::Value;

use super::Finding;

/// Where a crate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Floor {
    /// May use what stands lower.
    At(u8),
    /// For tests and chores: may use everything, and is used by tests only.
    Side,
}

/// The table of ARCHITECTURE.md.
const FLOORS: [(&str, Floor); 19] = [
    ("strongroom-types", Floor::At(0)),
    ("strongroom-proto", Floor::At(1)),
    ("strongroom-codec", Floor::At(1)),
    ("strongroom-ledger", Floor::At(1)),
    ("strongroom-custody", Floor::At(1)),
    ("strongroom-topology", Floor::At(1)),
    ("strongroom-shardstore", Floor::At(2)),
    ("strongroom-package", Floor::At(2)),
    ("strongroom-engine", Floor::At(3)),
    ("strongroom-net", Floor::At(3)),
    ("strongroom-metastore", Floor::At(4)),
    ("strongroom-client", Floor::At(4)),
    ("strongroom-station", Floor::At(5)),
    ("strongroom-console", Floor::At(5)),
    ("strongroom-node", Floor::At(5)),
    ("strongroom-cli", Floor::At(6)),
    ("strongroom-testkit", Floor::Side),
    ("strongroom-benches", Floor::Side),
    ("xtask", Floor::Side),
];

pub(super) fn check(metadata: &Value) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for package in metadata["packages"].as_array().context("cargo metadata lists packages")? {
        let name = package["name"].as_str().context("a package has a name")?;
        let Some(floor) = floor_of(name) else {
            findings.push(Finding::new(name, 0, "stands on no floor: add it to ARCHITECTURE.md and to this table"));
            continue;
        };
        for dependency in package["dependencies"].as_array().context("a package lists its dependencies")? {
            let used = dependency["name"].as_str().context("a dependency has a name")?;
            let for_tests = dependency["kind"].as_str() == Some("dev");
            // A path is ours even where the table does not know it; the package itself is then found above.
            if let Some(used_floor) = floor_of(used).filter(|_| !dependency["path"].is_null()) {
                findings.extend(check_arrow((name, floor), (used, used_floor), for_tests));
            }
        }
    }
    Ok(findings)
}

fn check_arrow(from: (&str, Floor), to: (&str, Floor), for_tests: bool) -> Option<Finding> {
    let allowed = match (from.1, to.1) {
        (Floor::Side, Floor::At(_) | Floor::Side) => true,
        (Floor::At(_), Floor::Side) => for_tests,
        (Floor::At(upper), Floor::At(lower)) => lower < upper,
    };
    (!allowed).then(|| Finding::new(from.0, 0, format!("may not use {}: arrows only go down", to.0)))
}

fn floor_of(name: &str) -> Option<Floor> {
    FLOORS.iter().find(|row| row.0 == name).map(|row| row.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(package: &str, uses: &str, kind: Value) -> usize {
        let metadata = serde_json::json!({ "packages": [{
            "name": package,
            "dependencies": [{ "name": uses, "kind": kind, "path": "/somewhere" }],
        }]});
        check(&metadata).expect("reads").len()
    }

    #[test]
    fn arrows_up_and_sideways_are_found() {
        for (package, uses, kind, expected) in [
            ("strongroom-engine", "strongroom-custody", Value::Null, 0),
            ("strongroom-custody", "strongroom-engine", Value::Null, 1),
            ("strongroom-custody", "strongroom-ledger", Value::Null, 1),
            ("strongroom-custody", "strongroom-ledger", Value::from("dev"), 1),
            ("strongroom-custody", "strongroom-ledger", Value::from("build"), 1),
            ("strongroom-node", "strongroom-testkit", Value::from("dev"), 0),
            ("strongroom-node", "strongroom-testkit", Value::Null, 1),
            ("strongroom-testkit", "strongroom-cli", Value::Null, 0),
            ("strongroom-newcomer", "strongroom-types", Value::Null, 1),
            ("strongroom-engine", "tokio", Value::Null, 0),
        ] {
            assert_eq!(found(package, uses, kind.clone()), expected, "{package} uses {uses} ({kind})");
        }
    }

    #[test]
    fn a_registry_crate_that_shares_a_name_is_not_ours() {
        let metadata = serde_json::json!({ "packages": [{
            "name": "strongroom-types",
            "dependencies": [{ "name": "xtask", "kind": null, "path": null }],
        }]});
        assert_eq!(check(&metadata).expect("reads"), []);
    }
}
