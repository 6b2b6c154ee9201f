//! The files that a run reads: messages, and lines for each connection.

use super::cli::FileFormat;
use crate::error::LoadError;
use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

/// Largest file of messages, or sum of files, in bytes. They are kept in memory.
const MAX_FILE: u64 = 64 << 20;
/// Length of the number before each message in a file of the format `lengths`.
const LENGTH: usize = 4;
/// The name of standard input.
const STANDARD_INPUT: &str = "-";

/// Returns whether the name of an input means standard input.
pub(crate) fn is_standard_input(path: &Path) -> bool {
    path == Path::new(STANDARD_INPUT)
}

/// Reads the messages in a file, in standard input or in a folder. Fails if there is none, or if one of them
/// should be text and is not.
pub(crate) fn messages(path: &Path, format: FileFormat, is_text: bool) -> Result<Vec<Vec<u8>>, LoadError> {
    let (unit, messages) = match format {
        FileFormat::Lines => ("line", lines(&read(path)?)),
        FileFormat::Lengths => ("message", prefixed(&read(path)?).map_err(content(path))?),
        FileFormat::Dir => return folder(path, is_text),
    };
    if messages.is_empty() {
        return Err(content(path)("no message in it".into()));
    }
    let not_text = messages.iter().position(|message| is_text && std::str::from_utf8(message).is_err());
    match not_text {
        Some(index) => {
            let problem = format!("{unit} {} is not UTF-8: send binary messages with --binary", index + 1);
            Err(content(path)(problem))
        }
        None => Ok(messages),
    }
}

/// Reads a file with a line for each connection. Fails if there is none, or if one of them is not UTF-8.
pub(crate) fn connection_lines(path: &Path) -> Result<Vec<String>, LoadError> {
    let lines = lines(&read(path)?).into_iter().enumerate().map(|(index, line)| {
        String::from_utf8(line).map_err(|_| content(path)(format!("line {} is not UTF-8", index + 1)))
    });
    let lines: Vec<String> = lines.collect::<Result<_, _>>()?;
    if lines.is_empty() { Err(content(path)("no line in it".into())) } else { Ok(lines) }
}

/// Returns a function that makes the error about the content of the file at `path`.
fn content(path: &Path) -> impl Fn(String) -> LoadError {
    let path = if is_standard_input(path) { PathBuf::from("standard input") } else { path.to_owned() };
    move |problem| LoadError::Content { path: path.clone(), problem }
}

fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    let mut bytes = Vec::new();
    let read = if is_standard_input(path) {
        io::stdin().lock().take(MAX_FILE + 1).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes))
    };
    match read {
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
            Err(content(path)("a folder: send each file in it with --file-format dir".into()))
        }
        Err(error) => Err(LoadError::file(path, error)),
        Ok(length) if u64::try_from(length).is_ok_and(|length| length > MAX_FILE) => Err(too_large(path)),
        Ok(_) => Ok(bytes),
    }
}

fn too_large(path: &Path) -> LoadError {
    content(path)(format!("more than {} MiB, the limit for messages from files", MAX_FILE >> 20))
}

/// Splits at line feeds. A carriage return before one belongs to it.
fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut lines: Vec<_> = bytes.split(|byte| *byte == b'\n').collect();
    if lines.last().is_some_and(|last| last.is_empty()) {
        lines.pop();
    }
    lines.into_iter().map(|line| line.strip_suffix(b"\r").unwrap_or(line).to_vec()).collect()
}

/// Splits messages that follow their lengths.
fn prefixed(mut bytes: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        let number = messages.len() + 1;
        let (length, rest) = bytes
            .split_first_chunk::<LENGTH>()
            .ok_or_else(|| format!("the length of message {number} is cut off"))?;
        let length = u32::from_be_bytes(*length);
        let message =
            usize::try_from(length).ok().and_then(|length| rest.get(..length)).ok_or_else(|| {
                format!("message {number} is cut off: {length} bytes announced, {} in the file", rest.len())
            })?;
        messages.push(message.to_vec());
        bytes = rest.get(message.len()..).unwrap_or_default();
    }
    Ok(messages)
}

/// Reads each file of a folder, in the order of their names.
fn folder(path: &Path, is_text: bool) -> Result<Vec<Vec<u8>>, LoadError> {
    let entries = fs::read_dir(path).map_err(|error| LoadError::file(path, error))?;
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(|error| LoadError::file(path, error))?.path();
        if name.is_file() {
            names.push(name);
        }
    }
    names.sort_unstable();
    let (mut messages, mut total) = (Vec::new(), 0);
    for name in names {
        let message = read(&name)?;
        total += u64::try_from(message.len()).unwrap_or(u64::MAX);
        if total > MAX_FILE {
            return Err(too_large(path));
        }
        if is_text && std::str::from_utf8(&message).is_err() {
            return Err(content(&name)("not UTF-8: send binary messages with --binary".into()));
        }
        messages.push(message);
    }
    if messages.is_empty() { Err(content(path)("no file in it".into())) } else { Ok(messages) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_lines_end_with_line_feeds() {
        let of = |text: &str| lines(text.as_bytes()).into_iter().map(|line| String::from_utf8(line).unwrap());
        assert_eq!(of("a\nb\r\n\nc").collect::<Vec<_>>(), ["a", "b", "", "c"]);
        assert_eq!(of("a\n").collect::<Vec<_>>(), ["a"]);
        assert_eq!(of("").count(), 0);
    }

    #[test]
    fn input_messages_follow_their_lengths() {
        let bytes = [&[0, 0, 0, 2, 7, 8][..], &[0, 0, 0, 0], &[0, 0, 0, 1, 0xff]].concat();
        assert_eq!(prefixed(&bytes), Ok(vec![vec![7, 8], vec![], vec![0xff]]));
        assert!(prefixed(&bytes[..3]).unwrap_err().contains("the length of message 1"));
        assert!(prefixed(&bytes[..5]).unwrap_err().contains("message 1 is cut off: 2 bytes announced, 1 in"));
        assert_eq!(prefixed(&[]), Ok(vec![]));
    }
}
