//! The folders of `src` are layers: a file uses its own folder and lower layers only.
//!
//! The check reads `use` declarations and paths that begin with `crate`, `super` or `self`. It ignores
//! comments, strings, and everything from the first `#[cfg(test)]` of a file on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// The layers, highest first. Names are folders or files of `src`; those of one entry form one layer.
const LAYERS: [&[&str]; 14] = [
    &["main", "lib"],
    &["commands"],
    &["cli"],
    &["server"],
    &["endpoints"],
    &["rooms"],
    &["session"],
    &["http"],
    &["transport"],
    &["protocol"],
    &["tls"],
    &["metrics"],
    &["platform"],
    &["config", "error", "logging", "allocator"],
];

/// Source files: names relative to `src`, with `/`, and their text.
type Sources = BTreeMap<String, String>;

/// A use of one file by another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Arrow {
    from: String,
    line: usize,
    to: String,
}

/// Replaces comments, strings and character literals by spaces, and drops everything from `#[cfg(test)]` on.
/// Line numbers stay as they are.
fn code_of(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let length = skipped_length(&chars[at..], code.chars().next_back());
        if length == 0 {
            code.push(chars[at]);
            at += 1;
        } else {
            let skipped = &chars[at..(at + length).min(chars.len())];
            code.extend(skipped.iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at += length;
        }
    }
    let end = code.find("#[cfg(test)]").unwrap_or(code.len());
    code.truncate(end);
    code
}

/// Returns the length of a comment or literal that begins here; 0 if none does.
fn skipped_length(rest: &[char], before: Option<char>) -> usize {
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    match rest {
        ['/', '/', ..] => rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()),
        ['/', '*', ..] => block_comment_length(rest),
        ['r', '"' | '#', ..] if !in_word => raw_string_length(rest),
        ['b', 'r', '"' | '#', ..] if !in_word => 1 + raw_string_length(&rest[1..]),
        ['"', ..] => quoted_length(rest, '"'),
        ['\'', '\\', ..] | ['\'', _, '\'', ..] => quoted_length(rest, '\''),
        _ => 0,
    }
}

fn block_comment_length(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match &rest[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// Returns 0 for a raw identifier, such as `r#type`.
fn raw_string_length(rest: &[char]) -> usize {
    let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
    if rest.get(1 + hashes) != Some(&'"') {
        return 0;
    }
    let body = 2 + hashes;
    let closes = |at: &usize| {
        rest[*at] == '"' && rest[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes
    };
    (body..rest.len()).find(closes).map_or(rest.len(), |at| at + 1 + hashes)
}

fn quoted_length(rest: &[char], quote: char) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// Splits code into words, `::` and single characters, each with its line.
fn tokens_of(code: &str) -> Vec<(usize, String)> {
    let mut tokens = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            let length = match word {
                0 if rest.starts_with("::") => 2,
                0 => first.len_utf8(),
                word => word,
            };
            tokens.push((number + 1, rest[..length].to_owned()));
            rest = rest[length..].trim_start();
        }
    }
    tokens
}

/// Returns the paths of `use` declarations, and all others that begin with `crate`, `super` or `self`, with
/// their lines.
fn paths_of(code: &str) -> Vec<(usize, Vec<String>)> {
    let tokens = tokens_of(code);
    let word = |at: usize| tokens.get(at).map_or("", |(_, token)| token.as_str());
    let mut paths = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let starts = ["crate", "super", "self"].contains(&word(at)) && word(at + 1) == "::";
        let follows = at > 0 && word(at - 1) == "::";
        let raw = at > 0 && word(at - 1) == "#";
        if word(at) == "use" && !raw {
            at = read_tree(&tokens, at + 1, &[], &mut paths);
        } else if starts && !follows {
            at = read_tree(&tokens, at, &[], &mut paths);
        } else {
            at += 1;
        }
    }
    paths
}

