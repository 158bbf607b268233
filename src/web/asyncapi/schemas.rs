//! The messages as JSON Schema, draft 7. A schema is as strict as what reads the message, and no stricter; only lengths
//! count characters here and bytes there.

use fenlei_wire::limits::{
    MAX_BATCH, MAX_BEYOND, MAX_CARD_BYTES, MAX_COMMAND_ID, MAX_DATES, MAX_DAY_WINDOWS, MAX_FIRMWARE_BYTES, MAX_GRAMS,
    MAX_SEQ, MAX_TEXT_BYTES, MAX_WEEKLY, MAX_ZONE_STEPS,
};
use fenlei_wire::vocabulary::{
    AlarmKind, DisplayStatus, DoorBy, EventType, ExecutedStatus, Reason, SightingKind, Stream, Verdict,
};
use serde_json::{Map, Value, json};

/// The words of a list as they are spelt on the wire.
pub(super) fn words<T: Copy>(all: &[T], name: impl Fn(T) -> &'static str) -> Vec<&'static str> {
    all.iter().map(|one| name(*one)).collect()
}

fn one_of<T: Copy>(all: &[T], name: impl Fn(T) -> &'static str) -> Value {
    json!({"type": "string", "enum": words(all, name)})
}

fn whole(minimum: u64, maximum: u64) -> Value {
    json!({"type": "integer", "minimum": minimum, "maximum": maximum})
}

fn share() -> Value {
    json!({"type": "number", "minimum": 0, "maximum": 1})
}

fn id() -> Value {
    json!({"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,47}$"})
}

fn command_id(longest: usize) -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": longest})
}

fn boot() -> Value {
    whole(0, u32::MAX.into())
}

fn seq() -> Value {
    whole(1, MAX_SEQ)
}

fn time() -> Value {
    json!({"type": "string", "format": "date-time", "description": "RFC 3339 with an offset."})
}

fn minute(until: &str) -> Value {
    json!({"type": "string", "pattern": format!("^(([01][0-9]|2[0-3]):[0-5][0-9]{until})$")})
}

fn list(items: Value, most: usize) -> Value {
    json!({"type": "array", "items": items, "maxItems": most})
}

fn object(required: &[&str], properties: Value) -> Value {
    json!({"type": "object", "required": required, "properties": properties})
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// Every schema by its name.
pub(super) fn all() -> Value {
    let mut all = Map::new();
    for event_type in EventType::ALL {
        all.insert(event_type.as_str().to_owned(), event(*event_type));
    }
    let any: Vec<_> = EventType::ALL.iter().map(|event_type| reference(event_type.as_str())).collect();
    let batch = json!({"type": "array", "minItems": 1, "maxItems": MAX_BATCH, "items": {"oneOf": any},
        "description": "Each element stands alone: one that is refused holds up none."});
    for (name, schema) in [
        ("batch", batch),
        ("state", state()),
        ("command", command()),
        ("config", config()),
        ("window", window()),
        ("receipt", receipt()),
    ] {
        all.insert(name.to_owned(), schema);
    }
    all.into()
}

/// An event: what all have, and what those of its type have.
fn event(event_type: EventType) -> Value {
    let (required, own) = fields(event_type);
    let mut properties = json!({
        "boot": boot(),
        "seq": seq(),
        "time": time(),
        "clock": {"type": "string", "enum": ["synced", "unsynced"],
            "description": "`unsynced`: the clock is not set, and the time of arrival stands in."},
        "type": {"type": "string", "const": event_type.as_str()},
    });
    if let (Value::Object(properties), Value::Object(own)) = (&mut properties, own) {
        properties.extend(own);
    }
    let required: Vec<_> = ["boot", "seq", "type"].into_iter().chain(required.iter().copied()).collect();
    let mut schema = object(&required, properties);
    let timed = json!([
        {"required": ["time"]},
        {"required": ["clock"], "properties": {"clock": {"const": "unsynced"}}},
    ]);
    schema["anyOf"] = timed;
    if event_type == EventType::Judgement {
        schema["allOf"] = json!([{"anyOf": [{"required": ["deposit"]}, {"required": ["bin"]}]}]);
    }
    schema
}

fn fields(event_type: EventType) -> (&'static [&'static str], Value) {
    let stream = one_of(Stream::ALL, Stream::as_str);
    let grams = whole(0, MAX_GRAMS.into());
    let verdict = one_of(Verdict::ALL, Verdict::as_str);
    let text = json!({"type": "string"});
    let number = json!({"type": "number"});
    match event_type {
        EventType::Deposit => (
            &["stream", "grams"],
            json!({
                "stream": stream,
                "grams": grams,
                "card": {"type": "string", "maxLength": MAX_CARD_BYTES, "description": "Opaque; absent: anonymous."},
                "verdict": verdict,
                "reason": text,
            }),
        ),
        EventType::Fill => (
            &["stream", "percent"],
            json!({"stream": stream, "percent": {"type": "number", "minimum": 0, "maximum": 100}, "celsius": number}),
        ),
        EventType::Emptied => (&["stream", "grams"], json!({"stream": stream, "grams": grams})),
        EventType::Door => {
            (&["open", "by"], json!({"open": {"type": "boolean"}, "by": one_of(DoorBy::ALL, DoorBy::as_str)}))
        }
        EventType::Alarm => (
            &["alarm", "active"],
            json!({"alarm": one_of(AlarmKind::ALL, AlarmKind::as_str), "active": {"type": "boolean"}}),
        ),
        EventType::Judgement => (
            &["verdict"],
            json!({
                "verdict": verdict,
                "reason": one_of(Reason::ALL, Reason::as_str),
                "confidence": share(),
                "deposit": object(&["device", "boot", "seq"], json!({"device": id(), "boot": boot(), "seq": seq()})),
                "bin": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,47}$",
                    "description": "That bin's deposit nearest in time within 20 s."},
            }),
        ),
        EventType::Sighting => (
            &["what", "confidence"],
            json!({"what": one_of(SightingKind::ALL, SightingKind::as_str), "confidence": share()}),
        ),
        EventType::Display => (
            &["command", "status"],
            json!({
                "command": command_id(64),
                "status": one_of(DisplayStatus::ALL, DisplayStatus::as_str),
                "detail": text,
            }),
        ),
        EventType::Executed => (
            &["command", "status"],
            json!({
                "command": command_id(64),
                "status": one_of(ExecutedStatus::ALL, ExecutedStatus::as_str),
                "detail": text,
            }),
        ),
        EventType::Heartbeat => (&[], json!({"celsius": number, "millivolts": number, "rssi": number})),
        EventType::Lost => (&["of_boot", "from", "to"], json!({"of_boot": boot(), "from": seq(), "to": seq()})),
    }
}

