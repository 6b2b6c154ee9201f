//! A steady threshold for the allocator, so that memory given back is given back to the system.
//!
//! glibc maps large blocks one by one and unmaps them when they are freed. But each block that is freed raises the
//! size from which it does so (mallopt(3), `M_MMAP_THRESHOLD`): after one message of a mebibyte, later ones come out
//! of its arenas, and stay there. A fixed threshold ends that. glibc takes it from the environment before `main`, or
//! from a function that safe code cannot call; so the program starts itself anew, once, with the environment set.

/// The variable from which glibc takes the threshold, and what it is without one, in bytes.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const THRESHOLD: (&str, &str) = ("MALLOC_MMAP_THRESHOLD_", "131072");

/// Fixes the threshold unless the environment has one. For the beginning of `main`: starts the program anew in the
/// same process, and returns only if that is not necessary, or not possible; the server then just needs more memory.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn fix_threshold() {
    use std::os::unix::process::CommandExt;
    let (name, value) = THRESHOLD;
    if std::env::var_os(name).is_some() {
        return;
    }
    let mut arguments = std::env::args_os();
    let (Some(called), Ok(program)) = (arguments.next(), std::env::current_exe()) else { return };
    let failure = std::process::Command::new(program).arg0(called).args(arguments).env(name, value).exec();
    // The log has not been started yet.
    let _ = failure;
}

/// Other allocators give memory back by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn fix_threshold() {}
