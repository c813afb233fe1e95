//! What a struct says about itself, and what is wrong with it.
//!
//! It promises to find every mistake at once, and that each message says what to
//! write instead. It looks at what is written only: whether a field is a CRDT is
//! for the compiler to find out.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident};
use std::collections::BTreeMap;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{
    Attribute, Data, DeriveInput, Error, Field, Fields, LitInt, LitStr, Path, Result, Token, Type,
    Visibility,
};

/// Methods of `Tx`, which would hide the accessor of a field.
const TAKEN: [&str; 4] = ["push", "field", "child", "tx"];
/// The longest kind, in bytes.
const LONGEST_KIND: usize = 64;

/// A struct that can be derived.
pub(crate) struct Struct {
    pub(crate) visibility: Visibility,
    pub(crate) name: Ident,
    pub(crate) kind: LitStr,
    pub(crate) library: Path,
    pub(crate) fields: Vec<CrdtField>,
    pub(crate) unknown: Ident,
}

/// A field that is a CRDT.
pub(crate) struct CrdtField {
    pub(crate) name: Ident,
    pub(crate) tag: u32,
    pub(crate) ty: Type,
    /// Its variant in the enums of ops and events.
    pub(crate) variant: Ident,
}

/// The mistakes found so far.
#[derive(Default)]
struct Mistakes(Option<Error>);

impl Mistakes {
    fn add(&mut self, span: Span, message: impl std::fmt::Display) {
        self.merge(Error::new(span, message));
    }

    fn merge(&mut self, error: Error) {
        match &mut self.0 {
            Some(all) => all.combine(error),
            None => self.0 = Some(error),
        }
    }

    fn finish<T>(self, parsed: Option<T>) -> Result<T> {
        match (self.0, parsed) {
            (None, Some(parsed)) => Ok(parsed),
            (Some(error), _) => Err(error),
            (None, None) => Err(Error::new(Span::call_site(), "it is no struct of CRDTs")),
        }
    }
}

impl Struct {
    /// Reads a struct, or says all that is wrong with it.
    pub(crate) fn parse(input: DeriveInput) -> Result<Self> {
        let fields = named_fields(&input)?;
        let mut mistakes = Mistakes::default();
        let about = About::parse(&input.attrs, &mut mistakes);
        if !input.generics.params.is_empty() {
            mistakes.add(
                input.generics.span(),
                "a struct of CRDTs takes no parameters, because its kind would not say which: \
                 write a struct for each",
            );
        }
        let kind = checked_kind(&input.ident, about.kind, &mut mistakes);
        let (fields, unknown) = split(&input.ident, fields, &about.retired, &mut mistakes);
        let parsed = kind.zip(unknown).map(|(kind, unknown)| Self {
            visibility: input.vis,
            name: input.ident,
            kind,
            library: about.library,
            fields,
            unknown,
        });
        mistakes.finish(parsed)
    }
}

fn named_fields(input: &DeriveInput) -> Result<Punctuated<Field, Token![,]>> {
    let message = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => return Ok(fields.named.clone()),
            _ => {
                "a struct of CRDTs has fields with names, because edits go through methods of \
                 those names: write `struct Note { title: … }`"
            }
        },
        Data::Enum(_) => {
            "an enum is no CRDT, because two devices may choose two variants: put it into an \
             `LwwRegister`, or write a struct with a field for each variant"
        }
        Data::Union(_) => "a union is no CRDT: write a struct",
    };
    Err(Error::new(input.ident.span(), message))
}

/// What the attributes of the struct say.
struct About {
    kind: Option<LitStr>,
    retired: BTreeMap<u32, Span>,
    library: Path,
}

