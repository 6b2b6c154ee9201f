//! Links `src/platform/malloc.c` into the program `ws-echo`, where the C library is glibc.

use std::env;

fn main() {
    const SOURCE: &str = "src/platform/malloc.c";
    println!("cargo::rerun-if-changed={SOURCE}");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    if is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu") {
        // An object instead of a library: nothing refers to a constructor, so the linker would leave out a library.
        for object in cc::Build::new().file(SOURCE).compile_intermediates() {
            println!("cargo::rustc-link-arg-bin=ws-echo={}", object.display());
        }
    }
}
