//! Checks the dependencies between the parts of the library and between its files, based on the paths in the sources.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};

use crate::tidy::is_test;

/// The path of a module from the root of its crate.
type Module = Vec<String>;

/// A source file that is not a test.
struct Source {
    name: String,
    module: Module,
    file: syn::File,
}

/// Reads the sources of the crate in this directory of the workspace.
fn sources(directory: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(directory).join("src");
    let mut directories = vec![root.clone()];
    let mut sources = Vec::new();
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).expect("a directory") {
            let path: PathBuf = entry.expect("an entry").path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            let name = path.strip_prefix(&root).expect("below the root").to_string_lossy().into_owned();
            if is_test(&format!("/{name}")) || path.extension().is_none_or(|ending| ending != "rs") {
                continue;
            }
            let mut module: Module = name.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
            // The program of a package with a library is a crate of its own, which nothing here can name.
            let is_program = name == "main.rs" && root.join("lib.rs").exists();
            module.pop_if(|last| ["mod", "lib", "main"].contains(&last.as_str()) && !is_program);
            let file = syn::parse_file(&fs::read_to_string(&path).expect("UTF-8")).expect("Rust");
            sources.push(Source { name, module, file });
        }
    }
    sources
}

fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let is_test = |list: &syn::MetaList| {
            list.path.is_ident("cfg")
                && list.tokens.to_string().split(|c: char| !c.is_alphanumeric()).any(|word| word == "test")
        };
        attribute.meta.require_list().is_ok_and(is_test)
    })
}

/// Collects the paths in a file, in `use` items and elsewhere.
#[derive(Default)]
struct Paths {
    /// The names that `use` items introduce, with their paths.
    imports: Vec<(String, Vec<String>)>,
    others: Vec<Vec<String>>,
}

impl Paths {
    fn of(file: &syn::File) -> Self {
        let mut paths = Self::default();
        paths.visit_file(file);
        paths
    }

    fn add_use(&mut self, tree: &syn::UseTree, mut before: Vec<String>) {
        match tree {
            syn::UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.add_use(&path.tree, before);
            }
            syn::UseTree::Name(name) => self.add_import(name.ident.to_string(), &name.ident, before),
            syn::UseTree::Rename(rename) => self.add_import(rename.rename.to_string(), &rename.ident, before),
            syn::UseTree::Glob(_) => self.imports.push(("*".to_owned(), before)),
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.add_use(tree, before.clone())),
        }
    }

    fn add_import(&mut self, name: String, ident: &syn::Ident, mut path: Vec<String>) {
        let name = if name == "self" { path.last().cloned().unwrap_or_default() } else { name };
        if ident != "self" {
            path.push(ident.to_string());
        }
        self.imports.push((name, path));
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let attributes = match item {
            syn::Item::Fn(item) => &item.attrs,
            syn::Item::Impl(item) => &item.attrs,
            syn::Item::Mod(item) => &item.attrs,
            syn::Item::Use(item) => &item.attrs,
            _ => return visit::visit_item(self, item),
        };
        if !is_for_tests(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_for_tests(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        if !is_for_tests(&local.attrs) {
            visit::visit_local(self, local);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.add_use(&item.tree, Vec::new());
    }

    /// The path in `pub(super)` is not a use.
    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.others.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }
}

/// The modules of a crate, each with the paths in its file.
struct Crate {
    paths: BTreeMap<Module, Paths>,
    names: BTreeMap<Module, String>,
}

impl Crate {
    fn library() -> Self {
        let library = Self::read("crates/mixpanel-data");
        assert!(library.paths.len() > 50, "the sources were not found");
        library
    }

    fn read(directory: &str) -> Self {
        let sources = sources(directory);
        let names = sources.iter().map(|source| (source.module.clone(), source.name.clone())).collect();
        let paths = sources.iter().map(|source| (source.module.clone(), Paths::of(&source.file))).collect();
        Self { paths, names }
    }

    /// Returns the module that defines a path used in `from`; `None` if it is not in the library.
    fn resolve(&self, from: &Module, path: &[String], depth: usize) -> Option<Module> {
        let mut module = from.clone();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => (module, rest) = (Vec::new(), &path[1..]),
            "self" => rest = &path[1..],
            "super" => {
                while rest.first().is_some_and(|first| first == "super") {
                    module.pop()?;
                    rest = &rest[1..];
                }
            }
            first => {
                module.push(first.to_owned());
                if !self.paths.contains_key(&module) {
                    return None;
                }
                rest = &path[1..];
            }
        }
        while let Some(first) = rest.first() {
            module.push(first.clone());
            if !self.paths.contains_key(&module) {
                module.pop();
                break;
            }
            rest = &rest[1..];
        }
        let Some(name) = rest.first().filter(|_| depth < 8) else { return Some(module) };
        // A name that the module imports, usually to re-export it, is defined elsewhere.
        let import = self.paths.get(&module)?.imports.iter().find(|(known, _)| known == name);
        let imported = import.and_then(|(_, path)| self.resolve(&module, path, depth + 1));
        Some(imported.unwrap_or(module))
    }

    /// Returns the modules that each module uses.
    fn edges(&self) -> BTreeMap<&Module, BTreeSet<Module>> {
        let of = |(module, paths): (&'_ Module, &Paths)| {
            // The imports in a `mod.rs` are re-exports and do not count as uses.
            let is_facade = self.names[module].ends_with("mod.rs") || module.is_empty();
            let imports = paths.imports.iter().filter(|_| !is_facade).map(|(_, path)| path);
            let used = imports.chain(&paths.others).filter_map(|path| self.resolve(module, path, 0));
            used.filter(|used| used != module).collect()
        };
        self.paths.iter().map(|entry| (entry.0, of(entry))).collect()
    }
}

