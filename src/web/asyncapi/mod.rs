//! The AsyncAPI document: what devices and the backend say to each other over MQTT.
//!
//! It is put together from the word lists and limits that both sides are built with, and its examples are the golden
//! messages of the protocol: it cannot say anything else than what is spoken.

mod schemas;

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use fenlei_wire::limits::MAX_BATCH;
use fenlei_wire::vocabulary::{Channel, DeviceKind, EventType};
use serde_json::{Map, Value, json};

static DOCUMENT: LazyLock<Value> = LazyLock::new(document);

/// What devices say over MQTT, and what they are told.
#[utoipa::path(get, path = "/asyncapi.json", tag = "documents", security(()),
    responses((status = 200, body = Object, description = "AsyncAPI 3.0")))]
pub(super) async fn asyncapi() -> Response {
    axum::Json(&*DOCUMENT).into_response()
}

fn document() -> Value {
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Fenlei devices",
            "version": "1.0.0",
            "description": "MQTT 3.1.1 and 5 between the devices of waste-sorting sites and the backend, whose side this \
                document takes: it receives `event` and `state`, and sends `command`, `config` and `receipt`. A device \
                keeps an event until a receipt covers it. Fields that are not named here are ignored.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "broker": {
                "host": "{host}:{port}",
                "protocol": "mqtt",
                "description": "The embedded broker or one beside it. A device's client id is its id; a will is its `state` \
                    with `online` false and its boot, QoS 1, retained.",
                "variables": {"host": {"default": "127.0.0.1"}, "port": {"default": "1883"}},
                "security": [{"$ref": "#/components/securitySchemes/device"}],
            },
        },
        "channels": channels(),
        "operations": operations(),
        "components": {
            "messages": messages(),
            "schemas": schemas::all(),
            "securitySchemes": {
                "device": {
                    "type": "userPassword",
                    "description": "The id of the device, and the secret that was told when it was registered. It may \
                        publish to its own `event` and `state` alone, and subscribe to its own `command`, `config` and \
                        `receipt`.",
                },
            },
        },
    })
}

const CHANNELS: [(Channel, &str); 5] = [
    (Channel::Event, "What happened: one event, or a list of up to 500 of a device that catches up, at most 256 KiB."),
    (Channel::State, "Whether a device is there, and which config it follows."),
    (Channel::Command, "What a device is to do, once; the same id may come again until it expires."),
    (Channel::Config, "What a device keeps to, also offline."),
    (Channel::Receipt, "Which events of a boot are stored, quarantined or declared lost: a device may forget them."),
];

fn channels() -> Value {
    let channels = CHANNELS.iter().map(|(channel, about)| {
        let id = |about: &str| json!({"description": about});
        let messages = names(*channel).into_iter().map(|name| {
            let to = json!({"$ref": format!("#/components/messages/{name}")});
            (name, to)
        });
        let described = json!({
            "address": format!("fenlei/v1/{{site}}/{{kind}}/{{device}}/{channel}"),
            "description": about,
            "parameters": {
                "site": id("The id of the site."),
                "kind": {"description": "What the device is.", "enum": schemas::words(DeviceKind::ALL, DeviceKind::as_str)},
                "device": id("The id of the device."),
            },
            "messages": messages.collect::<Map<_, _>>(),
        });
        (channel.as_str().to_owned(), described)
    });
    channels.collect::<Map<_, _>>().into()
}

fn operations() -> Value {
    let operations = CHANNELS.iter().map(|(channel, about)| {
        let received = matches!(channel, Channel::Event | Channel::State);
        let retained = matches!(channel, Channel::State | Channel::Config);
        let action = if received { "receive" } else { "send" };
        let described = json!({
            "action": action,
            "channel": {"$ref": format!("#/channels/{channel}")},
            "summary": about,
            "bindings": {"mqtt": {"qos": 1, "retain": retained, "bindingVersion": "0.2.0"}},
        });
        (format!("{action}_{channel}"), described)
    });
    operations.collect::<Map<_, _>>().into()
}

/// The messages of a channel.
fn names(channel: Channel) -> Vec<String> {
    match channel {
        Channel::Event => {
            let events = EventType::ALL.iter().map(|event_type| event_type.as_str().to_owned());
            events.chain(std::iter::once("batch".to_owned())).collect()
        }
        other => vec![other.as_str().to_owned()],
    }
}

fn messages() -> Value {
    let messages = CHANNELS.iter().flat_map(|(channel, _)| names(*channel));
    let messages = messages.map(|name| {
        let payload = json!({"$ref": format!("#/components/schemas/{name}")});
        let title = if name == "batch" { format!("Up to {MAX_BATCH} events") } else { name.clone() };
        let message = json!({"name": name, "title": title, "payload": payload, "examples": examples(&name)});
        (name, message)
    });
    messages.collect::<Map<_, _>>().into()
}

macro_rules! golden {
    ($($file:literal),+ $(,)?) => {
        /// The golden messages of the protocol, as devices of every version write and read them.
        const GOLDEN: &[(&str, &str)] =
            &[$(($file, include_str!(concat!("../../../firmware/wire/tests/golden/v1/", $file, ".json")))),+];
    };
}

golden![
    "command_clear",
    "command_display",
    "command_lock",
    "command_unlock",
    "command_unlock_timed",
    "config",
    "config_plain",
    "event_alarm",
    "event_deposit",
    "event_deposit_anonymous",
    "event_display",
    "event_door",
    "event_emptied",
    "event_executed",
    "event_fill",
    "event_heartbeat",
    "event_heartbeat_unsynced",
    "event_judgement_bin",
    "event_judgement_deposit",
    "event_lost",
    "event_sighting",
    "receipt",
    "receipt_plain",
    "state_birth",
    "state_will",
];

/// What a message looks like: of an event those of its type, of another channel those of the channel.
fn examples(name: &str) -> Vec<Value> {
    let parsed = GOLDEN.iter().filter_map(|(file, text)| Some((*file, serde_json::from_str::<Value>(text).ok()?)));
    if name == "batch" {
        let deposits = parsed.filter(|(file, _)| file.starts_with("event_deposit")).map(|(_, payload)| payload);
        return vec![json!({"name": name, "payload": deposits.collect::<Vec<_>>()})];
    }
    let mine = parsed.filter(|(file, payload)| match file.strip_prefix("event_") {
        Some(_) => payload["type"] == name,
        None => file.split('_').next() == Some(name),
    });
    mine.map(|(file, payload)| json!({"name": file, "payload": payload})).collect()
}
