//! The table: each figure beside its reference and its goal.

use std::fmt::Write;
use std::time::Duration;

use super::growth::STRETCH;
use super::pipeline::Stretch;
use super::{broker, connections, growth, ingestors, pages, visible, what_if};

/// The rate of the pipeline that is wanted, as a share of the raw log's.
pub const PIPELINE_GOAL: f64 = 0.17;

/// One line of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub measured: String,
    pub ours: String,
    /// What it stands beside; empty: nothing.
    pub reference: String,
    /// Ours to the reference's, where there is one.
    pub ratio: Option<f64>,
    /// What is wanted, and whether it is so; `None`: nothing was promised.
    pub goal: Option<(String, bool)>,
}

impl Row {
    fn new(measured: impl Into<String>, ours: impl Into<String>) -> Self {
        Self { measured: measured.into(), ours: ours.into(), reference: String::new(), ratio: None, goal: None }
    }

    fn beside(mut self, reference: impl Into<String>, ratio: Option<f64>) -> Self {
        self.reference = reference.into();
        self.ratio = ratio;
        self
    }

    fn wanted(mut self, goal: impl Into<String>, met: bool) -> Self {
        self.goal = Some((goal.into(), met));
        self
    }
}

/// The table as Markdown.
pub fn table(rows: &[Row]) -> String {
    let mut text = String::from("| measured | Fenlei | reference | ratio | goal |\n|---|---|---|---|---|\n");
    for row in rows {
        let ratio = row.ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
        let goal = row
            .goal
            .as_ref()
            .map_or_else(String::new, |(goal, met)| if *met { goal.clone() } else { format!("{goal}: **missed**") });
        // Writing to a text cannot fail.
        let _ = writeln!(text, "| {} | {} | {} | {ratio} | {goal} |", row.measured, row.ours, row.reference);
    }
    text
}

/// A store that grew.
pub fn of_growth(report: &growth::Report) -> Vec<Row> {
    let (whole, events) = (report.whole(), grouped(report.events()));
    let raw = |stretch: &Stretch| format!("append + fdatasync of the same bytes: {}", a_second(stretch.log_rate()));
    let title = format!("pipeline without MQTT, {events} events in batches of {}", grouped(growth::BATCH as u64));
    let mut rows = vec![
        Row::new(title, a_second(whole.rate()))
            .beside(raw(&whole), Some(whole.ratio()))
            .wanted(format!("ratio at least {PIPELINE_GOAL}"), whole.ratio() >= PIPELINE_GOAL),
    ];
    if let ([first, .., last], flatness) = (&*report.stretches, report.flatness()) {
        rows.push(
            Row::new(format!("the last of these {} stretches", report.stretches.len()), a_second(last.rate()))
                .beside(format!("the first {}: {}", grouped(first.events), a_second(first.rate())), Some(flatness))
                .wanted("ratio at least 0.85", flatness >= 0.85),
        );
    }
    let bytes = report.bytes_an_event();
    rows.push(
        Row::new("stored bytes an event, with everything that belongs to it", format!("{bytes:.1}"))
            .wanted("at most 80", bytes <= 80.0),
    );
    if let (Some(first), Some(last)) = (report.resident.first(), report.resident.last()) {
        let at = |events| format!("after {}", grouped(events));
        rows.push(
            Row::new(format!("resident memory {}", at(report.events())), mib(*last))
                .beside(format!("{}: {}", at(STRETCH.min(report.events())), mib(*first)), None),
        );
    }
    let (early, late) = report.answers;
    let compared = |name: &str, pick: fn(&super::questions::Answers) -> Duration| {
        let (early, late) = (pick(&early), pick(&late));
        Row::new(format!("{name} at {events} events"), millis(late)).beside(
            format!("at {}: {}", grouped(STRETCH.min(report.events())), millis(early)),
            Some(share(late, early)),
        )
    };
    let month = share(late.month, early.month);
    rows.push(compared("participation of a month", |answers| answers.month).wanted("ratio at most 1.2", month <= 1.2));
    rows.push(Row::new(format!("the same, at {events} events"), millis(late.month)).beside(
        format!("its cards counted in SQL over the ledger: {}", millis(late.count)),
        Some(share(late.month, late.count)),
    ));
    rows.push(compared("the hours of a site in a month", |answers| answers.hours));
    rows.push(compared("a hundred events of a day", |answers| answers.events));
    rows.push(
        Row::new(format!("`fenlei serve` on {events} events, from start to ready"), millis(report.cold_start))
            .wanted("under 1 s", report.cold_start < Duration::from_secs(1)),
    );
    rows
}

