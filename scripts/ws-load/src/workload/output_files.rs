//! The files that a run writes: their names are checked before it starts.

use super::cli::OutputArgs;
use crate::error::LoadError;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The name of standard output.
const STANDARD_OUTPUT: &str = "-";
/// The file that any number of outputs may have.
const NULL: &str = "/dev/null";

impl OutputArgs {
    /// Returns every output that is given, with its option.
    pub(crate) fn files(&self) -> Vec<(&'static str, &Path)> {
        let all = [
            ("--json", &self.json),
            ("--report", &self.report),
            ("--csv", &self.csv),
            ("--junit", &self.junit),
            ("--hdr-log", &self.hdr_log),
        ];
        all.into_iter().filter_map(|(option, path)| Some((option, path.as_deref()?))).collect()
    }

    /// Returns whether one of the outputs goes to standard output.
    #[must_use]
    pub fn uses_standard_output(&self) -> bool {
        self.files().iter().any(|(_, path)| is_standard_output(path))
    }

    /// Fails if two outputs, or an output and an input, have the same name.
    pub(crate) fn check_names(&self, inputs: &[(&'static str, &Path)]) -> Result<(), LoadError> {
        let mut known: Vec<(&str, PathBuf)> =
            inputs.iter().map(|(option, path)| (*option, resolve(path))).collect();
        for (option, path) in self.files() {
            let resolved = resolve(path);
            if let Some((other, _)) =
                known.iter().find(|(_, known)| *known == resolved && path != Path::new(NULL))
            {
                return Err(LoadError::Usage(format!(
                    "{other} and {option} are both {}: give them different names",
                    path.display()
                )));
            }
            known.push((option, resolved));
        }
        Ok(())
    }

    /// Opens the files that will be written, so that a wrong path is an error before the run. Changes none.
    pub(crate) fn check_writable(&self) -> Result<(), LoadError> {
        for (option, path) in self.files() {
            if is_standard_output(path) {
                continue;
            }
            let is_new = !path.exists();
            let opened = fs::OpenOptions::new().create(true).append(true).open(path);
            opened.map_err(|error| LoadError::named(option, path, error))?;
            if is_new {
                // A run that fails must not leave an empty file.
                let _ = fs::remove_file(path);
            }
        }
        Ok(())
    }
}

/// Returns whether the name of an output means standard output.
pub(crate) fn is_standard_output(path: &Path) -> bool {
    path == Path::new(STANDARD_OUTPUT)
}

/// Returns the path without links and dots. A file that does not exist yet keeps its name in its folder.
fn resolve(path: &Path) -> PathBuf {
    if is_standard_output(path) {
        return path.to_owned();
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let in_folder = || Some(fs::canonicalize(folder).ok()?.join(path.file_name()?));
    fs::canonicalize(path).ok().or_else(in_folder).unwrap_or_else(|| path.to_owned())
}
