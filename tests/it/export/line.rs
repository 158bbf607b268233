//! The line protocol as it is written, by the property that a fuzz target also asks for.

use proptest::prelude::*;

use super::one_line::holds;

/// Texts made of what means something in the protocol.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    const PIECES: [&[u8]; 17] = [
        b"\\",
        b"\"",
        b",",
        b"=",
        b" ",
        b"\n",
        b"\r",
        b"#",
        b"\0",
        b"\t",
        b"a",
        b"1i",
        b"\xff",
        b"\nforged,t=v f=1 1\n",
        "\u{85}".as_bytes(),
        "\u{2028}".as_bytes(),
        "箱".as_bytes(),
    ];
    let pieces = prop::sample::select(&PIECES[..]);
    let texts = prop::collection::vec(pieces, 0..60).prop_map(|pieces| pieces.concat());
    (any::<[u8; 16]>(), texts).prop_map(|(numbers, texts)| [&numbers[..], &texts].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn what_means_something_in_the_protocol_forges_no_line(bytes in hostile()) {
        holds(&bytes);
    }

    #[test]
    fn nor_does_anything_else(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        holds(&bytes);
    }
}
