//! The TCP connect, over all addresses of the host (RFC 8305).

use super::{failure::Failure, open_scope::OpenScope};
use crate::{
    net::{
        client_stream::{ClientStream, Readiness},
        socket::Socket,
    },
    workload::address::Endpoint,
};
use rustix::io::Errno;
use std::{
    io,
    time::{Duration, Instant},
};

/// After this time without a result, the next address is tried beside the silent one (RFC 8305, section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Time between two connects to a Unix socket whose queue is full.
const UNIX_RETRY: Duration = Duration::from_millis(10);

/// A connection that has no TCP connection yet.
#[derive(Debug)]
pub(crate) struct Connecting {
    /// Connects without a result.
    attempts: Vec<Attempt>,
    /// Index of the address that was tried first.
    first: usize,
    /// Number of addresses that were tried.
    tried: usize,
    /// When the next address is tried. `None` if all were.
    next_at: Option<Instant>,
    /// Why an address failed. Reported if all do.
    failure: Option<io::Error>,
}

#[derive(Debug)]
struct Attempt {
    stream: ClientStream,
    /// Index of its address.
    address: usize,
    began: Instant,
}

/// What a step of connecting led to.
#[derive(Debug)]
pub(crate) enum ConnectStep {
    /// The next readiness event, or [`Connecting::resume`], continues it.
    Pending(Connecting),
    /// The TCP handshake that began at `began` is complete.
    Connected { stream: ClientStream, began: Instant },
}

impl Connecting {
    /// Starts the connect to the address that worked last, or to the first one that can be tried.
    pub(crate) fn start(scope: &mut OpenScope<'_>) -> Result<Self, Failure> {
        let first = scope.ctx.address;
        let mut connecting = Self { attempts: Vec::new(), first, tried: 0, next_at: None, failure: None };
        connecting.try_next(scope)?;
        Ok(connecting)
    }

    /// Continues after a readiness event, which may belong to any of the attempts.
    pub(crate) fn advance(
        mut self,
        scope: &mut OpenScope<'_>,
        readiness: Readiness,
    ) -> Result<ConnectStep, Failure> {
        let (mut connected, mut failed) = (None, false);
        for attempt in std::mem::take(&mut self.attempts) {
            match attempt.stream.is_connected() {
                Ok(true) if connected.is_none() => connected = Some(attempt),
                Ok(true) => {}
                Ok(false) => self.attempts.push(attempt),
                Err(error) => {
                    failed = true;
                    self.note_failure(error);
                }
            }
        }
        if let Some(Attempt { mut stream, address, began }) = connected {
            // The event of an attempt that failed says nothing about this one, whose own event follows.
            stream.note(if failed {
                Readiness { readable: false, writable: true, hangup: false }
            } else {
                readiness
            });
            scope.ctx.address = address;
            return Ok(ConnectStep::Connected { stream, began });
        }
        if failed {
            self.try_next(scope)?;
        }
        Ok(ConnectStep::Pending(self))
    }

    /// Tries the next address if it is time.
    pub(crate) fn resume(&mut self, scope: &mut OpenScope<'_>) -> Result<(), Failure> {
        if self.next_at.is_some_and(|at| at <= scope.now) {
            self.try_next(scope)?;
        }
        Ok(())
    }

    /// Starts the connect to the next address, and to the ones after it while they fail at once. Fails if no
    /// connect is pending then.
    fn try_next(&mut self, scope: &mut OpenScope<'_>) -> Result<(), Failure> {
        self.next_at = None;
        let count = scope.ctx.plan().target.endpoints.len();
        while self.tried < count {
            let address = nth(self.first, self.tried);
            scope.ctx.connects = scope.ctx.connects.wrapping_add(1);
            match connect(scope, address) {
                Ok(stream) => {
                    self.tried += 1;
                    self.attempts.push(Attempt { stream, address, began: scope.now });
                    break;
                }
                // The queue of a Unix socket is full, which no event ends.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.resume_after(UNIX_RETRY, scope);
                    return Ok(());
                }
                // A descriptor is free when another attempt has ended.
                Err(error) if !self.attempts.is_empty() && lacks_descriptors(&error) => break,
                Err(error) => {
                    self.tried += 1;
                    self.note_failure(error);
                }
            }
        }
        if self.attempts.is_empty() {
            let error = self.failure.take().unwrap_or_else(|| io::ErrorKind::NotFound.into());
            let failure = Failure::from_io(&error);
            let has_proxy = scope.ctx.plan().target.tunnel.is_some();
            return Err(if has_proxy { failure.at_proxy() } else { failure });
        }
        if self.tried < count {
            self.resume_after(ATTEMPT_DELAY, scope);
        }
        Ok(())
    }

    fn resume_after(&mut self, delay: Duration, scope: &mut OpenScope<'_>) {
        let at = scope.now + delay;
        self.next_at = Some(at);
        scope.ctx.resume_at(at, scope.token);
    }

    /// Keeps the error of the first address that this machine has a route to, else that of the first one.
    fn note_failure(&mut self, error: io::Error) {
        let no_route = |error: &io::Error| {
            matches!(
                error.kind(),
                io::ErrorKind::NetworkUnreachable
                    | io::ErrorKind::HostUnreachable
                    | io::ErrorKind::AddrNotAvailable
            )
        };
        if self.failure.as_ref().is_none_or(|kept| no_route(kept) && !no_route(&error)) {
            self.failure = Some(error);
        }
    }
}

/// Returns the address that is tried after `tried` others: `first`, then the list without it.
fn nth(first: usize, tried: usize) -> usize {
    match tried {
        0 => first,
        tried if tried <= first => tried - 1,
        tried => tried,
    }
}

fn connect(scope: &OpenScope<'_>, address: usize) -> io::Result<ClientStream> {
    let target = &scope.ctx.plan().target;
    let socket = match target.endpoints.get(address).ok_or(io::ErrorKind::NotFound)? {
        Endpoint::Tcp(address) => {
            Socket::connect_tcp(*address, target.sources.of(scope.ctx.connects, address)?)?
        }
        Endpoint::Unix(path) => Socket::connect_unix(path)?,
    };
    let mut stream = ClientStream::new(socket, scope.now);
    stream.register(scope.registry, scope.token)?;
    Ok(stream)
}

fn lacks_descriptors(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connect_tries_each_address_once_and_the_preferred_one_first() {
        let order = |first| (0..4).map(|tried| nth(first, tried)).collect::<Vec<_>>();
        assert_eq!(order(0), [0, 1, 2, 3]);
        assert_eq!(order(2), [2, 0, 1, 3]);
        assert_eq!(order(3), [3, 0, 1, 2]);
    }
}