/// The rooms of the library, each with the rooms and files that it may use. Files that belong to no room are below all
/// of them. `api`, `stage` and `load` are independent of each other; `fetch` connects them.
const ROOMS: [(&str, &[&str]); 11] = [
    ("api", &["parse", "quota"]),
    ("parse", &[]),
    ("quota", &[]),
    ("stage", &["parse"]),
    ("store", &[]),
    (
        "load",
        &[
            "store",
            "parse/rows.rs",
            "parse/catalog.rs",
            "parse/collector.rs",
            "parse/property_kind.rs",
            "parse/events/catalogs.rs",
        ],
    ),
    ("fetch", &["api", "parse", "quota", "stage", "store", "load", "fetch/core", "fetch/profiles", "fetch/events"]),
    // The core is independent of the dataset: it uses only the exports of `fetch/source.rs` and the failures of the
    // API.
    (
        "fetch/core",
        &[
            "fetch",
            "fetch/events/receive.rs",
            "fetch/profiles/page.rs",
            "fetch/profiles/prior_run.rs",
            "quota",
            "api/failure.rs",
            "api/rate_limit.rs",
            "api/retry.rs",
            "parse/unstored.rs",
            "stage/manifest.rs",
            "stage/slice_plan.rs",
        ],
    ),
    ("fetch/profiles", &["fetch", "fetch/core/outcome.rs", "fetch/core/parts.rs", "api", "parse", "quota", "stage"]),
    (
        "fetch/events",
        &[
            "fetch",
            "fetch/core/outcome.rs",
            "fetch/core/parts.rs",
            "fetch/profiles/prior_run.rs",
            "api",
            "parse",
            "quota",
            "stage",
            "store",
        ],
    ),
    ("workspace", &["api", "fetch", "fetch/events", "parse", "quota", "stage", "store", "load"]),
];

/// Files without a room that use one: public results contain rows, row sums count rejects, and benchmarks call into
/// rooms.
const ABOVE: [&str; 4] = ["lib.rs", "types.rs", "row_sum.rs", "benchmarks.rs"];

/// Returns the room that a file belongs to.
fn room(name: &str) -> Option<&'static str> {
    let is_in = |room: &&str| name.strip_prefix(*room).is_some_and(|rest| rest.starts_with(['/', '.']));
    ROOMS.iter().map(|(room, _)| *room).filter(is_in).max_by_key(|room| room.len())
}

#[test]
fn library_layers_use_only_allowed_modules() {
    let library = Crate::library();
    let mut problems = BTreeSet::new();
    for (module, used) in library.edges() {
        let name = &library.names[module];
        let Some(own) = room(name) else { continue };
        let may = ROOMS.iter().find(|(room, _)| *room == own).map_or(&[][..], |(_, may)| may);
        for used in used.iter().map(|used| &library.names[used]) {
            let Some(other) = room(used).filter(|other| *other != own) else { continue };
            if !may.contains(&other) && !may.contains(&used.as_str()) {
                problems.insert(format!("{name} uses {used}"));
            }
        }
    }
    assert!(problems.is_empty(), "\n{}\n", problems.into_iter().collect::<Vec<_>>().join("\n"));
}

