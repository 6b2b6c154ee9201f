//! Rooms on Redis while clients take all other descriptors.

use std::fs;
use std::io::{ErrorKind, Read};
use std::net::TcpStream;

use super::server::RedisServer;
use crate::harness::eventually;
use crate::server_process::{LogLines, ServerProcess, command_after};

#[test]
#[ignore = "needs redis-server of Debian; scripts/test installs it"]
fn redis_connections_have_descriptors_that_clients_cannot_take() {
    let redis = RedisServer::start();
    let (files, places, reserved) = (120, 20, 16 + 2);
    let limited = format!(r#"ulimit -n {files}; exec "$@""#);
    let url = redis.url();
    let options = ["--rooms", &url, "--connections", "20", "--waiting", "0", "--handshake-timeout", "10m"];
    let mut server = ServerProcess::spawn(&mut command_after(&["sh", "-c", &limited, "sh"], &options));
    let log = LogLines::of(&mut server);
    log.expect("subscribed on Redis");
    // They send nothing. The server closes those for which it has no descriptor.
    let clients: Vec<_> = (0..files + places).map(|_| TcpStream::connect(server.address).unwrap()).collect();
    for client in &clients {
        client.set_nonblocking(true).unwrap();
    }
    let is_open = |mut client: &TcpStream| {
        client.read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    };
    let open = || clients.iter().filter(|client| is_open(client)).count();
    eventually("clients beyond the descriptors are closed", || open() <= files - reserved);
    assert_eq!(open(), files - reserved);
    let taken = fs::read_dir(format!("/proc/{}/fd", server.id())).unwrap().count();
    assert!(taken <= files, "{taken} descriptors");
    let address = redis.kill();
    let _redis = RedisServer::on(address, &[]);
    log.expect("subscribed on Redis");
    assert_eq!(open(), files - reserved);
}
