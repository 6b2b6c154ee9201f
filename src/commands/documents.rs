//! Completions and the manual page, made from the options.

use std::io;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::{PROGRAM, Program};

/// Returns a script that completes the options of this program in `shell`.
pub(super) fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Program::command(), PROGRAM, &mut script);
    script
}

/// Returns the manual page, in roff.
///
/// # Errors
/// If the page cannot be formatted.
pub(super) fn man() -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Program::command()).render(&mut page)?;
    Ok(page)
}
