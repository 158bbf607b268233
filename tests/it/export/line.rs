//! The line protocol as it is written, by the property that a fuzz target also asks for.

use proptest::prelude::*;

use super::one_line::holds;

/// Texts made of what means something in the protocol.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop_oneof![
        Just(&b"\\"[..]),
        Just(b"\""),
        Just(b","),
        Just(b"="),
        Just(b" "),
        Just(b"\n"),
        Just(b"\r"),
        Just(b"#"),
        Just(b"\0"),
        Just(b"\t"),
        Just("\u{85}".as_bytes()),
        Just("\u{2028}".as_bytes()),
        Just("箱".as_bytes()),
        Just(b"a"),
        Just(b"1i"),
        Just(b"\xff"),
        Just(b"\nforged,t=v f=1 1\n"),
    ];
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
