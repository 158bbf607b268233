//! How much memory the image takes. The stack is painted at the start, and what has lost its paint was used.

use core::fmt;
use core::ptr::{addr_of, read_volatile, write_volatile};

use crate::board;

const PAINT: u32 = 0xfe17_1e15;

/// Paints the stack from its end up to where it is in use. To be called before anything else, by a shallow function.
pub fn paint() {
    let here = 0_u32;
    // Well below this function's own frame.
    let used = (addr_of!(here) as usize).saturating_sub(256) & !3;
    for at in (board::stack().start..used).step_by(4) {
        // SAFETY: between the end of the static memory and the stack in use there is nothing.
        unsafe { write_volatile(at as *mut u32, PAINT) };
    }
}

/// The most of the stack that was ever in use, in bytes.
fn used() -> usize {
    let stack = board::stack();
    // SAFETY: this is the stack's own memory, and whole words of it can be read at any time.
    let painted = |at: &usize| unsafe { read_volatile(*at as *const u32) } == PAINT;
    stack.end - stack.clone().step_by(4).find(|at| !painted(at)).unwrap_or(stack.end)
}

/// Static memory, and the most of the stack that was ever in use, in bytes.
pub struct Sizes;

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "static {} stack {}", board::statics().len(), used())
    }
}
