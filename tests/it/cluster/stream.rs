//! The live stream of one backend shows what came to all of them, in the order of the ledger and without a gap.

use reqwest::Client;

use super::start;
use crate::crash::check;
use crate::mosquitto::Broker;
use crate::postgres::server::Server;
use crate::support::folder::Folder;
use crate::support::load::Load;
use crate::support::place::Place;

#[tokio::test(flavor = "multi_thread")]
async fn every_backend_streams_what_came_to_any_of_them() {
    let server = Server::start();
    let folder = Folder::at(Place::on(server.url()));
    let credentials = Load::register(&folder);
    let token = folder.done(&["token", "add", "--role", "admin"]).trim().to_owned();
    let broker = Broker::start(&folder);
    let mut backends = start(2, &folder, &broker);
    for backend in &mut backends {
        backend.ready().await;
    }
    let client = Client::builder().no_proxy().build().unwrap();
    let follow = |http: u16| {
        let (client, token) = (client.clone(), token.clone());
        async move {
            let address = format!("http://127.0.0.1:{http}/api/v1/stream");
            client.get(address).bearer_auth(token).header("Last-Event-ID", 0).send().await.unwrap()
        }
    };
    let mut streams = [follow(backends[0].http).await, follow(backends[1].http).await];
    let load = Load::start(&credentials, broker.devices, 3);
    for _ in 0..20 {
        load.flows().await;
    }
    let told = load.finish().await;
    let received = |backend: usize| backends[backend].counter("fenlei_publishes_total ");
    let (one, other) = (received(0).await, received(1).await);
    assert!(one > 0.0 && other > 0.0, "both receive: {one} and {other}");
    let events = told.values().map(|events| events.lock().unwrap().len()).sum::<usize>();
    for stream in &mut streams {
        let (mut ids, mut pending) = (Vec::new(), String::new());
        while ids.len() < events {
            let chunk = tokio::time::timeout(super::PATIENCE, stream.chunk()).await.expect("the stream goes on");
            pending.push_str(std::str::from_utf8(&chunk.unwrap().unwrap()).unwrap());
            while let Some((line, rest)) = pending.split_once('\n') {
                ids.extend(line.strip_prefix("id: ").map(|id| id.parse::<i64>().unwrap()));
                pending = rest.to_owned();
            }
        }
        let store = folder.store();
        let mut rows = store.prepare("SELECT id FROM ledger ORDER BY id").unwrap();
        let rows: Vec<i64> = rows.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
        assert_eq!(ids, rows);
    }
    for backend in &mut backends {
        backend.kill();
    }
    assert_eq!(check::everything(&folder, &told), events);
}
