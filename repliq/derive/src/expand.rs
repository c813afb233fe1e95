//! What a struct becomes.
//!
//! It promises code that compiles wherever the struct does, whatever is in scope
//! there, and that says as little as possible: what can be done once for all structs
//! is in `repliq_core::derive`.

use crate::input::{CrdtField, Struct};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote_spanned};
use syn::spanned::Spanned;

/// The names of what is written beside a struct, and of its parts.
struct Names<'s> {
    input: &'s Struct,
    op: Ident,
    event: Ident,
    undo: Ident,
    edits: Ident,
    /// Names in here are seen by nobody else.
    here: Span,
}

/// Everything that is written.
pub(crate) fn expand(input: &Struct) -> TokenStream {
    let name = &input.name;
    let names = Names {
        input,
        op: format_ident!("{name}Op"),
        event: format_ident!("{name}Event"),
        undo: format_ident!("{name}Undo"),
        edits: format_ident!("{name}Mut"),
        here: Span::mixed_site(),
    };
    [
        names.enums(),
        names.op_encoding(),
        names.state_encoding(),
        names.the_crdt(),
        names.accessors(),
    ]
    .into_iter()
    .collect()
}

/// Lints say nothing about code that nobody wrote.
fn quiet(here: Span) -> TokenStream {
    quote_spanned!(here=> #[allow(
        dead_code,
        private_interfaces,
        unused_imports,
        unused_qualifications,
        clippy::all,
        clippy::pedantic,
        clippy::nursery
    )])
}

