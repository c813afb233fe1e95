//! How an insertion is written and read, however its values are held.

use repliq_core::{DecodeError, decode, encode};
use repliq_crdts::text::{LeftOrigin, RightOrigin};
use repliq_crdts::{Inserted, ListOp};
use serde::Deserialize;
use serde::de::value::{Error as ValueError, SeqAccessDeserializer, SeqDeserializer};

fn insertion(values: Inserted<u32>) -> ListOp<u32> {
    ListOp::Insert { left: LeftOrigin::Start, right: RightOrigin::End, values }
}

#[test]
fn an_insertion_is_written_the_same_however_its_values_are_held() {
    let (one, each) = (insertion(Inserted::one(7)), insertion(vec![7].into()));
    assert_eq!(one, each);
    assert_ne!(one, insertion(vec![7, 7].into()));
    assert_ne!(one, insertion(vec![8].into()));
    assert_eq!(encode(&one), [0, 0, 0, 1, 7]);
    assert_eq!(encode(&each), [0, 0, 0, 1, 7]);
    assert_eq!(serde_json::to_value(&one).unwrap(), serde_json::to_value(&each).unwrap());
}

#[test]
fn an_insertion_of_any_length_is_read_as_it_was_written() {
    for count in [0, 1, 2, 3, 1000] {
        let said = insertion((0..count).collect::<Vec<u32>>().into());
        assert_eq!(decode::<ListOp<u32>>(&encode(&said)), Ok(said.clone()));
        let text = serde_json::to_string(&said).unwrap();
        assert_eq!(serde_json::from_str::<ListOp<u32>>(&text).unwrap(), said);
    }
}

#[test]
fn an_insertion_that_claims_values_it_does_not_have_is_refused() {
    let claims_one = [0, 0, 0, 1];
    let mut claims_many = vec![0, 0, 0];
    claims_many.extend(encode(&(u64::MAX >> 1)));
    claims_many.extend([1, 2, 3]);
    for bytes in [&claims_one[..], &claims_many[..]] {
        let read: Result<ListOp<u32>, DecodeError> = decode(bytes);
        assert!(read.is_err(), "{bytes:?}");
    }
}

/// Tells of at most so many values, as [`decode`] does where its limit is near.
struct Hinted<I>(I, usize);

impl<I: Iterator> Iterator for Hinted<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.1, Some(self.1))
    }
}

#[test]
fn an_insertion_is_read_whole_or_not_at_all_whatever_the_hint_at_its_length() {
    for hint in 0..4 {
        for count in 0..4 {
            let values = SeqDeserializer::<_, ValueError>::new(Hinted(0..count, hint));
            let read = Inserted::<u32>::deserialize(SeqAccessDeserializer::new(values));
            match read {
                Ok(read) => assert!(read.iter().copied().eq(0..count), "{hint} for {count}"),
                Err(_) => assert!(hint == 1 && count > 1, "{hint} for {count}"),
            }
        }
    }
}
