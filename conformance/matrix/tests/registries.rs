//! No combination is missing: the cells are counted against the registries, and
//! the registries against the folders of this repository.

#![allow(clippy::unwrap_used)]

use repliq_conformance_matrix::{Extent, Registries, cells};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// `[backend, transport, type, case]` of every cell.
fn coordinates(extent: Extent) -> Vec<[String; 4]> {
    let parts = |name: String| name.split("::").map(str::to_owned).collect::<Vec<_>>();
    let four = |name: String| parts(name).try_into().unwrap();
    cells(extent).into_iter().map(|cell| four(cell.name)).collect()
}

const EVERYWHERE: [&str; 2] = ["bootstrap", "partition_heals"];

#[test]
fn the_number_of_cells_is_what_the_registries_come_to() {
    let all = Registries::all();
    let (backends, transports) = (all.backends.len(), all.transports.len());
    let (types, cases) = (all.types.len(), all.cases.len());
    assert!(backends >= 3 && transports >= 3 && types >= 9 && cases >= 11, "{all:?}");

    let combinations = backends * transports;
    assert_eq!(cells(Extent::Full).len(), combinations * types * cases);
    let pairwise = combinations + (types - 1) * backends.max(transports);
    let everywhere = combinations * types * EVERYWHERE.len();
    let cells = cells(Extent::Pairwise);
    assert_eq!(cells.len(), everywhere + pairwise * (cases - EVERYWHERE.len()));
    let names: BTreeSet<&str> = cells.iter().map(|cell| cell.name.as_str()).collect();
    assert_eq!(names.len(), cells.len(), "two cells of one name");
}

#[test]
fn bootstrap_and_partition_run_everywhere_and_everything_with_the_first_type() {
    let all = Registries::all();
    let cells: BTreeSet<_> = coordinates(Extent::Pairwise).into_iter().collect();
    for backend in &all.backends {
        for transport in &all.transports {
            for (place, (kind, _)) in all.types.iter().enumerate() {
                for case in &all.cases {
                    let cell = [*backend, *transport, *kind, *case].map(str::to_owned);
                    if place == 0 || EVERYWHERE.contains(case) {
                        assert!(cells.contains(&cell), "{cell:?} is missing");
                    }
                }
            }
        }
    }
}

#[test]
fn every_case_meets_every_pair_of_backend_and_type_and_of_transport_and_type() {
    let all = Registries::all();
    let cells = coordinates(Extent::Pairwise);
    let backends: BTreeSet<_> = cells.iter().map(|[b, _, t, case]| (b, t, case)).collect();
    let transports: BTreeSet<_> = cells.iter().map(|[_, n, t, case]| (n, t, case)).collect();
    let each = all.types.len() * all.cases.len();
    assert_eq!(backends.len(), all.backends.len() * each);
    assert_eq!(transports.len(), all.transports.len() * each);
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The source files below a folder.
fn sources(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(fs::read_to_string(path).unwrap());
        }
    }
    found
}

/// The packages of a folder that implement a trait.
fn implementers(folder: &str, of: &str) -> Vec<String> {
    let packages = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    packages
        .filter(|package| package.join("src").is_dir())
        .filter(|package| sources(&package.join("src")).iter().any(|source| source.contains(of)))
        .map(|package| package.file_name().unwrap().to_str().unwrap().to_owned())
        .collect()
}

#[test]
fn every_backend_transport_and_type_of_this_repository_is_in_its_registry() {
    let all = Registries::all();
    let backends = implementers("backends", "impl StorageBackend for");
    assert!(backends.len() >= 3, "{backends:?}");
    for backend in backends {
        assert!(all.backends.contains(&backend.as_str()), "{backend} has no cells");
    }
    let transports = implementers("transports", "impl Transport for");
    assert!(transports.len() >= 3, "{transports:?}");
    for transport in transports {
        assert!(all.transports.contains(&transport.as_str()), "{transport} has no cells");
    }
    let types: Vec<String> =
        sources(&root().join("crdts/src")).iter().flat_map(|source| types(source)).collect();
    assert!(types.len() >= 9, "{types:?}");
    let known: Vec<&str> = all.types.iter().map(|(_, path)| *path).collect();
    for name in types {
        let in_path = format!("::{name}");
        let is_known = |path: &&str| path.split('<').next().is_some_and(|p| p.ends_with(&in_path));
        assert!(known.iter().any(is_known), "{name} has no cells: {known:?}");
    }
}

/// The types that a source makes a [`repliq::Crdt`].
fn types(source: &str) -> Vec<String> {
    let named = source.lines().filter(|line| line.starts_with("impl"));
    let named = named.filter_map(|line| line.split_once(" Crdt for "));
    named.map(|(_, name)| name.split(['<', ' ']).next().unwrap().to_owned()).collect()
}