/// Reads a path, with its branches in braces. Returns the position behind it.
fn read_tree(
    tokens: &[(usize, String)],
    mut at: usize,
    prefix: &[String],
    paths: &mut Vec<(usize, Vec<String>)>,
) -> usize {
    let word = |at: usize| tokens.get(at).map_or("", |(_, token)| token.as_str());
    let line = tokens.get(at).map_or(0, |(line, _)| *line);
    let mut path = prefix.to_vec();
    loop {
        match word(at) {
            "{" => {
                at += 1;
                while !["}", ""].contains(&word(at)) {
                    at = read_tree(tokens, at, &path, paths);
                    at += usize::from(word(at) == ",");
                }
                return at + 1;
            }
            name if name.starts_with(|c: char| c.is_alphabetic() || c == '_') => path.push(name.to_owned()),
            // `*`, or the type of a generic argument.
            _ => break,
        }
        at += 1;
        if word(at) != "::" {
            break;
        }
        at += 1;
    }
    paths.push((line, path));
    // At least one token is read, so that the caller makes progress; an alias, a glob or a stray token is
    // skipped.
    match word(at) {
        "as" => at + 2,
        "," | "}" | ";" => at,
        _ => at + 1,
    }
}

/// Returns the module path of a file: `a/b.rs` is `a::b`, `a/mod.rs` is `a`, `lib.rs` is the root.
fn module_of(file: &str) -> Vec<&str> {
    let name = file.trim_end_matches(".rs");
    match name {
        "lib" | "main" => Vec::new(),
        _ => name.strip_suffix("/mod").unwrap_or(name).split('/').collect(),
    }
}

/// Returns the file in which a path of another file is found; `None` for a path that leaves the crate.
fn target_of(sources: &Sources, file: &str, path: &[String]) -> Option<String> {
    let mut module: Vec<&str> = module_of(file);
    let mut names = path.iter().map(String::as_str).peekable();
    match *names.peek()? {
        "crate" => module.clear(),
        "super" | "self" => {}
        // A module inside this one, or another crate.
        first => {
            let inner = [&module[..], &[first]].concat().join("/");
            let exists = |file: String| sources.contains_key(&file);
            let is_module = exists(format!("{inner}.rs")) || exists(format!("{inner}/mod.rs"));
            if !is_module || !(file.ends_with("/mod.rs") || module.is_empty()) {
                return None;
            }
        }
    }
    for name in names {
        match name {
            "crate" | "self" => {}
            "super" => drop(module.pop()),
            name => module.push(name),
        }
    }
    // The longest beginning that is a module.
    (1..=module.len())
        .rev()
        .flat_map(|length| {
            let name = module[..length].join("/");
            [format!("{name}.rs"), format!("{name}/mod.rs")]
        })
        .find(|file| sources.contains_key(file))
        .or_else(|| Some("lib.rs".to_owned()))
}

fn arrows_of(sources: &Sources) -> BTreeSet<Arrow> {
    let mut arrows = BTreeSet::new();
    for (from, text) in sources {
        for (line, path) in paths_of(&code_of(text)) {
            if let Some(to) = target_of(sources, from, &path).filter(|to| to != from) {
                arrows.insert(Arrow { from: from.clone(), line, to });
            }
        }
    }
    arrows
}

/// Returns the folder or, directly in `src`, the name of a file.
fn unit_of(file: &str) -> &str {
    file.split_once('/').map_or(file.trim_end_matches(".rs"), |(folder, _)| folder)
}

/// Returns the number of a file's layer, 0 for the highest.
fn layer_of(file: &str) -> Option<usize> {
    LAYERS.iter().position(|names| names.contains(&unit_of(file)))
}

/// Returns a line for each file outside the layers and for each arrow that points upward.
fn upward_arrows(sources: &Sources) -> Vec<String> {
    let unknown = sources.keys().filter(|file| layer_of(file).is_none());
    let unknown = unknown.map(|file| format!("src/{file}: `{}` is no layer", unit_of(file)));
    let arrows = arrows_of(sources);
    let upward = arrows.iter().filter(|arrow| layer_of(&arrow.from) > layer_of(&arrow.to));
    let upward =
        upward.map(|Arrow { from, line, to }| format!("src/{from}:{line} uses src/{to}, a higher layer"));
    unknown.chain(upward).collect()
}

