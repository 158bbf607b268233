//! `/admin/devices`: devices and their secrets. A secret is shown once, in the answer to the form that made it, with a code
//! that an installer scans: it is in no address, and no page shows it again.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use fenlei_wire::vocabulary::{DeviceKind, Stream};
use maud::{Markup, PreEscaped, html};
use qrcode::QrCode;
use qrcode::render::svg;
use serde::Deserialize;

use super::registered::{Registered, choices, chosen};
use crate::domain::registry::Device;
use crate::web::access::{ADMINS, Access};
use crate::web::devices::{DeviceFields, Registration, Secret, delete_device, put, rotate_secret};
use crate::web::etag::{IfMatch, tag_of};
use crate::web::extract::{Id, Json};
use crate::web::language::Language;
use crate::web::pages::fields::{Field, Input, Wrong};
use crate::web::pages::form::{Sent, form};
use crate::web::pages::frame::{Page, Section};
use crate::web::pages::visitor::Visitor;
use crate::web::pages::words;
use crate::web::problem::Problem;
use crate::web::{App, BrokerAddress};

pub(in crate::web::pages) struct Devices;

#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::web::pages) struct Form {
    site: String,
    kind: String,
    name: String,
    streams: Vec<String>,
}

fn sites(access: &Access) -> Vec<(String, String)> {
    choices(access.registry.sites.values().map(|one| (&one.id, &one.name)), |id| access.sees_site(id))
}

fn kinds(lang: Language) -> Vec<(String, String)> {
    DeviceKind::ALL.iter().map(|one| (one.as_str().to_owned(), words::device(lang, *one).to_owned())).collect()
}

fn streams(lang: Language) -> Vec<(String, String)> {
    Stream::ALL.iter().map(|one| (one.as_str().to_owned(), words::stream(lang, *one).to_owned())).collect()
}

