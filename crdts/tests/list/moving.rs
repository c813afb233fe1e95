//! What becomes of an element that several people edit at once.

use crate::editing::{list_of, values};
use repliq_core::{Millis, Standalone};
use repliq_crdts::{List, ListMut};

/// A list on two devices, the second of which has the later clock.
fn shared(of: &[u32]) -> [Standalone<List<u32>>; 2] {
    let first = list_of(1, of).with_wall(|| Millis(1_000));
    let mut second = list_of(2, &[]).with_wall(|| Millis(2_000));
    second.merge(first.clone()).unwrap();
    [first, second]
}

/// Merges both ways and gives what both hold then.
fn merged([mut a, mut b]: [Standalone<List<u32>>; 2]) -> Vec<u32> {
    a.merge(b.clone()).unwrap();
    b.merge(a.clone()).unwrap();
    assert_eq!(*a, *b);
    values(&a)
}

#[test]
fn an_element_moved_twice_at_once_is_where_the_later_move_put_it() {
    let [mut a, mut b] = shared(&[1, 2, 3, 4]);
    a.move_to(0, 3).unwrap();
    b.move_to(0, 1).unwrap();
    assert_eq!(merged([a, b]), [2, 1, 3, 4]);
}

#[test]
fn of_two_values_at_once_the_later_stays() {
    let [mut a, mut b] = shared(&[1, 2]);
    b.set(0, 20).unwrap();
    a.set(0, 10).unwrap();
    assert_eq!(merged([a, b]), [20, 2]);
}

#[test]
fn an_element_moved_by_one_and_changed_by_another_is_both() {
    let [mut a, mut b] = shared(&[1, 2, 3]);
    a.move_to(0, 2).unwrap();
    b.set(0, 10).unwrap();
    assert_eq!(merged([a, b]), [2, 3, 10]);
}

#[test]
fn a_deletion_wins_over_a_move_and_a_change_at_the_same_time() {
    let [mut a, mut b] = shared(&[1, 2, 3]);
    a.delete(0..2).unwrap();
    b.move_to(0, 2).unwrap();
    b.set(0, 20).unwrap();
    assert_eq!(merged([a, b]), [3]);
}

#[test]
fn what_is_inserted_beside_an_element_stays_when_it_moves_away() {
    let [mut a, mut b] = shared(&[1, 2, 3]);
    a.move_to(1, 0).unwrap();
    b.insert(2, 9).unwrap();
    assert_eq!(merged([a, b]), [2, 1, 9, 3]);
}

#[test]
fn an_element_moved_there_and_back_again_can_be_moved_on() {
    let [mut a, mut b] = shared(&[1, 2, 3]);
    for _ in 0..3 {
        a.move_to(0, 2).unwrap();
        a.move_to(2, 0).unwrap();
    }
    b.merge(a.clone()).unwrap();
    b.move_to(0, 1).unwrap();
    a.set(0, 10).unwrap();
    assert_eq!(merged([a, b]), [2, 10, 3]);
}
