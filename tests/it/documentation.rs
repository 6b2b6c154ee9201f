//! The README's tables, compared with the program.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value as Json;

use crate::endpoints::table;
use crate::harness::TestServer;
use crate::server_process::command;

/// A row of a table: its cells by the names of their columns.
type Row = BTreeMap<String, String>;

/// Returns the rows of the tables that have all these columns, whatever their order.
fn tables_with(markdown: &str, columns: &[&str]) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut header: Option<Vec<String>> = None;
    for line in markdown.lines() {
        let Some(cells) = cells_of(line) else {
            header = None;
            continue;
        };
        let Some(names) = &header else {
            header = Some(cells.into_iter().map(|name| name.to_lowercase()).collect());
            continue;
        };
        let is_rule = cells.iter().all(|cell| !cell.is_empty() && cell.chars().all(|c| "-:".contains(c)));
        let is_wanted = columns.iter().all(|column| names.iter().any(|name| name == column));
        if is_wanted && !is_rule {
            assert_eq!(cells.len(), names.len(), "cells and columns: {line}");
            rows.push(names.iter().cloned().zip(cells).collect());
        }
    }
    assert!(!rows.is_empty(), "README.md has no table with the columns {columns:?}");
    rows
}

/// Returns the cells of a line of a table; `None` for any other line.
fn cells_of(line: &str) -> Option<Vec<String>> {
    let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    let inner = inner.replace("\\|", "\u{0}");
    Some(inner.split('|').map(|cell| cell.trim().replace('\u{0}', "|")).collect())
}

