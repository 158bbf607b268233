//! The image of a device in QEMU: its console, its flash in a file that outlives it, and a stop without warning.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use fenlei::simulate::fleet::Credential;

/// How long a node may take for anything; an emulation beside other tests has little of the machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
/// The machine's flash is as large as that; the file is full of holes.
const FLASH: u64 = 32 << 20;

/// The image, or `None` where these tests are not wanted.
pub(crate) fn image() -> Option<PathBuf> {
    find("FENLEI_NODE_IMAGE", "virt")
}

/// The image with TLS.
pub(crate) fn sealed_image() -> Option<PathBuf> {
    find("FENLEI_NODE_TLS_IMAGE", "virt-tls")
}

fn find(variable: &str, folder: &str) -> Option<PathBuf> {
    if std::env::var_os("FENLEI_WITHOUT_QEMU").is_some() {
        say("skipped, since FENLEI_WITHOUT_QEMU is set: the image was not run");
        return None;
    }
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("firmware/node/target/{folder}/fenlei-node"));
    let image = std::env::var_os(variable).map_or(built, PathBuf::from);
    assert!(
        image.exists(),
        "{} is not there: firmware/node/build builds it, with TLS `build virt tls` (firmware/README.md says what \
         that needs), tests/all does it all, and FENLEI_WITHOUT_QEMU=1 leaves these tests out",
        image.display()
    );
    Some(image)
}

#[expect(clippy::print_stderr, reason = "what was left out, and the seed by which a failed run is repeated")]
pub(crate) fn say(line: &str) {
    eprintln!("{line}");
}

fn machine(image: &Path, words: &[String]) -> Command {
    let mut command = Command::new("qemu-system-riscv32");
    command
        .args(["-M", "virt", "-m", "32M", "-bios", "none", "-display", "none", "-serial", "stdio", "-monitor", "none"]);
    let words: String = words.iter().map(|word| format!(",arg={word}")).collect();
    command.args(["-semihosting-config", &format!("enable=on,target=native,arg=node{words}")]);
    command.args(["-global", "virtio-mmio.force-legacy=false"]);
    command.args(["-device", &format!("loader,file={}", image.display())]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    command
}

/// Runs an image to its end.
pub(crate) fn run(image: &Path) -> (ExitStatus, String) {
    let output = machine(image, &[]).output().expect("apt-get install qemu-system-misc");
    (output.status, String::from_utf8_lossy(&output.stdout).into_owned())
}

pub(crate) struct Node {
    process: Child,
    console: ChildStdin,
    lines: Receiver<String>,
    heard: Vec<String>,
}

impl Node {
    /// Starts it with what this file holds as its flash; a new file is a new flash. `clock` is where its clock begins,
    /// as QEMU reads it: `utc` or a time without zone in UTC; `trust` is what an image with TLS is told besides.
    pub(crate) fn start(
        image: &Path,
        flash: &Path,
        who: &Credential,
        broker: u16,
        clock: &str,
        trust: &[String],
    ) -> Self {
        if !flash.exists() {
            std::fs::File::create(flash).unwrap().set_len(FLASH).unwrap();
        }
        let mut words = vec![
            format!("device={}", who.device),
            format!("secret={}", who.secret),
            format!("site={}", who.site),
            format!("kind={}", who.kind),
            format!("broker=10.0.2.2:{broker}"),
        ];
        words.extend_from_slice(trust);
        let mut command = machine(image, &words);
        if !trust.is_empty() {
            command.args(["-device", "virtio-rng-device"]);
        }
        command.args(["-netdev", "user,id=net", "-device", "virtio-net-device,netdev=net"]);
        // A write that the node has seen done is in the file, whatever happens to QEMU.
        let drive = format!("if=pflash,unit=1,format=raw,cache=writethrough,file={}", flash.display());
        command.args(["-rtc", &format!("base={clock}"), "-drive", &drive]);
        let mut process = command.spawn().expect("apt-get install qemu-system-misc");
        let (console, output) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        let (told, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if told.send(line).is_err() {
                    break;
                }
            }
        });
        Self { process, console, lines, heard: Vec::new() }
    }

    pub(crate) fn type_line(&mut self, line: &str) {
        // A node that was just killed hears nothing more.
        let _ = writeln!(self.console, "{line}");
    }

    /// The next line on the console that `wanted` makes something of.
    pub(crate) fn hear<T>(&mut self, what: &str, wanted: impl FnMut(&str) -> Option<T>) -> T {
        self.hear_until(Instant::now() + PATIENCE, wanted).unwrap_or_else(|| panic!("{what}: {:#?}", self.heard))
    }

    /// Comes back when the console says exactly this.
    pub(crate) fn says(&mut self, line: &str) {
        self.hear(&format!("it never says {line:?}"), |heard| (heard == line).then_some(()));
    }

    /// The same, if it comes in time.
    pub(crate) fn hear_until<T>(&mut self, end: Instant, mut wanted: impl FnMut(&str) -> Option<T>) -> Option<T> {
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.heard.push(line.clone());
                    if let Some(found) = wanted(&line) {
                        return Some(found);
                    }
                }
                Err(RecvTimeoutError::Timeout) => return None,
                Err(RecvTimeoutError::Disconnected) => panic!("QEMU ended by itself: {:#?}", self.heard),
            }
        }
    }

    /// `kill -9`; gives what it had said that nobody had heard.
    pub(crate) fn kill(mut self) -> Vec<String> {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.lines.iter().collect()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