impl About {
    fn parse(attributes: &[Attribute], mistakes: &mut Mistakes) -> Self {
        let library = syn::parse_quote!(::repliq);
        let mut about = Self { kind: None, retired: BTreeMap::new(), library };
        for attribute in attributes.iter().filter(|found| found.path().is_ident("crdt")) {
            let parsed = attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("kind") {
                    let kind: LitStr = meta.value()?.parse()?;
                    match about.kind.replace(kind) {
                        None => Ok(()),
                        Some(_) => Err(meta.error("a struct has one kind")),
                    }
                } else if meta.path.is_ident("retired") {
                    let tags;
                    syn::parenthesized!(tags in meta.input);
                    for tag in Punctuated::<LitInt, Token![,]>::parse_terminated(&tags)? {
                        if about.retired.insert(number_of(&tag)?, tag.span()).is_some() {
                            return Err(Error::new(tag.span(), "this tag is retired already"));
                        }
                    }
                    Ok(())
                } else if meta.path.is_ident("crate") {
                    about.library = meta.value()?.parse()?;
                    Ok(())
                } else {
                    Err(meta.error("a struct takes `kind = \"…\"`, `retired(…)` and `crate = …`"))
                }
            });
            parsed.unwrap_or_else(|error| mistakes.merge(error));
        }
        about
    }
}

fn checked_kind(name: &Ident, kind: Option<LitStr>, mistakes: &mut Mistakes) -> Option<LitStr> {
    let Some(kind) = kind else {
        let example = words(name).join("-");
        mistakes.add(
            name.span(),
            format!(
                "a struct of CRDTs has a kind, its name on every device for good: add \
                 `#[crdt(kind = \"{example}/1\")]`"
            ),
        );
        return None;
    };
    let text = kind.value();
    let is_good = text.rsplit_once('/').is_some_and(|(name, version)| {
        let version_is_good = version.parse::<u32>().is_ok_and(|n| n.to_string() == version);
        let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '<' | '>' | ',');
        !name.is_empty() && name.chars().all(plain) && version_is_good
    });
    if !is_good || text.len() > LONGEST_KIND {
        mistakes.add(
            kind.span(),
            format!(
                "a kind is a name and a version, such as \"note/1\", of at most {LONGEST_KIND} \
                 characters"
            ),
        );
    }
    Some(kind)
}

/// What the attributes of a field say.
enum Role {
    Tagged(u32, Span),
    Unknown,
    Unsaid,
}

/// The largest tag there may be: `repliq_core::derive::MAX_TAG`.
const MAX_TAG: u32 = 4_095;

fn number_of(tag: &LitInt) -> Result<u32> {
    match tag.base10_parse() {
        Ok(number) if number > MAX_TAG => {
            Err(Error::new(tag.span(), format!("a tag is at most {MAX_TAG}")))
        }
        parsed => parsed,
    }
}

fn role(field: &Field) -> Result<Role> {
    let mut role = Role::Unsaid;
    for attribute in field.attrs.iter().filter(|found| found.path().is_ident("crdt")) {
        attribute.parse_nested_meta(|meta| {
            if !matches!(role, Role::Unsaid) {
                return Err(meta.error("a field has one tag, or is the `unknown` one"));
            }
            if meta.path.is_ident("tag") {
                let tag: LitInt = meta.value()?.parse()?;
                role = Role::Tagged(number_of(&tag)?, tag.span());
                Ok(())
            } else if meta.path.is_ident("unknown") {
                role = Role::Unknown;
                Ok(())
            } else {
                Err(meta.error("a field takes `tag = 1`, or `unknown`"))
            }
        })?;
    }
    Ok(role)
}

