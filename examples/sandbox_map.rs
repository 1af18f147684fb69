//! An orchestrator in small: 20 sandboxes with 5 volumes each, three subscribers, file operations and
//! jobs inside the volumes; then all sandboxes stop at once while one volume's job hangs.
//!
//!     sudo cargo run --release --example sandbox_map
//!
//! Without root: unshare -Urm cargo run --release --example sandbox_map

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::io::{IsTerminal, Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nsgate::{
    Chroot, ChrootOptions, Event, Gate, GateOptions, OpenOptions, Outcome, Report, Sandbox,
    SandboxMap, Status, Subscriber,
};

const SANDBOXES: usize = 20;
const VOLUMES: usize = 5;
const HANGING: usize = 7;
const HANG: Duration = Duration::from_secs(2);

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let volumes = Volumes::make()?;
    let gate = Gate::open(GateOptions::default())?;
    let map = SandboxMap::new(&gate);
    let limiter = Arc::new(Limiter::new(SANDBOXES as u64));
    let counter = Arc::new(Counter::default());
    let handler = Arc::new(VolumeHandler::default());
    map.subscribe("limiter", limiter.clone())?;
    map.subscribe("metrics counter", counter.clone())?;
    map.subscribe("volume handler", handler.clone())?;

    for number in 0..SANDBOXES {
        progress(&format!("starting sandbox {} of {SANDBOXES}", number + 1));
        start(&map, number, &volumes)?;
    }
    for number in 0..SANDBOXES {
        progress(&format!("working in sandbox {} of {SANDBOXES}", number + 1));
        serve(&gate, &map, number)?;
    }
    progress("");
    println!(
        "{} sandboxes run with {} chroots; files were written and read back in each.",
        counter.inserted.load(Relaxed),
        SANDBOXES * VOLUMES
    );

    let hanging = hang(&map)?;
    println!(
        "A job in {} hangs for {} s from now on. All sandboxes stop.\n",
        hanging.display(),
        HANG.as_secs()
    );
    let stopped = Instant::now();
    let held = stop_all(&map)?;
    let all_held = stopped.elapsed();
    while handler.gone() < SANDBOXES * VOLUMES && stopped.elapsed() < Duration::from_secs(30) {
        progress(&format!(
            "{} of {} chroots are gone",
            handler.gone(),
            SANDBOXES * VOLUMES
        ));
        std::thread::sleep(Duration::from_millis(50));
    }
    progress("");
    map.wait_idle(Some(Instant::now() + Duration::from_secs(10)))?;

    assert_eq!(counter.released.load(Relaxed), SANDBOXES as u64);
    assert_eq!(limiter.present.load(Relaxed), 0);
    print_table(&held, &handler, stopped);
    let report = gate.close(Instant::now() + Duration::from_secs(10))?;
    print_summary(&map, &held, all_held, &handler, stopped, &report, &gate);
    Ok(())
}

/// What the orchestrator keeps of a sandbox.
struct Tenant {
    number: usize,
    volumes: Vec<PathBuf>,
    chroots: Mutex<Vec<Chroot>>,
}

type Map = SandboxMap<Tenant>;

fn address(number: usize) -> IpAddr {
    Ipv4Addr::new(10, 11, 0, 2 + number as u8).into()
}

fn start(map: &Map, number: usize, volumes: &Volumes) -> Result<(), Failure> {
    let tenant = Tenant {
        number,
        volumes: volumes.of(number),
        chroots: Mutex::default(),
    };
    let (id, life) = (format!("sandbox-{number:02}"), format!("life-{number:02}"));
    let sandbox = map
        .register(&id, &life, tenant)
        .map_err(|(error, _)| error)?;
    sandbox.assign_network(address(number))?;
    sandbox.mark_running()?;
    Ok(())
}

