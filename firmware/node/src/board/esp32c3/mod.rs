//! The ESP32-C3: Wi-Fi, its own flash, a serial line for what happens at the device, a pin for the lid's lock, and the
//! chip's watchdog. It is built and linked in every run of the tests; it has not run on hardware.

mod flash;
mod net;

use core::cell::RefCell;
use core::ops::Range;
use core::ptr::addr_of;

use critical_section::Mutex;
use embassy_net::DhcpConfig;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::pipe::Pipe;
use esp_hal::Blocking;
use esp_hal::clock::CpuClock;
use esp_hal::gpio::{Level, Output, OutputConfig};
use esp_hal::rtc_cntl::{Rtc, RwdtStage};
use esp_hal::time::Duration;
use esp_hal::timer::PeriodicTimer;
use esp_hal::timer::timg::TimerGroup;
use esp_hal::uart::{self, Uart, UartInterrupt};
use fenlei_wire::time::UnixMillis;

use crate::settings::Settings;
use crate::watchdog;

pub use esp_hal::main as entry;
pub use esp_rtos::embassy::Executor;
pub use flash::{Flash, SECTOR};
pub use net::{Link, Network, SOCKETS};

esp_bootloader_esp_idf::esp_app_desc!();

/// How often the tasks are looked at, and how long the chip's watchdog waits for that. Erasing a page takes a part of a
/// second, in which nothing else runs.
const LOOK: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(10);

/// What the application is given once.
pub struct Parts {
    /// What it was provisioned with, and its network.
    pub settings: Result<(Settings, Network, Link), &'static str>,
    /// Its memory.
    pub flash: Flash,
    /// Its address: as the network says.
    pub address: embassy_net::Config,
}

type Shared<T> = Mutex<RefCell<Option<T>>>;

const fn none<T>() -> Shared<T> {
    Mutex::new(RefCell::new(None))
}

static LINE: Shared<Uart<'static, Blocking>> = none();
static LID: Shared<Output<'static>> = none();
static CLOCK: Shared<Rtc<'static>> = none();
static LOOKOUT: Shared<PeriodicTimer<'static, Blocking>> = none();
static TYPED: Pipe<CriticalSectionRawMutex, 256> = Pipe::new();

/// Does something with a part of the board, if it is there and nobody else is at it.
fn with<T, R>(part: &'static Shared<T>, act: impl FnOnce(&mut T) -> R) -> Option<R> {
    critical_section::with(|lock| part.borrow(lock).try_borrow_mut().ok()?.as_mut().map(act))
}

fn keep<T>(part: &'static Shared<T>, value: T) {
    critical_section::with(|lock| part.borrow(lock).replace(Some(value)));
}

