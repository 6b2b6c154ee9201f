//! Measures parts of the server by themselves.
//!
//! ```sh
//! cargo run --release -p ws-echo-benches               # all of them
//! cargo run --release -p ws-echo-benches -- inspector  # one of them
//! ```
//!
//! Figures depend on the machine; compare only those of one machine and one run.

mod deflate;
mod inspector;

use std::env;
use std::process::ExitCode;

/// The measurements and their names.
const BENCHES: [(&str, fn()); 2] = [("inspector", inspector::run), ("deflate", deflate::run)];

fn main() -> ExitCode {
    let asked: Vec<String> = env::args().skip(1).collect();
    let is_known = |name: &String| BENCHES.iter().any(|(known, _)| known == name);
    if !asked.iter().all(is_known) {
        eprintln!("usage: cargo run --release -p ws-echo-benches -- [inspector] [deflate]");
        return ExitCode::from(2);
    }
    if cfg!(debug_assertions) {
        eprintln!("this is a debug build; add --release");
    }
    for (name, run) in BENCHES {
        if asked.is_empty() || asked.iter().any(|wanted| wanted == name) {
            println!("== {name}");
            run();
        }
    }
    ExitCode::SUCCESS
}