/// Returns a line for each circle of files in one layer: one circle for each arrow that closes it.
fn circles(sources: &Sources) -> Vec<String> {
    let root = |file: &str| ["main.rs", "lib.rs"].contains(&file);
    let inside: Vec<Arrow> = arrows_of(sources)
        .into_iter()
        .filter(|arrow| {
            layer_of(&arrow.from) == layer_of(&arrow.to) && !root(&arrow.from) && !root(&arrow.to)
        })
        .collect();
    let mut seen = BTreeSet::new();
    let mut reports = Vec::new();
    for first in &inside {
        let Some(back) = shortest_way(&inside, &first.to, &first.from) else { continue };
        let circle: Vec<&Arrow> = std::iter::once(first).chain(back).collect();
        let files: BTreeSet<&str> = circle.iter().map(|arrow| arrow.from.as_str()).collect();
        if seen.insert(files) {
            let mut report = String::from("a circle:");
            for Arrow { from, line, to } in circle {
                write!(report, " src/{from}:{line} uses src/{to};").unwrap();
            }
            reports.push(report);
        }
    }
    reports
}

/// Returns the shortest chain of arrows from one file to another.
fn shortest_way<'a>(arrows: &'a [Arrow], from: &str, to: &str) -> Option<Vec<&'a Arrow>> {
    let mut ways: Vec<Vec<&Arrow>> =
        arrows.iter().filter(|arrow| arrow.from == from).map(|a| vec![a]).collect();
    let mut visited = BTreeSet::from([from]);
    while !ways.is_empty() {
        if let Some(way) = ways.iter().find(|way| way[way.len() - 1].to == to) {
            return Some(way.clone());
        }
        ways = ways
            .into_iter()
            .filter(|way| visited.insert(way[way.len() - 1].to.as_str()))
            .flat_map(|way| {
                let end = &way[way.len() - 1].to;
                let next = arrows.iter().filter(move |arrow| arrow.from == *end);
                next.map(move |arrow| [&way[..], &[arrow]].concat()).collect::<Vec<_>>()
            })
            .collect();
    }
    None
}

/// Returns a line for each `mod.rs` that has more than attributes, `mod` and `use`: its first other
/// statement.
fn crowded_mod_files(sources: &Sources) -> Vec<String> {
    let crowded = |(file, text): (&String, &String)| {
        let code = code_of(text);
        let tokens = tokens_of(&code);
        let mut at = 0;
        let word = |at: usize| tokens.get(at).map_or("", |(_, token)| token.as_str());
        let behind = |at: usize, end: &str| {
            (at..tokens.len()).find(|at| word(*at) == end).map_or(tokens.len(), |at| at + 1)
        };
        while at < tokens.len() {
            let start = at;
            while word(at) == "#" {
                at = behind(at, "]");
            }
            if word(at) == "pub" {
                at = if word(at + 1) == "(" { behind(at, ")") } else { at + 1 };
            }
            let module = word(at) == "mod" && word(at + 2) == ";";
            if !module && word(at) != "use" && at < tokens.len() {
                return Some(format!("src/{file}:{} has more than `mod` and `use`", tokens[start].0));
            }
            at = behind(at, ";");
        }
        None
    };
    sources.iter().filter(|(file, _)| file.ends_with("/mod.rs")).filter_map(crowded).collect()
}

/// Reads the files of a folder and of those in it.
fn read_folder(folder: &Path, prefix: &str, sources: &mut Sources) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.path().is_dir() {
            read_folder(&entry.path(), &format!("{name}/"), sources);
        } else if entry.path().extension().is_some_and(|extension| extension == "rs") {
            sources.insert(name, fs::read_to_string(entry.path()).unwrap());
        }
    }
}

fn server_sources() -> Sources {
    let mut sources = Sources::new();
    read_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut sources);
    assert!(sources.len() > 50 && sources.contains_key("lib.rs"), "{:?}", sources.keys());
    assert!(arrows_of(&sources).len() > 200, "{:?}", arrows_of(&sources));
    sources
}

fn check(violations: &[String]) {
    assert!(violations.is_empty(), "{} violations:\n{}", violations.len(), violations.join("\n"));
}

#[test]
fn layers_have_no_upward_arrow() {
    check(&upward_arrows(&server_sources()));
}

#[test]
fn layers_have_no_circle_of_files() {
    check(&circles(&server_sources()));
}

#[test]
fn layers_have_mod_files_without_code() {
    check(&crowded_mod_files(&server_sources()));
}

mod unit_tests;
