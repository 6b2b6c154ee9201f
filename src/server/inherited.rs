//! Sockets that a service manager has bound and passed to this process (socket activation,
//! `sd_listen_fds(3)`).

use std::env;
use std::io;

use listenfd::ListenFd;
use socket2::SockRef;

use super::listener::ListeningSocket;

/// The sockets that were passed to this process.
#[derive(Debug, Default)]
pub struct InheritedSockets {
    sockets: Vec<Inherited>,
}

#[derive(Debug)]
struct Inherited {
    /// `FileDescriptorName` of its unit; empty if the service manager gives none.
    name: String,
    /// `None` after it was taken. The error says why the socket cannot be used.
    socket: Option<io::Result<ListeningSocket>>,
}

impl InheritedSockets {
    /// Takes the sockets that the variables `LISTEN_FDS`, `LISTEN_PID` and `LISTEN_FDNAMES` name. To be
    /// called once, before other threads start: removes the variables.
    #[must_use]
    pub fn from_environment() -> Self {
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut passed = ListenFd::from_env();
        let sockets = (0..passed.len()).map(|index| Inherited {
            name: names.next().unwrap_or_default().to_owned(),
            socket: Some(take(&mut passed, index)),
        });
        Self { sockets: sockets.collect() }
    }

    /// Takes the sockets with this name, or all if there is no name.
    ///
    /// # Errors
    /// `NotFound` if there is none or another call has taken it, and `InvalidInput` if one of them is no
    /// listening stream socket.
    pub(super) fn take(&mut self, name: Option<&str>) -> io::Result<Vec<ListeningSocket>> {
        let wanted = |inherited: &&mut Inherited| name.is_none_or(|name| inherited.name == name);
        let taken: io::Result<Vec<_>> =
            self.sockets.iter_mut().filter(wanted).filter_map(|inherited| inherited.socket.take()).collect();
        match taken {
            Ok(sockets) if sockets.is_empty() => {
                Err(io::Error::new(io::ErrorKind::NotFound, "the service manager passed no such socket"))
            }
            taken => taken,
        }
    }

    /// Returns the names of the sockets that were not taken. Their clients would wait without end.
    #[must_use]
    pub fn unused(&self) -> Vec<&str> {
        let unused = self.sockets.iter().filter(|inherited| inherited.socket.is_some());
        unused.map(|inherited| inherited.name.as_str()).collect()
    }
}

/// Takes the socket with this index, TCP or Unix.
fn take(passed: &mut ListenFd, index: usize) -> io::Result<ListeningSocket> {
    let invalid = |reason| io::Error::new(io::ErrorKind::InvalidInput, reason);
    let socket = match passed.take_tcp_listener(index) {
        Ok(Some(listener)) => ListeningSocket::from(listener),
        _ => match passed.take_unix_listener(index) {
            Ok(Some(listener)) => ListeningSocket::unix(listener, None),
            _ => return Err(invalid("it is no stream socket; use ListenStream= in its unit")),
        },
    };
    if !SockRef::from(&socket).is_listener()? {
        return Err(invalid("it does not listen; use Accept=no in its unit"));
    }
    Ok(socket.shared())
}
