//! One test a cell, named `backend::transport::type::scenario`.

use std::collections::BTreeSet;
use std::process::Command;

macro_rules! scenarios {
    ($store:ty, $net:ty, $kind:ty) => {
        scenarios! { $store, $net, $kind, bootstrap, partition_heals }
    };
    ($store:ty, $net:ty, $kind:ty, $($scenario:ident),*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $scenario() {
            if let Err(why) = repliq_conformance_matrix::$scenario::<$store, $net, $kind>().await {
                panic!("{why}");
            }
        }
    )*};
}

macro_rules! with_types {
    ([$store:ty, $net:ty] $($name:ident: $kind:ty),*) => {
        $(mod $name { scenarios!($store, $net, $kind); })*
    };
}

macro_rules! with_transports {
    ([$store:ty] $($name:ident: $net:ty),*) => {
        $(mod $name { repliq_conformance_matrix::types!(with_types, $store, $net); })*
    };
}

macro_rules! with_backends {
    ([] $($name:ident: $store:ty),*) => {
        $(mod $name { repliq_conformance_matrix::transports!(with_transports, $store); })*
    };
}

repliq_conformance_matrix::backends!(with_backends);

macro_rules! names {
    ([] $($name:ident: $part:ty),*) => { [$(stringify!($name)),*] };
}

/// A cell that is missing here would be a combination nobody tested.
#[test]
fn every_combination_of_the_registries_is_a_cell() {
    let mut expected = BTreeSet::new();
    for backend in repliq_conformance_matrix::backends!(names) {
        for transport in repliq_conformance_matrix::transports!(names) {
            for kind in repliq_conformance_matrix::types!(names) {
                for scenario in ["bootstrap", "partition_heals"] {
                    expected.insert(format!("{backend}::{transport}::{kind}::{scenario}"));
                }
            }
        }
    }
    let this = std::env::current_exe().unwrap();
    let listed = Command::new(this).args(["--list", "--format", "terse"]).output().unwrap();
    let listed: BTreeSet<String> = String::from_utf8(listed.stdout)
        .unwrap()
        .lines()
        .filter_map(|line| line.strip_suffix(": test"))
        .filter(|name| name.contains("::"))
        .map(str::to_owned)
        .collect();
    assert_eq!(listed, expected);
}
