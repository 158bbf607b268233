//! The plot beside the table: the rate of the pipeline as the store grows.

use plotters::prelude::*;

use super::growth;

/// Width and height in pixels.
const SIZE: (u32, u32) = (840, 360);
const OURS: RGBColor = RGBColor(0x1b, 0x7f, 0x4c);
const GOAL: RGBColor = RGBColor(0x8a, 0x8a, 0x8a);

/// An SVG of events a second over the millions of events stored, with the goal as a share of the raw log.
///
/// # Errors
/// Where there is nothing to draw.
pub fn rates(report: &growth::Report, goal: f64) -> anyhow::Result<String> {
    let rates: Vec<_> = points(report, |stretch| stretch.rate());
    let goals: Vec<_> = points(report, |stretch| stretch.log_rate() * goal);
    let highest = rates.iter().chain(&goals).map(|(_, rate)| *rate).fold(1.0, f64::max);
    let last = rates.last().map_or(1.0, |(millions, _)| *millions);
    let mut drawing = String::new();
    {
        let root = SVGBackend::with_string(&mut drawing, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&root)
            .margin(16)
            .x_label_area_size(40)
            .y_label_area_size(64)
            .build_cartesian_2d(0.0..last, 0.0..highest * 1.15)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .x_desc("million events stored")
            .y_desc("thousand events a second")
            .x_label_formatter(&|millions| format!("{millions:.0}"))
            .y_label_formatter(&|rate| format!("{:.0}", rate / 1_000.0))
            .draw()?;
        let legend = |colour: RGBColor| move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(2));
        chart.draw_series(LineSeries::new(rates, OURS.stroke_width(2)))?.label("pipeline").legend(legend(OURS));
        chart
            .draw_series(LineSeries::new(goals, GOAL.stroke_width(2)))?
            .label(format!("{goal} of the raw log in the same stretch"))
            .legend(legend(GOAL));
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .background_style(WHITE.mix(0.9))
            .draw()?;
        root.present()?;
    }
    Ok(drawing)
}

/// Each stretch by the millions that were stored when it ended.
fn points(report: &growth::Report, value: impl Fn(&super::pipeline::Stretch) -> f64) -> Vec<(f64, f64)> {
    let stretches = report.stretches.iter().scan(0, |stored, stretch| {
        *stored += stretch.events;
        Some((millions(*stored), value(stretch)))
    });
    stretches.collect()
}

#[expect(clippy::cast_precision_loss, reason = "counts of events stay far below 2^53")]
fn millions(events: u64) -> f64 {
    events as f64 / 1_000_000.0
}
