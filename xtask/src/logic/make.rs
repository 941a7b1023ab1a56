//! The rules: walks through a file, and puts each mutant behind its question.

use std::ops::Range;

use proc_macro2::Span;
use quote::ToTokens;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{
    Arm, Attribute, Block, Expr, ExprBinary, ExprMatch, ExprUnary, Item, Pat, PatGuard, Signature,
    Stmt, UnOp,
};

use super::file::{File, Insertion, Mutant};
use super::instead;

/// Adds the mutants of `file`, whose text is `parsed`.
pub(super) fn mutants(file: File, parsed: &syn::File) -> File {
    let mut maker = Maker { file, items: Vec::new() };
    maker.visit_file(parsed);
    maker.file
}

/// Walks through a file.
struct Maker {
    file: File,
    items: Vec<String>,
}

impl Maker {
    fn add(&mut self, change: String) -> usize {
        let file = self.file.path.display().to_string();
        let item = self.items.join("::");
        let same = |it: &&Mutant| it.item == item && it.change == change;
        let nth = self.file.mutants.iter().filter(same).count();
        self.file.mutants.push(Mutant { file, item, change, nth });
        self.file.first + self.file.mutants.len() - 1
    }

    /// Has `before` and `after` around `range`, for the mutant.
    fn around(&mut self, range: &Range<usize>, mutant: usize, before: String, after: &str) {
        // What ends last begins first, and what was found first is outside.
        let open =
            Insertion { at: range.start, order: (true, !range.end, mutant), text: before, mutant };
        let close = Insertion {
            at: range.end,
            order: (false, !range.start, !mutant),
            text: after.into(),
            mutant,
        };
        self.file.insertions.extend([open, close]);
    }

    /// Another expression instead of the one at `span`.
    fn instead(&mut self, span: Span, change: String, other: &str) {
        let mutant = self.add(change);
        let before =
            format!("(if crate::mutation::is({mutant}) {{\n/*{mutant}*/ {other}\n}} else {{");
        self.around(&span.byte_range(), mutant, before, "})");
    }

    fn function(&mut self, signature: &Signature, body: &Block) {
        self.items.push(signature.ident.to_string());
        let mut values = instead::of_return(&signature.output);
        let now = match &*body.stmts {
            [] => "()".into(),
            [Stmt::Expr(value, None)] => value.to_token_stream().to_string(),
            _ => String::new(),
        };
        values.retain(|value| *value != now);
        let range = body.brace_token.span.open().byte_range().end
            ..body.brace_token.span.close().byte_range().start;
        for value in values {
            let mutant = self.add(format!("gives {value}"));
            let text = format!(
                "\nif crate::mutation::is({mutant}) {{\n/*{mutant}*/ return {value};\n}}\n"
            );
            self.around(&range, mutant, text, "");
        }
        visit::visit_block(self, body);
        self.items.pop();
    }

    fn within(&mut self, name: String, walk: impl FnOnce(&mut Self)) {
        self.items.push(name);
        walk(self);
        self.items.pop();
    }
}

impl<'ast> Visit<'ast> for Maker {
    fn visit_item(&mut self, item: &'ast Item) {
        match item {
            Item::Mod(it) if for_tests(&it.attrs) => {}
            Item::Fn(it) if for_tests(&it.attrs) => {}
            Item::Fn(it) => self.function(&it.sig, &it.block),
            Item::Mod(it) => {
                self.within(it.ident.to_string(), |this| visit::visit_item_mod(this, it));
            }
            Item::Trait(it) => {
                self.within(it.ident.to_string(), |this| visit::visit_item_trait(this, it));
            }
            Item::Impl(it) => {
                let ty = short(&it.self_ty);
                let name = match &it.trait_ {
                    Some((of, _)) => format!("<{ty} as {}>", short(of)),
                    None => ty,
                };
                self.within(name, |this| visit::visit_item_impl(this, it));
            }
            // What the compiler computes is no step of a program.
            Item::Const(_) | Item::Static(_) | Item::Enum(_) | Item::Macro(_) => {}
            _ => visit::visit_item(self, item),
        }
    }

    fn visit_impl_item_fn(&mut self, it: &'ast syn::ImplItemFn) {
        if !for_tests(&it.attrs) {
            self.function(&it.sig, &it.block);
        }
    }

