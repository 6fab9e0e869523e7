//! Reads out of source texts which file takes an item from which other file.
//!
//! An import counts for the file that *defines* the item: `use crate::store::Entry` leads through the `pub use` in
//! `store/mod.rs` to `store/entry.rs`. Both `use` declarations and paths in the code (`super::flights::Flight`) are read.
//! Comments, string literals and items under `#[cfg(test)]` are left out.

use std::collections::{BTreeMap, BTreeSet};

use crate::rust_text::{code_tokens, is_name};

/// For each file the files that it imports from. Paths are relative to `src/`, with `/`.
pub type Imports = BTreeMap<String, BTreeSet<String>>;

/// Reads the imports of a crate whose files are given by path. Edges between a `mod.rs` and a file of its own folder are
/// left out: it declares the folder's files, and they may use what it defines.
pub fn imports(files: &BTreeMap<String, String>) -> Imports {
    let mut parsed = Crate::default();
    for (file, text) in files {
        let mut tokens = code_tokens(text).into_iter().peekable();
        parsed.read(module_of(file), file, &mut tokens);
    }
    let mut imports: Imports = files.keys().map(|file| (file.clone(), BTreeSet::new())).collect();
    for (path, module) in &parsed.modules {
        let used = module.uses.values().flatten().chain(&module.globs).chain(&module.paths);
        let targets = used.filter_map(|used| parsed.file_of(path, used, 0));
        let is_other = |target: &String| {
            *target != module.file && !is_parent(target, &module.file) && !is_parent(&module.file, target)
        };
        imports.entry(module.file.clone()).or_default().extend(targets.filter(is_other));
    }
    imports
}

/// Returns each set of files that reach one another by imports.
pub fn cycles(imports: &Imports) -> BTreeSet<BTreeSet<String>> {
    let reached: BTreeMap<&String, BTreeSet<String>> =
        imports.keys().map(|file| (file, reached_from(file, imports))).collect();
    let cycle_of =
        |file: &String| reached[file].iter().filter(|other| reached[other].contains(file)).cloned().collect();
    imports.keys().map(cycle_of).filter(|cycle: &BTreeSet<String>| !cycle.is_empty()).collect()
}

fn reached_from(file: &str, imports: &Imports) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut open = vec![file];
    while let Some(file) = open.pop() {
        open.extend(imports[file].iter().filter(|next| reached.insert((*next).clone())).map(String::as_str));
    }
    reached
}

/// `store/disk.rs` → `store::disk`, `store/mod.rs` → `store`, `lib.rs` → the root.
fn module_of(file: &str) -> Vec<String> {
    let stem = file.trim_end_matches(".rs").trim_end_matches("/mod");
    stem.split('/').filter(|part| *part != "lib").map(str::to_owned).collect()
}

/// True where `parent` is the `mod.rs` of a folder in which `file` lies.
fn is_parent(parent: &str, file: &str) -> bool {
    parent.strip_suffix("mod.rs").is_some_and(|folder| file.starts_with(folder))
}

type Path = Vec<String>;
type Tokens<'a> = std::iter::Peekable<std::vec::IntoIter<&'a str>>;

#[derive(Default)]
struct Crate {
    modules: BTreeMap<Path, Module>,
}

/// A module: a file, or a part of one.
#[derive(Default)]
struct Module {
    file: String,
    definitions: BTreeSet<String>,
    /// What `use` brings in, by the name that it has here.
    uses: BTreeMap<String, Vec<Path>>,
    /// Modules of which everything is brought in.
    globs: Vec<Path>,
    /// Paths of two names or more in the code.
    paths: Vec<Path>,
}

