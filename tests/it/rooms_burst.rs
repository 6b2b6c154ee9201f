//! `/broadcast` with many members: the time that a burst takes to reach them.

use std::io::{BufReader, Read};
use std::net::TcpStream;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use crate::harness::{Client, text};
use crate::rooms::open_small;
use crate::server_process::ServerProcess;

const MEMBERS: usize = 1000;
const MUTE: usize = 200;
const MESSAGES: usize = 1000;
const BURST: usize = 16;

/// Returns a message as its sender sends it, and as a member receives it.
fn message(n: usize) -> (Vec<u8>, Vec<u8>) {
    let payload = format!("{n:0100}");
    (text(&payload), [&[0x81, 100], payload.as_bytes()].concat())
}

#[test]
#[ignore = "measures times: run it with --release on a machine without other work"]
fn quiet_machine_burst_reaches_1000_members_beside_200_that_never_read_within_50_ms() {
    let server = ServerProcess::start(&[]);
    let path = "/broadcast?room=burst";
    let mutes: Vec<_> = (0..MUTE).map(|_| open_small(server.address, path)).collect();
    let mut sender = server.open(path);
    let members: Vec<_> = (0..MEMBERS).map(|_| BufReader::new(server.open(path).stream)).collect();
    let mut halves = members;
    let other = halves.split_off(MEMBERS / 2);
    let bursts: Vec<_> = (0..MESSAGES)
        .step_by(BURST)
        .map(|first| (first..MESSAGES.min(first + BURST)).map(message).unzip())
        .map(|(sent, received): (Vec<_>, Vec<_>)| (sent.concat(), received.concat()))
        .collect();
    let barrier = Barrier::new(3);
    let mut latencies = std::thread::scope(|scope| {
        let readers = [halves, other].map(|members| {
            let (barrier, bursts) = (&barrier, &bursts);
            scope.spawn(move || read_bursts(members, bursts, barrier))
        });
        for (sent, received) in &bursts {
            barrier.wait();
            sender.send(sent);
            expect(&mut sender, received);
        }
        readers.map(|reader| reader.join().unwrap()).concat()
    });
    drop(mutes);
    latencies.sort();
    let [p50, p99, max] = [50, 99, 100].map(|percent| latencies[(latencies.len() - 1) * percent / 100]);
    println!("p50 {p50:.1?}, p99 {p99:.1?}, longest {max:.1?}");
    assert!(p99 < Duration::from_millis(50), "p99 {p99:?}, p50 {p50:?}, longest {max:?}");
}

/// Reads each burst at each member, in the order of the members. Returns the times since the burst was sent.
fn read_bursts(
    mut members: Vec<BufReader<TcpStream>>,
    bursts: &[(Vec<u8>, Vec<u8>)],
    barrier: &Barrier,
) -> Vec<Duration> {
    let mut latencies = Vec::new();
    for (_, expected) in bursts {
        barrier.wait();
        let sent_at = Instant::now();
        for member in &mut members {
            let mut received = vec![0; expected.len()];
            member.read_exact(&mut received).unwrap();
            assert!(received == *expected, "wrong bytes");
            latencies.push(sent_at.elapsed());
        }
    }
    latencies
}

fn expect(client: &mut Client, expected: &[u8]) {
    let mut received = vec![0; expected.len()];
    client.stream.read_exact(&mut received).unwrap();
    assert!(received == expected, "wrong bytes at the sender");
}