/// Tells the fields that are CRDTs from the one for what is unknown.
fn split(
    owner: &Ident,
    all: Punctuated<Field, Token![,]>,
    retired: &BTreeMap<u32, Span>,
    mistakes: &mut Mistakes,
) -> (Vec<CrdtField>, Option<Ident>) {
    let (mut fields, mut unknown, mut untagged) = (Vec::<CrdtField>::new(), None, Vec::new());
    let mut is_all_read = true;
    for field in all {
        let Some(name) = field.ident.clone() else { continue };
        match role(&field) {
            Ok(Role::Tagged(tag, span)) => {
                if retired.contains_key(&tag) {
                    mistakes.add(
                        span,
                        format!("the tag {tag} is retired: devices still hold what was in it"),
                    );
                }
                if let Some(other) = fields.iter().find(|other| other.tag == tag) {
                    mistakes.add(span, format!("`{}` has the tag {tag} already", other.name));
                }
                let variant = variant(&name);
                check_names(&name, &variant, &fields, mistakes);
                check_recursion(owner, &field.ty, mistakes);
                fields.push(CrdtField { name, tag, ty: field.ty, variant });
            }
            Ok(Role::Unknown) if unknown.is_some() => {
                mistakes.add(name.span(), "one field is `unknown`, and there is one already");
            }
            Ok(Role::Unknown) => unknown = Some(name),
            Ok(Role::Unsaid) => untagged.push(name),
            Err(error) => {
                is_all_read = false;
                mistakes.merge(error);
            }
        }
    }
    let mut free = (1..)
        .filter(|tag| !retired.contains_key(tag) && fields.iter().all(|field| field.tag != *tag));
    for name in &untagged {
        let tag: u32 = free.next().unwrap_or_default();
        mistakes.add(
            name.span(),
            format!(
                "a field has a tag, its number on every device for good: add `#[crdt(tag = {tag})]`"
            ),
        );
    }
    if fields.is_empty() && untagged.is_empty() && is_all_read {
        mistakes.add(owner.span(), "a struct of CRDTs has a field: `#[crdt(tag = 1)] title: …`");
    }
    if unknown.is_none() && is_all_read {
        mistakes.add(
            owner.span(),
            "a struct of CRDTs keeps what newer versions of it know: add the field \
             `#[crdt(unknown)] unknown: UnknownFields`",
        );
    }
    (fields, unknown)
}

fn check_names(name: &Ident, variant: &Ident, fields: &[CrdtField], mistakes: &mut Mistakes) {
    if TAKEN.iter().any(|taken| name == taken) {
        let message = format!("a transaction has a method `{name}` already: rename the field");
        mistakes.add(name.span(), message);
    }
    if variant == "Unknown" {
        let message = "the variant `Unknown` is for fields that are not known: rename the field";
        mistakes.add(name.span(), message);
    }
    if let Some(other) = fields.iter().find(|other| other.variant == *variant) {
        let message =
            format!("`{}` and `{name}` would both be the variant `{variant}`", other.name);
        mistakes.add(name.span(), message);
    }
}

/// A struct within itself could be nested without end by whoever sends an op. What
/// comes about in another way the compiler refuses: the enum of ops has no size.
fn check_recursion(owner: &Ident, ty: &Type, mistakes: &mut Mistakes) {
    if names(owner, ty.to_token_stream()) {
        mistakes.add(
            ty.span(),
            format!(
                "`{owner}` would contain itself, and so be nested without end: keep all of them \
                 in one `CrdtMap`, and the key of its parent in each"
            ),
        );
    }
}

/// Whether tokens name the type by itself, and not as a part of a path.
fn names(owner: &Ident, tokens: TokenStream) -> bool {
    let mut is_in_path = false;
    tokens.into_iter().any(|token| {
        let was_in_path = is_in_path;
        is_in_path = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == ':');
        match token {
            TokenTree::Ident(ident) => (ident == *owner && !was_in_path) || ident == "Self",
            TokenTree::Group(group) => names(owner, group.stream()),
            _ => false,
        }
    })
}

/// `created_at` is `CreatedAt`.
fn variant(name: &Ident) -> Ident {
    let capital = |word: String| {
        let mut letters = word.chars();
        letters
            .next()
            .map_or(String::new(), |first| first.to_uppercase().chain(letters).collect::<String>())
    };
    let text: String = words(name).into_iter().map(capital).collect();
    match syn::parse_str::<Ident>(&text) {
        Ok(mut variant) => {
            variant.set_span(name.span());
            variant
        }
        // `_1`, or `self_`.
        Err(_) => format_ident!("Field{text}", span = name.span()),
    }
}

/// The words of a name, in lower case.
fn words(name: &Ident) -> Vec<String> {
    let text = name.to_string();
    let mut words = vec![String::new()];
    for letter in text.trim_start_matches("r#").chars() {
        if letter == '_' || letter.is_uppercase() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| letter != '_') {
            word.extend(letter.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
mod tests;
