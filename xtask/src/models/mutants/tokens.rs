//! Rust text as a flat sequence of tokens, each with its place. Comments, line breaks and commas
//! before a closing delimiter are not tokens here, so two texts that rustfmt or a new comment tells
//! apart are equal.

use core::ops::Range;
use core::str::FromStr as _;

use anyhow::{Result, anyhow};
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// One token: a word, a literal, a delimiter, or one character of an operator.
#[derive(Debug)]
pub(super) struct Token {
    text: String,
    /// Where it is in the text that it was read from.
    pub(super) bytes: Range<usize>,
}

impl Token {
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

/// The tokens of `text`, whose delimiters must be balanced.
pub(super) fn read(text: &str) -> Result<Vec<Token>> {
    let stream = TokenStream::from_str(text)
        .map_err(|error| anyhow!("not Rust with balanced delimiters ({error}): {text}"))?;
    Ok(flatten(stream))
}

/// The tokens of `stream` without its doc comments.
pub(super) fn flatten(stream: TokenStream) -> Vec<Token> {
    let mut tokens = Vec::new();
    add_all(stream, &mut tokens);
    tokens
}

/// The places where `needle` occurs in `haystack`.
pub(super) fn find(needle: &[Token], haystack: &[Token]) -> Vec<Range<usize>> {
    let is_equal = |window: &&[Token]| {
        window.iter().zip(needle).all(|(found, wanted)| found.text == wanted.text)
    };
    let place = |window: &[Token]| {
        let (first, last) = (window.first()?, window.last()?);
        Some(first.bytes.start..last.bytes.end)
    };
    haystack.windows(needle.len().max(1)).filter(is_equal).filter_map(place).collect()
}

fn add_all(stream: TokenStream, tokens: &mut Vec<Token>) {
    let trees: Vec<_> = stream.into_iter().collect();
    let mut rest = trees.as_slice();
    while let Some((tree, behind)) = rest.split_first() {
        rest = match doc_comment(rest) {
            Some(behind) => behind,
            None => {
                add(tree, tokens);
                behind
            }
        };
    }
}

fn add(tree: &TokenTree, tokens: &mut Vec<Token>) {
    let TokenTree::Group(group) = tree else {
        tokens.push(Token { text: tree.to_string(), bytes: tree.span().byte_range() });
        return;
    };
    let (open, close) = delimiters(group.delimiter());
    tokens.push(Token { text: open.into(), bytes: group.span_open().byte_range() });
    add_all(without_trailing_comma(group), tokens);
    tokens.push(Token { text: close.into(), bytes: group.span_close().byte_range() });
}

fn delimiters(delimiter: Delimiter) -> (&'static str, &'static str) {
    match delimiter {
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::Brace => ("{", "}"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::None => ("", ""),
    }
}

fn without_trailing_comma(group: &Group) -> TokenStream {
    let mut trees: Vec<_> = group.stream().into_iter().collect();
    if trees.last().is_some_and(|last| is_punct(last, ',')) {
        trees.pop();
    }
    trees.into_iter().collect()
}

/// What comes behind the doc comment that `trees` begin with: `#[doc = "…"]` or `#![doc = "…"]`.
fn doc_comment(trees: &[TokenTree]) -> Option<&[TokenTree]> {
    let (hash, rest) = trees.split_first()?;
    let rest = match rest.split_first()? {
        (bang, rest) if is_punct(bang, '!') => rest,
        _ => rest,
    };
    let (attribute, rest) = rest.split_first()?;
    let TokenTree::Group(attribute) = attribute else { return None };
    let mut inside = attribute.stream().into_iter();
    let is_doc = matches!(inside.next()?, TokenTree::Ident(name) if name == "doc");
    (is_punct(hash, '#') && is_doc && is_punct(&inside.next()?, '=')).then_some(rest)
}

fn is_punct(tree: &TokenTree, char: char) -> bool {
    matches!(tree, TokenTree::Punct(punct) if punct.as_char() == char)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parts of `haystack` that are equal to `needle`.
    fn found<'a>(needle: &str, haystack: &'a str) -> Vec<&'a str> {
        let places = find(&read(needle).unwrap(), &read(haystack).unwrap());
        places.into_iter().map(|place| &haystack[place]).collect()
    }

    #[test]
    fn comments_and_line_breaks_do_not_count() {
        let text =
            "fn f() {\n    /// doc\n    a(\n        // why\n        b, /* c */ d,\n    );\n}";
        assert_eq!(found("a(b, d)", text).len(), 1);
        assert_eq!(found("a( // other\n b, d, )", text).len(), 1);
        assert_eq!(found("b, d", text), ["b, /* c */ d"]);
        assert!(found("why", text).is_empty());
        assert!(found("doc", text).is_empty());
    }

    #[test]
    fn a_comment_in_a_string_is_a_part_of_it() {
        let text = r##"f("// no comment", '/', 'a: loop {}, r#"/* "none" */"#)"##;
        assert_eq!(found(r#""// no comment", '/'"#, text).len(), 1);
        assert!(found(r#""//   no comment""#, text).is_empty());
        assert_eq!(found(r##"r#"/* "none" */"#"##, text).len(), 1);
        assert_eq!(found("'a: loop {}", text).len(), 1);
        assert!(found("'b: loop {}", text).is_empty());
    }

    #[test]
    fn generics_may_be_nested() {
        let text = "x: Arc<Mutex<Vec<u8>>>, y: Vec<u8>";
        assert_eq!(found("Vec<u8>", text).len(), 2);
        assert_eq!(found("Mutex<Vec<u8>>", text), ["Mutex<Vec<u8>>"]);
    }

    #[test]
    fn a_needle_is_balanced() {
        assert!(read("if x {").is_err());
        assert!(read("} else {").is_err());
        assert!(read("if x {}").is_ok());
    }

    #[test]
    fn an_empty_needle_is_nowhere_in_nothing() {
        assert!(found("// nothing", "").is_empty());
    }
}
