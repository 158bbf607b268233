//! Where the machine's virtio devices are, and the memory that they share with the hart.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

use virtio_drivers::transport::DeviceType;
use virtio_drivers::transport::mmio::{MmioTransport, VirtIOHeader};
use virtio_drivers::{BufferDirection, Hal, PAGE_SIZE, PhysAddr};

use super::peek;

const SLOTS: usize = 0x1000_1000;
const SLOT: usize = 0x1000;
const DEVICE_ID: usize = 0x8;

/// Finds a device of this kind; gives its registers and its interrupt too.
pub(super) fn find(kind: DeviceType) -> Option<(MmioTransport<'static>, usize, u32)> {
    // Others are left alone: a transport that is dropped ends its device.
    let slot = (0..8).find(|slot| peek(SLOTS + slot * SLOT + DEVICE_ID) == kind as u32)?;
    let registers = SLOTS + slot * SLOT;
    let header = NonNull::new(registers as *mut VirtIOHeader)?;
    // SAFETY: the slot lies there, and a device of this kind is in it.
    let transport = unsafe { MmioTransport::new(header, SLOT) }.ok()?;
    Some((transport, registers, slot as u32 + 1))
}

/// The memory that the queues of devices lie in.
pub(super) struct Pages;

/// Four for the network card, two for the source of randomness.
const PAGES: usize = if cfg!(feature = "tls") { 6 } else { 4 };

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
