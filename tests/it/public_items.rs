//! The public items of the library, whole: an item that appears, goes or moves is seen in review.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// Returns the public names that a `mod.rs` (or `lib.rs`) hands out: its own items, and those it re-exports.
fn public_names(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]").next().unwrap();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code = lines.collect::<Vec<_>>().join(" ");
    let mut names = Vec::new();
    for item in code.split("pub ").skip(1) {
        let (kind, rest) = item.split_once(' ').unwrap_or((item, ""));
        let name = |text: &str| {
            text.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next().unwrap().to_owned()
        };
        match kind {
            "use" => {
                let path = rest.split(';').next().unwrap();
                let list = path.split_once('{').map_or_else(|| path.rsplit("::").next().unwrap(), |(_, list)| list);
                names.extend(list.trim_end_matches('}').split(',').map(|name| name.trim().to_owned()));
            }
            "mod" | "struct" | "enum" | "trait" | "type" | "fn" | "const" | "static" => {
                names.push(format!("{kind} {}", name(rest)));
            }
            "async" => names.push(format!("fn {}", name(rest.trim_start_matches("fn ")))),
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names.sort();
    names.dedup();
    names
}

#[test]
fn the_public_items_are_these() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let library = fs::read_to_string(src.join("lib.rs")).unwrap();
    let modules = public_names(&library);
    assert!(!modules.contains(&"mod cli".to_owned()), "the command line is no part of the library");
    let mut text = String::new();
    for module in modules.iter().filter_map(|item| item.strip_prefix("mod ")) {
        let path = src.join(module).join("mod.rs");
        let names = public_names(&fs::read_to_string(path).unwrap());
        writeln!(text, "{module}: {}\n", names.join(", ")).unwrap();
    }
    insta::assert_snapshot!(text);
}

#[test]
fn names_are_read_from_every_kind_of_item() {
    let text = "pub use a::{B, c};\npub use d::E;\n/// pub fn not_this()\npub mod f;\npub fn g() {}\npub async fn h() {}\nuse x::Y;";
    assert_eq!(public_names(text), ["B", "E", "c", "fn g", "fn h", "mod f"]);
}