    fn visit_trait_item_fn(&mut self, it: &'ast syn::TraitItemFn) {
        if let Some(body) = &it.default {
            self.function(&it.sig, body);
        }
    }

    fn visit_impl_item_const(&mut self, _: &'ast syn::ImplItemConst) {}

    fn visit_trait_item_const(&mut self, _: &'ast syn::TraitItemConst) {}

    fn visit_type(&mut self, _: &'ast syn::Type) {}

    fn visit_expr_const(&mut self, _: &'ast syn::ExprConst) {}

    fn visit_expr_binary(&mut self, it: &'ast ExprBinary) {
        let (left, right) = (it.left.to_token_stream(), it.right.to_token_stream());
        for other in instead::of_operator(&it.op) {
            let change = format!("{} for {}: {}", other, it.op.to_token_stream(), shown(it));
            // Another operator may bind what stands beside it more, or less.
            self.instead(it.span(), change, &format!("({left}) {other} ({right})"));
        }
        visit::visit_expr_binary(self, it);
    }

    fn visit_expr_unary(&mut self, it: &'ast ExprUnary) {
        if !matches!(it.op, UnOp::Deref(_)) {
            let change = format!("no {}: {}", it.op.to_token_stream(), shown(it));
            self.instead(it.span(), change, &it.expr.to_token_stream().to_string());
        }
        visit::visit_expr_unary(self, it);
    }

    fn visit_expr_if(&mut self, it: &'ast syn::ExprIf) {
        self.condition(&it.cond);
        visit::visit_expr_if(self, it);
    }

    fn visit_expr_while(&mut self, it: &'ast syn::ExprWhile) {
        self.condition(&it.cond);
        visit::visit_expr_while(self, it);
    }

    fn visit_expr_match(&mut self, it: &'ast ExprMatch) {
        let is_rest = |arm: &Arm| matches!(arm.pat, Pat::Wild(_));
        if it.arms.iter().any(is_rest) {
            for arm in it.arms.iter().filter(|arm| !is_rest(arm)) {
                let mutant = self.add(format!("no arm {}", shown(&arm.pat)));
                let (range, question) = match &arm.pat {
                    Pat::Guard(PatGuard { guard, .. }) => {
                        (guard.span().byte_range(), format!("!crate::mutation::is({mutant}) && ("))
                    }
                    _ => {
                        let end = arm.pat.span().byte_range().end;
                        (end..end, format!(" if !crate::mutation::is({mutant})"))
                    }
                };
                let after = if range.is_empty() { "" } else { ")" };
                self.around(&range, mutant, question, after);
            }
        }
        visit::visit_expr_match(self, it);
    }

    fn visit_arm(&mut self, it: &'ast Arm) {
        if let Pat::Guard(PatGuard { guard, .. }) = &it.pat {
            for value in ["true", "false"] {
                self.instead(
                    guard.span(),
                    format!("{value} for the guard {}", shown(guard)),
                    value,
                );
            }
        }
        visit::visit_arm(self, it);
    }
}

impl Maker {
    /// A condition that no other rule changes is turned round.
    fn condition(&mut self, it: &Expr) {
        if matches!(it, Expr::Call(_) | Expr::MethodCall(_) | Expr::Path(_) | Expr::Field(_)) {
            let change = format!("not {}", shown(it));
            self.instead(it.span(), change, &format!("!({})", it.to_token_stream()));
        }
    }
}

/// An item that only tests have, or only models.
fn for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|it| {
        let text = it.to_token_stream().to_string().replace(' ', "");
        ["#[test]", "#[cfg(test)]", "#[cfg(all(test", "#[cfg(loom)]", "#[cfg(doc"]
            .iter()
            .any(|of| text.starts_with(of))
    })
}

/// A type or a trait without its arguments.
fn short(it: &impl ToTokens) -> String {
    let text = it.to_token_stream().to_string();
    text.split('<').next().unwrap_or_default().replace(' ', "")
}

/// Code in one line, in short.
fn shown(it: &impl ToTokens) -> String {
    let text = it.to_token_stream().to_string();
    let text = ["(", ")", ".", "::", ",", "&", "!", "?"].iter().fold(text, |text, mark| {
        let text = text.replace(&format!("{mark} "), mark);
        if *mark == "&" { text } else { text.replace(&format!(" {mark}"), mark) }
    });
    text.replace(',', ", ").chars().take(70).collect()
}
