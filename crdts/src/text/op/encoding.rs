//! Text ops as bytes: a letter typed after another takes two.
//!
//! The first byte says what the op is, and what of it is at its usual value and so
//! left out. It promises that every op reads as it was written; bytes that are no
//! op are an error of the format, before anything is built on them.

use super::{LeftOrigin, RightOrigin, Stretch, Target, TextOp, Typed};
use repliq_core::Dot;
use serde::de::{Error, SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// At most so many parts follow one another.
const PARTS: usize = 4;

/// The lowest two bits: what it is.
const INSERT: u8 = 0;
const DELETE: u8 = 1;
const DELETE_EACH: u8 = 2;

/// Of an insertion, two bits of the left origin …
const LEFT: u8 = 2;
const LEFT_START: u8 = 0;
const LEFT_BEFORE: u8 = 1;
const LEFT_BACK: u8 = 2;
const LEFT_AT: u8 = 3;
/// … three of the right …
const RIGHT: u8 = 4;
const RIGHT_END: u8 = 0;
const RIGHT_INHERITED: u8 = 1;
const RIGHT_FOLLOWING: u8 = 2;
const RIGHT_BACK: u8 = 3;
const RIGHT_AT: u8 = 4;
/// … and whether the text is one ASCII scalar, written as its byte.
const ASCII: u8 = 1 << 7;

/// Of a deletion of one stretch, two bits of where it is …
const TARGET: u8 = 2;
const TARGET_BACK: u8 = 0;
const TARGET_AT: u8 = 1;
const TARGET_SAME: u8 = 2;
/// … and whether it is one character.
const ONE: u8 = 1 << 4;

impl Serialize for TextOp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut parts = serializer.serialize_tuple(PARTS)?;
        match self {
            Self::Insert { left, right, text } => {
                let ascii = text.scalar().and_then(|scalar| u8::try_from(scalar).ok());
                let ascii = ascii.filter(u8::is_ascii);
                let form = if ascii.is_some() { ASCII } else { 0 };
                let tag = INSERT | left.bits() << LEFT | right.bits() << RIGHT | form;
                parts.serialize_element(&tag)?;
                match left {
                    LeftOrigin::Start | LeftOrigin::Back(1) => {}
                    LeftOrigin::Back(slots) => parts.serialize_element(slots)?,
                    LeftOrigin::At(dot) => parts.serialize_element(dot)?,
                }
                match right {
                    RightOrigin::Back(slots) => parts.serialize_element(slots)?,
                    RightOrigin::At(dot) => parts.serialize_element(dot)?,
                    RightOrigin::End | RightOrigin::Inherited | RightOrigin::Following => {}
                }
                match ascii {
                    Some(byte) => parts.serialize_element(&byte)?,
                    None => parts.serialize_element(text)?,
                }
            }
            Self::Delete(Stretch { from, len }) => {
                let one = if *len == 1 { ONE } else { 0 };
                parts.serialize_element(&(DELETE | from.bits() << TARGET | one))?;
                match from {
                    Target::Back(number) | Target::Same(number) => {
                        parts.serialize_element(number)?;
                    }
                    Target::At(dot) => parts.serialize_element(dot)?,
                }
                if *len != 1 {
                    parts.serialize_element(len)?;
                }
            }
            Self::DeleteEach(stretches) => {
                parts.serialize_element(&DELETE_EACH)?;
                parts.serialize_element(stretches)?;
            }
        }
        parts.end()
    }
}

impl LeftOrigin {
    const fn bits(self) -> u8 {
        match self {
            Self::Start => LEFT_START,
            Self::Back(1) => LEFT_BEFORE,
            Self::Back(_) => LEFT_BACK,
            Self::At(_) => LEFT_AT,
        }
    }
}

impl RightOrigin {
    const fn bits(self) -> u8 {
        match self {
            Self::End => RIGHT_END,
            Self::Inherited => RIGHT_INHERITED,
            Self::Following => RIGHT_FOLLOWING,
            Self::Back(_) => RIGHT_BACK,
            Self::At(_) => RIGHT_AT,
        }
    }
}

impl Target {
    const fn bits(self) -> u8 {
        match self {
            Self::Back(_) => TARGET_BACK,
            Self::At(_) => TARGET_AT,
            Self::Same(_) => TARGET_SAME,
        }
    }
}

impl<'de> Deserialize<'de> for TextOp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple(PARTS, OpVisitor)
    }
}

struct OpVisitor;

impl<'de> Visitor<'de> for OpVisitor {
    type Value = TextOp;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an op on a text")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<TextOp, A::Error> {
        let tag: u8 = part(&mut parts)?;
        match tag & 3 {
            INSERT => insertion(tag, parts),
            DELETE => deletion(tag, parts),
            DELETE_EACH if tag == DELETE_EACH => Ok(TextOp::DeleteEach(part(&mut parts)?)),
            _ => Err(unknown()),
        }
    }
}

fn insertion<'de, A: SeqAccess<'de>>(tag: u8, mut parts: A) -> Result<TextOp, A::Error> {
    let left = match tag >> LEFT & 3 {
        LEFT_START => LeftOrigin::Start,
        LEFT_BEFORE => LeftOrigin::Back(1),
        LEFT_BACK => LeftOrigin::Back(part(&mut parts)?),
        _ => LeftOrigin::At(part(&mut parts)?),
    };
    let right = match tag >> RIGHT & 7 {
        RIGHT_END => RightOrigin::End,
        RIGHT_INHERITED => RightOrigin::Inherited,
        RIGHT_FOLLOWING => RightOrigin::Following,
        RIGHT_BACK => RightOrigin::Back(part(&mut parts)?),
        RIGHT_AT => RightOrigin::At(part(&mut parts)?),
        _ => return Err(unknown()),
    };
    let text = if tag & ASCII == 0 {
        part(&mut parts)?
    } else {
        let byte: u8 = part(&mut parts)?;
        if !byte.is_ascii() {
            return Err(A::Error::custom("a byte is not ASCII"));
        }
        Typed::from(char::from(byte))
    };
    Ok(TextOp::Insert { left, right, text })
}

fn deletion<'de, A: SeqAccess<'de>>(tag: u8, mut parts: A) -> Result<TextOp, A::Error> {
    if tag & !(ONE | 3 << TARGET) != DELETE {
        return Err(unknown());
    }
    let from = match tag >> TARGET & 3 {
        TARGET_BACK => Target::Back(part(&mut parts)?),
        TARGET_AT => Target::At(part::<_, Dot>(&mut parts)?),
        TARGET_SAME => Target::Same(part(&mut parts)?),
        _ => return Err(unknown()),
    };
    let len = if tag & ONE == 0 { part(&mut parts)? } else { 1 };
    Ok(TextOp::Delete(Stretch { from, len }))
}

fn part<'de, A: SeqAccess<'de>, T: Deserialize<'de>>(parts: &mut A) -> Result<T, A::Error> {
    parts.next_element()?.ok_or_else(|| A::Error::custom("an op is cut off"))
}

fn unknown<E: Error>() -> E {
    E::custom("an op of an unknown form")
}

impl Serialize for Typed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.with(|text| serializer.serialize_str(text))
    }
}

impl<'de> Deserialize<'de> for Typed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TypedVisitor)
    }
}

struct TypedVisitor;

impl Visitor<'_> for TypedVisitor {
    type Value = Typed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text that is not empty")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Typed, E> {
        if text.is_empty() {
            return Err(E::custom("an insertion of nothing"));
        }
        Ok(Typed::from(text))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Typed, E> {
        self.visit_str(&text)
    }
}
