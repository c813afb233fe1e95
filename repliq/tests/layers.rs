//! The arrows between packages, as design section 2 draws them, and what stands
//! at the top of the repository.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use toml::Table;

struct Package {
    folder: String,
    manifest: Table,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &Path) -> Table {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.parse().unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// All packages of the workspace, by name.
fn packages() -> BTreeMap<String, Package> {
    let workspace = read(&root().join("Cargo.toml"));
    let members = workspace["workspace"]["members"].as_array().unwrap();
    let package = |member: &toml::Value| {
        let folder = member.as_str().unwrap().to_owned();
        let manifest = read(&root().join(&folder).join("Cargo.toml"));
        (manifest["package"]["name"].as_str().unwrap().to_owned(), Package { folder, manifest })
    };
    members.iter().map(package).collect()
}

impl Package {
    /// The packages it names in these tables, of every target.
    fn named_in(&self, tables: &[&str]) -> BTreeSet<String> {
        let targets = self.manifest.get("target").and_then(|targets| targets.as_table());
        let targets = targets.into_iter().flat_map(|t| t.values().filter_map(|t| t.as_table()));
        let mut names = BTreeSet::new();
        for place in targets.chain([&self.manifest]) {
            for table in tables {
                let Some(table) = place.get(*table).and_then(|table| table.as_table()) else {
                    continue;
                };
                for (name, value) in table {
                    let renamed = value.get("package").and_then(|name| name.as_str());
                    names.insert(renamed.unwrap_or(name).to_owned());
                }
            }
        }
        names
    }

    fn uses(&self) -> BTreeSet<String> {
        self.named_in(&["dependencies", "build-dependencies"])
    }

    fn tests_with(&self) -> BTreeSet<String> {
        self.named_in(&["dev-dependencies"])
    }
}

/// Which packages of the workspace are among these.
fn ours(names: &BTreeSet<String>, packages: &BTreeMap<String, Package>) -> BTreeSet<String> {
    names.iter().filter(|name| packages.contains_key(*name)).cloned().collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// The certificates that encrypted transports share: a part of them, none itself.
const CERTIFICATES: &str = "repliq-transport-tls";

fn is_concrete(name: &str) -> bool {
    name != CERTIFICATES
        && (name.starts_with("repliq-backend-") || name.starts_with("repliq-transport-"))
}

#[test]
fn core_knows_nobody() {
    let packages = packages();
    let core = &packages["repliq-core"];
    assert_eq!(ours(&core.uses(), &packages), set(&[]));
    assert_eq!(ours(&core.tests_with(), &packages), set(&[]));
    assert!(!core.uses().contains("tokio"));
}

#[test]
fn sync_and_crdts_know_only_core() {
    let packages = packages();
    for name in ["repliq-sync", "repliq-crdts"] {
        assert_eq!(ours(&packages[name].uses(), &packages), set(&["repliq-core"]), "{name}");
    }
    assert_eq!(ours(&packages["repliq-sync"].tests_with(), &packages), set(&[]));
    let crdts = ours(&packages["repliq-crdts"].tests_with(), &packages);
    assert!(crdts.is_subset(&set(&["repliq-conformance"])), "{crdts:?}");
}

#[test]
fn the_derive_knows_nobody_and_only_the_engine_knows_it() {
    let packages = packages();
    let derive = &packages["repliq-derive"];
    assert_eq!(ours(&derive.uses(), &packages), set(&[]));
    let tests = ours(&derive.tests_with(), &packages);
    assert!(tests.is_subset(&set(&["repliq-core", "repliq-crdts"])), "{tests:?}");
    let users: Vec<_> = packages
        .iter()
        .filter(|(_, package)| {
            package.uses().union(&package.tests_with()).any(|name| name == "repliq-derive")
        })
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(users, ["repliq"]);
}

#[test]
fn sync_has_no_runtime_no_clock_and_no_randomness_of_its_own() {
    let packages = packages();
    let sync = &packages["repliq-sync"];
    for name in ["tokio", "async-std", "smol", "getrandom", "rand", "uuid", "chrono", "time"] {
        assert!(!sync.uses().contains(name), "{name}");
    }
    for (path, text) in sources(&root().join("repliq/sync/src")) {
        for word in
            ["Instant", "SystemTime", "Millis::now", "ReplicaId::new", "std::thread", "async "]
        {
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            let found = code.filter(|line| line.contains(word)).count();
            assert_eq!(found, 0, "{}: {word}", path.display());
        }
    }
}

#[test]
fn a_backend_or_transport_knows_only_core_and_none_knows_another() {
    let packages = packages();
    let concrete: Vec<_> = packages.iter().filter(|(name, _)| is_concrete(name)).collect();
    assert!(concrete.len() >= 4, "memory and sled, memory and websocket");
    for (name, package) in concrete {
        let expected = match name.starts_with("repliq-backend-") {
            true => "backends/",
            false => "transports/",
        };
        assert!(package.folder.starts_with(expected), "{name} lies in {}", package.folder);
        let mut uses = ours(&package.uses(), &packages);
        if expected == "transports/" {
            uses.remove(CERTIFICATES);
        }
        assert_eq!(uses, set(&["repliq-core"]), "{name}");
        let mut tests = ours(&package.tests_with(), &packages);
        tests.remove(name); // itself, with a feature on
        let may = set(&["repliq-conformance", "repliq-core", CERTIFICATES]);
        assert!(tests.is_subset(&may), "{name}: {tests:?}");
    }
    assert_eq!(ours(&packages[CERTIFICATES].uses(), &packages), set(&["repliq-core"]));
}

#[test]
fn conformance_names_no_concrete_backend_or_transport() {
    let packages = packages();
    let conformance = &packages["repliq-conformance"];
    assert_eq!(ours(&conformance.uses(), &packages), set(&["repliq-core"]));
    let tests = ours(&conformance.tests_with(), &packages);
    assert!(!tests.iter().any(|name| is_concrete(name)), "{tests:?}");
    for (path, text) in sources(&root().join("conformance/src")) {
        for name in ["repliq_backend_", "repliq_transport_"] {
            assert!(!text.contains(name), "{}: {name}", path.display());
        }
    }
}

#[test]
fn only_the_engine_the_matrix_the_tool_and_the_examples_name_concrete_ones() {
    let packages = packages();
    for (name, package) in &packages {
        let all: BTreeSet<String> = package.uses().union(&package.tests_with()).cloned().collect();
        let may = matches!(
            name.as_str(),
            "repliq" | "repliq-conformance-matrix" | "repliq-cli" | "repliq-benches"
        ) || package.folder.starts_with("examples/");
        if !may {
            let others = all.iter().filter(|other| *other != name);
            let found: Vec<_> = others.filter(|other| is_concrete(other)).collect();
            assert!(found.is_empty(), "{name} names {found:?}");
        }
    }
    // The engine does so by feature only.
    let engine = packages["repliq"].manifest["dependencies"].as_table().unwrap();
    for (name, value) in engine.iter().filter(|(name, _)| is_concrete(name)) {
        let optional = value.get("optional").and_then(|optional| optional.as_bool());
        assert_eq!(optional, Some(true), "{name}");
    }
    let features = packages["repliq"].manifest["features"]["default"].as_array().unwrap();
    let default: Vec<_> = features.iter().filter_map(|feature| feature.as_str()).collect();
    assert_eq!(default, ["sled", "websocket"]);
}

#[test]
fn nobody_below_the_engine_knows_it() {
    let packages = packages();
    for (name, package) in &packages {
        let below =
            ["repliq-core", "repliq-derive", "repliq-sync", "repliq-crdts", "repliq-conformance"];
        if below.contains(&name.as_str()) || is_concrete(name) {
            assert!(
                !package.uses().contains("repliq") && !package.tests_with().contains("repliq"),
                "{name}"
            );
        }
    }
}

#[test]
fn every_package_has_the_lints_of_the_workspace_which_forbid_unsafe_code() {
    for (name, package) in packages() {
        let lints = package.manifest.get("lints").and_then(|lints| lints.get("workspace"));
        assert_eq!(lints.and_then(|lints| lints.as_bool()), Some(true), "{name}");
        for key in ["edition", "license", "rust-version", "version"] {
            let inherited =
                package.manifest["package"].get(key).and_then(|value| value.get("workspace"));
            assert!(inherited.is_some(), "{name}: {key}");
        }
    }
    let workspace = read(&root().join("Cargo.toml"));
    let lints = &workspace["workspace"]["lints"];
    assert_eq!(lints["rust"]["unsafe_code"].as_str(), Some("forbid"));
    for lint in ["unwrap_used", "expect_used", "panic", "indexing_slicing"] {
        assert!(lints["clippy"].get(lint).is_some(), "{lint}");
    }
    assert!(workspace.get("package").is_none(), "the workspace is virtual");
}

#[test]
fn every_package_folder_is_a_member_and_the_top_is_what_the_design_says() {
    let known = [
        "Cargo.toml",
        "Cargo.lock",
        "README.md",
        "LICENSE-MIT",
        "LICENSE-APACHE",
        "CHANGELOG.md",
        "repliq",
        "backends",
        "transports",
        "crdts",
        "conformance",
        "examples",
    ];
    // What git ignores is not part of the repository.
    let ignored = std::fs::read_to_string(root().join(".gitignore")).unwrap_or_default();
    let ignored: BTreeSet<&str> = ignored.lines().map(|line| line.trim_matches('/')).collect();
    for entry in std::fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let fine = name.starts_with('.')
            || known.contains(&name.as_str())
            || ignored.contains(name.as_str());
        assert!(fine, "{name} does not belong at the top");
    }
    let members: BTreeSet<String> =
        packages().into_values().map(|package| package.folder).collect();
    let mut found = BTreeSet::new();
    for folder in ["repliq", "backends", "transports", "crdts", "conformance", "examples"] {
        manifests(&root().join(folder), &mut found);
    }
    let fuzz = "repliq/fuzz".to_owned();
    let missing: Vec<_> = found.difference(&members).filter(|folder| **folder != fuzz).collect();
    assert!(missing.is_empty(), "no members: {missing:?}");
}

fn manifests(folder: &Path, found: &mut BTreeSet<String>) {
    if folder.join("Cargo.toml").is_file() {
        let relative = folder.strip_prefix(root()).unwrap();
        found.insert(relative.to_str().unwrap().replace('\\', "/"));
    }
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir()
            && !name.starts_with('.')
            && !matches!(name.as_str(), "src" | "target" | "tests")
        {
            manifests(&path, found);
        }
    }
}

/// The Rust sources of a folder.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut sources = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources.extend(self::sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            sources.push((path, text));
        }
    }
    sources
}
