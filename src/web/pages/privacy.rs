//! `/privacy`: what is kept of people, why, how long, who sees it and how it goes: the record that the law of personal
//! information (个人信息保护法, articles 17, 55 and 56) asks for, as far as a program can fill it in.
//!
//! What only the organization can say is left open, and said to be. The periods are those that are set.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};

use super::frame::outside;
use crate::web::App;
use crate::web::language::Language;

/// One kind of data.
struct Entry {
    what: [&'static str; 2],
    why: [&'static str; 2],
    seen_by: [&'static str; 2],
    kept: [String; 2],
    goes: [&'static str; 2],
}

pub(super) async fn show(State(app): State<Arc<App>>, lang: Language) -> Response {
    let title = lang.t("个人信息处理说明", "What is kept of people");
    outside(lang, StatusCode::OK, title, "/privacy", &body(lang, &entries(&app)))
}

fn entries(app: &App) -> [Entry; 7] {
    let days = |days: Option<u32>, [zh, en]: [&str; 2]| match days {
        Some(days) => [format!("{zh}{days}天"), format!("{days} days {en}")],
        None => [
            "未设期限:由处理者决定并在设置中填写".to_owned(),
            "no period is set: whoever is responsible decides it in the settings".to_owned(),
        ],
    };
    let fixed = |zh: &str, en: &str| [zh.to_owned(), en.to_owned()];
    let departed = days(app.retention.departed_days, ["登记结束后", "after the end of the enrolment"]);
    [
        Entry {
            what: [
                "住户编号、楼栋、登记起止日期。不收集姓名、电话、身份证号。",
                "The id of a household, its building, the first and last day of its enrolment. No name, number of a telephone or of an identity card.",
            ],
            why: ["计算参与率的分母,安排入户宣传。", "The denominator of participation; planning visits."],
            seen_by: [
                "本小区的居委会和项目组织、运营单位、管理员;每次查看都记入审计日志。",
                "The committee of the community, organizations with a project there, operators and administrators; each look is in the audit log.",
            ],
            kept: departed.clone(),
            goes: [
                "删除住户后,编号换成无人可见的随机数,楼栋清空。",
                "Erased, the id becomes a random number that nothing shows, and the building goes.",
            ],
        },
        Entry {
            what: [
                "垃圾卡:只保存卡号的加密散列,从不保存卡号。",
                "Cards: only a keyed hash of a card, never its number.",
            ],
            why: ["识别投放属于哪一户。", "Telling whose deposit it is."],
            seen_by: ["任何人都看不到。", "Nobody."],
            kept: departed.clone(),
            goes: [
                "删除住户后,散列换成随机数;该卡再次刷用时视为陌生卡。密钥单独存放,不在备份中。",
                "Erased, the hash becomes a random number; read again, the card is an unknown one. The key lies in a file of its own, in no backup.",
            ],
        },
        Entry {
            what: [
                "投放记录:时间、地点、类别、重量、是否正确。能推知一户的行踪,按敏感个人信息对待(第二十八条)。",
                "Deposits: time, place, stream, weight, whether sorted well. They can tell where a household was, so they are treated as sensitive (article 28).",
            ],
            why: ["统计参与率、准确率和投放时间。", "The figures of participation, accuracy and timing."],
            seen_by: [
                "投放记录本身不显示卡和住户;入户名单只显示某段时间是否参与。公开看板和对外数据只有取整并隐去小数目的合计。",
                "The ledger shows neither card nor household; the doorstep list says only whether a household took part in a period. The public board and the feed have rounded totals alone, and nothing where these are small.",
            ],
            kept: fixed(
                "统计数据长期保存;与住户的关联在住户删除时消失。在册住户的关联不另设期限。",
                "The figures stay; what ties them to a household goes when that is erased. For a household that is enrolled there is no other limit.",
            ),
            goes: [
                "删除住户后,以往投放归于一个随机数,合计不变。",
                "Erased, the deposits belong to a random number, and every total stays.",
            ],
        },
        Entry {
            what: [
                "入户和问卷记录:日期、结果、是否知晓。",
                "Visits and surveys: the day, what came of it, whether the household knows how to sort.",
            ],
            why: ["统计知晓率,避免重复打扰。", "The awareness rate; not calling twice."],
            seen_by: [
                "本小区的居委会和项目组织、运营单位、管理员;每次查看都记入审计日志。",
                "The committee of the community, organizations with a project there, operators and administrators; each look is in the audit log.",
            ],
            kept: days(app.retention.visits_days, ["记录日后", "after the day of the visit"]),
            goes: [
                "删除住户后不再显示,只留在合计中。",
                "Erased with the household it is shown no more, and stays in totals alone.",
            ],
        },
        Entry {
            what: [
                "设备送来但无法接受的数据。卡号只留散列;无法解读的内容截至4 KiB。",
                "What devices sent and could not be accepted. Of a card only the hash; of what cannot be read the first 4 KiB.",
            ],
            why: ["修好后补录,不丢数据。", "Taking it in after a mend: nothing is lost."],
            seen_by: ["运营单位、管理员;看不到卡的散列。", "Operators and administrators, without the hashes."],
            kept: fixed(
                "无法解读的内容30天;其余保存到处理为止。",
                "What cannot be read 30 days; the rest until it is dealt with.",
            ),
            goes: [
                "删除住户后,其中该户卡的散列一并删除。",
                "Erased with a household, the hashes of its cards go from it.",
            ],
        },
        Entry {
            what: [
                "工作人员账号:用户名、密码的散列、角色、登录状态。",
                "Accounts of staff: the name, a hash of the password, the roles, who is signed in.",
            ],
            why: ["只让有权的人查看。", "Letting in only who may see."],
            seen_by: ["管理员。", "Administrators."],
            kept: fixed(
                "登录7天;账号保存到停用后由管理员处理。",
                "A sign-in 7 days; an account until an administrator ends it.",
            ),
            goes: [
                "停用账号或修改密码即退出登录。",
                "Disabling an account or changing its password ends its sign-ins.",
            ],
        },
        Entry {
            what: ["审计日志:谁在何时查看或更改了什么。", "The audit log: who looked at or changed what, and when."],
            why: ["查明不当查看,履行记录义务。", "Finding misuse; the duty to keep records."],
            seen_by: ["管理员。", "Administrators."],
            kept: days(app.retention.audit_days, ["", ""]),
            goes: ["到期自动删除。", "It goes by itself at the end of its period."],
        },
    ]
}

fn body(lang: Language, entries: &[Entry]) -> Markup {
    let of = |[zh, en]: [&'static str; 2]| lang.t(zh, en);
    html! {
        p { (lang.t(
            "本页说明这套系统保存哪些与住户有关的信息、为什么、多久、谁能看到、怎样删除。系统从不接收图像和人脸。",
            "What this system keeps that concerns households: what, why, how long, who sees it, and how it goes. It never takes an image or a face.",
        )) }
        div.warn { p { (lang.t(
            "处理者名称和联系方式、处理的合法性基础(个人信息保护法第十三条;敏感个人信息须单独同意,第二十九条)、影响评估(第五十五条)由使用单位填写并张贴。",
            "Left to the organization that runs it, to be filled in and posted: its name and address, the legal basis (article 13; for sensitive information separate consent, article 29), and the impact assessment (article 55).",
        )) } }
        h2 { (lang.t("保存的信息", "What is kept")) }
        @for entry in entries {
            h3 { (of(entry.what)) }
            dl.pairs {
                dt { (lang.t("用途", "Why")) } dd { (of(entry.why)) }
                dt { (lang.t("谁能看到", "Who sees it")) } dd { (of(entry.seen_by)) }
                dt { (lang.t("保存多久", "How long")) } dd { (lang.t(entry.kept[0].as_str(), entry.kept[1].as_str())) }
                dt { (lang.t("怎样删除", "How it goes")) } dd { (of(entry.goes)) }
            }
        }
        h2 { (lang.t("您的权利", "Your rights")) }
        p { (lang.t(
            "住户可以向所在小区的居委会要求查询、更正或删除自己的信息。删除由管理员在系统中完成,立即生效,不可恢复;此前的备份到期前仍含旧数据,恢复备份后须再次删除。",
            "A household may ask the committee of its community to see, correct or erase what is kept of it. An administrator erases it at once and for good; backups from before still hold it until they are destroyed, and after one is restored it is to be erased again.",
        )) }
    }
}