/// As a volume server does it: a request comes from an address, and the sandbox that owns it says
/// which volumes may be opened.
fn serve(gate: &Gate, map: &Map, number: usize) -> Result<(), Failure> {
    let from = address(number);
    let sandbox = map
        .find_by_address(from)
        .ok_or("no sandbox has this address")?;
    for volume in &sandbox.value().volumes {
        let chroot = Chroot::open(gate, volume, &ChrootOptions::default())?;
        sandbox.attach(&chroot)?;
        // File operations: on this thread, confined to the volume. "current" is an absolute symbolic
        // link, and resolves inside.
        chroot.mkdir_all("var/log/2026", 0o755)?;
        let text = format!("written for {from}\n");
        File::from(chroot.create("/current/note", 0o644)?).write_all(text.as_bytes())?;
        let opened = chroot.open_file("srv/www/../www/note", OpenOptions::new(libc::O_RDONLY))?;
        let mut read = String::new();
        File::from(opened).read_to_string(&mut read)?;
        assert_eq!(read, text);
        // A job whose "/" is the volume: anything that takes paths works in it.
        let inside = chroot.run(|| -> std::io::Result<String> {
            std::fs::write("/var/log/2026/job", "a job was here\n")?;
            std::fs::read_to_string("/srv/www/note")
        })??;
        assert_eq!(inside, text);
        sandbox.value().chroots.lock().unwrap().push(chroot);
    }
    Ok(())
}

/// Starts a job that hangs in one of the volumes.
fn hang(map: &Map) -> Result<PathBuf, Failure> {
    let sandbox = map
        .find_by_address(address(HANGING))
        .ok_or("no such sandbox")?;
    let chroot = sandbox.value().chroots.lock().unwrap()[0].clone();
    let done = |outcome: Result<(), nsgate::Error>| outcome.expect("the job ends by itself");
    chroot.start(Box::new(|| std::thread::sleep(HANG)), Box::new(done))?;
    Ok(chroot.volume().to_owned())
}

/// Stops everything; how long each `network_released` held this thread.
fn stop_all(map: &Map) -> Result<Vec<Duration>, Failure> {
    let mut sandboxes = map.running();
    sandboxes.sort_by_key(|sandbox| sandbox.value().number);
    let mut held = Vec::with_capacity(sandboxes.len());
    for sandbox in &sandboxes {
        sandbox.mark_stopping()?;
        let began = Instant::now();
        sandbox.network_released()?;
        held.push(began.elapsed());
        sandbox.mark_stopped()?;
    }
    Ok(held)
}

/// Counts the sandboxes that hold a network, and objects to more than are allowed.
struct Limiter {
    limit: u64,
    present: AtomicU64,
}

impl Limiter {
    fn new(limit: u64) -> Limiter {
        Limiter {
            limit,
            present: AtomicU64::new(0),
        }
    }
}

impl Subscriber<Tenant> for Limiter {
    fn on_insert(&self, sandbox: &Sandbox<Tenant>) -> nsgate::Result<()> {
        if self.present.fetch_add(1, Relaxed) < self.limit {
            return Ok(());
        }
        let message = format!("{} is one too many", sandbox.id());
        Err(nsgate::Error::new(Status::CallbackFailed, message))
    }

    fn on_network_release(&self, _: &Sandbox<Tenant>) -> nsgate::Result<()> {
        self.present.fetch_sub(1, Relaxed);
        Ok(())
    }
}

#[derive(Default)]
struct Counter {
    inserted: AtomicU64,
    released: AtomicU64,
}

impl Subscriber<Tenant> for Counter {
    fn on_insert(&self, _: &Sandbox<Tenant>) -> nsgate::Result<()> {
        self.inserted.fetch_add(1, Relaxed);
        Ok(())
    }

    fn on_network_release(&self, _: &Sandbox<Tenant>) -> nsgate::Result<()> {
        self.released.fetch_add(1, Relaxed);
        Ok(())
    }
}

/// Notes when each chroot is gone. It closes none: they are attached.
#[derive(Default)]
struct VolumeHandler {
    ends: Mutex<BTreeMap<usize, Vec<(Instant, Outcome)>>>,
}

impl VolumeHandler {
    fn gone(&self) -> usize {
        self.ends.lock().unwrap().values().map(Vec::len).sum()
    }
}

impl Subscriber<Tenant> for VolumeHandler {
    fn on_network_release(&self, sandbox: &Sandbox<Tenant>) -> nsgate::Result<()> {
        sandbox.value().chroots.lock().unwrap().clear();
        Ok(())
    }

    fn on_release(&self, sandbox: &Sandbox<Tenant>, event: &Event) -> nsgate::Result<()> {
        let mut ends = self.ends.lock().unwrap();
        let of_this = ends.entry(sandbox.value().number).or_default();
        of_this.push((Instant::now(), event.outcome));
        Ok(())
    }
}

