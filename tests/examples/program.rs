//! An example, running as a program of its own.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::HashMap;
use std::env;
use std::io::{self, BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::SystemTime;

/// What is run here.
const EXAMPLES: [&str; 8] = [
    "actor",
    "async_std_service",
    "batch_controller",
    "drain_server",
    "fan_out",
    "service",
    "smol_service",
    "tokio_service",
];

/// No test takes as long. A program that hangs is killed, and its test fails by that.
const HANGS: Duration = Duration::from_secs(100);

/// The folder of the examples' programs, which cargo puts beside that of the tests' programs.
fn programs() -> &'static PathBuf {
    static PROGRAMS: OnceLock<PathBuf> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let tests = env::current_exe().unwrap();
        let profile = tests.parent().and_then(|deps| deps.parent()).unwrap();
        let programs = profile.join("examples");
        // `cargo test` has built them just now; `cargo test --test examples` has not, and what is
        // there may be without the feature.
        let built = EXAMPLES.iter().map(|name| modified(&programs.join(name)).ok()).min().flatten();
        if built.is_none() || built < newest_source() || cfg!(feature = "holders") {
            build(profile);
        }
        programs
    })
}

fn modified(path: &Path) -> io::Result<SystemTime> {
    path.metadata()?.modified()
}

fn newest_source() -> Option<SystemTime> {
    let mut newest = None;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("src"), root.join("examples")];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                newest = newest.max(modified(&path).ok());
            }
        }
    }
    newest
}

/// Builds the programs into the folder of this profile, with the features of this test.
fn build(profile: &Path) {
    let name = match profile.file_name().unwrap().to_str().unwrap() {
        "debug" => "dev",
        name => name,
    };
    let features: Vec<_> = [
        ("std", true),
        ("critical-section", cfg!(feature = "critical-section")),
        ("portable-atomic", cfg!(feature = "portable-atomic")),
        ("holders", cfg!(feature = "holders")),
    ]
    .into_iter()
    .filter_map(|(name, is_on)| is_on.then_some(name))
    .collect();
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--examples", "--profile", name, "--target-dir"])
        .arg(profile.parent().unwrap())
        .args(["--no-default-features", "--features", &features.join(",")])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .unwrap();
    assert!(status.success(), "the examples do not build");
}

/// The example, running.
pub(crate) struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// The end of the test; until then a thread watches the time.
    _over: Sender<()>,
}

/// The example, ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Running {
    pub(crate) fn start(example: &str, args: &[&str]) -> Self {
        let mut child = Command::new(programs().join(example))
            .args(args)
            // Printing one takes long, and it is not what is tested.
            .env("RUST_BACKTRACE", "0")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (over, watched) = channel::<()>();
        let id = child.id();
        thread::spawn(move || {
            if watched.recv_timeout(HANGS) == Err(RecvTimeoutError::Timeout) {
                signal(id, "KILL");
            }
        });
        Self { child, stdout, _over: over }
    }

    /// Started to listen, with the address that it wrote.
    pub(crate) fn listening(example: &str, args: &[&str]) -> (Self, SocketAddr) {
        let listen = ["--listen", "127.0.0.1:0"];
        let mut running = Self::start(example, &[&listen, args].concat());
        loop {
            // Lines that tell how it goes may come before, and say "serving", too.
            let line = running.line_with("serving ");
            let Some(addr) = line.strip_prefix("serving ") else { continue };
            let addr = addr.split_whitespace().next().unwrap();
            let addr = addr.trim_start_matches("http://").trim_end_matches(':').parse().unwrap();
            return (running, addr);
        }
    }

    /// Reads on to the first line that contains `text`, whatever space is between its words.
    pub(crate) fn line_with(&mut self, text: &str) -> String {
        loop {
            let mut line = String::new();
            let read = self.stdout.read_line(&mut line).unwrap();
            assert_ne!(read, 0, "the program ended, and never wrote {text:?}");
            let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
            if line.contains(text) {
                return line;
            }
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    pub(crate) fn end(mut self) -> Ended {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.stdout.read_to_string(&mut stdout).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        Ended { code: self.child.wait().unwrap().code(), stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a test that spends its time waiting, on each of these at once.
pub(crate) fn on_each(runtimes: &[&'static str], test: impl Fn(&'static str) + Sync) {
    thread::scope(|threads| {
        for runtime in runtimes {
            threads.spawn(|| test(runtime));
        }
    });
}

/// Asserts that the example does not start with any of these options, and that its error contains the word that stands
/// beside them.
#[track_caller]
pub(crate) fn assert_refuses(example: &str, options: &[(&[&str], &str)]) {
    for (args, word) in options {
        let ended = Running::start(example, args).end();
        assert_eq!(ended.code, Some(2), "{args:?}");
        assert!(ended.stderr.contains(word), "{args:?}: {}", ended.stderr);
    }
}

/// Asserts that the example fails at an address where another program listens, and says which address that is.
#[track_caller]
pub(crate) fn assert_names_the_address_in_use(example: &str, runtimes: &[&str]) {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    for runtime in runtimes {
        let ended = Running::start(example, &["--listen", &addr, "--runtime", runtime]).end();
        assert_eq!(ended.code, Some(1));
        let error = format!("{example}: cannot listen on {addr}: ");
        assert!(ended.stderr.starts_with(&error), "{}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
}

impl Ended {
    /// The numbers of the last line, which must begin with `title` and name these, in this order.
    pub(crate) fn summary(&self, title: &str, names: &[&str]) -> HashMap<&str, u64> {
        let last = self.stdout.lines().last().expect("some output");
        let fields = last.strip_prefix(title).unwrap_or_else(|| panic!("{last:?}"));
        let fields: Vec<_> =
            fields.trim().split(' ').map(|field| field.split_once('=').unwrap()).collect();
        let found: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
        assert_eq!(found, names);
        fields.into_iter().map(|(name, number)| (name, number.parse().unwrap())).collect()
    }
}

fn signal(process: u32, name: &str) {
    let status = Command::new("sh").args(["-c", &format!("kill -{name} {process}")]).status();
    assert!(status.unwrap().success());
}
