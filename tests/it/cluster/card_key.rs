//! A card key that is rotated while several backends run: none of them works under another key than the others.

use super::start;
use crate::mosquitto::Broker;
use crate::postgres::server::Server;
use crate::support::folder::Folder;
use crate::support::place::Place;

fn fingerprint(folder: &Folder) -> String {
    let sql = "SELECT value FROM meta WHERE name = 'card_key'";
    folder.store().query_row(sql, [], |row| row.get(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_key_waits_until_a_backend_starts_alone() {
    let server = Server::start();
    let folder = Folder::at(Place::on(server.url()));
    let broker = Broker::start(&folder);
    let mut backends = start(2, &folder, &broker);
    for backend in &mut backends {
        backend.ready().await;
    }
    let begun_with = fingerprint(&folder);
    folder.done(&["card-key", "rotate"]);
    assert!(backends[0].kill());
    backends[0].start_again();
    backends[0].ready().await;
    assert_eq!(fingerprint(&folder), begun_with, "the other one still has the key as it was");
    assert!(backends[0].log().contains("the rotated card key counts once all backends were stopped"));
    for backend in &mut backends {
        assert!(backend.kill());
    }
    backends[0].start_again();
    backends[0].ready().await;
    assert_ne!(fingerprint(&folder), begun_with);
}
