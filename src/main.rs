//! The program: everything it does is in the library.

use std::process::ExitCode;

/// An event is a handful of small allocations that live for milliseconds: the system's allocator costs a tenth of its way.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    fenlei::cli::main().await
}
