//! Old and new versions of an app on one another's ops and states: nothing is
//! lost, whatever is read by whom and when.

use crate::support::{ops_of, read_as, replica, stamp, v1, v2, v3, wrong};
use crate::world::World;
use repliq::prelude::*;
use repliq::{DecodeError, Effects, Hlc, LoadError, Stamp, Version, decode, encode};
use repliq_conformance::{Rng, run_seed};

#[test]
fn kinds_stay_when_fields_are_added_renamed_and_retired() {
    assert_eq!(v1::Note::KIND, "note/1");
    assert_eq!(v2::Note::KIND, v1::Note::KIND);
    assert_eq!(v3::Note::KIND, v1::Note::KIND);
    assert_eq!(CrdtMap::<String, v2::Note>::KIND, "crdt-map/1<note/1>");
}

#[test]
fn a_renamed_field_is_the_same_field() {
    use v1::NoteMut;
    let mut old = Standalone::<v1::Note>::new(replica(1));
    old.title().set("Soup".to_string());
    let new: v2::Note = read_as(&*old);
    assert_eq!(new.name.get().map(String::as_str), Some("Soup"));
    assert_eq!(read_as::<v1::Note>(&new).title, old.title);
    let op = &ops_of(&*old, |note| note.title().set("Stew".to_string()))[0];
    assert!(matches!(
        decode(&encode(op)).unwrap(),
        v2::NoteOp::Name(RegisterOp::Set(name)) if name == "Stew"
    ));
}

