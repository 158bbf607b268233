//! Tells the linker where the board's memory lies.

use std::env::{var, var_os};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if var_os("CARGO_FEATURE_BOARD_ESP32C3").is_some() {
        println!("cargo:rustc-link-arg=-Tlinkall.x");
    }
    if var_os("CARGO_FEATURE_BOARD_VIRT").is_some() {
        let board = std::path::Path::new(&var("CARGO_MANIFEST_DIR").unwrap_or_default()).join("src/board/virt");
        let regions = if var_os("CARGO_FEATURE_TLS").is_some() { "memory-tls.x" } else { "memory.x" };
        println!("cargo:rustc-link-search={}", board.display());
        for script in [regions, "sections.x", "link.x"] {
            println!("cargo:rustc-link-arg=-T{script}");
        }
        for script in [regions, "sections.x"] {
            println!("cargo:rerun-if-changed={}", board.join(script).display());
        }
    }
}
