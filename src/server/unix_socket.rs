//! Unix sockets to listen on (unix(7)).

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use log::info;
use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, Type};

/// The file of a bound socket. It is removed on drop, unless another file has taken its place.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

/// Binds a listener with this `backlog` to `path`. Replaces a socket file on which no process listens. The
/// mode of the file is 0777 without the bits of the umask; a client needs the permission to write (unix(7)).
///
/// # Errors
/// `AddrInUse` if a process listens on the path, `AlreadyExists` if the file is no socket, and the errors of
/// `bind(2)`.
pub(super) fn bind(path: &Path, backlog: i32) -> io::Result<(UnixListener, SocketFile)> {
    let address = SockAddr::unix(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    match socket.bind(&address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            remove_stale(path, &address)?;
            socket.bind(&address)?;
        }
        outcome => outcome?,
    }
    let file = SocketFile { path: path.to_owned(), identity: identity(path)? };
    socket.listen(backlog)?;
    Ok((socket.into(), file))
}

/// Removes the socket file of a server that has ended. Fails with `AddrInUse` if a process listens on it.
fn remove_stale(path: &Path, address: &SockAddr) -> io::Result<()> {
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the file exists and is no socket"));
    }
    let client = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // A connect would wait while the backlog of a server that lives is full.
    client.set_nonblocking(true)?;
    match client.connect(address) {
        Err(error) if error.raw_os_error() == Some(Errno::CONNREFUSED.raw_os_error()) => {
            info!("replacing {}: no process listens on it", path.display());
            fs::remove_file(path)
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
        _ => Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens on it")),
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // A server that was started meanwhile may have replaced the file.
        if identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}