impl Registered for Devices {
    const PATH: &'static str = "devices";
    const MANY: [&'static str; 2] = ["设备", "Devices"];
    const ONE: [&'static str; 2] = ["设备", "device"];
    type Form = Form;

    fn list(access: &Access, lang: Language) -> Vec<(String, Vec<String>)> {
        let registry = &access.registry;
        let all = registry.devices.values().filter(|one| access.sees_device(&one.id));
        let cells = |one: &Device| {
            vec![
                words::device(lang, one.kind).to_owned(),
                one.name.clone().unwrap_or_default(),
                registry.site_name(&one.site).to_owned(),
            ]
        };
        all.map(|one| (one.id.clone(), cells(one))).collect()
    }

    fn columns(lang: Language) -> Vec<&'static str> {
        vec![lang.t("类型", "Kind"), lang.t("名称", "Name"), lang.t("箱房", "Site")]
    }

    fn find(access: &Access, id: &str) -> Option<(Form, String)> {
        let one = access.registry.devices.get(id).filter(|_| access.sees_device(id))?;
        let streams = one.streams.iter().flatten().map(|stream| stream.as_str().to_owned()).collect();
        let name = one.name.clone().unwrap_or_default();
        let form = Form { site: one.site.clone(), kind: one.kind.as_str().to_owned(), name, streams };
        Some((form, tag_of(&Registration::of(one))))
    }

    fn fields<'a>(access: &'a Access, lang: Language, form: &'a Form) -> Vec<Field<'a>> {
        vec![
            Field::new("site", lang.t("箱房", "Site"), Input::Select { value: &form.site, options: sites(access) }),
            Field::new("kind", lang.t("类型", "Kind"), Input::Select { value: &form.kind, options: kinds(lang) }),
            Field::new("name", lang.t("名称", "Name"), Input::Text { value: &form.name, max: 200 }).optional(),
            Field::new(
                "streams",
                lang.t("收哪些垃圾", "Streams"),
                Input::Checks { values: &form.streams, options: streams(lang) },
            )
            .hint(lang.t("只对智能桶有意义。", "Of a bin."))
            .optional(),
        ]
    }

    fn check(access: &Access, lang: Language, form: &Form) -> Result<(), Wrong> {
        chosen(lang, "site", &form.site, &sites(access))?;
        chosen(lang, "kind", &form.kind, &kinds(lang))?;
        if form.name.len() > 200 {
            return Err((
                "name",
                lang.t("名称最多 200 字节(约 66 个汉字)。", "A name has at most 200 bytes.").to_owned(),
            ));
        }
        Ok(())
    }

    async fn put(
        app: Arc<App>,
        visitor: &Visitor,
        id: String,
        if_match: IfMatch,
        form: Form,
    ) -> Result<Option<Markup>, Problem> {
        let kind = DeviceKind::parse(&form.kind).ok_or_else(|| Problem::bad_request("`kind` is unknown"))?;
        let streams: Vec<_> = form.streams.iter().filter_map(|stream| Stream::parse(stream)).collect();
        let fields = DeviceFields {
            site: form.site.clone(),
            kind,
            name: Some(form.name).filter(|name| !name.is_empty()),
            streams: Some(streams).filter(|streams| !streams.is_empty()),
        };
        let broker = app.broker.clone();
        let (_, Json(put)) = put(app, visitor.access.clone(), id.clone(), if_match, fields).await?;
        Ok(put.secret.map(|secret| installing(visitor, &broker, (&form.site, kind, &id), &secret)))
    }

    async fn delete(app: Arc<App>, access: Access, id: String, if_match: IfMatch) -> Result<StatusCode, Problem> {
        delete_device(State(app), access, Id(id), if_match).await
    }

    fn more(visitor: &Visitor, id: &str) -> Markup {
        let lang = visitor.lang;
        html! {
            section.narrow {
                h2 { (lang.t("新的密码", "A new secret")) }
                p { (lang.t("旧的密码立即失效。", "The old one opens nothing from then on.")) }
                (form(visitor, &format!("/admin/devices/{id}/secret"), &html! {
                    label.choice {
                        input type="checkbox" name="replaced" value="true";
                        (lang.t("硬件换过或清空过(启动号从 1 重新开始)", "The hardware was replaced or wiped: its boots begin at 1 again"))
                    }
                    p { button.secondary type="submit" { (lang.t("生成新密码", "Make a new secret")) } }
                }))
            }
        }
    }
}

#[derive(Deserialize)]
pub(in crate::web::pages) struct Rotate {
    replaced: Option<bool>,
}

pub(in crate::web::pages) async fn rotate(
    State(app): State<Arc<App>>,
    Id(id): Id,
    Sent { visitor, form: Rotate { replaced } }: Sent<Rotate>,
) -> Result<Response, Problem> {
    visitor.access.may_see(ADMINS)?;
    let device = visitor.access.device(&id)?.clone();
    let body = Bytes::from(serde_json::json!({"replaced": replaced.unwrap_or(false)}).to_string());
    let broker = app.broker.clone();
    let Secret { secret } = rotate_secret(State(app), visitor.access.clone(), Id(id.clone()), body).await?.1.0;
    let seen = installing(&visitor, &broker, (&device.site, device.kind, &id), &secret);
    let back = format!("/admin/devices/{id}");
    let body = html! { (seen) p { a href=(back) { (visitor.lang.t("我记下了,继续", "I have noted it, go on")) } } };
    Ok(Page::new(&visitor, Section::Admin, id).show(&body).into_response())
}

/// What an installer needs, and the same as a code: `mqtt://device:secret@host:port/fenlei/v1/site/kind/device`,
/// or `mqtts://…` where devices connect by TLS.
fn installing(
    visitor: &Visitor,
    broker: &BrokerAddress,
    (site, kind, device): (&str, DeviceKind, &str),
    secret: &str,
) -> Markup {
    let lang = visitor.lang;
    let host = broker.host.clone().unwrap_or_else(|| visitor.host.clone());
    let address = format!("{host}:{}", broker.port);
    let topic = format!("fenlei/v1/{site}/{kind}/{device}");
    let scheme = if broker.tls { "mqtts" } else { "mqtt" };
    let code = QrCode::new(format!("{scheme}://{device}:{secret}@{address}/{topic}"));
    html! {
        div.warn role="status" {
            p { strong { (lang.t("密码只显示这一次。", "The secret is shown this once.")) } " " (lang.t("请现在抄下、打印,或让安装人员扫码。", "Note it, print it, or let the installer scan it now.")) }
        }
        dl.pairs {
            dt { (lang.t("MQTT 地址", "MQTT address")) } dd { code { (address) } @if broker.tls { " (TLS)" } }
            dt { (lang.t("用户名和客户端 ID", "User name and client id")) } dd { code { (device) } }
            dt { (lang.t("密码", "Secret")) } dd { code #secret { (secret) } }
            dt { (lang.t("主题", "Topics")) } dd { code { (topic) "/…" } }
        }
        @if let Ok(code) = code {
            figure.qr {
                (PreEscaped(code.render::<svg::Color<'_>>().min_dimensions(240, 240).build().replace("<?xml version=\"1.0\" standalone=\"yes\"?>", "")))
                figcaption { (lang.t("安装人员用手机扫码即可配置设备。", "The installer scans this to set the device up.")) }
            }
        }
    }
}
