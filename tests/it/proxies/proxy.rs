//! A proxy of Debian with its configuration file of `scripts/proxies`, on free ports.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use crate::harness::{Client, eventually, exchange};
use crate::server_process::ServerProcess;

/// A proxy that the project has a configuration file for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Haproxy,
    Nginx,
    Caddy,
}

/// A running proxy, killed on drop.
pub struct Proxy {
    child: Child,
    pub address: SocketAddr,
    directory: PathBuf,
}

/// Returns a port that is free now.
pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

impl Kind {
    fn file(self) -> &'static str {
        match self {
            Self::Haproxy => "haproxy.cfg",
            Self::Nginx => "nginx.conf",
            Self::Caddy => "Caddyfile",
        }
    }

    /// Returns whether the proxy asks `/readyz`.
    pub fn has_health_checks(self) -> bool {
        self != Self::Nginx
    }

    /// Returns the options of an instance that read the client's address as the file has it.
    pub fn options(self) -> [&'static str; 2] {
        match self {
            Self::Haproxy => ["--proxy-protocol", "accept"],
            Self::Nginx | Self::Caddy => ["--trust-proxy", "127.0.0.1"],
        }
    }

    fn command(self, file: &Path, directory: &Path) -> Command {
        let mut command = Command::new(match self {
            Self::Haproxy => "haproxy",
            Self::Nginx => "nginx",
            Self::Caddy => "caddy",
        });
        // Debian has haproxy and nginx in a folder that only the path of root names.
        command.env("PATH", format!("{}:/usr/sbin", std::env::var("PATH").unwrap()));
        command.env("HOME", directory);
        match self {
            Self::Haproxy => command.arg("-db").arg("-f").arg(file),
            Self::Nginx => {
                let globals = format!("daemon off; pid {}/pid;", directory.display());
                command.args(["-e", "stderr", "-g", &globals, "-c"]).arg(file)
            }
            Self::Caddy => command.args(["run", "--adapter", "caddyfile", "--config"]).arg(file),
        };
        command
    }
}

impl Proxy {
    /// Starts a proxy in front of two instances and waits until it passes requests to both. `changes`
    /// replaces texts of the configuration file, each of which must be in it.
    pub fn start(kind: Kind, instances: [SocketAddr; 2], changes: &[(&str, &str)]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/proxies").join(kind.file());
        let mut text = fs::read_to_string(source).unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let [first, second] = instances.map(|address| address.port().to_string());
        let ports = [("8080", &*address.port().to_string()), ("8001", &*first), ("8002", &*second)];
        for (from, to) in changes.iter().chain(&ports) {
            assert!(text.contains(from), "no `{from}` in {}", kind.file());
            text = text.replace(from, to);
        }
        let name = format!("ws-echo-proxy-{}-{}", std::process::id(), NUMBER.fetch_add(1, SeqCst));
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).unwrap();
        let file = directory.join(kind.file());
        fs::write(&file, text).unwrap();
        let log = fs::File::create(directory.join("log")).unwrap();
        let child = kind
            .command(&file, &directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {kind:?}: {error}; scripts/test installs it"));
        let mut proxy = Self { child, address, directory };
        eventually("the proxy passes requests", || {
            assert!(proxy.child.try_wait().unwrap().is_none(), "{kind:?} has ended: {}", proxy.log());
            TcpStream::connect(address).is_ok() && proxy.get("/health").starts_with("HTTP/1.1 200 ")
        });
        proxy
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    /// Sends a plain request on a connection of its own and returns the response.
    pub fn get(&self, path: &str) -> String {
        exchange(self.address, format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
    }

    pub fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    pub fn open(&self, path: &str) -> Client {
        self.connect().open(path)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // nginx ends its workers on SIGTERM; SIGKILL would leave them running.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Starts two instances with these options, and a proxy in front of them.
pub fn start(kind: Kind, options: &[&str], changes: &[(&str, &str)]) -> ([ServerProcess; 2], Proxy) {
    let start = |name| ServerProcess::start(&[&["--name", name], &kind.options()[..], options].concat());
    let instances = ["web-1", "web-2"].map(start);
    let addresses = [instances[0].address, instances[1].address];
    let proxy = Proxy::start(kind, addresses, changes);
    (instances, proxy)
}