/// Starts the chip, its interrupts and its radio; once.
pub fn start() -> Parts {
    let chip = esp_hal::init(esp_hal::Config::default().with_cpu_clock(CpuClock::max()));
    let mut clock = Rtc::new(chip.RTC_TIMER);
    clock.rwdt.set_timeout(RwdtStage::Stage0, PATIENCE);
    clock.rwdt.enable();
    keep(&CLOCK, clock);
    // The radio's library allocates: what the start of the chip used, and as much again.
    esp_alloc::heap_allocator!(#[esp_hal::ram(reclaimed)] size: 64 * 1024);
    esp_alloc::heap_allocator!(size: 48 * 1024);

    if let Ok(line) = Uart::new(chip.UART0, uart::Config::default()) {
        let mut line = line.with_rx(chip.GPIO20).with_tx(chip.GPIO21);
        line.set_interrupt_handler(take_typed);
        line.listen(UartInterrupt::RxFifoFull | UartInterrupt::RxTimeout);
        keep(&LINE, line);
    }
    keep(&LID, Output::new(chip.GPIO4, Level::Low, OutputConfig::default()));

    esp_rtos::start(TimerGroup::new(chip.TIMG0).timer0, chip.FROM_CPU_INTR0);
    let mut lookout = PeriodicTimer::new(TimerGroup::new(chip.TIMG1).timer0);
    lookout.set_interrupt_handler(look);
    lookout.listen();
    let looking = lookout.start(LOOK);
    keep(&LOOKOUT, lookout);

    let mut flash = Flash::new(chip.FLASH);
    let settings = looking.map_err(|_| "the watchdog does not start").and_then(|()| {
        let mut page = [0; flash::SETTINGS_BYTES];
        flash.settings(&mut page).map_err(|_| "the settings cannot be read")?;
        // What was not written is ones, and whoever wrote may have filled up with zeros.
        let written = page.iter().position(|byte| matches!(byte, 0 | 0xff)).unwrap_or(page.len());
        let text = core::str::from_utf8(&page[..written]).map_err(|_| "the settings are no text")?;
        let lines = || text.lines().map(str::trim);
        let settings = Settings::read(lines())?;
        let (network, link) = net::start(lines(), chip.WIFI)?;
        Ok((settings, network, link))
    });
    Parts { settings, flash, address: embassy_net::Config::dhcpv4(DhcpConfig::default()) }
}

/// The time of day, once a server told it; a reset does not lose it, a power cut does.
pub fn wall_clock() -> Option<UnixMillis> {
    let millis = (with(&CLOCK, |clock| clock.current_time_us())? / 1000) as i64;
    (millis > 1_000_000_000_000).then_some(UnixMillis(millis))
}

fn set_wall_clock(now: UnixMillis) {
    let micros = u64::try_from(now.0).unwrap_or(0).saturating_mul(1000);
    with(&CLOCK, |clock| clock.set_current_time_us(micros));
}

/// Something that differs from start to start.
pub fn seed() -> u64 {
    let rng = esp_hal::rng::Rng::new();
    u64::from(rng.random()) << 32 | u64::from(rng.random())
}

/// Fills this with true randomness: noise of the radio, which is on.
#[cfg(feature = "tls")]
pub fn random(bytes: &mut [u8]) {
    match esp_hal::rng::Trng::try_new() {
        Ok(trng) => trng.read(bytes),
        Err(_) => panic!("no randomness: the radio is off"),
    }
}

/// Locks the lid, or unlocks it: the pin is high while it is locked.
pub fn lid(locked: bool) {
    with(&LID, |pin| pin.set_level(if locked { Level::High } else { Level::Low }));
}

/// Starts the device anew.
pub fn reset() -> ! {
    esp_hal::system::software_reset()
}

/// Stops, until the chip's watchdog starts it anew: settings that were mended meanwhile are taken then.
pub fn exit(_: bool) -> ! {
    with(&LOOKOUT, PeriodicTimer::unlisten);
    loop {}
}

/// What came on the serial line; waits for it.
pub async fn read(buffer: &mut [u8]) -> usize {
    TYPED.read(buffer).await
}

/// Writes to the serial line.
pub fn write(text: &str) {
    let mut bytes = text.as_bytes();
    while !bytes.is_empty() {
        // Interrupts stay off only while there is room.
        let written = with(&LINE, |line| if line.write_ready() { line.write(bytes).unwrap_or(0) } else { 0 });
        let Some(written) = written else { return };
        bytes = bytes.get(written..).unwrap_or_default();
    }
}

/// The memory of the stack, but for the word that the chip watches at its end.
pub fn stack() -> Range<usize> {
    unsafe extern "C" {
        static _stack_end_cpu0: u8;
        static _stack_start_cpu0: u8;
    }
    addr_of!(_stack_end_cpu0) as usize + 64..addr_of!(_stack_start_cpu0) as usize
}

/// The memory of what is static.
pub fn statics() -> Range<usize> {
    unsafe extern "C" {
        static _data_start: u8;
        static _noinit_end: u8;
    }
    addr_of!(_data_start) as usize..addr_of!(_noinit_end) as usize
}

/// What came to the serial line; the pipe drops what nobody reads.
#[esp_hal::handler]
fn take_typed() {
    let mut typed = [0; 128];
    let count = with(&LINE, |line| {
        line.clear_interrupts(UartInterrupt::RxFifoFull | UartInterrupt::RxTimeout);
        line.read_buffered(&mut typed).unwrap_or(0)
    });
    for byte in typed.into_iter().take(count.unwrap_or(0)) {
        let _ = TYPED.try_write(&[byte]);
    }
}

/// Looks at the tasks. The chip's own watchdog is fed only here, so that it also helps where no interrupt comes.
#[esp_hal::handler]
fn look() {
    with(&LOOKOUT, PeriodicTimer::clear_interrupt);
    watchdog::look();
    with(&CLOCK, |clock| clock.rwdt.feed());
}
