//! What the derive writes compiles wherever the struct does.

/// Nothing is in scope, and what the code could name is something else.
mod nothing_in_scope {
    #![no_implicit_prelude]
    #![deny(warnings, clippy::all, clippy::pedantic)]
    #![allow(non_camel_case_types, dead_code)]

    struct Option;
    struct Result;
    struct Vec;
    struct u32;
    struct u64;
    struct str;
    trait Default {}
    trait Clone {}
    trait Serialize {}

    /// A struct whose fields have the names of the derive's own variables.
    #[derive(::repliq::Crdt)]
    #[crdt(kind = "odd/1")]
    pub(super) struct Odd {
        /// A keyword.
        #[crdt(tag = 0)]
        pub(super) r#type: ::repliq::crdts::PnCounter,
        #[crdt(tag = 4_095)]
        self_: ::repliq::crdts::PnCounter,
        #[crdt(tag = 0x10)]
        at: ::repliq::crdts::PnCounter,
        #[crdt(tag = 2)]
        op: ::repliq::crdts::PnCounter,
        #[crdt(tag = 3)]
        fx: ::repliq::crdts::PnCounter,
        #[crdt(tag = 5)]
        _1: ::repliq::crdts::PnCounter,
        #[crdt(tag = 6)]
        version: ::repliq::crdts::PnCounter,
        #[crdt(unknown)]
        field_of_what_is_not_known: ::repliq::UnknownFields,
    }
}

/// The library has another name, as where a crate passes it on.
mod renamed {
    use super::nothing_in_scope::{Odd, OddMut};
    use repliq as inner;
    use repliq::prelude::*;

    #[derive(Debug, Crdt)]
    #[crdt(kind = "renamed/1", crate = inner)]
    pub(crate) struct Renamed {
        #[crdt(tag = 1)]
        quiet: Quiet,
        #[crdt(unknown)]
        unknown: inner::UnknownFields,
    }

    /// A type whose ops and events have no `Debug`.
    #[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
    pub(crate) struct Quiet;

    #[derive(Clone, serde::Serialize, serde::Deserialize)]
    pub(crate) struct QuietOp;

    impl Crdt for Quiet {
        const KIND: &'static str = "quiet/1";
        type Op = QuietOp;
        type Event = QuietOp;
        type Undo = ();

        fn apply(
            &mut self,
            op: QuietOp,
            _: repliq::Stamp,
            fx: &mut repliq::Effects<Self>,
        ) -> Result<(), repliq::CrdtError> {
            fx.event(|| op);
            Ok(())
        }

        fn join(
            &mut self,
            _: &repliq::Version,
            _: Self,
            _: &repliq::Version,
            _: &mut repliq::Effects<Self>,
        ) {
        }

        fn rollback(&mut self, (): ()) {}
    }

    #[test]
    fn what_can_be_shown_is_shown_and_what_cannot_is_dots() {
        assert_eq!(format!("{:?}", RenamedOp::Quiet(QuietOp)), "Quiet(..)");
        assert_eq!(format!("{:?}", RenamedEvent::Quiet(QuietOp)), "Quiet(..)");
    }

    #[test]
    fn a_field_of_any_name_can_be_edited() {
        let mut odd = Standalone::<Odd>::new(crate::support::replica(1));
        odd.r#type().add(1);
        odd.self_().add(2);
        odd.at().add(3);
        odd._1().add(4);
        // Alone it is the version of the value; in a transaction it is the field.
        odd.edit(|odd| odd.version().add(5)).unwrap();
        let read: Odd = repliq::decode(&repliq::encode(&*odd)).unwrap();
        assert_eq!(read.r#type.value(), 1);
        assert_eq!(repliq::encode(&read), repliq::encode(&*odd));
    }
}
