//! `/definitions`: what every figure means, for everybody to read.

use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};

use super::frame::{Page, Section, outside};
use super::visitor::Visitor;
use crate::domain::DEFINITIONS;
use crate::domain::awareness::Answers;
use crate::web::language::Language;
use crate::web::problem::Problem;

/// Aware, respondents, households: what the interval is shown by.
const WORKED: [(u64, u64, u64); 3] = [(60, 60, 400), (70, 100, 400), (29, 30, 120)];

/// A figure: its name, what it says, its formula, each in both languages.
struct Definition([&'static str; 2], [&'static str; 2], [&'static str; 2]);

const FIGURES: [Definition; 8] = [
    Definition(
        ["参与率", "Participation rate"],
        [
            "一段时间里,有多少在册户至少一次在开放时段或误时时段投放过垃圾。",
            "How many of the enrolled households brought something at least once in an open or a makeup window.",
        ],
        ["参与率 = 至少投放一次(开放时段或误时时段)的在册户 ÷ H", "households of H with at least one such deposit ÷ H"],
    ),
    Definition(
        ["正确参与率", "Correct participation"],
        ["同上,但至少有一次投放被判定为正确。", "The same, but at least one of these deposits was judged correct."],
        ["正确参与率 = 至少一次投放判定正确的在册户 ÷ H", "households of H with at least one such correct deposit ÷ H"],
    ),
    Definition(
        ["时段投放率", "Set-out rate"],
        [
            "平均每个有观测的开放时段里,有多少在册户来投放。",
            "How many of the households come in an observed open window, on average.",
        ],
        [
            "时段投放率 = 各已观测开放时段(时段内投放的在册户 ÷ H)的平均",
            "mean over the observed windows of (households of H with a deposit in it ÷ H)",
        ],
    ),
    Definition(
        ["时段占比", "Timing shares"],
        [
            "投放按发生的时间分为开放时段、误时时段(允许晚些投放)和非开放时段三种。",
            "A deposit is in the open hours, in the makeup hours (late, but allowed) or off hours, by the time at which it happened.",
        ],
        ["每种占比 = 该种投放次数 ÷ 全部投放次数", "deposits of each kind ÷ all deposits"],
    ),
    Definition(
        ["准确率", "Accuracy"],
        [
            "有判定的投放里,多少是分对的。旁边总写着判定率:有多少投放得到判定。志愿者的判定优先于摄像头,摄像头优先于箱体。",
            "How many of the judged deposits were sorted correctly; how many were judged stands beside it. A volunteer's verdict goes before a camera's, a camera's before the bin's.",
        ],
        ["准确率 = 正确 ÷(正确 + 有误)", "correct ÷ (correct + incorrect)"],
    ),
    Definition(
        ["识别率", "Identified coverage"],
        [
            "有多少投放刷的卡属于当天在册的户。这个数低时,参与率只是下限:实际参与的户会更多。",
            "How many deposits came with the card of a household enrolled that day. When it is low, participation is a lower bound.",
        ],
        ["识别率 = 能对应当日在册户的投放 ÷ 全部投放", "identified deposits ÷ all deposits"],
    ),
    Definition(
        ["已观测时段", "Observed windows"],
        [
            "已经结束、且其间至少有一个箱体在线或上报、或有志愿者记录投放的开放时段。停机不等于没有人参与。误时时段不算。",
            "Open windows that are over, during which a bin reported or was online, or a volunteer noted a deposit. An outage is not non-participation. Makeup windows are not among them.",
        ],
        ["观测率 = 已观测时段 ÷ 已排的开放时段", "observed windows ÷ scheduled windows"],
    ),
    Definition(
        ["知晓率", "Awareness rate"],
        [
            "受访户里有多少知道怎么分类。自述(说自己知道)和测试(当场分对)分开统计;每户取期间内最近一次回答。拒绝和不在家另行列出,不计入受访户。",
            "How many of the households asked know how to sort. What they claim and what they showed when tested are told apart; of each household the latest answer counts. Refusals and absences are reported, never counted as answers.",
        ],
        ["知晓率 = 知晓户 ÷ 受访户", "aware ÷ respondents"],
    ),
];

pub(super) async fn show(visitor: Result<Visitor, Problem>, lang: Language) -> Response {
    let title = lang.t("指标说明", "Definitions");
    let body = definitions(lang);
    match visitor {
        Ok(visitor) => Page::new(&visitor, Section::Definitions, title).show(&body),
        Err(_) => outside(lang, StatusCode::OK, title, "/definitions", &body),
    }
}

fn definitions(lang: Language) -> Markup {
    html! {
        p { (lang.t("定义版本:", "Definitions version: ")) strong { (DEFINITIONS) } }
        h2 { (lang.t("共同的约定", "What holds for all")) }
        ul {
            li { (lang.t("日、周(周一开始)、月都按箱房当地时间划分。", "Days, weeks (Monday first) and months are local to the site.")) }
            li {
                (lang.t("H 是期间最后一天(最晚到今天)在册的户数。一户只有在册当天的投放才算数。",
                        "H: the households enrolled on the last day of the period, today at the latest. Only deposits of days on which a household was enrolled count for it."))
            }
            li {
                (lang.t("同一小区几个箱房在同一天同一时段开放,只算一个开放时段。",
                        "Windows of several sites of a community with the same date and span are one opportunity."))
            }
            li {
                (lang.t("投放属于哪种时段,以投放发生时生效的开放时间为准;开放时间补改后重新计算。",
                        "The timing of a deposit follows the hours in force when it happened; hours that are changed for days past re-time those days."))
            }
            li {
                (lang.t("晚到的数据计入它发生的那段时间,下次查看时数字就是对的。分母为 0 时不给比率。",
                        "What arrives late counts in the period in which it happened. A rate whose denominator is 0 is not told."))
            }
        }
        h2 { (lang.t("指标", "The figures")) }
        @for Definition([zh, en], [about_zh, about_en], [formula_zh, formula_en]) in &FIGURES {
            section.definition {
                h3 { (lang.t(zh, en)) }
                p { (lang.t(about_zh, about_en)) }
                p.formula { (lang.t(formula_zh, formula_en)) }
            }
        }
        (interval(lang))
    }
}

fn interval(lang: Language) -> Markup {
    let place = |share: f64| format!("{share:.4}");
    html! {
        h2 { (lang.t("知晓率的 95% 区间", "The 95% interval of awareness")) }
        p {
            (lang.t("只问了一部分户,所以给出区间:全部 N 户的知晓率大致落在其中。采用 Wilson 区间加有限总体校正;问遍所有户时,区间就是知晓率本身。",
                    "Only some of the households were asked: the interval says where the share of all N of them may lie. It is Wilson's with the finite population correction; where everybody was asked it is the rate itself."))
        }
        p.formula { "ψ = ((N − n) ÷ (N − 1)) · z² ÷ (2n),  z = 1.959964" }
        p.formula { "[ (p + ψ) ± √(2ψp(1 − p) + ψ²) ] ÷ (1 + 2ψ)" }
        p {
            (lang.t("其中 p 是知晓率,n 是受访户,N = H;N = 1 或 n = N 时区间就是 p。",
                    "Here p is the rate, n the respondents and N = H; for N = 1 or n = N it is exactly p."))
        }
        div.scroll tabindex="0" role="region" aria-label=(lang.t("算例", "Worked examples")) {
            table {
                caption { (lang.t("算例", "Worked examples")) }
                thead {
                    tr {
                        th.num scope="col" { (lang.t("知晓户", "Aware")) }
                        th.num scope="col" { (lang.t("受访户 n", "Respondents n")) }
                        th.num scope="col" { (lang.t("全部户 N", "Households N")) }
                        th scope="col" { (lang.t("区间", "Interval")) }
                    }
                }
                tbody {
                    @for (aware, respondents, population) in WORKED {
                        tr {
                            td.num { (aware) } td.num { (respondents) } td.num { (population) }
                            td {
                                @if let Some((low, high)) = (Answers { respondents, aware }).interval(population) {
                                    "[" (place(low)) ", " (place(high)) "]"
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
