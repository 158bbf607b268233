//! Whatever texts and numbers a point holds, it is one line and reads back as that point.

#![no_main]

#[expect(unreachable_pub, reason = "others use it where it is at home")]
#[path = "../../it/export/one_line.rs"]
mod one_line;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| one_line::holds(bytes));