impl Names<'_> {
    fn each<T: ToTokens>(&self, part: impl Fn(&CrdtField) -> T) -> Vec<T> {
        self.input.fields.iter().map(part).collect()
    }

    /// Where the compiler points to if a field is wrong, and the library's path there:
    /// a path that begins somewhere else would have it point to the derive.
    fn at(&self, field: &CrdtField) -> (Span, TokenStream) {
        let span = self.here.located_at(field.ty.span());
        let library = self.input.library.to_token_stream().into_iter().map(|mut token| {
            token.set_span(span);
            token
        });
        (span, library.collect())
    }

    /// The enums of ops, events and undos.
    fn enums(&self) -> TokenStream {
        let Self { input: Struct { visibility, name, library, .. }, here, .. } = self;
        let (op, event, undo) = (&self.op, &self.event, &self.undo);
        let quiet = quiet(*here);
        let variants = |what: &str, part: &str| {
            self.each(|field @ CrdtField { name, variant, ty, .. }| {
                let (span, library) = self.at(field);
                let part = Ident::new(part, span);
                let doc = format!("{what} the field `{name}`.");
                quote_spanned!(span=> #[doc = #doc] #variant(<#ty as #library::Crdt>::#part))
            })
        };
        let ops = variants("An op on", "Op");
        let events = variants("A change of", "Event");
        let undos = variants("A step of", "Undo");
        let [op_doc, event_doc, undo_doc] =
            ["An intent on", "A visible change of", "What takes back one step of"]
                .map(|what| format!("{what} a [`{name}`]."));
        let op_shown = self.shown(op, Some("Unknown"));
        let event_shown = self.shown(event, None);
        quote_spanned! {*here=>
            #[doc = #op_doc]
            #quiet
            #[derive(::core::clone::Clone)]
            #[non_exhaustive]
            #visibility enum #op {
                #(#ops,)*
                #[doc = "An op on a field that this version does not know."]
                Unknown(#library::UnknownOp),
            }

            #[doc = #event_doc]
            #quiet
            #[derive(::core::clone::Clone)]
            #[non_exhaustive]
            #visibility enum #event {
                #(#events,)*
            }

            #[doc = #undo_doc]
            #quiet
            #[non_exhaustive]
            #visibility enum #undo {
                #(#undos,)*
                #[doc = "A step of what is kept of other fields."]
                Unknown(#library::UnknownUndo),
            }

            #op_shown
            #event_shown
        }
    }

    /// `Debug` of an enum with a variant for each field.
    fn shown(&self, of: &Ident, besides: Option<&str>) -> TokenStream {
        let Self { input: Struct { library, .. }, here, .. } = self;
        let quiet = quiet(*here);
        let besides = besides.map(|variant| Ident::new(variant, *here));
        let variants: Vec<Ident> =
            self.each(|field| field.variant.clone()).into_iter().chain(besides).collect();
        let texts = variants.iter().map(ToString::to_string);
        quote_spanned! {*here=>
            #[automatically_derived]
            #quiet
            impl ::core::fmt::Debug for #of {
                fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    use #library::derive::{ViaDebug as _, ViaDots as _};
                    match self {
                        #(Self::#variants(part) => {
                            let part = #library::derive::Shown(part);
                            f.debug_tuple(#texts).field((&&part).shown()).finish()
                        })*
                    }
                }
            }
        }
    }

    /// Ops as frames.
    fn op_encoding(&self) -> TokenStream {
        let Self { input: Struct { library, .. }, op, here, .. } = self;
        let quiet = quiet(*here);
        let writes = self.each(|field @ CrdtField { tag, ty, variant, .. }| {
            let (span, library) = self.at(field);
            quote_spanned! {span=>
                Self::#variant(op) => #library::derive::write_frame::<#ty, S>(#tag, op, serializer)
            }
        });
        let reads = self.each(|field @ CrdtField { tag, ty, variant, .. }| {
            let (span, _) = self.at(field);
            quote_spanned! {span=>
                #tag => ::core::result::Result::map(frame.read::<#ty>(), Self::#variant)
            }
        });
        quote_spanned! {*here=>
            #[automatically_derived]
            #quiet
            impl #library::derive::Serialize for #op {
                fn serialize<S: #library::derive::Serializer>(
                    &self,
                    serializer: S,
                ) -> ::core::result::Result<S::Ok, S::Error> {
                    match self {
                        #(#writes,)*
                        Self::Unknown(op) => #library::derive::Serialize::serialize(op, serializer),
                    }
                }
            }

            #[automatically_derived]
            #quiet
            impl<'de> #library::derive::Deserialize<'de> for #op {
                fn deserialize<D: #library::derive::Deserializer<'de>>(
                    deserializer: D,
                ) -> ::core::result::Result<Self, D::Error> {
                    #library::derive::read_frame(deserializer, |frame| match frame.tag() {
                        #(#reads,)*
                        _ => ::core::result::Result::Ok(Self::Unknown(frame.keep())),
                    })
                }
            }
        }
    }

    /// The state as a list of frames, and the empty state.
    fn state_encoding(&self) -> TokenStream {
        let Self { input: Struct { name, library, unknown, .. }, here, .. } = self;
        let quiet = quiet(*here);
        let mut tags = self.each(|field| field.tag);
        tags.sort_unstable();
        let fields = self.each(|field| field.name.clone());
        let field = |borrow: TokenStream| {
            self.each(|field @ CrdtField { name, tag, .. }| {
                let (span, _) = self.at(field);
                quote_spanned!(span=> #tag => ::core::option::Option::Some(#borrow self.#name))
            })
        };
        let shared = field(quote_spanned!(*here=> &));
        let exclusive = field(quote_spanned!(*here=> &mut));
        quote_spanned! {*here=>
            #[automatically_derived]
            #quiet
            impl ::core::default::Default for #name {
                fn default() -> Self {
                    Self {
                        #(#fields: ::core::default::Default::default(),)*
                        #unknown: ::core::default::Default::default(),
                    }
                }
            }

            #[automatically_derived]
            #quiet
            impl #library::derive::Fields for #name {
                const TAGS: &'static [::core::primitive::u32] = &[#(#tags),*];

                fn field(
                    &self,
                    tag: ::core::primitive::u32,
                ) -> ::core::option::Option<&dyn #library::derive::Field> {
                    match tag {
                        #(#shared,)*
                        _ => ::core::option::Option::None,
                    }
                }

                fn field_mut(
                    &mut self,
                    tag: ::core::primitive::u32,
                ) -> ::core::option::Option<&mut dyn #library::derive::Field> {
                    match tag {
                        #(#exclusive,)*
                        _ => ::core::option::Option::None,
                    }
                }

                fn unknown(&self) -> &#library::UnknownFields {
                    &self.#unknown
                }

                fn unknown_mut(&mut self) -> &mut #library::UnknownFields {
                    &mut self.#unknown
                }
            }

            #[automatically_derived]
            #quiet
            impl #library::derive::Serialize for #name {
                fn serialize<S: #library::derive::Serializer>(
                    &self,
                    serializer: S,
                ) -> ::core::result::Result<S::Ok, S::Error> {
                    #library::derive::write_state(self, serializer)
                }
            }

            #[automatically_derived]
            #quiet
            impl<'de> #library::derive::Deserialize<'de> for #name {
                fn deserialize<D: #library::derive::Deserializer<'de>>(
                    deserializer: D,
                ) -> ::core::result::Result<Self, D::Error> {
                    #library::derive::read_state(deserializer)
                }
            }
        }
    }

    /// The CRDT: each field by itself.
    fn the_crdt(&self) -> TokenStream {
        let Self { input: Struct { name, kind, library, unknown, .. }, here, .. } = self;
        let (op, event, undo) = (&self.op, &self.event, &self.undo);
        let quiet = quiet(*here);
        let [slots, may_grow, grows, checks, applies, joins, rollbacks, prunes, reauthors] = [
            self.each(|field| self.slots(field)),
            self.each(|field| self.may_grow(field)),
            self.each(|field| self.grow(field)),
            self.each(|field| self.check(field)),
            self.each(|field| self.apply(field)),
            self.each(|field| self.join(field)),
            self.each(|field| self.rollback(field)),
            self.each(|field| self.prune(field)),
            self.each(|field| self.reauthor(field)),
        ];
        quote_spanned! {*here=>
            #[automatically_derived]
            #quiet
            impl #library::Crdt for #name {
                const KIND: &'static ::core::primitive::str = #kind;
                type Op = #op;
                type Event = #event;
                type Undo = #undo;

                fn slots(op: &Self::Op) -> ::core::primitive::u64 {
                    match op {
                        #(#slots)*
                        #op::Unknown(op) => op.slots(),
                    }
                }

                fn may_grow(op: &Self::Op) -> ::core::primitive::bool {
                    match op {
                        #(#may_grow)*
                        #op::Unknown(_) => false,
                    }
                }

                fn grow(last: &mut Self::Op, next: &mut Self::Op) -> ::core::primitive::bool {
                    match (last, next) {
                        #(#grows)*
                        _ => false,
                    }
                }

                fn check(&self) -> ::core::result::Result<(), #library::CrdtError> {
                    #(#checks)*
                    ::core::result::Result::Ok(())
                }

                fn apply(
                    &mut self,
                    op: Self::Op,
                    at: #library::Stamp,
                    fx: &mut #library::Effects<Self>,
                ) -> ::core::result::Result<(), #library::CrdtError> {
                    match op {
                        #(#applies)*
                        #op::Unknown(op) => {
                            let undo = self.#unknown.keep(op, at);
                            fx.undo(|| #undo::Unknown(undo));
                            ::core::result::Result::Ok(())
                        }
                    }
                }

                fn join(
                    &mut self,
                    mine: &#library::Version,
                    other: Self,
                    theirs: &#library::Version,
                    fx: &mut #library::Effects<Self>,
                ) {
                    #(#joins)*
                    let undo = self.#unknown.join(mine, other.#unknown, theirs);
                    if let ::core::option::Option::Some(undo) = undo {
                        fx.undo(|| #undo::Unknown(undo));
                    }
                }

                fn rollback(&mut self, undo: Self::Undo) {
                    match undo {
                        #(#rollbacks)*
                        #undo::Unknown(undo) => self.#unknown.rollback(undo),
                    }
                }

                fn prune(&mut self, cut: &#library::Cut) {
                    #(#prunes)*
                }

                fn reauthor(
                    op: Self::Op,
                    at: #library::Stamp,
                    before: &Self,
                    tx: &mut #library::Tx<'_, Self>,
                ) -> ::core::result::Result<(), #library::CrdtError> {
                    match op {
                        #(#reauthors)*
                        #op::Unknown(op) => tx.push(#op::Unknown(op)),
                    }
                }
            }
        }
    }

    fn slots(&self, field: &CrdtField) -> TokenStream {
        let op = &self.op;
        let CrdtField { variant, ty, .. } = field;
        let (span, library) = self.at(field);
        quote_spanned!(span=> #op::#variant(op) => <#ty as #library::Crdt>::slots(op),)
    }

    fn may_grow(&self, field: &CrdtField) -> TokenStream {
        let op = &self.op;
        let CrdtField { variant, ty, .. } = field;
        let (span, library) = self.at(field);
        quote_spanned!(span=> #op::#variant(op) => <#ty as #library::Crdt>::may_grow(op),)
    }

    fn grow(&self, field: &CrdtField) -> TokenStream {
        let op = &self.op;
        let CrdtField { variant, ty, .. } = field;
        let (span, library) = self.at(field);
        quote_spanned! {span=>
            (#op::#variant(last), #op::#variant(next)) => <#ty as #library::Crdt>::grow(last, next),
        }
    }

    fn check(&self, field: &CrdtField) -> TokenStream {
        let name = &field.name;
        let (span, library) = self.at(field);
        quote_spanned!(span=> #library::Crdt::check(&self.#name)?;)
    }

    fn apply(&self, field: &CrdtField) -> TokenStream {
        let op = &self.op;
        let (event, undo) = (&self.event, &self.undo);
        let CrdtField { name, variant, .. } = field;
        let (span, library) = self.at(field);
        quote_spanned! {span=>
            #op::#variant(op) => {
                let field = &mut self.#name;
                fx.nested(
                    |fx| #library::Crdt::apply(field, op, at, fx),
                    #event::#variant,
                    #undo::#variant,
                )
            }
        }
    }

    fn join(&self, field: &CrdtField) -> TokenStream {
        let (event, undo) = (&self.event, &self.undo);
        let CrdtField { name, variant, .. } = field;
        let (span, library) = self.at(field);
        quote_spanned! {span=>
            let (field, there) = (&mut self.#name, other.#name);
            fx.nested(
                |fx| #library::Crdt::join(field, mine, there, theirs, fx),
                #event::#variant,
                #undo::#variant,
            );
        }
    }

    fn rollback(&self, field: &CrdtField) -> TokenStream {
        let undo = &self.undo;
        let CrdtField { name, variant, .. } = field;
        let (span, library) = self.at(field);
        quote_spanned! {span=>
            #undo::#variant(undo) => #library::Crdt::rollback(&mut self.#name, undo),
        }
    }

    fn prune(&self, field: &CrdtField) -> TokenStream {
        let name = &field.name;
        let (span, library) = self.at(field);
        quote_spanned!(span=> #library::Crdt::prune(&mut self.#name, cut);)
    }

    fn reauthor(&self, field: &CrdtField) -> TokenStream {
        let op = &self.op;
        let CrdtField { name, variant, ty, .. } = field;
        let (span, library) = self.at(field);
        quote_spanned! {span=>
            #op::#variant(op) => {
                let mut field = tx.field(|all: &Self| &all.#name, #op::#variant);
                <#ty as #library::Crdt>::reauthor(op, at, &before.#name, &mut field)
            }
        }
    }

    /// The trait that edits go through.
    fn accessors(&self) -> TokenStream {
        let Self { input: Struct { visibility, name, library, .. }, op, edits, here, .. } = self;
        let quiet = quiet(*here);
        let trait_doc = format!(
            "The fields of a [`{name}`], to be edited: wherever there is a transaction, in one or \
             on a `Standalone`."
        );
        let methods = self.each(|field @ CrdtField { name: method, ty, variant, .. }| {
            let doc = format!("The field `{method}`, to be edited.");
            let (span, library) = self.at(field);
            quote_spanned! {span=>
                #[doc = #doc]
                fn #method(&mut self) -> #library::Tx<'_, #ty> {
                    #library::derive::field(self, |all: &#name| &all.#method, #op::#variant)
                }
            }
        });
        quote_spanned! {*here=>
            #[doc = #trait_doc]
            #quiet
            #visibility trait #edits: #library::AsTx<#name> {
                #(#methods)*
            }

            #[automatically_derived]
            #quiet
            impl<T: #library::AsTx<#name> + ?::core::marker::Sized> #edits for T {}
        }
    }
}
