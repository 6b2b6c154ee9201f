//! Functions that the peers share: options, ready line, accept loop, TLS, WebSocket handshake.

use std::{env, io, net::SocketAddr, sync::Arc};

use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

/// Maximum length of a request head in bytes.
const MAX_HEAD: usize = 16 << 10;

/// Prints the ready line that the scripts wait for.
pub fn ready(address: SocketAddr, tls: bool) {
    println!("listening on {}://{address}/", if tls { "wss" } else { "ws" });
}

/// Returns the TLS configuration for the arguments `--tls CERT KEY`, `None` without them.
///
/// # Errors
/// Returns an error if a file is not usable.
pub fn tls() -> io::Result<Option<Arc<ServerConfig>>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [option, certificate, key] = &arguments[..] else { return Ok(None) };
    if option != "--tls" {
        return Ok(None);
    }
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect);
    let chain = chain.map_err(io::Error::other)?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(io::Error::other)?;
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key);
    Ok(Some(Arc::new(config.map_err(io::Error::other)?)))
}

/// A connection with or without TLS.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for S {}

/// What a server does with a connection.
pub trait Serve: 'static {
    /// Serves a connection to its end. ws-load reports how it ended.
    fn serve(stream: impl Stream) -> impl Future<Output = ()> + Send + 'static;
}

/// Listens on a free port, prints the ready line, and serves each connection in a new task.
///
/// # Errors
/// Returns an error if the port cannot be opened or the TLS files are not usable.
pub async fn run<S: Serve>() -> io::Result<()> {
    let tls = tls()?.map(TlsAcceptor::from);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    ready(listener.local_addr()?, tls.is_some());
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        if let Some(acceptor) = tls.clone() {
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    S::serve(stream).await;
                }
            });
        } else {
            tokio::spawn(S::serve(stream));
        }
    }
}

/// Reads a request head and writes a 101 response. The client must not send more than the head before it has
/// the response; `ws-load` does not.
///
/// # Errors
/// Returns an error if the connection ends or the head is longer than `MAX_HEAD`.
pub async fn upgrade(stream: &mut impl Stream) -> io::Result<()> {
    let mut head = Vec::with_capacity(1024);
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > MAX_HEAD || stream.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    let head = String::from_utf8_lossy(&head);
    let key = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim())
    });
    let accept = tungstenite::handshake::derive_accept_key(key.unwrap_or_default().as_bytes());
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    stream.write_all(response.as_bytes()).await?;
    stream.flush().await
}
