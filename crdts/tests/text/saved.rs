//! The form of a text at rest, as `repliq/docs/STORAGE.md` shows it.

use crate::editing::text_of;
use repliq_core::{decode, encode};
use repliq_crdts::{Text, TextMut};

const DOCUMENT: &str = include_str!("../../../repliq/docs/STORAGE.md");

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_text_is_saved_as_the_document_shows() {
    let (mut one, mut two) = (text_of(1), text_of(2));
    one.insert(0, "hallo").unwrap();
    two.merge(one.clone()).unwrap();
    two.delete(1..2).unwrap();
    two.insert(1, "e").unwrap();
    one.insert(5, "!").unwrap();
    one.merge(two).unwrap();
    let state = encode(&*one);
    let parts = [
        ("what is seen: 7 bytes, not packed, \"hello!\"", 8),
        ("2 replica ids", 33),
        ("columns: 15 bytes, not packed, lengths of the first five", 7),
        ("heads", 2),
        ("lengths", 2),
        ("gaps", 1),
        ("no left origins; right origins", 1),
        ("lives", 3),
        ("deleted: 2 bytes, not packed, \"a\"", 3),
    ];
    let mut shown = String::from("```text\n");
    let mut rest = state.as_slice();
    for (part, len) in parts {
        let (bytes, behind) = rest.split_at(len.min(rest.len()));
        rest = behind;
        shown += &format!("# {part}\n{}\n", hex(bytes));
    }
    shown += "```\n";
    let document = DOCUMENT.split_once("<!-- example text -->\n").unwrap().1;
    assert_eq!(document.split_once("<!-- end -->").unwrap().0, shown, "{}", hex(rest));
    assert_eq!(decode::<Text>(&state).unwrap().to_string(), "hello!");
}
