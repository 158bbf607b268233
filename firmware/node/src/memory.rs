//! How much memory the image takes. The stack is painted at the start, and what has lost its paint was used.

use core::fmt;
use core::ptr::{addr_of, read_volatile, write_volatile};

const PAINT: u32 = 0xfe17_1e15;

unsafe extern "C" {
    static __stext: u8;
    static __etext: u8;
    static __srodata: u8;
    static __erodata: u8;
    static __sdata: u8;
    static __edata: u8;
    static __ebss: u8;
    static __euninit: u8;
    static _stack_start: u8;
}

fn length(from: *const u8, to: *const u8) -> usize {
    to as usize - from as usize
}

/// Paints the stack from its end up to where it is in use. To be called before anything else, by a shallow function.
pub fn paint() {
    let here = 0_u32;
    // Well below this function's own frame.
    let used = (addr_of!(here) as usize).saturating_sub(256) & !3;
    let mut at = addr_of!(__euninit) as usize;
    while at < used {
        // SAFETY: between the end of the static memory and the stack in use there is nothing.
        unsafe { write_volatile(at as *mut u32, PAINT) };
        at += 4;
    }
}

/// The most of the stack that was ever in use, in bytes.
fn stack() -> usize {
    let (mut at, top) = (addr_of!(__euninit) as usize, addr_of!(_stack_start) as usize);
    // SAFETY: this is the stack's own memory, and whole words of it can be read at any time.
    while at < top && unsafe { read_volatile(at as *const u32) } == PAINT {
        at += 4;
    }
    top - at
}

/// Code and constants, static memory, and the most of the stack that was ever in use, in bytes.
pub struct Sizes;

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The linker placed what these symbols stand for; only their addresses are taken.
        let (text, rodata) =
            (length(addr_of!(__stext), addr_of!(__etext)), length(addr_of!(__srodata), addr_of!(__erodata)));
        let data = length(addr_of!(__sdata), addr_of!(__edata));
        let memory = length(addr_of!(__sdata), addr_of!(__ebss));
        write!(f, "code {} static {memory} stack {}", text + rodata + data, stack())
    }
}
