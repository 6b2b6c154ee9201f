//! A `redis-server` of Debian on a free port.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::harness::{TEST_TIMEOUT, eventually};
use crate::server_process::command;
use crate::tls_server::Files;

/// A running server without files, killed on drop.
pub struct RedisServer {
    child: Child,
    pub address: SocketAddr,
    /// The file of the CA, if the server takes connections over TLS only.
    authority: Option<PathBuf>,
}

impl RedisServer {
    pub fn start() -> Self {
        Self::on(free_address(), &[])
    }

    /// Starts a server on this address with more options, and waits until it takes connections.
    pub fn on(address: SocketAddr, options: &[&str]) -> Self {
        let port = address.port().to_string();
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly", "no"])
            .args(options)
            .current_dir(std::env::temp_dir())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run redis-server: {error}; scripts/test installs it"));
        let mut server = Self { child, address, authority: None };
        eventually("redis-server takes connections", || {
            assert!(server.child.try_wait().unwrap().is_none(), "redis-server has ended");
            TcpStream::connect(address).is_ok()
        });
        server
    }

    /// Starts a server that takes connections over TLS only, with the certificate and the key of these files.
    pub fn secure(address: SocketAddr, files: &Files, authority: &Path, options: &[&str]) -> Self {
        let port = address.port().to_string();
        let [certificate, key] = [&files.certificate, &files.key].map(|path| path.to_str().unwrap());
        let ports = ["--port", "0", "--tls-port", &port];
        let usual = ["--tls-cert-file", certificate, "--tls-key-file", key];
        let mut server = Self::on(address, &[&ports, &usual, options].concat());
        server.authority = Some(authority.to_owned());
        server
    }

    /// Returns the URL for `--rooms`. Certificates are for `localhost`.
    pub fn url(&self) -> String {
        match self.authority {
            None => format!("redis://{}", self.address),
            Some(_) => format!("rediss://localhost:{}", self.address.port()),
        }
    }

    /// Returns an instance that shares its rooms over this server.
    pub fn instance(&self, arguments: &[&str]) -> Command {
        let mut command = command(&["--listen", "127.0.0.1:0", "--rooms", &self.url()]);
        command.args(arguments);
        if let Some(file) = &self.authority {
            command.env("SSL_CERT_FILE", file);
        }
        command
    }

    /// Ends the server at once. Returns its address.
    pub fn kill(self) -> SocketAddr {
        self.address
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Sends a command and returns the lines of its reply, without their lengths.
    pub fn command(&self, arguments: &[&[u8]]) -> Vec<String> {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
        let mut request = format!("*{}\r\n", arguments.len()).into_bytes();
        for argument in arguments {
            request.extend(format!("${}\r\n", argument.len()).into_bytes());
            request.extend_from_slice(argument);
            request.extend(b"\r\n");
        }
        stream.write_all(&request).unwrap();
        read_reply(&mut BufReader::new(stream))
    }
}

/// Reads a reply (RESP2): a number, a text, or a list of texts.
fn read_reply(reader: &mut impl BufRead) -> Vec<String> {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let (kind, rest) = line.trim_end().split_at(1);
    match kind {
        "*" => (0..rest.parse::<usize>().unwrap()).flat_map(|_| read_reply(reader)).collect(),
        "$" => {
            let mut text = vec![0; rest.parse::<usize>().unwrap() + 2];
            reader.read_exact(&mut text).unwrap();
            vec![String::from_utf8(text).unwrap().trim_end().to_owned()]
        }
        _ => vec![rest.to_owned()],
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns an address that is free now.
pub fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}
