//! What the items of a file are called.
//!
//! An item is called by its name (`BATCH`, `spread`), and what belongs to a type or a trait by both
//! names (`WaitGroup::leave`). Where that is not enough, it has longer names: with generic parameters
//! (`Arc<Node>::announce`), with the trait, as in Rust (`<Parker as Wake>::wake`), and with any of
//! the modules that it is in (`population::Word::enter`). The name with all of its modules is its own,
//! whatever other items are called so.

use core::ops::Range;
use std::path::Path;

use anyhow::Result;
use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::parse::{Parse, ParseStream, Parser as _};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Block, Ident, ImplItem, Item as Syntax, ItemImpl, TraitItem, Type};

/// Something with a name: a function, a constant, a type, a macro.
#[derive(Debug)]
pub(super) struct Item {
    /// From the outermost on; a function is the module of what is inside it.
    modules: Vec<String>,
    owner: Option<Owner>,
    name: String,
    /// Where it is in its file.
    pub(super) bytes: Range<usize>,
    /// Where the statements of a function are.
    pub(super) body: Option<Range<usize>>,
}

/// What an item belongs to: a type, a trait, or a trait for a type.
#[derive(Clone, Debug)]
struct Owner {
    name: String,
    /// With generic parameters.
    full_name: String,
    of_trait: Option<String>,
}

impl Item {
    /// Whether it may be called `name`.
    pub(super) fn is_called(&self, name: &str) -> bool {
        self.names().iter().any(|own| {
            let Some(front) = name.strip_suffix(own.as_str()) else { return false };
            let Some(front) = front.strip_suffix("::") else { return front.is_empty() };
            let mut modules = self.modules.iter();
            front.split("::").all(|wanted| modules.any(|module| module == wanted))
        })
    }

    /// Whether the last part of its name is that of `name`.
    pub(super) fn is_like(&self, name: &str) -> bool {
        name.rsplit("::").next() == Some(&self.name)
    }

    /// The longest of its names.
    pub(super) fn full_name(&self) -> String {
        let own = self.names().pop();
        self.modules.iter().cloned().chain(own).collect::<Vec<_>>().join("::")
    }

    /// Its names without modules, the longest last.
    fn names(&self) -> Vec<String> {
        let name = &self.name;
        let Some(owner) = &self.owner else { return vec![name.clone()] };
        let owners = [&owner.name, &owner.full_name];
        let with_trait = owner
            .of_trait
            .iter()
            .flat_map(|of_trait| owners.map(|owner| format!("<{owner} as {of_trait}>::{name}")));
        owners.map(|owner| format!("{owner}::{name}")).into_iter().chain(with_trait).collect()
    }
}

/// The items of a file without its tests.
pub(super) fn read(file: TokenStream, path: &Path) -> Result<Vec<Item>> {
    let file: syn::File = syn::parse2(file)?;
    let modules = path.with_extension("");
    let modules = modules.iter().map(|it| it.to_string_lossy().into_owned());
    let modules = modules.filter(|it| !matches!(it.as_str(), "lib" | "mod")).collect();
    let mut items = Items { modules, owner: None, found: Vec::new() };
    items.visit_file(&file);
    Ok(items.found)
}

struct Items {
    modules: Vec<String>,
    owner: Option<Owner>,
    found: Vec<Item>,
}

impl Items {
    fn add(&mut self, name: &Ident, all: &impl ToTokens, body: Option<&Block>) {
        self.found.push(Item {
            modules: self.modules.clone(),
            owner: self.owner.clone(),
            name: name.to_string(),
            bytes: all.span().byte_range(),
            body: body.map(|it| {
                let braces = it.brace_token.span;
                braces.open().byte_range().end..braces.close().byte_range().start
            }),
        });
    }

    fn inside(&mut self, module: &Ident, visit: impl FnOnce(&mut Self)) {
        let owner = self.owner.take();
        self.modules.push(module.to_string());
        visit(self);
        self.modules.pop();
        self.owner = owner;
    }

