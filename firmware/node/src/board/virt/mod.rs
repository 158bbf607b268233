//! QEMU's RISC-V machine `virt`: serial port, real-time clock, NOR flash, virtio network, one hart.
//!
//! What it lacks is said here: it has no watchdog of its own, so the timer's interrupt takes the place of one and cannot
//! help where interrupts stay off; and no true randomness of its own, which without TLS only back-off and port numbers need.
//! For TLS QEMU lends the host's: `-device virtio-rng-device`.

mod flash;
mod net;
#[cfg(feature = "tls")]
mod random;
mod virtio;

use core::cell::RefCell;
use core::ops::Range;
use core::ptr::{addr_of, read_volatile, write_volatile};

use critical_section::{CriticalSection, Mutex};
use embassy_net::{Ipv4Address, Ipv4Cidr, Stack, StaticConfigV4};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::pipe::Pipe;
use embassy_time_driver::Driver;
use embassy_time_queue_utils::Queue;
use fenlei_wire::time::UnixMillis;
use riscv::interrupt::Interrupt;

use crate::settings::Settings;
use crate::watchdog;

pub use embassy_executor::Executor;
pub use flash::{Flash, SECTOR};
pub use net::Network;
#[cfg(feature = "tls")]
pub use random::random;
pub use riscv_rt::entry;

const UART: usize = 0x1000_0000;
const UART_IRQ: u32 = 10;
const FINISHER: usize = 0x0010_0000;
const RTC: usize = 0x0010_1000;
const MTIMECMP: usize = 0x0200_4000;
const MTIME: usize = 0x0200_bff8;
const PLIC: usize = 0x0c00_0000;
const PLIC_ENABLE: usize = PLIC + 0x2000;
const PLIC_THRESHOLD: usize = PLIC + 0x20_0000;
const PLIC_CLAIM: usize = PLIC + 0x20_0004;

/// How long the timer's interrupt may stay away: half a second of 10 MHz.
const LOOK: u64 = 5_000_000;

/// What the application is given once.
pub struct Parts {
    /// What it was provisioned with, and its network.
    pub settings: Result<(Settings, Network, Link), &'static str>,
    /// Its memory.
    pub flash: Flash,
    /// Its address: that of QEMU's own network, where the host is 10.0.2.2.
    pub address: embassy_net::Config,
}

/// What keeps the network up: nothing has to.
pub struct Link;

/// That needs none.
pub const SOCKETS: usize = 0;

impl Link {
    /// Keeps the network up.
    pub async fn keep(self, _: Stack<'static>) -> ! {
        core::future::pending().await
    }
}

fn peek(address: usize) -> u32 {
    // SAFETY: the addresses in this module are registers of this machine, on which reading them has no other effect
    // than the one that is wanted.
    unsafe { read_volatile(address as *const u32) }
}

fn poke(address: usize, value: u32) {
    // SAFETY: as above; what is written there changes devices, not memory that Rust knows of.
    unsafe { write_volatile(address as *mut u32, value) }
}

fn peek_byte(address: usize) -> u8 {
    // SAFETY: as above, for the registers of the serial port, which are bytes.
    unsafe { read_volatile(address as *const u8) }
}

fn poke_byte(address: usize, value: u8) {
    // SAFETY: as above.
    unsafe { write_volatile(address as *mut u8, value) }
}

/// Starts the devices and the interrupts; once.
pub fn start() -> Parts {
    let (network, network_irq) = net::start();
    for irq in [UART_IRQ, network_irq] {
        poke(PLIC + irq as usize * 4, 1);
        poke(PLIC_ENABLE, peek(PLIC_ENABLE) | 1 << irq);
    }
    poke(PLIC_THRESHOLD, 0);
    poke_byte(UART + 1, 1);
    set_alarm(u64::MAX);
    // SAFETY: all that the handlers touch is static, and exists from the beginning.
    unsafe {
        riscv::register::mie::enable(Interrupt::MachineTimer);
        riscv::register::mie::enable(Interrupt::MachineExternal);
        riscv::interrupt::enable();
    }
    let address = StaticConfigV4 {
        address: Ipv4Cidr::new(Ipv4Address::new(10, 0, 2, 15), 24),
        gateway: Some(Ipv4Address::new(10, 0, 2, 2)),
        dns_servers: Default::default(),
    };
    let settings = settings().map(|settings| (settings, network, Link));
    Parts { settings, flash: Flash::new(), address: embassy_net::Config::ipv4_static(address) }
}

