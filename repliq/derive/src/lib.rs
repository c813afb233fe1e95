//! `#[derive(Crdt)]`: a struct of CRDTs is a CRDT.
//!
//! Use it through `repliq`, which exports it beside the trait. What a struct needs
//! and what it becomes stands on [`macro@Crdt`]. Nothing is inferred from Rust
//! names: what is on disk and on the wire is what the attributes say, and what they
//! leave open is an error that says what to write.

mod expand;
mod input;

use proc_macro::TokenStream;

/// Makes a CRDT of a struct whose fields are CRDTs.
///
/// ```
/// # extern crate repliq_core as repliq;
/// # use repliq::{ReplicaId, Standalone};
/// # use repliq_derive::Crdt;
/// # use repliq::UnknownFields;
/// use repliq_crdts::*;
///
/// #[derive(Crdt)]
/// #[crdt(kind = "note/1")]
/// struct Note {
///     #[crdt(tag = 1)]
///     title: LwwRegister<String>,
///     #[crdt(tag = 2)]
///     body: Text,
///     #[crdt(unknown)]
///     unknown: UnknownFields,
/// }
///
/// let mut laptop = Standalone::<CrdtMap<String, Note>>::new(ReplicaId::new());
/// laptop.entry("id".to_string()).title().set("Groceries".to_string());
/// laptop.edit(|notes| notes.entry("id".to_string()).body().insert(0, "milk"))??;
///
/// let note = laptop.get("id").unwrap();
/// assert_eq!(note.title.get().map(String::as_str), Some("Groceries"));
/// assert_eq!(note.body.to_string(), "milk");
/// # Ok::<(), repliq::EditError>(())
/// ```
///
/// # What it writes
/// For `Note`: the traits `Crdt`, `Default`, `Serialize` and `Deserialize`; the trait
/// `NoteMut` with a method for each field, for transactions and `Standalone<Note>`;
/// `NoteEvent` and `NoteOp`, enums with a variant for each field; and `NoteUndo`.
/// `Clone`, `Debug` and `PartialEq` are derived as for any struct.
///
/// # Attributes of the struct
/// - `kind = "note/1"`, required: the name and version of the type, for good. It is
///   kept with a document, and a document of another kind does not open. Adding,
///   renaming or retiring a field leaves it alone.
/// - `retired(3, 5)`: tags of fields that are no more, which nobody may use again.
/// - `crate = path`: where `repliq`, or `repliq_core`, is, if not at `::repliq`.
///
/// # Attributes of a field
/// - `tag = 1`: its number, for good. What is written says the tag and never the
///   name, so a field can be renamed, moved, and made to look any way in Rust.
/// - `unknown`: on the one field of type `UnknownFields`.
///
/// # Several versions of an app
/// Old and new versions sync with each other, through anything that either has
/// written:
/// - A field that was **added**: versions that do not know it keep what was said to
///   it and pass it on. They show it once they are updated.
/// - A field that was **renamed** is the same field as long as it has its tag.
/// - A field that was **retired** is one that this version does not know: what older
///   versions say to it is kept for them.
/// - A field whose **type** has changed needs a new tag. If it has the old one, what
///   was written as the other type is a typed error, not a wrong value: an own
///   document does not open, changes of peers wait unread, and nothing is lost. It is
///   noticed by the field's `KIND`, which does not name what an `LwwRegister` holds.
///
/// A struct may stand in a struct, up to 16 deep, but not in itself, and takes no
/// type parameters.
#[proc_macro_derive(Crdt, attributes(crdt))]
pub fn derive_crdt(input: TokenStream) -> TokenStream {
    match input::Struct::parse(syn::parse_macro_input!(input)) {
        Ok(input) => expand::expand(&input).into(),
        Err(error) => error.into_compile_error().into(),
    }
}
