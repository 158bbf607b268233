//! How each figure of the chosen days came about: its definition, what was counted, and how much that speaks for.

use super::reading::Reading;
use super::tables::{count, percent, table as made};
use crate::domain::statistics::rate;
use crate::sheets::{Cell, Table};
use crate::web::language::Language;

/// The figures; the coverages below them tell how much the figures speak for.
fn rows(reading: &Reading, lang: Language) -> Vec<Vec<Cell>> {
    let whole = &reading.whole;
    let total = whole.timing.total();
    let row = |[zh_name, en_name]: [&str; 2], [zh, en]: [&str; 2], part: u64, of: u64| {
        vec![lang.t(zh_name, en_name).into(), lang.t(zh, en).into(), count(part), count(of), percent(rate(part, of))]
    };
    let mut rows = vec![
        row(
            ["参与率", "Participation"],
            [
                "期间至少一次在开放时段或误时时段投放的在册户 ÷ 期末在册户",
                "households with a deposit in an open or makeup window ÷ households enrolled on the last day",
            ],
            whole.participating,
            whole.households,
        ),
        row(
            ["正确参与率", "Correct participation"],
            [
                "其中至少一次判定为正确的户 ÷ 期末在册户",
                "the same with a deposit judged correct ÷ households enrolled on the last day",
            ],
            whole.correct_participating,
            whole.households,
        ),
        row(
            ["准确率", "Accuracy"],
            ["判定正确的投放 ÷ 有判定的投放", "deposits judged correct ÷ deposits judged"],
            whole.verdict.correct,
            whole.verdict.judged(),
        ),
        row(
            ["非开放时段占比", "Off-hours share"],
            ["开放时段和误时时段之外的投放 ÷ 全部投放", "deposits outside all windows ÷ all deposits"],
            whole.timing.off_hours,
            total,
        ),
        row(
            ["误时投放占比", "Makeup share"],
            ["误时时段的投放 ÷ 全部投放", "deposits in makeup windows ÷ all deposits"],
            whole.timing.makeup,
            total,
        ),
    ];
    rows.push(vec![
        lang.t("时段投放率", "Set-out rate").into(),
        lang.t(
            "每个已观测开放时段内投放的在册户 ÷ 期末在册户,取各时段平均",
            "households that deposited in an observed window ÷ households, the mean over these windows",
        )
        .into(),
        Cell::Empty,
        Cell::Empty,
        percent(whole.set_out_rate),
    ]);
    rows.extend([
        row(
            ["识别率", "Identified coverage"],
            [
                "刷卡能对应当日在册户的投放 ÷ 全部投放;偏低时,参与率只是下限",
                "deposits by the card of a household enrolled that day ÷ all deposits; when low, participation is a lower bound",
            ],
            whole.identified,
            total,
        ),
        row(
            ["判定率", "Judged coverage"],
            ["有判定的投放 ÷ 全部投放", "deposits judged ÷ all deposits"],
            whole.verdict.judged(),
            total,
        ),
        row(
            ["观测率", "Observed windows"],
            [
                "有设备在线或上报、或有志愿者记录的开放时段 ÷ 已排的开放时段;停机不算没有参与",
                "open windows in which a bin or a volunteer reported ÷ windows scheduled; an outage is not non-participation",
            ],
            whole.windows_observed,
            whole.windows_scheduled,
        ),
    ]);
    rows
}

pub(super) fn table(reading: &Reading, lang: Language) -> Table {
    let columns = [
        ["指标", "Figure"],
        ["定义", "Definition"],
        ["分子", "Numerator"],
        ["分母", "Denominator"],
        ["结果", "Result"],
    ];
    made(lang, lang.t("这些数是怎么来的", "How these figures came about"), &columns, rows(reading, lang))
}
