//! Finds the commit of the sources, for the build script.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Number of hexadecimal digits that `--version` has of a commit.
const DIGITS: usize = 12;

/// The commit of a folder with sources.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Commit {
    /// The first digits of its hash; `None` if it is not known.
    pub(crate) hash: Option<String>,
    /// Existing files that change when it changes.
    pub(crate) watched: Vec<PathBuf>,
}

/// Finds the commit of `folder`: `given` by a build without the repository, from the file that `cargo
/// package` adds, or from git if `folder` is the root of a repository.
pub(crate) fn commit_of(folder: &Path, given: Option<&str>) -> Commit {
    if let Some(hash) = given.and_then(shortened) {
        return Commit { hash: Some(hash), ..Commit::default() };
    }
    let packaged = folder.join(".cargo_vcs_info.json");
    if let Ok(text) = std::fs::read_to_string(&packaged) {
        let hash = text.split_once("\"sha1\"").and_then(|(_, rest)| rest.split('"').nth(1));
        return Commit { hash: hash.and_then(shortened), watched: vec![packaged] };
    }
    of_git(folder).unwrap_or_default()
}

/// Asks git. `None` without git, outside a repository, and in a folder of the repository of another project.
fn of_git(folder: &Path) -> Option<Commit> {
    let root = git(folder, &["rev-parse", "--show-toplevel"])?;
    if Path::new(&root).canonicalize().ok()? != folder.canonicalize().ok()? {
        return None;
    }
    let hash = git(folder, &["rev-parse", "HEAD"])?;
    let directory = PathBuf::from(git(folder, &["rev-parse", "--absolute-git-dir"])?);
    // The log of HEAD changes with each commit, and HEAD itself only with the branch. Cargo takes a file that
    // does not exist for one that has changed.
    let watched = ["HEAD", "logs/HEAD"].map(|name| directory.join(name));
    Some(Commit {
        hash: shortened(&hash),
        watched: watched.into_iter().filter(|file| file.exists()).collect(),
    })
}

/// Returns the first line that git prints. `None` if it fails.
fn git(folder: &Path, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    // Variables of a hook would name another repository.
    command.current_dir(folder).args(arguments).env_remove("GIT_DIR").env_remove("GIT_WORK_TREE");
    let output = command.output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()?.lines().next().map(str::to_owned)
}

/// Returns the first [`DIGITS`] of a hash. `None` if it is shorter or not hexadecimal.
fn shortened(hash: &str) -> Option<String> {
    let is_hash = hash.len() >= DIGITS && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then(|| hash[..DIGITS].to_ascii_lowercase())
}
