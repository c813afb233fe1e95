//! Three versions of one app, and ways to get at ops.

use repliq::prelude::*;
use repliq::{CrdtError, Cursor, Dot, Hlc, Stamp, decode, encode};

/// The first version of the app.
pub(crate) mod v1 {
    use repliq::prelude::*;

    #[derive(Clone, Debug, PartialEq, Crdt)]
    #[crdt(kind = "note/1")]
    pub(crate) struct Note {
        #[crdt(tag = 1)]
        pub(crate) title: LwwRegister<String>,
        #[crdt(tag = 2)]
        pub(crate) tags: OrSet<String>,
        #[crdt(unknown)]
        pub(crate) unknown: UnknownFields,
    }
}

/// `title` is `name` now, and there is more.
pub(crate) mod v2 {
    use repliq::prelude::*;

    #[derive(Clone, Debug, PartialEq, Crdt)]
    #[crdt(kind = "note/1")]
    pub(crate) struct Note {
        #[crdt(tag = 3)]
        pub(crate) body: Text,
        #[crdt(tag = 1)]
        pub(crate) name: LwwRegister<String>,
        #[crdt(tag = 2)]
        pub(crate) tags: OrSet<String>,
        #[crdt(tag = 4)]
        pub(crate) author: Author,
        #[crdt(tag = 5)]
        pub(crate) places: CrdtMap<String, Text>,
        #[crdt(unknown)]
        pub(crate) more: UnknownFields,
    }

    #[derive(Clone, Debug, PartialEq, Crdt)]
    #[crdt(kind = "author/1")]
    pub(crate) struct Author {
        #[crdt(tag = 1)]
        pub(crate) name: LwwRegister<String>,
        #[crdt(tag = 2)]
        pub(crate) likes: PnCounter,
        #[crdt(unknown)]
        pub(crate) unknown: UnknownFields,
    }
}

/// Tags are no more, and of the author the likes are not known yet.
pub(crate) mod v3 {
    use repliq::prelude::*;

    #[derive(Clone, Debug, PartialEq, Crdt)]
    #[crdt(kind = "note/1", retired(2))]
    pub(crate) struct Note {
        #[crdt(tag = 1)]
        pub(crate) title: LwwRegister<String>,
        #[crdt(tag = 3)]
        pub(crate) body: Text,
        #[crdt(tag = 4)]
        pub(crate) author: Author,
        #[crdt(unknown)]
        pub(crate) unknown: UnknownFields,
    }

    #[derive(Clone, Debug, PartialEq, Crdt)]
    #[crdt(kind = "author/1")]
    pub(crate) struct Author {
        #[crdt(tag = 1)]
        pub(crate) name: LwwRegister<String>,
        #[crdt(unknown)]
        pub(crate) unknown: UnknownFields,
    }
}

/// The tag of the tags is now that of a text.
pub(crate) mod wrong {
    use repliq::prelude::*;

    #[derive(Clone, Debug, PartialEq, Crdt)]
    #[crdt(kind = "note/1")]
    pub(crate) struct Note {
        #[crdt(tag = 1)]
        pub(crate) title: LwwRegister<String>,
        #[crdt(tag = 2)]
        pub(crate) tags: Text,
        #[crdt(unknown)]
        pub(crate) unknown: UnknownFields,
    }
}

/// A replica with this number.
pub(crate) const fn replica(number: u8) -> ReplicaId {
    ReplicaId::from_bytes([number; 16])
}

/// The `seq`-th slot of a replica, at that time.
pub(crate) const fn stamp(number: u8, seq: u64) -> Stamp {
    Stamp { hlc: Hlc(seq), dot: Dot { replica: replica(number), seq } }
}

/// What another version of the app makes of it.
pub(crate) fn read_as<C: Crdt>(value: &impl Crdt) -> C {
    decode(&encode(value)).unwrap()
}

/// The ops of an edit, which is not made.
pub(crate) fn ops_of<C: Crdt>(state: &C, edit: impl FnOnce(&mut Tx<'_, C>)) -> Vec<C::Op> {
    let mut ops = Vec::new();
    edit(&mut Tx::from_cursor(Caught { state, ops: &mut ops }));
    ops
}

struct Caught<'a, C: Crdt> {
    state: &'a C,
    ops: &'a mut Vec<C::Op>,
}

impl<C: Crdt> Cursor<C> for Caught<'_, C> {
    fn state(&self) -> &C {
        self.state
    }

    fn push(&mut self, op: C::Op) -> Result<(), CrdtError> {
        self.ops.push(op);
        Ok(())
    }
}