    fn owned_by(&mut self, owner: Owner, visit: impl FnOnce(&mut Self)) {
        let outer = self.owner.replace(owner);
        visit(self);
        self.owner = outer;
    }
}

impl<'ast> Visit<'ast> for Items {
    fn visit_item(&mut self, item: &'ast Syntax) {
        match item {
            Syntax::Fn(it) => {
                self.add(&it.sig.ident, it, Some(&it.block));
                self.inside(&it.sig.ident, |this| visit::visit_item_fn(this, it));
            }
            Syntax::Mod(it) if is_test(&it.attrs) => {}
            Syntax::Mod(it) => self.inside(&it.ident, |this| visit::visit_item_mod(this, it)),
            Syntax::Impl(it) => self.owned_by(owner(it), |this| visit::visit_item_impl(this, it)),
            Syntax::Trait(it) => {
                self.add(&it.ident, it, None);
                let name = it.ident.to_string();
                let owner = Owner { full_name: name.clone(), name, of_trait: None };
                self.owned_by(owner, |this| visit::visit_item_trait(this, it));
            }
            Syntax::Macro(it) => match &it.ident {
                Some(name) => self.add(name, it, None),
                // A macro that takes items gives them, more or less.
                None => parse_all(&it.mac.tokens).iter().for_each(|it| self.visit_item(it)),
            },
            Syntax::Const(it) => self.add(&it.ident, it, None),
            Syntax::Static(it) => self.add(&it.ident, it, None),
            Syntax::Struct(it) => self.add(&it.ident, it, None),
            Syntax::Enum(it) => self.add(&it.ident, it, None),
            Syntax::Type(it) => self.add(&it.ident, it, None),
            _ => {}
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        match item {
            ImplItem::Fn(it) => {
                self.add(&it.sig.ident, it, Some(&it.block));
                self.inside(&it.sig.ident, |this| visit::visit_impl_item_fn(this, it));
            }
            ImplItem::Const(it) => self.add(&it.ident, it, None),
            ImplItem::Type(it) => self.add(&it.ident, it, None),
            ImplItem::Macro(it) => {
                parse_all(&it.mac.tokens).iter().for_each(|it| self.visit_impl_item(it));
            }
            _ => {}
        }
    }

    fn visit_trait_item(&mut self, item: &'ast TraitItem) {
        match item {
            TraitItem::Fn(it) => {
                self.add(&it.sig.ident, it, it.default.as_ref());
                self.inside(&it.sig.ident, |this| visit::visit_trait_item_fn(this, it));
            }
            TraitItem::Const(it) => self.add(&it.ident, it, None),
            TraitItem::Type(it) => self.add(&it.ident, it, None),
            _ => {}
        }
    }
}

/// The items that `tokens` consist of; none if they are something else.
fn parse_all<T: Parse>(tokens: &TokenStream) -> Vec<T> {
    let all = |input: ParseStream<'_>| {
        let mut all = Vec::new();
        while !input.is_empty() {
            all.push(input.parse()?);
        }
        Ok(all)
    };
    all.parse2(tokens.clone()).unwrap_or_default()
}

fn owner(item: &ItemImpl) -> Owner {
    let last = |path: &syn::Path| path.segments.last().map(|it| it.ident.to_string());
    let mut of_type = &*item.self_ty;
    while let Type::Reference(it) = of_type {
        of_type = &it.elem;
    }
    let full_name: String = of_type.to_token_stream().to_string().split_whitespace().collect();
    let name = match of_type {
        Type::Path(it) => last(&it.path),
        _ => None,
    };
    let name = name.unwrap_or_else(|| full_name.clone());
    let of_trait = item.trait_.as_ref().and_then(|(path, _)| last(path));
    Owner { name, full_name, of_trait }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|it| {
        it.path().is_ident("cfg") && it.parse_args::<Ident>().is_ok_and(|it| it == "test")
    })
}
