//! Tests of the layer check, on made-up sources.

use super::*;

fn sources(files: &[(&str, &str)]) -> Sources {
    files.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect()
}

/// Returns the paths of a text, as lines of code would have them.
fn paths(text: &str) -> Vec<(usize, String)> {
    paths_of(&code_of(text)).into_iter().map(|(line, path)| (line, path.join("::"))).collect()
}

/// Returns the arrows as `file:line target`.
fn arrows(files: &[(&str, &str)]) -> Vec<String> {
    let arrows = arrows_of(&sources(files));
    arrows.iter().map(|Arrow { from, line, to }| format!("{from}:{line} {to}")).collect()
}

#[test]
fn layer_parser_ignores_comments_strings_and_tests() {
    let text = "\
//! See crate::a.
/* use crate::b; /* nested */ use crate::c; */
const A: &str = \"crate::d \\\" crate::e\"; const B: char = '\"'; const C: &[u8] = br#\"use crate::f;\"#;
fn f<'a>(r#use: &'a str) -> char { '\\'' }
use crate::found;
#[cfg(test)]
mod tests { use crate::g; }
";
    assert_eq!(paths(text), [(5, "crate::found".to_owned())]);
}

#[test]
fn layer_parser_reads_trees_aliases_globs_and_several_lines() {
    let text = "\
use crate::a::{self, b as c, d::{e, *}, f::g,
    h};
pub(crate) use super::i as j; use std::fmt;
";
    let wanted = [
        (1, "crate::a::self"),
        (1, "crate::a::b"),
        (1, "crate::a::d::e"),
        (1, "crate::a::d"),
        (1, "crate::a::f::g"),
        (2, "crate::a::h"),
        (3, "super::i"),
        (3, "std::fmt"),
    ];
    assert_eq!(paths(text), wanted.map(|(line, path)| (line, path.to_owned())));
}

#[test]
fn layer_parser_reads_paths_in_code() {
    let text = "fn f(a: &crate::a::A, b: super::b::B<crate::c::C>) {\n    let _ = crate::d::D::<super::e::E> { f: self::f() };\n}";
    let wanted = ["crate::a::A", "super::b::B", "crate::c::C", "crate::d::D", "super::e::E", "self::f"];
    let found: Vec<_> = paths(text).into_iter().map(|(_, path)| path).collect();
    assert_eq!(found, wanted);
}

#[test]
fn layer_arrows_lead_to_the_file_of_the_longest_module_path() {
    let files = [
        (
            "server/accept.rs",
            "use super::queue::Queue; use crate::config::Config; use super::Thing; use std::fmt;",
        ),
        (
            "server/queue.rs",
            "fn f() {\n    crate::protocol::frame::read();\n    super::super::tls::load();\n}",
        ),
        ("server/mod.rs", "mod accept;\nmod queue;\npub use queue::Queue;"),
        ("protocol/frame.rs", "use crate::Error;"),
        ("tls/mod.rs", ""),
        ("config.rs", ""),
        ("lib.rs", "pub use config::Config;"),
    ];
    let wanted = [
        "lib.rs:1 config.rs",
        "protocol/frame.rs:1 lib.rs",
        "server/accept.rs:1 config.rs",
        "server/accept.rs:1 server/mod.rs",
        "server/accept.rs:1 server/queue.rs",
        "server/mod.rs:3 server/queue.rs",
        "server/queue.rs:2 protocol/frame.rs",
        "server/queue.rs:3 tls/mod.rs",
    ];
    assert_eq!(arrows(&files), wanted);
}

#[test]
fn layer_check_reports_upward_arrows_and_unknown_folders() {
    let files = sources(&[
        ("transport/writer.rs", "use crate::config::Config;\n\nuse crate::session::handle::Handle;"),
        ("session/handle.rs", "use crate::transport::writer::Writer;"),
        ("config.rs", ""),
        ("extras/new.rs", ""),
    ]);
    assert_eq!(
        upward_arrows(&files),
        [
            "src/extras/new.rs: `extras` is no layer",
            "src/transport/writer.rs:3 uses src/session/handle.rs, a higher layer",
        ]
    );
}

#[test]
fn layer_check_reports_each_circle_once() {
    let files = sources(&[
        ("http/a.rs", "use super::b::B;"),
        ("http/b.rs", "\nuse super::c::C;"),
        ("http/c.rs", "use super::d::D;\n\nfn f() { super::a::f() }"),
        ("http/d.rs", "use crate::transport::e::E;"),
        ("transport/e.rs", "use super::f::F;"),
        ("transport/f.rs", "#[cfg(test)]\nuse super::e::E;"),
    ]);
    assert_eq!(
        circles(&files),
        ["a circle: src/http/a.rs:1 uses src/http/b.rs; src/http/b.rs:2 uses src/http/c.rs; \
          src/http/c.rs:3 uses src/http/a.rs;"]
    );
}

#[test]
fn layer_check_reports_code_in_mod_files() {
    let files = sources(&[
        (
            "http/mod.rs",
            "//! Docs.\n\n/// More.\n#[cfg(unix)]\npub mod a;\npub(crate) mod b;\npub use a::{A, B};\n",
        ),
        ("tls/mod.rs", "//! Docs.\nmod a;\n\n/// A constant.\npub const A: usize = 1;\n"),
        ("cli/mod.rs", "mod a { }\n"),
        ("cli/values.rs", "fn f() {}"),
    ]);
    assert_eq!(
        crowded_mod_files(&files),
        ["src/cli/mod.rs:1 has more than `mod` and `use`", "src/tls/mod.rs:5 has more than `mod` and `use`"]
    );
}
