#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let n: u64 = std::env::args().nth(1).unwrap().parse()?;
    let dir = tempfile::tempdir_in("/tmp")?;
    let clock: fenlei::clock::SharedClock = std::sync::Arc::new(fenlei::clock::SystemClock);
    let now = clock.now();
    if std::env::args().nth(2).is_some() {
        for first in [true, false] {
            let dir = tempfile::tempdir_in("/tmp")?;
            let r = fenlei::bench::broker::run(dir.path(), n, first, clock.clone()).await?;
            println!("{r:?} ratio {:.3}", r.ratio());
        }
        return Ok(());
    }
    let r = fenlei::bench::pipeline::run(dir.path(), n, 1000, now).await?;
    println!(
        "{r:?} ratio {:.3} bytes {:.1} rate {:.0}/s log {:.0}/s",
        r.ratio(),
        r.bytes_an_event(),
        n as f64 / r.pipeline.as_secs_f64(),
        n as f64 / r.log.as_secs_f64()
    );
    Ok(())
}