/// Files below all rooms may not use any room.
#[test]
fn modules_below_all_layers_use_none() {
    let library = Crate::library();
    let mut problems = BTreeSet::new();
    for (module, used) in library.edges() {
        let name = &library.names[module];
        if room(name).is_none() && !ABOVE.contains(&name.as_str()) {
            let used = used.iter().map(|used| &library.names[used]).filter(|used| room(used).is_some());
            problems.extend(used.map(|used| format!("{name} uses {used}")));
        }
    }
    assert!(problems.is_empty(), "\n{}\n", problems.into_iter().collect::<Vec<_>>().join("\n"));
}

/// Returns the dependency cycles of a crate: files that use each other, directly or indirectly. A file and those in its
/// directory count as one.
fn circles(krate: &Crate) -> BTreeSet<String> {
    let edges = krate.edges();
    let reached = |from: &Module| {
        let mut reached = BTreeSet::new();
        let mut next: Vec<&Module> = vec![from];
        while let Some(module) = next.pop() {
            for used in edges.get(module).into_iter().flatten() {
                if reached.insert(used) {
                    next.push(used);
                }
            }
        }
        reached
    };
    let all: BTreeMap<&Module, BTreeSet<&Module>> = edges.keys().map(|module| (*module, reached(module))).collect();
    let mut circles = BTreeSet::new();
    for (module, reached) in &all {
        let is_back = |other: &&&Module| all.get(**other).is_some_and(|back| back.contains(module));
        let circle: Vec<&Module> = reached.iter().filter(is_back).copied().collect();
        let is_one = circle.iter().any(|whole| circle.iter().all(|part| part.starts_with(whole)));
        if !circle.is_empty() && !is_one {
            let uses = |module: &Module| {
                let used = edges[module].iter().filter(|used| circle.contains(used));
                let used: Vec<&str> = used.map(|used| krate.names[used].as_str()).collect();
                format!("{} uses {}", krate.names[module], used.join(", "))
            };
            circles.insert(circle.iter().map(|module| uses(module)).collect::<Vec<_>>().join("\n"));
        }
    }
    circles
}

#[test]
fn modules_have_no_dependency_cycles() {
    let crates = ["crates/mixpanel-data", "crates/mp", "crates/mixpanel-simulator", "xtask"];
    let circles: Vec<String> = crates
        .into_iter()
        .flat_map(|directory| {
            circles(&Crate::read(directory)).into_iter().map(move |circle| format!("{directory}:\n{circle}"))
        })
        .collect();
    assert!(circles.is_empty(), "\n{}\n", circles.join("\n\n"));
}

/// The command is also run by a Python script, where the arguments of the process begin with the interpreter.
#[test]
fn only_the_program_itself_reads_its_arguments() {
    let command = Crate::read("crates/mp");
    let reads =
        |path: &Vec<String>| path.iter().any(|name| ["args", "args_os", "current_exe"].contains(&name.as_str()));
    let readers: Vec<&str> = command
        .paths
        .iter()
        .filter(|(_, paths)| paths.others.iter().chain(paths.imports.iter().map(|(_, path)| path)).any(reads))
        .map(|(module, _)| command.names[module].as_str())
        .collect();
    assert_eq!(readers, ["main.rs"]);
}

#[test]
fn paths_are_collected_from_everywhere_in_a_file() {
    let text = "use crate::{stage, store::{self, query as q}};
        fn f() { crate::api::send(super::x::Y::new()); }
        #[cfg(test)] mod tests { use crate::fetch; }";
    let paths = Paths::of(&syn::parse_file(text).unwrap());
    let imports: Vec<String> = paths.imports.iter().map(|(name, path)| format!("{name}={}", path.join("::"))).collect();
    assert_eq!(imports, ["stage=crate::stage", "store=crate::store", "q=crate::store::query"]);
    let others: Vec<String> = paths.others.iter().map(|path| path.join("::")).collect();
    assert_eq!(others, ["crate::api::send", "super::x::Y::new"]);
}
