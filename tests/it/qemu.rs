//! The image of a device, in QEMU, against `fenlei serve` on its own broker: what happens at it arrives, what it is told it
//! does, cut off too, and pulling its plug loses nothing and doubles nothing.
//!
//! The images are those that `firmware/node/build` made, or those that `FENLEI_NODE_IMAGE` and, with TLS,
//! `FENLEI_NODE_TLS_IMAGE` name. `FENLEI_NODE_KILLS` says how often the plug is pulled (20 times by default), `FENLEI_NODE_SEED` repeats the seed that a run printed.

mod impostor;
mod killed;
mod node;
mod sealed;
mod site;
mod three;

use std::path::Path;

use node::{image, run, say};

/// The very cases of the host, on the target.
#[test]
fn golden_bytes_hold_on_the_target() {
    let Some(image) = image() else { return };
    let (status, said) = run(&image.with_file_name("self-test"));
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("firmware/wire/tests/golden/v1");
    let files = std::fs::read_dir(golden).unwrap().count();
    assert!(status.success() && said.contains(&format!("golden {files} good 0 bad")), "{said}");
}
