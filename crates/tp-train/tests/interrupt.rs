//! A separate process, because a signal reaches every test of a process.
#![cfg(unix)]

use std::{
    process::Command,
    sync::atomic::Ordering,
    thread::sleep,
    time::{Duration, Instant},
};

use tp_train::{TrainError, stop_on_ctrl_c};

#[test]
fn ctrl_c_raises_the_flag_and_only_one_flag_can_listen() {
    let stop = stop_on_ctrl_c().unwrap();
    assert!(matches!(stop_on_ctrl_c().unwrap_err(), TrainError::Interrupt { .. }));
    let sent =
        Command::new("kill").args(["-INT", &std::process::id().to_string()]).status().unwrap();
    assert!(sent.success());
    let began = Instant::now();
    while !stop.load(Ordering::SeqCst) && began.elapsed() < Duration::from_secs(5) {
        sleep(Duration::from_millis(5));
    }
    assert!(stop.load(Ordering::SeqCst));
}