impl Crate {
    /// Reads a module up to its closing brace, or to the end of the file.
    fn read(&mut self, path: Path, file: &str, tokens: &mut Tokens<'_>) {
        let mut module = Module { file: file.to_owned(), ..Module::default() };
        let mut depth = 0;
        while let Some(token) = tokens.next() {
            match token {
                "{" | "(" | "[" => depth += 1,
                "}" | ")" | "]" if depth == 0 => break,
                "}" | ")" | "]" => depth -= 1,
                // `use<'a>` in a type names lifetimes.
                "use" if tokens.peek() != Some(&"<") => module.read_use(&mut Path::new(), tokens),
                "mod" => {
                    let name = tokens.next().unwrap_or_default().to_owned();
                    if tokens.next() == Some("{") {
                        self.read([&path[..], &[name]].concat(), file, tokens);
                    }
                }
                "fn" | "struct" | "enum" | "union" | "trait" | "type" | "const" | "static" if depth == 0 => {
                    // `const fn`: the name comes after the second word.
                    if let Some(name) = tokens.next_if(|next| is_name(next) && !matches!(*next, "fn" | "mut")) {
                        module.definitions.insert(name.to_owned());
                    }
                }
                name if is_name(name) => {
                    let mut names = vec![name.to_owned()];
                    while tokens.next_if(|next| *next == "::").is_some() {
                        match tokens.next_if(|next| is_name(next)) {
                            Some(name) => names.push(name.to_owned()),
                            None => break,
                        }
                    }
                    module.paths.extend((names.len() > 1).then_some(names));
                }
                _ => {}
            }
        }
        self.modules.insert(path, module);
    }

    /// Returns the file that defines what `path` means in the module `scope`; `None` for items of other crates. A name that
    /// a module of this crate seems not to have is defined by a macro there.
    fn file_of(&self, scope: &[String], path: &[String], steps: u32) -> Option<String> {
        const STEPS_MAX: u32 = 32;
        assert!(steps < STEPS_MAX, "{path:?} in {scope:?} leads back to itself");
        let mut at = scope.to_vec();
        let mut rest = path;
        match rest.first()?.as_str() {
            "crate" => (at, rest) = (Path::new(), &rest[1..]),
            "self" => rest = &rest[1..],
            "super" => {}
            // A path without a keyword in front begins in this module, or else in another crate.
            first if !self.knows(&at, first) => return None,
            _ => {}
        }
        while let [name, after @ ..] = rest {
            let child = [&at[..], std::slice::from_ref(name)].concat();
            let here = self.modules.get(&at)?;
            if name == "super" {
                at.pop();
            } else if self.modules.contains_key(&child) && (!after.is_empty() || !here.uses.contains_key(name)) {
                at = child;
            } else if here.definitions.contains(name) {
                return Some(here.file.clone());
            } else if let Some(used) = here.uses.get(name) {
                // An imported name is followed to its origin, with the rest of the path appended.
                let longer = used.iter().map(|used| [&used[..], after].concat()).filter(|longer| *longer != path);
                return longer.map(|longer| self.file_of(&at, &longer, steps + 1)).find(Option::is_some).flatten();
            } else {
                break;
            }
            rest = after;
        }
        self.modules.get(&at).map(|module| module.file.clone())
    }

    fn knows(&self, scope: &[String], name: &str) -> bool {
        let child = [scope, &[name.to_owned()]].concat();
        let here = &self.modules[scope];
        self.modules.contains_key(&child) || here.definitions.contains(name) || here.uses.contains_key(name)
    }
}

impl Module {
    /// Reads one branch of a `use` declaration: `a::{b, c::d as e, self}`.
    fn read_use(&mut self, prefix: &mut Path, tokens: &mut Tokens<'_>) {
        let length = prefix.len();
        let mut alias = None;
        while let Some(token) = tokens.next_if(|next| !matches!(*next, "," | ";" | "}")) {
            match token {
                "{" => {
                    while tokens.peek().is_some_and(|next| *next != "}") {
                        self.read_use(prefix, tokens);
                        tokens.next_if_eq(&",");
                    }
                    tokens.next();
                    prefix.truncate(length);
                    return;
                }
                "*" => {
                    self.globs.push(prefix.clone());
                    prefix.truncate(length);
                    return;
                }
                "as" => alias = tokens.next(),
                "self" if !prefix.is_empty() => {}
                name if is_name(name) => prefix.push(name.to_owned()),
                _ => {}
            }
        }
        if let Some(name) = alias.or(prefix.last().map(String::as_str)) {
            self.uses.entry(name.to_owned()).or_default().push(prefix.clone());
        }
        prefix.truncate(length);
    }
}
