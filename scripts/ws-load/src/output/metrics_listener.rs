//! Answers HTTP requests for the figures of a run while it goes on (`--metrics-listen`).

use super::exposition::LiveFigures;
use crate::{error::LoadError, runner::outcome::SecondFigures};
use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Longest time for one request and its response. The next client waits as long at most.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
/// Largest head of a request, in bytes.
const MAX_HEAD: usize = 8 << 10;
/// Pause after an `accept` that failed, for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listener on a thread of its own. Dropping it stops the thread.
pub(crate) struct MetricsListener {
    address: SocketAddr,
    figures: Arc<Mutex<LiveFigures>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl MetricsListener {
    /// Listens on `address`.
    ///
    /// # Errors
    /// If the address cannot be used, or there is no thread.
    pub(crate) fn start(address: SocketAddr, figures: LiveFigures) -> Result<Self, LoadError> {
        let failed = |source| LoadError::System { action: "listen on --metrics-listen", source };
        let listener = TcpListener::bind(address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (figures, stop) = (Arc::new(Mutex::new(figures)), Arc::new(AtomicBool::new(false)));
        let (shared, stopping) = (Arc::clone(&figures), Arc::clone(&stop));
        let thread = thread::Builder::new()
            .name("metrics".into())
            .spawn(move || serve(&listener, &shared, &stopping))
            .map_err(failed)?;
        Ok(Self { address, figures, stop, thread: Some(thread) })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/metrics", self.address)
    }

    /// Adds the figures of a second.
    pub(crate) fn add(&self, second: &SecondFigures) {
        lock(&self.figures).add(second);
    }
}

impl Drop for MetricsListener {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        let mut address = self.address;
        if address.ip().is_unspecified() {
            let loopback = if address.is_ipv4() { "127.0.0.1" } else { "::1" };
            address.set_ip(loopback.parse().unwrap_or(address.ip()));
        }
        // A connection ends the blocking accept. Without it the thread ends with the process.
        if TcpStream::connect_timeout(&address, REQUEST_TIMEOUT).is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

fn lock(figures: &Mutex<LiveFigures>) -> MutexGuard<'_, LiveFigures> {
    figures.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers one client after the other until `stop` is set.
fn serve(listener: &TcpListener, figures: &Mutex<LiveFigures>, stop: &AtomicBool) {
    for stream in listener.incoming() {
        if stop.load(Ordering::Acquire) {
            return;
        }
        match stream {
            // A client that fails has no consequence.
            Ok(stream) => drop(answer(stream, figures)),
            Err(_) => thread::sleep(ACCEPT_PAUSE),
        }
    }
}

/// Reads a request and sends the response.
fn answer(mut stream: TcpStream, figures: &Mutex<LiveFigures>) -> io::Result<()> {
    let head = read_head(&mut stream)?;
    let mut words = head.lines().next().unwrap_or_default().split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = target.split('?').next().unwrap_or_default();
    let (status, body) = match (method, path) {
        ("GET" | "HEAD", "/metrics" | "/") => ("200 OK", lock(figures).page()),
        ("GET" | "HEAD", _) => ("404 Not Found", "the metrics are at /metrics\n".to_owned()),
        _ => ("405 Method Not Allowed", "use GET\n".to_owned()),
    };
    let allow = if status.starts_with("405") { "Allow: GET, HEAD\r\n" } else { "" };
    let response = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n{allow}\
         Content-Length: {}\r\nConnection: close\r\n\r\n{}",
        body.len(),
        if method == "HEAD" { "" } else { &body }
    );
    stream.set_write_timeout(Some(REQUEST_TIMEOUT))?;
    stream.write_all(response.as_bytes())
}

/// Reads until the empty line behind the head. Fails after [`REQUEST_TIMEOUT`] or [`MAX_HEAD`].
fn read_head(stream: &mut TcpStream) -> io::Result<String> {
    let deadline = Instant::now() + REQUEST_TIMEOUT;
    let mut head = Vec::new();
    let mut piece = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || head.len() > MAX_HEAD {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        let length = stream.read(&mut piece)?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        head.extend_from_slice(piece.get(..length).unwrap_or_default());
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}