/// Returns the texts in backticks.
fn code_spans(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

fn readme() -> String {
    fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap()
}

/// An option: its name, the name of its value, and its default. The latter two may be empty.
type CommandOption = (String, String, String);

/// Returns an option without quotes and spaces around its default.
fn option(name: &str, value: &str, default: &str) -> CommandOption {
    let words: Vec<_> = default.trim_matches(['`', '"']).split_whitespace().collect();
    (name.to_owned(), value.to_owned(), words.join(" "))
}

/// Returns the options of a help text, except `--help` and `--version`.
fn options_of_help(help: &str) -> BTreeSet<CommandOption> {
    let mut entries: Vec<(String, String)> = Vec::new();
    for line in help.lines() {
        let (text, indent) = (line.trim(), line.len() - line.trim_start().len());
        let long = text.split_once("--").filter(|(before, _)| before.is_empty() || before.ends_with(", "));
        match long {
            // clap indents options by at most 6, and their descriptions more.
            Some((_, rest)) if indent <= 6 => entries.push((rest.to_owned(), String::new())),
            // An empty line ends the text of an option.
            _ if text.is_empty() => entries.push(<_>::default()),
            _ => {
                if let Some((_, description)) = entries.last_mut() {
                    description.extend([" ", text]);
                }
            }
        }
    }
    let options = entries.iter().filter(|(usage, _)| !usage.is_empty()).map(|(usage, text)| {
        let all = format!("{usage} {text}");
        let name = usage.split([' ', '=']).next().unwrap();
        let value = usage[name.len()..].trim_start().strip_prefix('<').and_then(|rest| rest.split_once('>'));
        let default = all.split_once("[default: ").and_then(|(_, rest)| rest.split_once(']'));
        option(
            &format!("--{name}"),
            value.map_or("", |(value, _)| value),
            default.map_or("", |(default, _)| default),
        )
    });
    options.filter(|(name, ..)| !["--help", "--version"].contains(&name.as_str())).collect()
}

/// Returns the options of the table with the columns `option` and `default`. A row may have several options.
fn options_of_readme(readme: &str) -> BTreeSet<CommandOption> {
    let rows = tables_with(readme, &["option", "default"]);
    let options = rows.iter().flat_map(|row| {
        let spans = code_spans(&row["option"]).into_iter().filter(|span| span.starts_with("--"));
        spans.map(|span| {
            let (name, value) = span.split_once(' ').unwrap_or((span, ""));
            option(name, value, &row["default"])
        })
    });
    options.collect()
}

#[test]
fn readme_options_are_those_of_the_help() {
    let help = command(&["--help"]).output().unwrap();
    assert!(help.status.success());
    let (readme, help) =
        (options_of_readme(&readme()), options_of_help(str::from_utf8(&help.stdout).unwrap()));
    assert!(help.len() >= 15, "{help:?}");
    let only_readme: Vec<_> = readme.difference(&help).collect();
    let only_help: Vec<_> = help.difference(&readme).collect();
    assert!(
        only_readme.is_empty() && only_help.is_empty(),
        "README.md alone has {only_readme:#?}\nand --help alone has {only_help:#?}\n(option, value, default)"
    );
}

#[test]
fn readme_options_and_help_are_parsed() {
    let help = "Usage: ws-echo [OPTIONS]\n\nOptions:\n  -h, --help\n          Print help\n\nCapacity:\n      \
                --listen <HOST:PORT>  Where to listen; see\n                  \
                --tls-listen [default:\n                            1:2]\n      \
                --prefix <TEXT>\n          Prefix [default: \"a: \"]\n\n      --quiet  Less\n\nText with [default: no]\n";
    let wanted = BTreeSet::from([
        option("--listen", "HOST:PORT", "1:2"),
        option("--prefix", "TEXT", "a:"),
        option("--quiet", "", ""),
    ]);
    assert_eq!(options_of_help(help), wanted);
    let readme = "| a | b |\n|---|---|\n| `--x` | |\n\n| Default | what | Option |\n|:--|---|---|\n| `1:2` | a \\| b | `--listen HOST:PORT` |\n\
                  | `a: ` | | `--prefix TEXT` |\n| | | `--quiet` |\n\n| x |\n";
    assert_eq!(options_of_readme(readme), wanted);
}

/// An endpoint: its path, its parameters with their defaults, and its summary.
type Endpoint = (String, Vec<String>, String);

/// Returns the endpoints that the server lists.
fn endpoints_of_server() -> Vec<Endpoint> {
    let text = |value: &Json| value.as_str().unwrap().to_owned();
    let parameter = |parameter: &Json| {
        let (name, default) = (text(&parameter["name"]), text(&parameter["default"]));
        if default.is_empty() { name } else { format!("{name}={default}") }
    };
    let endpoints = table(&TestServer::start());
    let endpoints = endpoints.iter().map(|endpoint| {
        let parameters = endpoint["parameters"].as_array().unwrap().iter().map(parameter).collect();
        (text(&endpoint["path"]), parameters, text(&endpoint["summary"]))
    });
    endpoints.collect()
}

/// Returns the only column whose name contains a word.
fn column<'a>(row: &'a Row, word: &str) -> &'a str {
    let mut columns = row.iter().filter(|(name, _)| name.contains(word));
    let found = columns.next().unwrap_or_else(|| panic!("no column with `{word}` in {row:?}"));
    assert!(columns.next().is_none(), "two columns with `{word}` in {row:?}");
    found.1
}

#[test]
fn readme_endpoints_are_those_of_the_server() {
    let endpoints = endpoints_of_server();
    assert!(endpoints.len() >= 16, "{endpoints:?}");
    let readme = readme();
    // The table is the one with the column `path`; the other columns are found by a word in their name.
    let rows = tables_with(&readme, &["path"]);
    let listed: Vec<Endpoint> = rows
        .iter()
        .map(|row| {
            let path = code_spans(column(row, "path")).concat();
            let parameters = code_spans(column(row, "parameters")).into_iter().map(str::to_owned).collect();
            (path, parameters, column(row, "what happens").to_owned())
        })
        .collect();
    for (listed, endpoint) in listed.iter().zip(&endpoints) {
        assert_eq!(listed, endpoint, "README.md and GET /endpoints");
    }
    assert_eq!(listed.len(), endpoints.len(), "README.md and GET /endpoints");
}