fn state() -> Value {
    object(
        &["online", "boot"],
        json!({
            "online": {"type": "boolean"},
            "boot": boot(),
            "firmware": {"type": "string", "maxLength": MAX_FIRMWARE_BYTES},
            "config": whole(0, u32::MAX.into()),
        }),
    )
}

fn command() -> Value {
    let of = |types: &[&str], required: &[&str], own: Value| {
        let mut properties = json!({"id": command_id(MAX_COMMAND_ID), "expires": time(),
            "type": {"type": "string", "enum": types}});
        if let (Value::Object(properties), Value::Object(own)) = (&mut properties, own) {
            properties.extend(own);
        }
        let required: Vec<_> = ["id", "expires", "type"].into_iter().chain(required.iter().copied()).collect();
        object(&required, properties)
    };
    let seconds = whole(0, u32::MAX.into());
    json!({"oneOf": [
        of(&["display"], &["text", "seconds"], json!({
            "text": {"type": "string", "maxLength": MAX_TEXT_BYTES}, "seconds": seconds})),
        of(&["clear"], &[], json!({})),
        of(&["lock", "unlock"], &[], json!({"seconds": seconds})),
    ]})
}

fn window() -> Value {
    let streams = json!({"type": "array", "minItems": 1, "items": one_of(Stream::ALL, Stream::as_str)});
    object(
        &["open", "close"],
        json!({
            "days": {"type": "array", "minItems": 1,
                "items": {"type": "string", "enum": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]}},
            "open": minute(""),
            "close": minute("|24:00"),
            "streams": streams,
            "makeup": {"type": "boolean"},
        }),
    )
}

fn config() -> Value {
    let zone = object(
        &["from", "offset"],
        json!({
            "from": {"type": "integer", "description": "Unix seconds."},
            "offset": {"type": "integer", "description": "Minutes that local time is ahead of UTC."},
        }),
    );
    let date = object(
        &["date", "windows"],
        json!({"date": {"type": "string", "format": "date"}, "windows": list(reference("window"), MAX_DAY_WINDOWS)}),
    );
    let weekly = json!({"allOf": [reference("window"), {"required": ["days"]}]});
    let schedule = object(&["weekly"], json!({"weekly": list(weekly, MAX_WEEKLY), "dates": list(date, MAX_DATES)}));
    let evening = object(
        &["text", "start", "seconds"],
        json!({
            "text": {"type": "string", "maxLength": MAX_TEXT_BYTES},
            "start": minute(""),
            "seconds": whole(0, u32::MAX.into()),
        }),
    );
    object(
        &["version", "zone", "schedule"],
        json!({
            "version": whole(0, u32::MAX.into()),
            "zone": list(zone, MAX_ZONE_STEPS),
            "schedule": schedule,
            "evening": evening,
        }),
    )
}

fn receipt() -> Value {
    let range = json!({"type": "array", "minItems": 2, "maxItems": 2, "items": seq()});
    object(
        &["boot", "through"],
        json!({"boot": boot(), "through": whole(0, MAX_SEQ), "beyond": list(range, MAX_BEYOND)}),
    )
}
