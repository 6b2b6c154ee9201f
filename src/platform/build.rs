//! Build script: joins the files of the page, sets the text of `--version`, and links `src/platform/malloc.c`
//! into the program `ws-echo` where the C library is glibc.

#[path = "bundle.rs"]
mod bundle;
#[path = "commit.rs"]
mod commit;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use data_encoding::{BASE64, HEXLOWER};
use sha2::{Digest, Sha256};

fn main() -> ExitCode {
    link_malloc();
    match set_version().and_then(|()| write_page()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            println!("cargo::error={problem}");
            ExitCode::FAILURE
        }
    }
}

/// Sets `WS_ECHO_VERSION` for the crate: version, commit if it is known, and target. `WS_ECHO_COMMIT` in the
/// environment of the build gives the commit where the repository is missing.
fn set_version() -> Result<(), String> {
    println!("cargo::rerun-if-env-changed=WS_ECHO_COMMIT");
    let folder = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let commit = commit::commit_of(&folder, env::var("WS_ECHO_COMMIT").ok().as_deref());
    for file in &commit.watched {
        println!("cargo::rerun-if-changed={}", file.display());
    }
    let (version, target) = (variable("CARGO_PKG_VERSION")?, variable("TARGET")?);
    let build = commit.hash.into_iter().chain([target]).collect::<Vec<_>>().join(", ");
    println!("cargo::rustc-env=WS_ECHO_VERSION={version} ({build})");
    Ok(())
}

/// Returns a variable that cargo sets.
fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("{name}: {error}"))
}

/// Writes the document and the script of the page into `OUT_DIR`. Sets their tags, which change with the
/// content, and the hash of the style sheet for the Content-Security-Policy.
fn write_page() -> Result<(), String> {
    println!("cargo::rerun-if-changed=html");
    let folder = PathBuf::from(variable("CARGO_MANIFEST_DIR")?).join("html");
    let out = PathBuf::from(variable("OUT_DIR")?);
    let tag_of = |text: &str| HEXLOWER.encode(&Sha256::digest(text.as_bytes())[..8]);
    let page = bundle::bundle(&folder, &variable("CARGO_PKG_VERSION")?, tag_of)?;
    let write = |name: &str, text: &str| {
        fs::write(Path::new(&out).join(name), text).map_err(|error| format!("{name}: {error}"))
    };
    write("page.html", &page.document)?;
    write("page.js", &page.script)?;
    println!("cargo::rustc-env=WS_ECHO_DOCUMENT_TAG={}", tag_of(&page.document));
    println!("cargo::rustc-env=WS_ECHO_SCRIPT_TAG={}", tag_of(&page.script));
    let style_hash = BASE64.encode(&Sha256::digest(page.style.as_bytes()));
    println!("cargo::rustc-env=WS_ECHO_STYLE_HASH=sha256-{style_hash}");
    Ok(())
}

fn link_malloc() {
    const SOURCE: &str = "src/platform/malloc.c";
    println!("cargo::rerun-if-changed={SOURCE}");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    if is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu") {
        // An object instead of a library: nothing refers to a constructor, so the linker would leave out a
        // library.
        for object in cc::Build::new().file(SOURCE).compile_intermediates() {
            println!("cargo::rustc-link-arg-bin=ws-echo={}", object.display());
        }
    }
}