/// What the device was provisioned with: the words after QEMU's `-semihosting-config …,arg=`.
fn settings() -> Result<Settings, &'static str> {
    const LONGEST: usize = if cfg!(feature = "tls") { 2048 } else { 640 };
    #[cfg(feature = "tls")]
    if !random::start() {
        return Err("the machine has no source of randomness: -device virtio-rng-device");
    }
    let words = semihosting::experimental::env::args::<LONGEST>().map_err(|_| "the arguments are too long")?;
    Settings::read(words.into_iter().flatten())
}

/// The time of day, of the machine's real-time clock; a clock that was never set stands in the last century.
pub fn wall_clock() -> Option<UnixMillis> {
    let low = peek(RTC);
    let nanos = u64::from(peek(RTC + 4)) << 32 | u64::from(low);
    let millis = (nanos / 1_000_000) as i64;
    (millis > 1_000_000_000_000).then_some(UnixMillis(millis))
}

/// Something that differs from start to start.
pub fn seed() -> u64 {
    ticks() ^ u64::from(peek(RTC)).rotate_left(40)
}

/// Locks the lid, or unlocks it: the machine has none, and the console says how it stands.
pub fn lid(_: bool) {}

/// Starts the device anew.
pub fn reset() -> ! {
    poke(FINISHER, 0x7777);
    loop {}
}

/// Ends the emulation, with success or without.
pub fn exit(success: bool) -> ! {
    poke(FINISHER, if success { 0x5555 } else { 1 << 16 | 0x3333 });
    loop {}
}

static TYPED: Pipe<CriticalSectionRawMutex, 256> = Pipe::new();

/// What is typed on the console; waits for it.
pub async fn read(buffer: &mut [u8]) -> usize {
    TYPED.read(buffer).await
}

/// Writes to the console.
pub fn write(text: &str) {
    for byte in text.bytes() {
        while peek_byte(UART + 5) & 1 << 5 == 0 {}
        poke_byte(UART, byte);
    }
}

/// The memory of the stack.
pub fn stack() -> Range<usize> {
    unsafe extern "C" {
        static __euninit: u8;
        static _stack_start: u8;
    }
    addr_of!(__euninit) as usize..addr_of!(_stack_start) as usize
}

/// The memory of what is static.
pub fn statics() -> Range<usize> {
    unsafe extern "C" {
        static __sdata: u8;
        static __euninit: u8;
    }
    addr_of!(__sdata) as usize..addr_of!(__euninit) as usize
}

/// What came to the serial port; the pipe drops what nobody reads.
fn take_typed() {
    while peek_byte(UART + 5) & 1 != 0 {
        let _ = TYPED.try_write(&[peek_byte(UART)]);
    }
}

fn ticks() -> u64 {
    loop {
        let high = peek(MTIME + 4);
        let low = peek(MTIME);
        if peek(MTIME + 4) == high {
            return u64::from(high) << 32 | u64::from(low);
        }
    }
}

fn set_alarm(at: u64) {
    let at = at.min(ticks() + LOOK);
    // Between the writes it must not lie in the past.
    poke(MTIMECMP + 4, u32::MAX);
    poke(MTIMECMP, at as u32);
    poke(MTIMECMP + 4, (at >> 32) as u32);
}

struct Timer {
    queue: Mutex<RefCell<Queue>>,
}

embassy_time_driver::time_driver_impl!(static TIMER: Timer = Timer { queue: Mutex::new(RefCell::new(Queue::new())) });

impl Timer {
    fn expire(&self, lock: CriticalSection) {
        set_alarm(self.queue.borrow_ref_mut(lock).next_expiration(ticks()));
    }
}

impl Driver for Timer {
    fn now(&self) -> u64 {
        ticks()
    }

    fn schedule_wake(&self, at: u64, waker: &core::task::Waker) {
        critical_section::with(|lock| {
            let sooner = self.queue.borrow_ref_mut(lock).schedule_wake(at, waker);
            if sooner {
                self.expire(lock);
            }
        });
    }
}

#[riscv_rt::core_interrupt(Interrupt::MachineTimer)]
fn timer() {
    watchdog::look();
    critical_section::with(|lock| TIMER.expire(lock));
}

#[riscv_rt::core_interrupt(Interrupt::MachineExternal)]
fn external() {
    loop {
        match peek(PLIC_CLAIM) {
            0 => return,
            irq => {
                if irq == UART_IRQ {
                    take_typed()
                } else {
                    net::interrupted()
                }
                poke(PLIC_CLAIM, irq);
            }
        }
    }
}
