//! Edits of a struct: they read alike everywhere, take effect as a whole, and are
//! told as they happen.

use crate::support::{replica, v2};
use repliq::prelude::*;
use repliq::{Effects, Hlc, Stamp, Version};
use v2::{AuthorEvent, AuthorMut, Note, NoteEvent, NoteMut};

#[test]
fn a_field_is_edited_alike_alone_in_a_transaction_and_in_a_map() {
    let mut alone = Standalone::<Note>::new(replica(1));
    alone.name().set("Soup".to_string());
    alone.author().name().set("Ada".to_string());
    alone.author().likes().add(2);
    alone.body().insert(0, "leek").unwrap();
    alone
        .edit(|note| {
            note.tags().add("food".to_string());
            note.places().entry("here".to_string()).insert(0, "kitchen")
        })
        .unwrap()
        .unwrap();

    let mut map = Standalone::<CrdtMap<u32, Note>>::new(replica(1));
    map.edit(|notes| {
        notes.entry(7).name().set("Soup".to_string());
        notes.entry(7).author().name().set("Ada".to_string());
        notes.entry(7).author().likes().add(2);
        notes.entry(7).body().insert(0, "leek")?;
        notes.entry(7).tags().add("food".to_string());
        notes.entry(7).places().entry("here".to_string()).insert(0, "kitchen")
    })
    .unwrap()
    .unwrap();

    for note in [&*alone, map.get(&7).unwrap()] {
        assert_eq!(note.name.get().map(String::as_str), Some("Soup"));
        assert_eq!(note.author.name.get().map(String::as_str), Some("Ada"));
        assert_eq!(note.author.likes.value(), 2);
        assert_eq!(note.body.to_string(), "leek");
        assert_eq!(note.tags.elements(), ["food"]);
        assert_eq!(note.places.get("here").map(ToString::to_string).as_deref(), Some("kitchen"));
        assert!(note.more.is_empty());
    }
}

#[test]
fn in_a_transaction_every_edit_sees_those_before_it() {
    let mut note = Standalone::<Note>::new(replica(1));
    note.edit(|note| {
        note.body().insert(0, "ac").unwrap();
        let middle = note.body.len() / 2;
        note.body().insert(middle, "b").unwrap();
        assert_eq!(note.body.to_string(), "abc");
        assert_eq!(note.body().to_string(), "abc");
    })
    .unwrap();
}

#[test]
fn an_edit_that_fails_leaves_no_trace_in_any_field() {
    let mut note = Standalone::<Note>::new(replica(1));
    note.body().insert(0, "kept").unwrap();
    let before = note.clone();
    let failed: Result<(), repliq::EditError> = note.try_edit(|note| {
        note.name().set("gone".to_string());
        note.author().likes().add(1);
        note.places().entry("x".to_string()).insert(0, "y")?;
        note.body().delete(1..100)
    });
    assert!(matches!(failed, Err(repliq::EditError::OutOfRange { .. })));
    assert_eq!(*note, *before);
    assert_eq!(repliq::encode(&*note), repliq::encode(&*before));
}

#[test]
fn events_say_which_field_has_changed_and_how() {
    let mut effects = Effects::<Note>::new(true, false);
    let mut note = Note::default();
    let mut elsewhere = Standalone::<Note>::new(replica(2));
    elsewhere.name().set("Soup".to_string());
    elsewhere.author().name().set("Ada".to_string());
    note.join(&Version::new(), (*elsewhere).clone(), elsewhere.version(), &mut effects);
    let events = effects.take_events();
    assert!(matches!(
        &events[..],
        [
            NoteEvent::Name(RegisterEvent::Set { value: name }),
            NoteEvent::Author(AuthorEvent::Name(RegisterEvent::Set { value: author }))
        ] if name == "Soup" && author == "Ada"
    ));
    let shown = format!("{events:?}");
    assert_eq!(shown, r#"[Name(Set { value: "Soup" }), Author(Name(Set { value: "Ada" }))]"#);
}

#[test]
fn a_field_takes_four_bytes_more_than_its_state() {
    use repliq::encode;
    let mut note = Standalone::<Note>::new(replica(1));
    note.name().set("Soup".to_string());
    let fields = [
        encode(&note.name),
        encode(&note.tags),
        encode(&note.body),
        encode(&note.author),
        encode(&note.places),
    ];
    assert_eq!(encode(&*note).len(), 2 + fields.iter().map(|field| 4 + field.len()).sum::<usize>());
}

#[test]
fn an_edit_of_a_field_takes_five_bytes_more_than_its_op() {
    let ops = crate::support::ops_of(&Note::default(), |note| note.name().set("x".to_string()));
    let bare = repliq::encode(&RegisterOp::Set("x".to_string()));
    assert_eq!(repliq::encode(&ops[0]).len(), bare.len() + 5);
}

#[test]
fn a_struct_in_a_struct_prunes_and_merges_field_by_field() {
    let mut one = Standalone::<Note>::new(replica(1));
    let mut other = Standalone::<Note>::new(replica(2));
    one.places().entry("x".to_string()).insert(0, "one").unwrap();
    other.places().entry("x".to_string()).insert(0, "other").unwrap();
    other.author().likes().add(3);
    one.author().likes().add(4);
    one.merge(other.clone()).unwrap();
    other.merge(one.clone()).unwrap();
    assert_eq!(*one, *other);
    assert_eq!(one.author.likes.value(), 7);
    assert_eq!(one.places.get("x").unwrap().len(), 8);

    one.places().remove("x".to_string());
    let mut pruned = (*one).clone();
    pruned.prune(&repliq::Cut { version: one.version().clone(), floor: Hlc(u64::MAX) });
    assert!(repliq::encode(&pruned).len() < repliq::encode(&*one).len());
}

#[test]
fn a_stamp_of_the_past_loses_in_a_field_as_it_would_alone() {
    let mut note = Note::default();
    let ops = |name: &str| {
        let name = name.to_string();
        crate::support::ops_of(&Note::default(), |note| note.name().set(name)).remove(0)
    };
    let silent = &mut Effects::silent();
    let at = |time, of| Stamp { hlc: Hlc(time), ..crate::support::stamp(of, 0) };
    note.apply(ops("later"), at(5, 1), silent).unwrap();
    note.apply(ops("earlier"), at(4, 2), silent).unwrap();
    assert_eq!(note.name.get().map(String::as_str), Some("later"));
}
