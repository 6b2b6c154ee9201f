//! Part of the build script: joins the files of `html/` into one document and one script.
//!
//! A module becomes a function that returns its exports, so names of different modules do not collide. This
//! takes the forms of `import` and `export` that the page uses, each at the start of a line, and fails the
//! build at any other.

use std::fmt::Write;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// The files of the page as the server sends them.
pub(crate) struct Page {
    /// The document, with its style sheet.
    pub(crate) document: String,
    /// All modules.
    pub(crate) script: String,
    /// The text of the style sheet in the document.
    pub(crate) style: String,
}

/// Joins the files of a folder. `version` gets into the document. `tag_of` returns a text that changes with
/// the script, for its URL.
///
/// # Errors
/// A sentence that names the file and the problem.
pub(crate) fn bundle(folder: &Path, version: &str, tag_of: impl Fn(&str) -> String) -> Result<Page, String> {
    let mut modules = Vec::new();
    add_module(folder, Path::new("main.js"), &mut Vec::new(), &mut modules)?;
    let script: String = modules.iter().map(|(_, code)| code.as_str()).collect();
    let source = read(folder, Path::new("index.html"))?;
    let (mut document, mut style) = (String::new(), String::new());
    for line in source.lines() {
        let trimmed = line.trim();
        if let Some(rest) = trimmed.strip_prefix("<link rel=\"stylesheet\" href=\"") {
            let name = rest.split('"').next().unwrap_or_default();
            style.push_str(&without_comments(&read(folder, Path::new(name))?, "/*", "*/"));
        } else if trimmed.starts_with("<script ") {
            let _ = write!(
                document,
                "<style>{style}</style>\n<script type=\"module\" src=\"page.js?{}\"></script>\n",
                tag_of(&script)
            );
        } else if trimmed == "<meta name=\"generator\" content=\"ws-echo\">" {
            let _ = writeln!(document, "<meta name=\"generator\" content=\"ws-echo {version}\">");
        } else {
            document.push_str(trimmed);
            document.push('\n');
        }
    }
    Ok(Page { document, script, style })
}

fn read(folder: &Path, name: &Path) -> Result<String, String> {
    fs::read_to_string(folder.join(name)).map_err(|error| format!("html/{}: {error}", name.display()))
}

/// Adds a module behind those that it imports. A module that is there already is not added again. `importers`
/// are the modules that are being added, to find a circle.
fn add_module(
    folder: &Path,
    name: &Path,
    importers: &mut Vec<PathBuf>,
    modules: &mut Vec<(PathBuf, String)>,
) -> Result<(), String> {
    if modules.iter().any(|(other, _)| other == name) {
        return Ok(());
    }
    if importers.iter().any(|importer| importer == name) {
        return Err(format!("html/{}: the module imports itself by way of others", name.display()));
    }
    importers.push(name.to_owned());
    let failed = |line: &str| format!("html/{}: the bundler does not support `{line}`", name.display());
    let source = without_comments(&read(folder, name)?, "/**", "*/");
    let (mut body, mut exports) = (String::new(), Vec::new());
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("import ") {
            let mut statement = line.to_owned();
            while !statement.contains(" from ") {
                statement.push_str(lines.next().ok_or_else(|| failed(line))?);
            }
            let (names, path) = statement
                .strip_prefix("import {")
                .and_then(|rest| rest.split_once("} from \""))
                .ok_or_else(|| failed(line))?;
            let path = path.strip_suffix("\";").ok_or_else(|| failed(line))?;
            let imported = normalized(&name.parent().unwrap_or(Path::new("")).join(path));
            add_module(folder, &imported, importers, modules)?;
            let _ = writeln!(body, "const {{{}}} = {};", names.replace(" as ", ": "), variable(&imported));
        } else if let Some(declaration) = line.strip_prefix("export ") {
            exports.push(declared_name(declaration).ok_or_else(|| failed(line))?);
            body.push_str(declaration);
            body.push('\n');
        } else if !line.trim_start().starts_with("//") && !line.trim().is_empty() {
            body.push_str(line);
            body.push('\n');
        }
    }
    importers.pop();
    let exports = exports.join(", ");
    let code = format!("const {} = (() => {{\n{body}return {{ {exports} }};\n}})();\n", variable(name));
    modules.push((name.to_owned(), code));
    Ok(())
}

/// Returns the name that a declaration declares.
fn declared_name(declaration: &str) -> Option<String> {
    let rest = ["async function ", "function ", "class ", "const "]
        .iter()
        .find_map(|keyword| declaration.strip_prefix(keyword))?;
    let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!name.is_empty()).then_some(name)
}

/// Returns the name of the variable that holds the exports of a module.
fn variable(name: &Path) -> String {
    name.with_extension("").to_string_lossy().replace(['/', '-'], "_") + "_module"
}

/// Resolves `.` and `..`.
fn normalized(path: &Path) -> PathBuf {
    let mut result = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => drop(result.pop()),
            Component::CurDir => {}
            other => result.push(other),
        }
    }
    result
}

/// Removes comments that begin a line.
fn without_comments(text: &str, open: &str, close: &str) -> String {
    let mut result = String::new();
    let mut is_comment = false;
    for line in text.lines() {
        let starts = line.trim_start().starts_with(open);
        if !is_comment && !starts {
            result.push_str(line);
            result.push('\n');
        }
        is_comment = (is_comment || starts) && !line.contains(close);
    }
    result
}
