//! The virtio network card, as embassy's network stack wants it. Frames are received into a few buffers of their own and
//! sent one at a time: the emulation takes a frame as soon as it is told of it.

use core::cell::{RefCell, UnsafeCell};
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::Context;

use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use embassy_sync::waitqueue::AtomicWaker;
use static_cell::ConstStaticCell;
use virtio_drivers::device::net::VirtIONetRaw;
use virtio_drivers::transport::mmio::{MmioTransport, VirtIOHeader};
use virtio_drivers::transport::{DeviceType, Transport};
use virtio_drivers::{BufferDirection, Hal, PAGE_SIZE, PhysAddr};

use super::{peek, poke};

const SLOTS: usize = 0x1000_1000;
const SLOT: usize = 0x1000;
const INTERRUPT_STATUS: usize = 0x60;
const INTERRUPT_ACK: usize = 0x64;

/// An Ethernet frame without its checksum.
const FRAME: usize = 1514;
/// A frame and the card's own header before it, in whole words.
const BUFFER: usize = FRAME + 14;
const BUFFERS: usize = 2;
const QUEUE: usize = 4;

type Card = VirtIONetRaw<Pages, MmioTransport<'static>, QUEUE>;
type Buffer = [u8; BUFFER];

static FRAMES: ConstStaticCell<[Buffer; BUFFERS]> = ConstStaticCell::new([[0; BUFFER]; BUFFERS]);
static OUTGOING: ConstStaticCell<[u8; FRAME]> = ConstStaticCell::new([0; FRAME]);
static ARRIVED: AtomicWaker = AtomicWaker::new();
/// The registers of the card, for the interrupt.
static CARD: AtomicUsize = AtomicUsize::new(0);

/// The network.
pub struct Network {
    card: RefCell<Card>,
    frames: [RefCell<Receiving>; BUFFERS],
    outgoing: RefCell<&'static mut [u8; FRAME]>,
}

/// A buffer, and the name under which the card has it.
struct Receiving {
    buffer: &'static mut Buffer,
    token: u16,
}

/// Finds the card among the slots and starts it; gives its interrupt too.
pub(super) fn start() -> (Network, u32) {
    for slot in 0..8 {
        let registers = SLOTS + slot * SLOT;
        // SAFETY: the slots of the machine lie there, whether or not a device is in one.
        let found = NonNull::new(registers as *mut VirtIOHeader)
            .and_then(|header| unsafe { MmioTransport::new(header, SLOT) }.ok());
        if let Some(transport) = found.filter(|transport| transport.device_type() == DeviceType::Network) {
            CARD.store(registers, Ordering::Relaxed);
            return (Network::new(transport), slot as u32 + 1);
        }
    }
    panic!("the machine has no network card: -device virtio-net-device");
}

pub(super) fn interrupted() {
    let registers = CARD.load(Ordering::Relaxed);
    poke(registers + INTERRUPT_ACK, peek(registers + INTERRUPT_STATUS));
    ARRIVED.wake();
}

impl Network {
    fn new(transport: MmioTransport<'static>) -> Self {
        let Ok(mut card) = Card::new(transport) else { panic!("the network card does not start") };
        let frames = FRAMES.take().each_mut().map(|buffer| {
            // SAFETY: the buffer is touched again only once the card has given it back under this token.
            let Ok(token) = (unsafe { card.receive_begin(buffer) }) else { panic!("the network card takes no buffer") };
            RefCell::new(Receiving { buffer, token })
        });
        Self { card: RefCell::new(card), frames, outgoing: RefCell::new(OUTGOING.take()) }
    }
}

impl Driver for Network {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, cx: &mut Context) -> Option<(Received<'_>, Sending<'_>)> {
        ARRIVED.register(cx.waker());
        let mut card = self.card.borrow_mut();
        let token = card.poll_receive()?;
        let index = self.frames.iter().position(|frame| frame.borrow().token == token)?;
        // SAFETY: it is the buffer that was given to the card under this token.
        let (head, length) =
            unsafe { card.receive_complete(token, &mut self.frames[index].borrow_mut().buffer[..]) }.ok()?;
        drop(card);
        Some((Received { network: self, index, head, length }, Sending { network: self }))
    }

    fn transmit(&mut self, _: &mut Context) -> Option<Sending<'_>> {
        Some(Sending { network: self })
    }

    fn link_state(&mut self, _: &mut Context) -> LinkState {
        LinkState::Up
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = FRAME;
        capabilities.max_burst_size = Some(BUFFERS);
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(self.card.borrow().mac_address())
    }
}

/// A frame that came in; its buffer goes back to the card in the end.
pub struct Received<'a> {
    network: &'a Network,
    index: usize,
    head: usize,
    length: usize,
}

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, f: F) -> R {
        let mut frame = self.network.frames[self.index].borrow_mut();
        f(frame.buffer.get_mut(self.head..self.head + self.length).unwrap_or_default())
    }
}

impl Drop for Received<'_> {
    fn drop(&mut self) {
        let mut frame = self.network.frames[self.index].borrow_mut();
        let mut card = self.network.card.borrow_mut();
        // SAFETY: the buffer is touched again only once the card has given it back under this token. There is always
        // room for it: the card's queue is longer than there are buffers.
        if let Ok(token) = unsafe { card.receive_begin(&mut frame.buffer[..]) } {
            frame.token = token;
        }
    }
}

/// Leave to send a frame.
pub struct Sending<'a> {
    network: &'a Network,
}

impl TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let mut outgoing = self.network.outgoing.borrow_mut();
        let frame = &mut outgoing[..length];
        let result = f(frame);
        // A frame that cannot be sent is one that was lost on the way.
        let _ = self.network.card.borrow_mut().send(frame);
        result
    }
}

/// The memory that the card's queues lie in.
struct Pages;

const PAGES: usize = 4;

#[repr(C, align(4096))]
struct Pool(UnsafeCell<MaybeUninit<[[u8; PAGE_SIZE]; PAGES]>>);

// SAFETY: a page is given out once and then belongs to whoever has it.
unsafe impl Sync for Pool {}

#[unsafe(link_section = ".pages")]
static POOL: Pool = Pool(UnsafeCell::new(MaybeUninit::uninit()));
static GIVEN: AtomicUsize = AtomicUsize::new(0);

// SAFETY: pages are zeroed, aligned, given out once and never taken back; memory is where it seems to be, for the card too.
unsafe impl Hal for Pages {
    fn dma_alloc(pages: usize, _: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        let first = GIVEN.fetch_add(pages, Ordering::Relaxed);
        let page = POOL.0.get().cast::<[u8; PAGE_SIZE]>().wrapping_add(first).cast::<u8>();
        match NonNull::new(page).filter(|_| first + pages <= PAGES) {
            Some(memory) => {
                // SAFETY: the pages lie in the pool, and nobody else was given them.
                unsafe { memory.write_bytes(0, pages * PAGE_SIZE) };
                (page as PhysAddr, memory)
            }
            None => (0, NonNull::dangling()),
        }
    }

    unsafe fn dma_dealloc(_: PhysAddr, _: NonNull<u8>, _: usize) -> i32 {
        0
    }

    unsafe fn mmio_phys_to_virt(address: PhysAddr, _: usize) -> NonNull<u8> {
        NonNull::new(address as usize as *mut u8).unwrap_or(NonNull::dangling())
    }

    unsafe fn share(buffer: NonNull<[u8]>, _: BufferDirection) -> PhysAddr {
        buffer.cast::<u8>().as_ptr() as PhysAddr
    }

    unsafe fn unshare(_: PhysAddr, _: NonNull<[u8]>, _: BufferDirection) {}
}
