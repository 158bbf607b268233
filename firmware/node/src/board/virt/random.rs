//! The machine's source of randomness, which is the host's.

use core::cell::RefCell;

use critical_section::Mutex;
use virtio_drivers::device::rng::VirtIORng;
use virtio_drivers::transport::DeviceType;
use virtio_drivers::transport::mmio::MmioTransport;

use super::virtio::{Pages, find};

type Source = VirtIORng<Pages, MmioTransport<'static>>;

static SOURCE: Mutex<RefCell<Option<Source>>> = Mutex::new(RefCell::new(None));

/// Starts it; whether there is one.
pub(super) fn start() -> bool {
    let source = find(DeviceType::EntropySource).and_then(|(transport, ..)| Source::new(transport).ok());
    critical_section::with(|lock| SOURCE.replace(lock, source));
    critical_section::with(|lock| SOURCE.borrow_ref(lock).is_some())
}

/// Fills this with true randomness.
pub fn random(mut bytes: &mut [u8]) {
    while !bytes.is_empty() {
        let given = critical_section::with(|lock| match &mut *SOURCE.borrow_ref_mut(lock) {
            Some(source) => source.request_entropy(bytes),
            None => Ok(0),
        });
        match given {
            Ok(given) if given > 0 => bytes = bytes.get_mut(given..).unwrap_or_default(),
            // A line without true randomness would only seem to be safe.
            Ok(_) | Err(_) => panic!("the source of randomness gives none"),
        }
    }
}