#[test]
fn what_an_old_version_was_told_of_new_fields_is_there_after_an_update() {
    use v2::NoteMut;
    let mut new = v2::Note::default();
    let mut old = v1::Note::default();
    let edits: [fn(&mut Tx<'_, v2::Note>); 4] = [
        |note| note.body().insert(0, "milk").unwrap(),
        |note| note.name().set("Groceries".to_string()),
        |note| note.body().insert(4, ", eggs").unwrap(),
        |note| note.tags().add("home".to_string()),
    ];
    let mut seq = 0;
    for edit in edits {
        for op in ops_of(&new, edit) {
            let slots = v2::Note::slots(&op);
            let known: v1::NoteOp = decode(&encode(&op)).unwrap();
            assert_eq!(v1::Note::slots(&known), slots);
            assert_eq!(encode(&known), encode(&op));
            old.apply(known, stamp(1, seq), &mut Effects::silent()).unwrap();
            new.apply(op, stamp(1, seq), &mut Effects::silent()).unwrap();
            seq += slots;
        }
    }
    assert_eq!(old.title.get().map(String::as_str), Some("Groceries"));
    assert_eq!(old.tags.elements(), ["home"]);
    assert!(!old.unknown.is_empty());
    let restarted: v1::Note = read_as(&old);
    assert_eq!(restarted, old);
    let updated: v2::Note = read_as(&restarted);
    assert_eq!(updated.body.to_string(), "milk, eggs");
    assert_eq!(updated, new);
}

#[test]
fn what_is_told_while_an_app_is_set_back_is_there_when_it_is_updated_again() {
    use v2::NoteMut;
    let mut new = Standalone::<v2::Note>::new(replica(1));
    new.body().insert(0, "one").unwrap();
    let mut set_back: v1::Note = read_as(&*new);
    assert!(!set_back.unknown.is_empty());
    let op = ops_of(&*new, |note| note.body().insert(3, " two").unwrap()).remove(0);
    let op: v1::NoteOp = decode(&encode(&op)).unwrap();
    set_back
        .apply(op, Stamp { hlc: Hlc(u64::MAX), ..stamp(2, 0) }, &mut Effects::silent())
        .unwrap();
    let updated: v2::Note = read_as(&read_as::<v1::Note>(&set_back));
    assert_eq!(updated.body.to_string(), "one two");
    assert!(updated.more.is_empty());
}

#[test]
fn a_retired_field_is_kept_for_who_still_has_it() {
    use v1::NoteMut as _;
    let mut old = Standalone::<v1::Note>::new(replica(1));
    old.tags().add("home".to_string());
    let mut new: v3::Note = read_as(&*old);
    for op in ops_of(&*old, |note| note.tags().add("work".to_string())) {
        let op = decode(&encode(&op)).unwrap();
        assert!(matches!(op, v3::NoteOp::Unknown(_)));
        new.apply(op, stamp(2, 0), &mut Effects::silent()).unwrap();
    }
    assert_eq!(read_as::<v1::Note>(&new).tags.elements(), ["home", "work"]);
}

#[test]
fn a_struct_in_a_struct_keeps_what_it_does_not_know() {
    use v2::{AuthorMut, NoteMut};
    let mut new = Standalone::<v2::Note>::new(replica(1));
    new.author().name().set("Ada".to_string());
    new.author().likes().add(5);
    let op = ops_of(&*new, |note| note.author().likes().add(2)).remove(0);
    let mut third: v3::Note = read_as(&*new);
    let op: v3::NoteOp = decode(&encode(&op)).unwrap();
    assert!(matches!(&op, v3::NoteOp::Author(v3::AuthorOp::Unknown(op)) if op.tag() == 2));
    third.apply(op, stamp(2, 0), &mut Effects::silent()).unwrap();
    assert_eq!(third.author.name.get().map(String::as_str), Some("Ada"));
    // It goes through a version that does not know the author at all.
    let first: v1::Note = read_as(&third);
    assert_eq!(read_as::<v2::Note>(&first).author.likes.value(), 7);
}

#[test]
fn a_field_of_another_type_is_a_typed_error_and_nothing_is_lost() {
    use v1::NoteMut;
    let mut note = Standalone::<v1::Note>::new(replica(1));
    note.tags().add("home".to_string());
    let wrong = DecodeError::WrongField { tag: 2, expected: "text/1" };

    let op = encode(&ops_of(&*note, |note| note.tags().add("x".to_string()))[0]);
    assert_eq!(decode::<wrong::NoteOp>(&op).unwrap_err(), wrong);
    let state = encode(&*note);
    assert_eq!(decode::<wrong::Note>(&state).unwrap_err(), wrong);
    // Deep within other values as well.
    assert_eq!(
        decode::<Vec<Option<wrong::Note>>>(&encode(&vec![Some(&*note)])),
        Err(wrong.clone())
    );

    let storage = Storage::new(MemoryBackend::new());
    storage.put("note", &note).unwrap();
    let loaded = storage.get::<wrong::Note>("note");
    assert!(
        matches!(
            &loaded,
            Err(repliq::Error::Load { source: LoadError::Decode(found), .. }) if *found == wrong
        ),
        "{loaded:?}"
    );
    assert!(loaded.unwrap_err().to_string().contains("retire the old one"));
    assert_eq!(storage.get::<v1::Note>("note").unwrap().unwrap(), *note);
}

#[test]
fn an_op_kept_for_a_field_that_turned_out_to_be_another_type_stays_kept() {
    let mut none = v3::Note::default();
    let op = ops_of(&v1::Note::default(), |note| v1::NoteMut::tags(note).add("home".to_string()));
    let op = decode(&encode(&op[0])).unwrap();
    none.apply(op, stamp(1, 0), &mut Effects::silent()).unwrap();
    let wrong: wrong::Note = read_as(&none);
    assert!(wrong.tags.is_empty() && !wrong.unknown.is_empty());
    assert_eq!(read_as::<wrong::Note>(&wrong), wrong);
}

#[test]
fn an_op_said_again_with_its_old_time_after_something_newer_finds_its_place() {
    use v2::NoteMut;
    let mut new = v2::Note::default();
    let mut old = v1::Note::default();
    // Each insertion goes into the one before it, which has a later time.
    for step in 0..10_u64 {
        let middle = new.body.len() / 2;
        let op = ops_of(&new, |note| note.body().insert(middle, &format!("<{step}>")).unwrap());
        let at = Stamp { hlc: Hlc(100 - step), ..stamp(step as u8, 0) };
        old.apply(decode(&encode(&op[0])).unwrap(), at, &mut Effects::silent()).unwrap();
        new.apply(op.into_iter().next().unwrap(), at, &mut Effects::silent()).unwrap();
    }
    assert_eq!(read_as::<v2::Note>(&old), new);
}

/// Devices of all versions, in any order of edits, ops, states and updates.
fn every_version_agrees(joins: bool, rounds: u64) {
    let seed = run_seed();
    println!("REPLIQ_SEED={seed}");
    for round in 0..rounds {
        let rng = &mut Rng::new(seed.wrapping_add(round));
        let mut world = World::new(rng);
        for _ in 0..60 {
            world.step(rng, joins);
        }
        for settled in [false, true] {
            if settled {
                world.settle(rng);
            }
            for device in 0..world.devices() {
                let (updated, told) = world.updated_and_told(device);
                assert_eq!(updated, told, "round {round}, device {device}, settled {settled}");
                assert_eq!(encode(&updated), encode(&told), "round {round}");
            }
        }
    }
}

#[test]
fn versions_that_tell_each_other_ops_lose_nothing() {
    every_version_agrees(false, 150);
}

#[test]
fn versions_that_merge_each_others_states_lose_nothing() {
    every_version_agrees(true, 300);
}

#[test]
fn states_with_unknown_fields_merge_alike_in_either_order_and_once() {
    use v2::NoteMut;
    let grown = |number: u8, text: &str| {
        let mut note = Standalone::<v2::Note>::new(replica(number));
        note.body().insert(0, text).unwrap();
        (read_as::<v1::Note>(&*note), note.version().clone())
    };
    let (a, seen_a) = grown(1, "one");
    let (b, seen_b) = grown(2, "two");
    let joined = |(mut here, seen): (v1::Note, &Version), (there, theirs): (v1::Note, &Version)| {
        here.join(seen, there, theirs, &mut Effects::silent());
        here
    };
    let ab = joined((a.clone(), &seen_a), (b.clone(), &seen_b));
    let ba = joined((b.clone(), &seen_b), (a.clone(), &seen_a));
    assert_eq!(encode(&ab), encode(&ba));
    let mut both = seen_a.clone();
    both.join(&seen_b);
    for older in [(a, &seen_a), (b, &seen_b), (ab.clone(), &both)] {
        assert_eq!(joined((ab.clone(), &both), older), ab);
    }
    let updated: v2::Note = read_as(&ab);
    assert_eq!(updated.body.len(), 6);
    // A state that has seen both takes their place.
    let whole: v1::Note = read_as(&updated);
    assert_eq!(joined((ab, &both), (whole.clone(), &both)).unknown, whole.unknown);
}
