//! Every mistake has a message that says what to write.

use super::Struct;
use syn::parse_quote;

#[track_caller]
fn mistakes(input: syn::DeriveInput) -> Vec<String> {
    match Struct::parse(input) {
        Ok(_) => panic!("it was taken"),
        Err(error) => error.into_iter().map(|error| error.to_string()).collect(),
    }
}

/// The one mistake that there is.
#[track_caller]
fn mistake(input: syn::DeriveInput) -> String {
    let mut all = mistakes(input);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

#[test]
fn a_struct_is_read_as_it_says() {
    let read = Struct::parse(parse_quote! {
        #[derive(Debug)]
        #[crdt(kind = "note/12", retired(3, 1,))]
        #[crdt(crate = some::where_else)]
        pub(crate) struct Note {
            #[crdt(tag = 7)]
            /// Documented.
            created_at: A<B>,
            #[crdt(tag = 2)]
            r#type: other::Note,
            #[crdt(tag = 4)]
            _1: C,
            #[crdt(tag = 5)]
            self_: C,
            #[crdt(unknown)]
            rest: UnknownFields,
        }
    });
    let read = read.map_err(|error| error.to_string()).unwrap();
    assert_eq!(read.name, "Note");
    assert_eq!(read.kind.value(), "note/12");
    assert_eq!(read.unknown, "rest");
    let fields: Vec<_> =
        read.fields.iter().map(|field| (field.tag, field.variant.to_string())).collect();
    let expected = [(7, "CreatedAt"), (2, "Type"), (4, "Field1"), (5, "FieldSelf")];
    assert_eq!(fields, expected.map(|(tag, variant)| (tag, variant.to_string())));
}

#[test]
fn what_is_left_out_is_asked_for_all_at_once() {
    let all = mistakes(parse_quote! {
        struct HTMLPage {
            #[crdt(tag = 2)]
            a: A,
            b: B,
            c: C,
        }
    });
    assert_eq!(all.len(), 4, "{all:?}");
    assert!(all[0].contains("`#[crdt(kind = \"h-t-m-l-page/1\")]`"), "{all:?}");
    assert!(all[1].contains("add `#[crdt(tag = 1)]`"), "{all:?}");
    assert!(all[2].contains("add `#[crdt(tag = 3)]`"), "{all:?}");
    assert!(all[3].contains("`#[crdt(unknown)] unknown: UnknownFields`"), "{all:?}");
}

/// A struct that is fine but for these fields.
macro_rules! with {
    ($($fields:tt)*) => {
        parse_quote! {
            #[crdt(kind = "note/1", retired(3))]
            struct Note {
                #[crdt(tag = 1)]
                title: Title,
                $($fields)*
                #[crdt(unknown)]
                unknown: UnknownFields,
            }
        }
    };
}

#[test]
fn a_tag_is_used_once_and_a_retired_one_never_again() {
    let twice = mistake(with!(#[crdt(tag = 1)] body: Text,));
    assert_eq!(twice, "`title` has the tag 1 already");
    let retired = mistake(with!(#[crdt(tag = 3)] body: Text,));
    assert!(retired.contains("the tag 3 is retired"), "{retired}");
    let both = mistake(with!(#[crdt(tag = 2, tag = 4)] body: Text,));
    assert!(both.contains("one tag"), "{both}");
    for tag in [quote::quote!(-1), quote::quote!("1"), quote::quote!(4_294_967_296)] {
        mistake(with!(#[crdt(tag = #tag)] body: Text,));
    }
    let retired_twice = mistake(parse_quote! {
        #[crdt(kind = "note/1", retired(3, 3))]
        struct Note { #[crdt(tag = 1)] title: Title, #[crdt(unknown)] unknown: UnknownFields }
    });
    assert!(retired_twice.contains("retired already"), "{retired_twice}");
}

#[test]
fn options_that_there_are_not_are_named() {
    let field = mistake(with!(#[crdt(name = "x")] body: Text,));
    assert!(field.contains("`tag = 1`"), "{field}");
    let of_struct = mistake(parse_quote! {
        #[crdt(kind = "note/1", version = 2)]
        struct Note { #[crdt(tag = 1)] title: Title, #[crdt(unknown)] unknown: UnknownFields }
    });
    assert!(of_struct.contains("`retired(…)`"), "{of_struct}");
    let unknown = mistake(with!(#[crdt(unknown)] more: UnknownFields,));
    assert!(unknown.contains("there is one already"), "{unknown}");
}

#[test]
fn only_a_struct_with_named_fields_and_no_parameters_is_taken() {
    assert!(
        mistake(parse_quote!(
            struct Note(Text);
        ))
        .contains("fields with names")
    );
    assert!(
        mistake(parse_quote!(
            struct Note;
        ))
        .contains("fields with names")
    );
    assert!(
        mistake(parse_quote!(
            enum Note {
                A,
                B,
            }
        ))
        .contains("an enum is no CRDT")
    );
    assert!(mistake(parse_quote!(union Note { a: A })).contains("a union is no CRDT"));
    for parameters in [quote::quote!(<T>), quote::quote!(<'a>), quote::quote!(<const N: usize>)] {
        let generic = mistake(parse_quote! {
            #[crdt(kind = "note/1")]
            struct Note #parameters {
                #[crdt(tag = 1)]
                title: Title,
                #[crdt(unknown)]
                unknown: UnknownFields,
            }
        });
        assert!(generic.contains("write a struct for each"), "{generic}");
    }
    let empty = mistake(parse_quote! {
        #[crdt(kind = "note/1")]
        struct Note { #[crdt(unknown)] unknown: UnknownFields }
    });
    assert!(empty.contains("has a field"), "{empty}");
}

#[test]
fn a_kind_is_a_name_and_a_version() {
    let long = format!("{}/1", "x".repeat(64));
    for kind in ["note", "note/", "/1", "note/x", "note/01", "no te/1", "a<b>/1", &long] {
        let wrong = mistake(parse_quote! {
            #[crdt(kind = #kind)]
            struct Note { #[crdt(tag = 1)] title: Title, #[crdt(unknown)] unknown: UnknownFields }
        });
        assert!(wrong.contains("such as \"note/1\""), "{kind}: {wrong}");
    }
    let twice = mistake(parse_quote! {
        #[crdt(kind = "a/1", kind = "b/1")]
        struct Note { #[crdt(tag = 1)] title: Title, #[crdt(unknown)] unknown: UnknownFields }
    });
    assert!(twice.contains("one kind"), "{twice}");
}

#[test]
fn names_that_would_clash_are_refused() {
    for name in ["push", "field", "child", "tx"] {
        let name = quote::format_ident!("{name}");
        let taken = mistake(with!(#[crdt(tag = 2)] #name: Text,));
        assert!(taken.contains("rename the field"), "{taken}");
    }
    let alike = mistake(with!(#[crdt(tag = 2)] title_: Text,));
    assert!(alike.contains("would both be the variant `Title`"), "{alike}");
    let unknown = mistake(with!(#[crdt(tag = 2)] unknown_: Text,));
    assert!(unknown.contains("the variant `Unknown`"), "{unknown}");
}

#[test]
fn a_struct_within_itself_is_refused_by_name() {
    for ty in [quote::quote!(Note), quote::quote!(Map<u8, (Note,)>), quote::quote!(Map<u8, Self>)] {
        let recursive = mistake(with!(#[crdt(tag = 2)] children: #ty,));
        assert!(recursive.contains("`Note` would contain itself"), "{recursive}");
    }
    assert!(Struct::parse(with!(#[crdt(tag = 2)] children: Map<u8, old::Note>,)).is_ok());
}
