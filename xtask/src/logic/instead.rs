//! What a function could give instead, and which operator could stand there.

use quote::ToTokens as _;
use syn::{BinOp, GenericArgument, PathArguments, ReturnType, Type, TypePath};

/// Values for the type that a function returns, as Rust; some have another type, which the compiler tells.
pub(super) fn of_return(output: &ReturnType) -> Vec<String> {
    match output {
        ReturnType::Default => vec!["()".into()],
        ReturnType::Type(_, ty) => of(ty),
    }
}

fn of(ty: &Type) -> Vec<String> {
    match ty {
        Type::Path(path) => of_path(path),
        Type::Tuple(tuple) => {
            let mut all = vec![String::new()];
            for ty in &tuple.elems {
                let values = of(ty);
                all = all
                    .iter()
                    .flat_map(|first| values.iter().map(move |it| format!("{first}{it}, ")))
                    .collect();
            }
            all.into_iter().map(|it| format!("({it})")).collect()
        }
        Type::Reference(reference) if reference.mutability.is_none() => {
            match reference.elem.to_token_stream().to_string().as_str() {
                "str" => vec![r#""""#.into(), r#""xyzzy""#.into()],
                _ => Vec::new(),
            }
        }
        Type::Paren(inner) => of(&inner.elem),
        _ => Vec::new(),
    }
}

fn of_path(path: &TypePath) -> Vec<String> {
    let Some(last) = path.path.segments.last() else { return Vec::new() };
    let inner = |at: usize| -> Vec<String> {
        let PathArguments::AngleBracketed(arguments) = &last.arguments else { return Vec::new() };
        let types = arguments.args.iter().filter_map(|it| match it {
            GenericArgument::Type(ty) => Some(ty),
            _ => None,
        });
        types.skip(at).take(1).flat_map(of).collect()
    };
    let wrapped = |how: &str| inner(0).into_iter().map(|it| format!("{how}({it})")).collect();
    let and = |first: &str, mut more: Vec<String>| {
        more.insert(0, first.into());
        more
    };
    match last.ident.to_string().as_str() {
        "bool" => vec!["true".into(), "false".into()],
        "u8" | "u16" | "u32" | "u64" | "usize" => vec!["0".into(), "1".into()],
        "i8" | "i16" | "i32" | "i64" | "isize" => vec!["0".into(), "1".into(), "-1".into()],
        "Option" => and("None", wrapped("Some")),
        "Result" => wrapped("Ok"),
        "Poll" => and("core::task::Poll::Pending", wrapped("core::task::Poll::Ready")),
        "ControlFlow" => vec!["core::ops::ControlFlow::Continue(Default::default())".into()],
        _ => vec!["Default::default()".into()],
    }
}

/// The operators to put for one.
pub(super) fn of_operator(op: &BinOp) -> &'static [&'static str] {
    match op {
        BinOp::Eq(_) => &["!="],
        BinOp::Ne(_) => &["=="],
        BinOp::And(_) => &["||"],
        BinOp::Or(_) => &["&&"],
        BinOp::Lt(_) => &["==", ">", "<="],
        BinOp::Gt(_) => &["==", "<", ">="],
        BinOp::Le(_) => &[">", "<"],
        BinOp::Ge(_) => &["<", ">"],
        BinOp::Add(_) => &["-", "*"],
        BinOp::Sub(_) => &["+", "/"],
        BinOp::Mul(_) => &["+", "/"],
        BinOp::Div(_) => &["%", "*"],
        BinOp::Rem(_) => &["/", "+"],
        BinOp::Shl(_) => &[">>"],
        BinOp::Shr(_) => &["<<"],
        BinOp::BitAnd(_) => &["|", "^"],
        BinOp::BitOr(_) => &["&", "^"],
        BinOp::BitXor(_) => &["|", "&"],
        BinOp::AddAssign(_) => &["-=", "*="],
        BinOp::SubAssign(_) => &["+=", "/="],
        BinOp::MulAssign(_) => &["+=", "/="],
        BinOp::BitAndAssign(_) => &["|=", "^="],
        BinOp::BitOrAssign(_) => &["&=", "^="],
        BinOp::ShlAssign(_) => &[">>="],
        BinOp::ShrAssign(_) => &["<<="],
        _ => &[],
    }
}