fn print_table(held: &[Duration], handler: &VolumeHandler, stopped: Instant) {
    println!("sandbox     address      held the caller  chroots gone  first after  last after");
    let ends = handler.ends.lock().unwrap();
    for (number, held) in held.iter().enumerate() {
        let none = Vec::new();
        let of_this = ends.get(&number).unwrap_or(&none);
        let after = |end: &(Instant, Outcome)| end.0.duration_since(stopped);
        let first = of_this.iter().map(after).min().unwrap_or_default();
        let last = of_this.iter().map(after).max().unwrap_or_default();
        let note = if number == HANGING {
            "  its job hung"
        } else {
            ""
        };
        println!(
            "sandbox-{number:02}  {:<11}  {:>12.1} µs  {:>7} of {VOLUMES}  {:>8.2} ms  {:>7.2} ms{note}",
            address(number).to_string(),
            microseconds(*held),
            of_this.len(),
            milliseconds(first),
            milliseconds(last),
        );
    }
}

fn print_summary(
    map: &Map,
    held: &[Duration],
    all_held: Duration,
    handler: &VolumeHandler,
    stopped: Instant,
    report: &Report,
    gate: &Gate,
) {
    let ends = handler.ends.lock().unwrap();
    let mut after: Vec<Duration> = ends
        .values()
        .flatten()
        .map(|(end, _)| end.duration_since(stopped))
        .collect();
    after.sort();
    let (hung, others) = match after.as_slice() {
        [others @ .., hung] => (*hung, others.last().copied().unwrap_or_default()),
        [] => (Duration::ZERO, Duration::ZERO),
    };
    println!(
        "\nStopping all {} held the caller for {:.2} ms, a single one for {:.1} µs at most.",
        held.len(),
        milliseconds(all_held),
        microseconds(held.iter().max().copied().unwrap_or_default())
    );
    println!(
        "{} chroots were gone after {:.2} ms; the one whose job hung after {:.2} ms: it delayed nobody.",
        after.len().saturating_sub(1),
        milliseconds(others),
        milliseconds(hung)
    );
    for one in map.subscribers() {
        println!(
            "subscriber {:<16} {:>4} calls, {} slow, {} failed, longest {:.1} µs",
            one.name,
            one.calls,
            one.slow,
            one.failures + one.panics,
            microseconds(one.longest)
        );
    }
    let stats = gate.stats();
    println!(
        "gate closed: {} released ({} verified), {} failed, {} abandoned, {} remaining, {} stuck",
        report.released,
        stats.verified,
        report.failed,
        report.abandoned,
        report.remaining,
        report.stuck
    );
}

fn microseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// One line that is written over, on a terminal only; empty at last.
fn progress(text: &str) {
    let mut output = std::io::stdout();
    if output.is_terminal() {
        let _ = write!(output, "\r\x1b[K{text}");
        let _ = output.flush();
    }
}

/// The volumes' directories, each filled with the same small tree; removed at the end.
struct Volumes(PathBuf);

impl Volumes {
    fn make() -> std::io::Result<Volumes> {
        let place = std::env::temp_dir().join(format!("nsgate-sandbox-map-{}", std::process::id()));
        let volumes = Volumes(place);
        for number in 0..SANDBOXES {
            progress(&format!(
                "filling the volumes of sandbox {} of {SANDBOXES}",
                number + 1
            ));
            for volume in volumes.of(number) {
                fill(&volume)?;
            }
        }
        Ok(volumes)
    }

    fn of(&self, number: usize) -> Vec<PathBuf> {
        let name = |volume| format!("sandbox-{number:02}/volume-{volume}");
        (0..VOLUMES)
            .map(|volume| self.0.join(name(volume)))
            .collect()
    }
}

impl Drop for Volumes {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("{} is left: {error}", self.0.display());
        }
    }
}

fn fill(volume: &Path) -> std::io::Result<()> {
    for directory in ["etc", "srv/www/assets", "usr/share/doc", "var/cache"] {
        std::fs::create_dir_all(volume.join(directory))?;
    }
    std::fs::write(volume.join("etc/hostname"), "sandbox\n")?;
    for number in 0..10 {
        let page = format!("<title>page {number}</title>\n");
        std::fs::write(volume.join(format!("srv/www/page-{number}.html")), page)?;
        let asset = vec![number as u8; 4096];
        std::fs::write(volume.join(format!("srv/www/assets/{number}.bin")), asset)?;
    }
    std::os::unix::fs::symlink("/srv/www", volume.join("current"))
}