/// Batches of another size, by that size.
pub fn of_batches(batches: &[(usize, Stretch)]) -> Vec<Row> {
    let row = |(batch, stretch): &(usize, Stretch)| {
        let title = format!("pipeline, {} events in batches of {}", grouped(stretch.events), grouped(*batch as u64));
        Row::new(title, a_second(stretch.rate()))
            .beside(format!("the raw log: {}", a_second(stretch.log_rate())), Some(stretch.ratio()))
    };
    batches.iter().map(row).collect()
}

/// From publish to visible.
pub fn of_visible(report: &visible::Report) -> Vec<Row> {
    let (visible, acknowledged) = (report.visible, report.acknowledged);
    let spread = |spread: visible::Spread| format!("{} and {}", millis(spread.median), millis(spread.p99));
    let title = format!("embedded broker, QoS 1, {} devices, each event a publish of its own", report.devices);
    let timed = format!(
        "publish until it is read from `/stream`, {} at {}: half of them, 99 of 100",
        grouped(report.events as u64),
        a_second(report.half)
    );
    vec![
        Row::new(title, a_second(report.top)),
        Row::new(timed, spread(visible))
            .beside(format!("until its PUBACK: {}", spread(acknowledged)), Some(share(visible.p99, acknowledged.p99)))
            .wanted("99 of 100 within 50 ms", visible.p99 <= Duration::from_millis(50)),
    ]
}

/// Devices that are connected at once.
pub fn of_connections(report: &connections::Report) -> Vec<Row> {
    let (ours, theirs, devices) = (report.fenlei, report.mosquitto, grouped(report.devices as u64));
    let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
    vec![
        Row::new(format!("memory of each of {devices} devices connected at once"), kib(ours.bytes_a_device))
            .beside(
                format!("Mosquitto: {}", kib(theirs.bytes_a_device)),
                Some(ours.bytes_a_device / theirs.bytes_a_device),
            )
            .wanted("at most 20 KiB", ours.bytes_a_device <= 20.0 * 1024.0),
        Row::new(
            format!(
                "until they are, {} at a time; checking a secret takes {}",
                connections::AT_ONCE,
                millis(report.check)
            ),
            seconds(ours.connected_in),
        )
        .beside(
            format!("Mosquitto: {}", seconds(theirs.connected_in)),
            Some(share(ours.connected_in, theirs.connected_in)),
        ),
    ]
}

/// Mosquitto's queue drained.
pub fn of_broker(reports: &[broker::Report]) -> Vec<Row> {
    let mut ratios: Vec<f64> = reports.iter().map(broker::Report::ratio).collect();
    ratios.sort_by(f64::total_cmp);
    let Some(events) = reports.first().map(|report| report.events) else { return Vec::new() };
    let median = (ratios[(ratios.len() - 1) / 2]).midpoint(ratios[ratios.len() / 2]);
    let span = |pick: fn(&broker::Report) -> Duration| {
        let rates: Vec<f64> = reports.iter().map(|report| rate(report.events, pick(report))).collect();
        let (least, most) =
            rates.iter().fold((f64::MAX, 0.0_f64), |(least, most), rate| (least.min(*rate), most.max(*rate)));
        format!("{}–{}", thousands(least), a_second(most))
    };
    let title = format!("Mosquitto, QoS 1, {} queued events drained, {} rounds", grouped(events), reports.len());
    let all = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect::<Vec<_>>().join(", ");
    vec![
        Row::new(title, span(|report| report.fenlei))
            .beside(
                format!("`mosquitto_sub -q 1`: {} (ratios {all})", span(|report| report.mosquitto_sub)),
                Some(median),
            )
            .wanted("median ratio at least 0.9", median >= 0.9),
    ]
}

/// Several ingestors, the single one first.
pub fn of_ingestors(reports: &[ingestors::Report]) -> Vec<Row> {
    let [one, several @ ..] = reports else { return Vec::new() };
    let alone = rate(one.events, one.took);
    let row = |report: &ingestors::Report| {
        let (rate, goal) = (rate(report.events, report.took), report.ingestors >= 4);
        let title =
            format!("{} ingestors on PostgreSQL, {} events dealt out", report.ingestors, grouped(report.events));
        let row =
            Row::new(title, a_second(rate)).beside(format!("one ingestor: {}", a_second(alone)), Some(rate / alone));
        if goal { row.wanted("ratio at least 1.5", rate / alone >= 1.5) } else { row }
    };
    several.iter().map(row).collect()
}

/// Another schedule.
pub fn of_what_if(report: &what_if::Report) -> Vec<Row> {
    let title = format!("another schedule held against a year of a site, {} deposits", grouped(report.deposits));
    vec![
        Row::new(title, millis(report.what_if))
            .beside(
                format!("a plain count in SQL: {}", millis(report.count)),
                Some(share(report.what_if, report.count)),
            )
            .wanted("under 1 s", report.what_if < Duration::from_secs(1)),
    ]
}

