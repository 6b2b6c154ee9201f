//! The search for the highest rate that holds.

use crate::{
    runs::{scratch, start, ws_load},
    test_servers::Server,
};
use rustix::process::Signal;
use serde_json::Value;
use std::{
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// Starts a server that takes 4 ms for each message, one after the other: at most 250 messages a second.
fn slow() -> Server {
    let one = Mutex::new(());
    Server::replying(move |_, message| {
        let _guard = one.lock().unwrap();
        thread::sleep(Duration::from_millis(4));
        vec![message]
    })
}

const STEP: [&str; 6] = ["-c", "100", "-D", "600ms", "--warmup", "100ms"];

#[test]
fn find_names_the_highest_rate_that_holds_and_its_spread() {
    let server = slow();
    let options = [&STEP[..], &["--rate", "60", "--find", "p99<200ms", "--find-rounds", "2"]].concat();
    let run = ws_load(&server.url(), &options);
    let found = &run.json["found"];
    let [rate, lowest, highest] = ["rate", "lowest", "highest"].map(|name| found[name].as_u64().unwrap_or(0));
    // The server reaches 250, and somewhat less while other tests run.
    assert!((60..=330).contains(&rate) && lowest <= rate && rate <= highest, "{found}\n{run:?}");
    assert_eq!(found["rounds"].as_array().map(Vec::len), Some(2), "{found}");
    let results: Vec<_> = found["steps"].as_array().unwrap().iter().map(|step| &step["result"]).collect();
    assert!(results.contains(&&Value::from("holds")) && results.contains(&&Value::from("breaks")), "{found}");
    // The report is that of the step at this rate.
    assert_eq!((&run.json["rate_asked"], &run.json["asserts"][0]["result"]), (&rate.into(), &"holds".into()));
    assert_eq!(run.code, Some(0), "{found}\n{run:?}");
    assert!(run.words().contains(&format!("FOUND: p99<200ms holds up to {rate} messages/s")), "{run:?}");
    assert!(run.stderr.contains("round 2: "), "{run:?}");
    let files = [(); 2].map(|()| scratch("found.json"));
    for file in &files {
        std::fs::write(file, run.json.to_string()).unwrap();
    }
    let compare = Command::new(env!("CARGO_BIN_EXE_ws-load")).arg("compare").args(&files).output().unwrap();
    let table = String::from_utf8_lossy(&compare.stdout).into_owned();
    assert!(
        table.lines().any(|line| line.contains("found rate") && line.contains(&rate.to_string())),
        "{table}"
    );
    for file in files {
        let _ = std::fs::remove_file(file);
    }
}

#[test]
fn find_says_that_no_rate_holds() {
    let server = Server::echo();
    let options = ["-c", "2", "-D", "100ms", "--warmup", "10ms", "--rate", "4", "--find", "max<1ns"];
    let run = ws_load(&server.url(), &[&options[..], &["--find-rounds", "1"]].concat());
    assert_eq!((run.code, &run.json["found"]["rate"]), (Some(3), &Value::Null), "{run:?}");
    assert!(run.words().contains("FAILED: max<1ns holds at no rate"), "{run:?}");
}

#[test]
fn find_names_its_own_limit() {
    // One message in flight, and a reply after 20 ms: at most 50 messages a second, also of an endless
    // server.
    let server = Server::replying(|_, message| {
        thread::sleep(Duration::from_millis(20));
        vec![message]
    });
    let options = ["-c", "1", "-D", "600ms", "--warmup", "100ms", "--rate", "20"];
    let search = ["--find", "p99<100ms", "--find-rounds", "1"];
    let run = ws_load(&server.url(), &[&options[..], &search].concat());
    assert_eq!((run.code, &run.json["found"]["limited_by_generator"]), (Some(3), &true.into()), "{run:?}");
    assert!(run.words().contains("INCONCLUSIVE: p99<100ms holds up to"), "{run:?}");
    let words = run.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("are too few for this rate"), "{run:?}");
}

#[test]
fn find_counts_errors_as_a_bound_that_breaks() {
    // Above 100 messages in a step one is not answered.
    let server = Server::replying(|number, message| if number == 100 { vec![] } else { vec![message] });
    let options =
        ["-c", "1", "-d", "50", "-D", "500ms", "--warmup", "0s", "--rate", "100", "--drain", "100ms"];
    let run = ws_load(&server.url(), &[&options[..], &["--find", "p99<10s", "--find-rounds", "1"]].concat());
    let rate = run.json["found"]["rate"].as_u64().unwrap_or(0);
    assert!((150..=200).contains(&rate) && run.code == Some(0), "{}\n{run:?}", run.json["found"]);
    assert!(run.stderr.contains("breaks (1 errors"), "{run:?}");
}

#[test]
fn find_repeats_a_step_that_does_not_hold() {
    // One message of all is not answered. That is no limit of the server.
    let count = AtomicU64::new(0);
    let server =
        Server::replying(
            move |_, message| {
                if count.fetch_add(1, Ordering::Relaxed) == 30 { vec![] } else { vec![message] }
            },
        );
    let options =
        ["-c", "4", "-d", "50", "-D", "300ms", "--warmup", "0s", "--rate", "50", "--drain", "100ms"];
    let run = ws_load(&server.url(), &[&options[..], &["--find", "sent<150", "--find-rounds", "1"]].concat());
    let found = &run.json["found"];
    let steps: Vec<_> = found["steps"].as_array().unwrap().iter().collect();
    let broken = steps.iter().position(|step| step["seen"].as_str().unwrap().contains("1 errors")).unwrap();
    let results = [broken, broken + 1].map(|index| steps[index]["result"].as_str().unwrap());
    assert_eq!(results, ["breaks", "holds"], "{found}");
    assert!(found["rate"].as_u64() > steps[broken]["rate"].as_u64() && run.code == Some(0), "{found}");
}

#[test]
fn find_ends_at_a_signal_with_what_it_has() {
    let server = Server::echo();
    let run = start(&server.url(), &["-c", "1", "-D", "30s", "--find", "p99<1s"]);
    crate::harness::eventually("a step has begun", || server.counted() > 0);
    run.signal(Signal::TERM);
    let run = run.wait();
    assert_eq!(
        (run.code, run.json["found"]["steps"].as_array().map(Vec::len)),
        (Some(130), Some(0)),
        "{run:?}"
    );
}

#[test]
fn find_rejects_what_contradicts_it() {
    let server = Server::echo();
    for options in [
        &["--find", "p99<1s", "--churn"][..],
        &["--find", "p99<1s", "--stages", "1/1s"],
        &["--find", "p99"],
        &["--find-rounds", "2"],
    ] {
        assert_eq!(ws_load(&server.url(), options).code, Some(2), "{options:?}");
    }
}
