//! Where, when and with what a run was made.

use std::fs;
use std::time::SystemTime;

use crate::harness;

/// What is known before the rows run; `rounds` is what it was asked for.
pub(crate) fn describe(rounds: usize, quick: bool) -> Vec<(String, String)> {
    let quick = if quick { ", quick: shows that everything runs, not how fast" } else { "" };
    let versions: Vec<String> =
        BESIDE.iter().map(|name| format!("{name} {}", version(name))).collect();
    let about = [
        ("processor", processor()),
        ("cores", harness::cores().to_string()),
        ("system", system()),
        ("date", humantime::format_rfc3339_seconds(SystemTime::now()).to_string()),
        ("compiler", env!("BENCH_COMPILER").to_owned()),
        ("revision", env!("BENCH_REVISION").to_owned()),
        ("rounds", format!("{rounds}{quick}")),
        ("load before", load()),
        ("beside", versions.join(", ")),
    ];
    about.map(|(name, value)| (name.to_owned(), value)).into()
}

/// The load averages, where the system tells them.
pub(crate) fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split_once(": ")).map(|(_, name)| name.to_owned());
    name.unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

fn system() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{} {}", std::env::consts::OS, release.trim()).trim().to_owned()
}

/// The crates that are measured, or that the measured ones stand on.
const BESIDE: [&str; 10] = [
    "tokio",
    "tokio-util",
    "hyper",
    "async-executor",
    "wg",
    "crossbeam-utils",
    "waitgroup",
    "event-listener",
    "triggered",
    "futures-intrusive",
];

/// What the lock file says; the newest if it has several.
fn version(name: &str) -> &'static str {
    let lock = include_str!("../../Cargo.lock");
    let entry = format!("name = \"{name}\"\nversion = \"");
    lock.rsplit_once(&entry)
        .and_then(|(_, rest)| rest.split_once('"'))
        .map_or("?", |(version, _)| version)
}
