//! Tells the linker where the board's memory lies.

fn main() {
    let board = std::path::Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default()).join("src/board/virt");
    println!("cargo:rustc-link-search={}", board.display());
    println!("cargo:rustc-link-arg=-Tmemory.x");
    println!("cargo:rustc-link-arg=-Tlink.x");
    println!("cargo:rerun-if-changed={}", board.join("memory.x").display());
}
