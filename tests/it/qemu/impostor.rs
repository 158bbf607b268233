//! A broker that sends no certificate at all and ends the handshake as if it had: TLS 1.3 with everything left out that it
//! could not do. The library takes that for a good handshake.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use ring::digest::{SHA256, digest};
use ring::hmac::{HMAC_SHA256, Key, sign};
use ring::rand::SystemRandom;

const HANDSHAKE: u8 = 22;
const APPLICATION: u8 = 23;

/// Listens on a free port, and does so once.
pub(super) fn start() -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (port, std::thread::spawn(move || pretend(listener.accept().unwrap().0)))
}

fn pretend(mut line: TcpStream) {
    let mut header = [0; 5];
    line.read_exact(&mut header).unwrap();
    let mut hello = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
    line.read_exact(&mut hello).unwrap();

    let key = EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new()).unwrap();
    let (session, theirs) = greeted(&hello);
    let answer = server_hello(session, key.compute_public_key().unwrap().as_ref());
    let theirs = UnparsedPublicKey::new(&ECDH_P256, theirs);
    let shared = agree_ephemeral(key, &theirs, <[u8]>::to_vec).unwrap();
    line.write_all(&record(HANDSHAKE, &answer)).unwrap();

    // RFC 8446, 7.1.
    let mut transcript = [hello.as_slice(), &answer].concat();
    let early = hmac(&[0; 32], &[0; 32]);
    let secret = hmac(&expand(&early, "derived", digest(&SHA256, b"").as_ref(), 32), &shared);
    let traffic = expand(&secret, "s hs traffic", digest(&SHA256, &transcript).as_ref(), 32);
    let (key, iv) = (expand(&traffic, "key", b"", 16), expand(&traffic, "iv", b"", 12));
    let extensions = [8, 0, 0, 2, 0, 0];
    transcript.extend(extensions);
    let finished = hmac(&expand(&traffic, "finished", b"", 32), digest(&SHA256, &transcript).as_ref());
    let finished = [&[20, 0, 0, 32], finished.as_slice()].concat();
    for (number, message) in (0_u8..).zip([extensions.as_slice(), &finished]) {
        line.write_all(&sealed(&key, &iv, number, message)).unwrap();
    }
    // Whatever the device makes of it, until it hangs up.
    let _ = line.read_to_end(&mut Vec::new());
}

/// The session and the P-256 share of a client's greeting.
fn greeted(hello: &[u8]) -> (&[u8], &[u8]) {
    let (session, rest) = vector(&hello[4 + 2 + 32..], 1);
    let (_suites, rest) = vector(rest, 2);
    let (_compressions, rest) = vector(rest, 1);
    let (mut extensions, _) = vector(rest, 2);
    loop {
        let (kind, (extension, rest)) = (&extensions[..2], vector(&extensions[2..], 2));
        if kind == [0, 51] {
            let (shares, _) = vector(extension, 2);
            assert_eq!(shares[..2], [0, 23], "P-256");
            return (session, vector(&shares[2..], 2).0);
        }
        extensions = rest;
    }
}

/// What stands behind its length of so many bytes, and the rest.
fn vector(bytes: &[u8], width: usize) -> (&[u8], &[u8]) {
    let (length, rest) = bytes.split_at(width);
    rest.split_at(length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
}

fn server_hello(session: &[u8], share: &[u8]) -> Vec<u8> {
    let extensions = [&[0, 43, 0, 2, 3, 4, 0, 51, 0, 69, 0, 23, 0, 65], share].concat();
    let session = [&[session.len() as u8], session].concat();
    // Version, randomness, session, AES-128-GCM with SHA-256, no compression.
    let body = [&[3, 3], [7; 32].as_slice(), &session, &[0x13, 1, 0, 0, extensions.len() as u8], &extensions].concat();
    [&[2, 0, 0, body.len() as u8], body.as_slice()].concat()
}

fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    [[kind, 3, 3].as_slice(), &(content.len() as u16).to_be_bytes(), content].concat()
}

fn sealed(key: &[u8], iv: &[u8], number: u8, message: &[u8]) -> Vec<u8> {
    let mut nonce: [u8; 12] = iv.try_into().unwrap();
    nonce[11] ^= number;
    let mut content = [message, &[HANDSHAKE]].concat();
    let header = record(APPLICATION, &vec![0; content.len() + 16])[..5].to_vec();
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, key).unwrap());
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(&header), &mut content).unwrap();
    record(APPLICATION, &content)
}

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    sign(&Key::new(HMAC_SHA256, key), message).as_ref().to_vec()
}

/// HKDF-Expand-Label, for no more than one block.
fn expand(secret: &[u8], label: &str, context: &[u8], length: u8) -> Vec<u8> {
    let label = format!("tls13 {label}");
    let (label, context) =
        ([&[label.len() as u8], label.as_bytes()].concat(), [&[context.len() as u8], context].concat());
    let mut block = hmac(secret, &[[0, length].as_slice(), &label, &context, &[1]].concat());
    block.truncate(length.into());
    block
}
