//! The modules of `electra-core` form layers: each imports only modules below it.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../runtime/core/src");
/// The modules from the lowest to the highest, as in ARCHITECTURE.md.
const LAYERS: [&str; 14] = [
    "math",
    "kernels",
    "config",
    "tokenizer",
    "team",
    "arena",
    "model",
    "blocks",
    "phases",
    "step",
    "run_error",
    "verdict",
    "engine",
    "lib",
];

#[test]
fn modules_import_only_lower_layers() {
    let mut found = BTreeSet::new();
    for file in rust_files(Path::new(SOURCE)) {
        let module = module_of(&file);
        let layer = position(&module, &file);
        found.insert(module);
        for import in imports(&fs::read_to_string(&file).expect("readable")) {
            let imported = position(&import, &file);
            assert!(imported <= layer, "{}: imports {import}, which is above it", file.display());
        }
    }
    let listed = LAYERS.map(str::to_owned).into_iter().collect();
    assert_eq!(found, listed, "modules found, and modules in LAYERS");
}

#[test]
fn imports_are_found_in_every_form() {
    let source = "use crate::a::B;\nuse crate::{c, d::{E, F}};\n/// [`crate::not_this`]\nfn f() { crate::g::h() }\n\
        #[cfg(test)]\nmod tests { use crate::not_that; }";
    assert_eq!(imports(source), ["a", "c", "d", "g"].map(str::to_owned).into());
}

fn position(module: &str, file: &Path) -> usize {
    let position = LAYERS.iter().position(|layer| *layer == module);
    position.unwrap_or_else(|| panic!("{}: module {module} is not in LAYERS", file.display()))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries
        .flat_map(|path| match path.is_dir() {
            true => rust_files(&path),
            false => vec![path],
        })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        // These files are compiled for tests only.
        .filter(|path| !path.ends_with("tests.rs"))
        .collect()
}

/// Returns the first component of the path below `SOURCE`.
fn module_of(file: &Path) -> String {
    let relative = file.strip_prefix(SOURCE).expect("below the source folder");
    let first = relative.components().next().expect("a component").as_os_str();
    first.to_str().expect("UTF-8").trim_end_matches(".rs").to_owned()
}

/// Returns the top-level modules that `source` names after `crate::`, outside comments and tests.
fn imports(source: &str) -> BTreeSet<String> {
    let code = source.split("#[cfg(test)]\nmod tests").next().expect("a part");
    let code: String = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let mut found = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            Some(list) => found.extend(top_level_names(list)),
            None => found.extend(name(rest)),
        }
    }
    // Exported macros and types at the root are defined in a module that is imported as well.
    found.retain(|name| name.starts_with(char::is_lowercase));
    found
}

/// Returns the names at the first level of `a, b::{C, D}}...`.
fn top_level_names(list: &str) -> Vec<String> {
    let (mut depth, mut names, mut starts) = (0, Vec::new(), true);
    for (at, character) in list.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => starts = true,
            _ if starts && !character.is_whitespace() => {
                starts = false;
                names.extend(name(&list[at..]));
            }
            _ => {}
        }
    }
    names
}

fn name(text: &str) -> Option<String> {
    let end = text.find(|it: char| !(it.is_alphanumeric() || it == '_')).unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}
