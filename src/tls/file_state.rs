//! What shows that a file has changed, without reading it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A file that a path leads to, after symbolic links: a renewal may replace the file or a link to its folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileState {
    /// Device and inode number.
    file: (u64, u64),
    /// Size in bytes, and time of the last change of the contents in seconds and nanoseconds. `None` for a
    /// pipe or another special file, which cannot be read twice.
    contents: Option<(u64, i64, i64)>,
}

/// The files of certificate and key at one time. A missing file is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PairState([Option<FileState>; 2]);

impl PairState {
    /// Looks at both files. May block if their file system does.
    pub(super) fn of(certificate: &Path, key: &Path) -> Self {
        Self([certificate, key].map(FileState::of))
    }

    /// Returns whether one of the files is a pipe or another special file: to read it again may block without
    /// end.
    pub(super) fn has_special_file(&self) -> bool {
        self.0.iter().flatten().any(|file| file.contents.is_none())
    }
}

impl FileState {
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        let contents = metadata.is_file().then(|| (metadata.size(), metadata.mtime(), metadata.mtime_nsec()));
        Some(Self { file: (metadata.dev(), metadata.ino()), contents })
    }
}
