//! Ports for what is killed and started again.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};

/// All lie below those that the system hands out by itself, or an outgoing connection could take one while its owner is away.
const FIRST: u16 = 10_000;
const BLOCK: u16 = 2_000;
const BLOCKS: u16 = 10;

/// The first port of a block that no other run of tests uses as long as this one lasts: it would take what is away for a
/// moment for free.
static OURS: LazyLock<(u16, UnixListener)> = LazyLock::new(|| {
    let claim = |block: u16| {
        let name = SocketAddr::from_abstract_name(format!("fenlei-test-ports-{block}")).unwrap();
        Some((FIRST + block * BLOCK, UnixListener::bind_addr(&name).ok()?))
    };
    (0..BLOCKS).find_map(claim).expect("fewer runs of tests at once")
});

/// A port that nothing uses and nothing else will be given.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let candidates = std::iter::repeat_with(|| OURS.0 + NEXT.fetch_add(1, Ordering::Relaxed) % BLOCK);
    let mut free = candidates.take(BLOCK.into()).filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.next().expect("a free port")
}
