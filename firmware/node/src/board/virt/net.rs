//! The virtio network card, as embassy's network stack wants it. Frames are received into a few buffers of their own and
//! sent one at a time: the emulation takes a frame as soon as it is told of it.

use core::cell::RefCell;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::Context;

use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use embassy_sync::waitqueue::AtomicWaker;
use static_cell::ConstStaticCell;
use virtio_drivers::device::net::VirtIONetRaw;
use virtio_drivers::transport::DeviceType;
use virtio_drivers::transport::mmio::MmioTransport;

use super::virtio::{Pages, find};
use super::{peek, poke};

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

/// Finds the card and starts it; gives its interrupt too.
pub(super) fn start() -> (Network, u32) {
    let Some((transport, registers, interrupt)) = find(DeviceType::Network) else {
        panic!("the machine has no network card: -device virtio-net-device");
    };
    CARD.store(registers, Ordering::Relaxed);
    (Network::new(transport), interrupt)
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
