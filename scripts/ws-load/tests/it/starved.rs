//! The load generator on a processor that other programs use.

use crate::{
    runs::{Run, StartedRun, start_through, ws_load},
    test_servers::Server,
};
use std::process::{Child, Command, Stdio};

/// A program that uses one processor all the time, at most for two minutes. Other tests have priority over
/// it.
pub(crate) struct BusyLoop(Child);

impl BusyLoop {
    pub(crate) fn start() -> Self {
        let busy_loop = Command::new("timeout")
            .args(["120", "nice", "-n", "5", "taskset", "-c", "0", "sh", "-c", "while :; do :; done"])
            .stdin(Stdio::null())
            .spawn();
        Self(busy_loop.expect("timeout, of coreutils, and taskset, of util-linux"))
    }
}

impl Drop for BusyLoop {
    fn drop(&mut self) {
        // `timeout` passes SIGTERM on to its program.
        let id = rustix::process::Pid::from_child(&self.0);
        let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        let _ = self.0.wait();
    }
}

/// Starts `ws-load` on the processor of [`BusyLoop`], with the same priority.
pub(crate) fn start_beside(server: &Server, options: &[&str]) -> StartedRun {
    start_on_processor(server, "5", options)
}

/// Starts `ws-load` on the processor of [`BusyLoop`], with the lowest priority.
fn start_starved(server: &Server, options: &[&str]) -> StartedRun {
    start_on_processor(server, "19", options)
}

fn start_on_processor(server: &Server, niceness: &str, options: &[&str]) -> StartedRun {
    let command = ["taskset", "-c", "0", "nice", "-n", niceness, env!("CARGO_BIN_EXE_ws-load")];
    start_through(&command, &server.url(), options)
}

fn check_starved(run: &Run) {
    // A thread that only holds connections has seldom work to wait with.
    let words = if run.number("/generator/waited") >= 0.2 {
        "this machine had no CPU for the generator"
    } else {
        "threads of the generator woke up"
    };
    assert!(run.words().contains(words), "{run:?}");
    assert_eq!(run.json["generator"]["starved"], true, "{run:?}");
    assert!(run.number("/generator/waited") > 0.0, "{run:?}");
    assert!(run.number("/generator/loop_lateness/p99_us") > 1000.0, "{run:?}");
}

#[test]
fn starved_generator_says_so_in_every_mode() {
    let _busy_loop = BusyLoop::start();
    let server = Server::echo();
    let modes: [&[&str]; 4] =
        [&["-c", "10"], &["-c", "10", "--churn"], &["-c", "10", "--rate", "2000"], &["-c", "10", "--hold"]];
    for mode in modes {
        let is_hold = mode.contains(&"--hold");
        // With one, a generator that has little to do may get the processor in time.
        let _more = if is_hold { Some([(); 2].map(|()| BusyLoop::start())) } else { None };
        let asserts: &[&str] =
            if is_hold { &[] } else { &["--assert", "p99<1h", "--assert", "rate>1000000"] };
        let run = start_starved(&server, &[mode, &["-D", "1500ms"], asserts].concat()).wait();
        check_starved(&run);
        if !mode.contains(&"--rate") && !is_hold {
            // An assert that holds although the threads waited is reported as "holds". Others may fail
            // because of this machine.
            let results = [0, 1].map(|index| run.json["asserts"][index]["result"].as_str());
            assert_eq!(results, [Some("holds"), Some("inconclusive")], "{mode:?}: {run:?}");
        }
    }
}

#[test]
fn generator_beside_its_server_has_its_processor() {
    // Reported at any load of this machine: what its threads waited, and how late they ran.
    let server = Server::echo();
    let run = ws_load(&server.url(), &["-c", "4", "-D", "1s", "--rate", "200"]);
    let generator = &run.json["generator"];
    let late = generator["loop_lateness"]["p99_us"].as_f64().unwrap();
    assert!(generator["loop_lateness"]["count"].as_u64() > Some(50), "{generator}");
    assert_eq!(generator["starved"] == true, run.stdout.contains("no CPU for the generator"), "{run:?}");
    assert!(generator["starved"] == false || late >= 2500.0, "{generator}");
}
