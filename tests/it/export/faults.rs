//! Servers that are busy, broken, slow or choosy: nothing is lost, and only what is refused for good is put aside.

use std::time::Duration;

use fenlei::clock::Clock;
use fenlei::store::export;

use super::ledger::Points;
use super::server::Reply::{Refuse, Take, TakeAndHang};
use super::world::{World, deposit};

#[tokio::test]
async fn a_server_gets_the_time_it_asks_for() {
    let mut world = World::start().await;
    world.says("gate/bin/bin-1", (1..=3).map(deposit)).await;
    let date = world.api.clock.now() + chrono::TimeDelta::seconds(3);
    let date = date.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    world.influx.replies_once([
        Refuse(429, Some("2".to_owned()), r#"{"code":"too many requests","message":"slow down"}"#),
        Refuse(503, None, ""),
        Refuse(503, Some(date), ""),
        Refuse(500, None, "<html>"),
    ]);
    world.export(5_000);
    world.until_equal().await;
    let at: Vec<_> = world.influx.writes().iter().map(|write| write.at).collect();
    assert_eq!(at.len(), 5, "each refusal is one wait");
    assert!(at[1] - at[0] >= Duration::from_secs(2), "as many seconds as it says");
    assert!(at[3] - at[2] >= Duration::from_secs(3), "until the date that it says");
    assert!(at[2] - at[1] < Duration::from_secs(10), "no longer than need be");
    world.pause().await;
}

#[tokio::test]
async fn a_mistake_in_the_settings_puts_nothing_aside() {
    let mut world = World::start().await;
    world.says("gate/bin/bin-1", (1..=3).map(deposit)).await;
    world.influx.replies_once([Refuse(401, None, ""), Refuse(404, None, ""), Refuse(301, None, "")]);
    world.export(5_000);
    world.until_equal().await;
    assert_eq!(world.api.store.read(export::progress).await.unwrap().refused, 0);
    world.pause().await;
}

#[tokio::test]
async fn an_answer_that_never_comes_has_the_batch_written_again() {
    let mut world = World::start().await;
    world.says("gate/bin/bin-1", (1..=50).map(deposit)).await;
    world.influx.replies_once([TakeAndHang, TakeAndHang]);
    world.export(20);
    world.until_progress(|progress| progress.position == progress.last).await;
    world.until_equal().await;
    let writes = world.influx.writes();
    assert_eq!(writes.len(), 5);
    assert!(writes[0].lines == writes[1].lines && writes[1].lines == writes[2].lines, "byte for byte");
    assert!(writes[1].at - writes[0].at >= Duration::from_secs(1), "it was waited for");
    assert_eq!(world.influx.points().len(), 50);
    world.pause().await;
}

#[tokio::test]
async fn a_batch_that_is_too_large_is_divided() {
    let mut world = World::start().await;
    world.says("gate/bin/bin-1", (1..=64).map(deposit)).await;
    world.influx.replies(|write| if write.lines.lines().count() > 10 { Refuse(413, None, "") } else { Take });
    world.export(5_000);
    world.until_equal().await;
    assert_eq!(world.until_progress(|progress| progress.position == progress.last).await.refused, 0);
    world.pause().await;
}

/// The expected points without those of some seqs of the bin.
async fn without(world: &World, seqs: &[i64]) -> Points {
    let mut expected = world.expected().await;
    expected.retain(|(_, time), _| !seqs.iter().any(|seq| (time - seq - 618_033 - 414_213) % 1_000_000 == 0));
    expected
}

#[tokio::test]
async fn an_event_that_is_refused_is_put_aside_with_the_reason_until_somebody_asks() {
    let mut world = World::start().await;
    world.says("gate/bin/bin-1", (1..=100).map(|seq| deposit(if seq % 40 == 7 { 666 } else { seq }))).await;
    let choosy = |write: &super::server::Write| match write.lines.contains("grams=666i") {
        true => Refuse(400, None, r#"{"code":"invalid","message":"unable to parse 'deposit': nobody brings 666"}"#),
        false => Take,
    };
    world.influx.replies(choosy);
    world.export(5_000);
    world.influx.until(&without(&world, &[7, 47, 87]).await).await;
    world.until_progress(|progress| progress.refused == 3 && progress.position == progress.last).await;
    let listed = world.api.store.read(|connection| export::refused(connection, 10)).await.unwrap();
    let listed: Vec<_> = listed.iter().map(|one| (one.event.event.seq, one.reason.as_str())).collect();
    let reason = "HTTP 400: unable to parse 'deposit': nobody brings 666";
    assert_eq!(listed, [(87, reason), (47, reason), (7, reason)]);

    // Judged later it is tried once more, and is still there once.
    let judged = serde_json::json!({"type": "judgement", "verdict": "correct", "deposit": {"device": "bin-1", "boot": 1, "seq": 47}});
    world.says("gate/camera/cam-1", [judged]).await;
    let tried = |world: &World| world.influx.writes().iter().filter(|write| write.lines.contains("grams=666i")).count();
    let before = tried(&world);
    world.influx.until(&without(&world, &[7, 47, 87]).await).await;
    world.until_progress(|progress| progress.position == progress.last).await;
    assert!(tried(&world) > before);
    assert_eq!(world.api.store.read(export::progress).await.unwrap().refused, 3);

    // While it is refused asking changes nothing; once it is not, it arrives.
    let again = || world.api.store.write(|session| export::try_refused_again(session.connection));
    assert_eq!(again().await.unwrap(), 3);
    let writes = world.influx.writes().len();
    world.influx.until_so(|influx| influx.writes().len() >= writes + 5, || "it is tried".to_owned()).await;
    let asked = "SELECT count(*) FROM export_dead WHERE again = 1";
    while world
        .api
        .store
        .read(|connection| Ok(connection.query_row(asked, [], |row| row.get::<_, i64>(0))?))
        .await
        .unwrap()
        > 0
    {
        tokio::task::yield_now().await;
    }
    world.until_progress(|progress| progress.refused == 3).await;
    world.influx.replies(|_| Take);
    again().await.unwrap();
    world.until_equal().await;
    world.until_progress(|progress| progress.refused == 0).await;
    world.pause().await;
}

#[tokio::test]
async fn a_restart_goes_on_where_it_was() {
    let mut world = World::start().await;
    world.says("gate/bin/bin-1", (1..=100).map(deposit)).await;
    let mut left = 3;
    world.influx.replies(move |_| {
        left -= 1;
        if left >= 0 { Take } else { Refuse(503, None, "") }
    });
    world.export(10);
    world.until_progress(|progress| progress.position == 30).await;
    world.influx.until_so(|influx| influx.writes().len() == 4, || "a fourth is tried".to_owned()).await;
    world.pause().await;
    world.influx.replies(|_| Take);
    world.influx.forget();
    world.export(10);
    world.until_progress(|progress| progress.position == progress.last).await;
    assert_eq!(world.influx.points().len(), 70, "nothing is written twice without need");
    world.pause().await;
}
