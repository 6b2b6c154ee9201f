//! The start with `--rooms`, and its end.

use std::process::Command;

use super::server::{RedisServer, free_address};
use crate::server_process::{ServerProcess, command};

/// Starts an instance that must not start. Returns its standard error.
fn refused(arguments: &[&str]) -> String {
    output_of_refused(command(&["--listen", "127.0.0.1:0"]).args(arguments))
}

/// Starts an instance that must not start. Returns its standard error.
pub fn output_of_refused(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(output.stdout.is_empty(), "{:?}", output.stdout);
    assert_eq!(err.lines().filter(|line| line.starts_with("ws-echo: ")).count(), 1, "{err}");
    assert!(!err.contains("panic") && !err.contains("secret"), "{err}");
    err
}

#[test]
#[ignore = "needs redis-server of Debian; scripts/test installs it"]
fn redis_that_is_absent_at_the_start_is_one_line() {
    let address = free_address();
    let err = refused(&["--rooms", &format!("redis://:secret@{address}")]);
    let words = format!("cannot share rooms over Redis at {address}: ");
    assert!(err.contains(&words) && err.contains("refused"), "{err}");
}

#[test]
#[ignore = "needs redis-server of Debian; scripts/test installs it"]
fn redis_password_that_is_wrong_is_one_line_without_it() {
    let redis = RedisServer::on(free_address(), &["--requirepass", "right"]);
    let err = refused(&["--rooms", &format!("redis://:secret@{}", redis.address)]);
    assert!(err.contains("cannot share rooms over Redis"), "{err}");
    let err = refused(&["--rooms", &redis.url()]);
    assert!(err.contains("cannot share rooms over Redis"), "{err}");
}

#[test]
#[ignore = "needs redis-server of Debian; scripts/test installs it"]
fn redis_user_without_the_channels_is_refused_at_the_start() {
    let redis = RedisServer::start();
    let rule: [&[u8]; 7] = [b"ACL", b"SETUSER", b"guest", b"on", b">secret", b"+@all", b"resetchannels"];
    redis.command(&rule);
    let err = refused(&["--rooms", &format!("redis://guest:secret@{}", redis.address)]);
    assert!(err.contains("cannot share rooms over Redis"), "{err}");
}

#[test]
#[ignore = "needs redis-server of Debian; scripts/test installs it"]
fn redis_password_and_database_of_the_url_are_used_and_not_logged() {
    let redis = RedisServer::on(free_address(), &["--requirepass", "secret"]);
    let url = format!("redis://:secret@{}/2", redis.address);
    let server =
        ServerProcess::spawn(command(&["--listen", "127.0.0.1:0", "--rooms", &url]).env("RUST_LOG", "debug"));
    server.signal("TERM");
    let (code, out, err) = server.wait();
    assert!(code == Some(0) && err.contains("shared over Redis"), "{out}{err}");
    assert!(!err.contains("secret") && !out.contains("secret"), "{out}{err}");
}