/// The overview and the slowest of the other pages; the first is `/healthz`.
pub fn of_pages(pages: &[pages::Timed]) -> Vec<Row> {
    let [healthz, overview, others @ ..] = pages else { return Vec::new() };
    let reference = format!("`{}`: {}", healthz.path, millis(healthz.median));
    let row = |title: String, page: &pages::Timed| {
        Row::new(title, millis(page.median))
            .beside(reference.as_str(), None)
            .wanted("at most 50 ms", page.median <= Duration::from_millis(50))
    };
    let mut rows = vec![row(format!("`{}`, with 50 communities and a year of history", overview.path), overview)];
    if let Some(slowest) = others.iter().max_by_key(|page| page.median) {
        rows.push(row(format!("the slowest of {} other pages, `{}`", others.len(), slowest.path), slowest));
    }
    rows
}

fn share(ours: Duration, theirs: Duration) -> f64 {
    ours.as_secs_f64() / theirs.as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "counts of events stay far below 2^53")]
fn rate(events: u64, time: Duration) -> f64 {
    events as f64 / time.as_secs_f64()
}

fn a_second(rate: f64) -> String {
    format!("{} events/s", thousands(rate))
}

/// Three digits of a rate: more would be noise.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate is positive and far below 2^53")]
fn thousands(rate: f64) -> String {
    let unit = 10_f64.powf((rate.max(1.0).log10().floor() - 2.0).max(0.0));
    grouped(((rate / unit).round() * unit) as u64)
}

fn millis(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1_000.0;
    if millis < 10.0 { format!("{millis:.2} ms") } else { format!("{millis:.0} ms") }
}

fn kib(bytes: f64) -> String {
    format!("{:.1} KiB", bytes / 1024.0)
}

#[expect(clippy::cast_precision_loss, reason = "bytes of memory stay far below 2^53")]
fn mib(bytes: u64) -> String {
    format!("{:.0} MiB", bytes as f64 / f64::from(1 << 20))
}

/// 20000000 as 20,000,000.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::questions::Answers;
    use super::*;

    fn stretch(pipeline: u64, log: u64) -> Stretch {
        Stretch { events: STRETCH, pipeline: Duration::from_millis(pipeline), log: Duration::from_millis(log) }
    }

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!(
            ["0", "999", "1,000", "20,000,000"],
            [0, 999, 1_000, 20_000_000].map(grouped).each_ref().map(|s| s.as_str())
        );
        assert_eq!(
            ["12", "1,230", "190,000"],
            [12.4, 1_234.0, 190_499.0].map(thousands).each_ref().map(|s| s.as_str())
        );
    }

    #[test]
    fn the_table_of_a_store_that_grew() {
        let answers = |month| Answers {
            month: Duration::from_micros(month),
            hours: Duration::from_micros(1_500),
            events: Duration::from_micros(2_500),
            count: Duration::from_millis(900),
        };
        let report = growth::Report {
            stretches: vec![stretch(4_000, 800), stretch(5_000, 800)],
            resident: vec![64 << 20, 65 << 20],
            stored: 140 * STRETCH,
            answers: (answers(10_000), answers(13_000)),
            cold_start: Duration::from_millis(300),
        };
        insta::assert_snapshot!(table(&of_growth(&report)));
        assert_eq!(report.flatness(), 0.8);
    }

    #[test]
    fn the_median_of_the_rounds_decides() {
        let round = |fenlei| broker::Report {
            events: 100_000,
            fenlei: Duration::from_millis(fenlei),
            mosquitto_sub: Duration::from_millis(1_000),
        };
        let rows = of_broker(&[round(2_000), round(800), round(1_250), round(900)]);
        insta::assert_snapshot!(table(&rows));
    }

    #[test]
    fn what_is_visible_stands_beside_what_is_acknowledged() {
        let spread =
            |median, p99| visible::Spread { median: Duration::from_micros(median), p99: Duration::from_micros(p99) };
        let report = visible::Report {
            devices: 40,
            top: 10_040.0,
            half: 5_012.0,
            events: 150_000,
            visible: spread(4_500, 51_000),
            acknowledged: spread(3_000, 17_000),
        };
        insta::assert_snapshot!(table(&of_visible(&report)));
    }

    #[test]
    fn a_connection_of_ours_stands_beside_one_of_mosquitto() {
        let cost =
            |seconds, bytes_a_device| connections::Cost { connected_in: Duration::from_secs(seconds), bytes_a_device };
        let report = connections::Report {
            devices: 10_000,
            fenlei: cost(12, 20_481.0),
            mosquitto: cost(6, 5_120.0),
            check: Duration::from_micros(90),
        };
        insta::assert_snapshot!(table(&of_connections(&report)));
    }
}
