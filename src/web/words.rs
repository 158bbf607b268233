//! The word lists of the wire as OpenAPI schemas, so that the document lists the very words that are read, and the texts
//! that have a form.

use crate::domain::awareness::{Outcome, VisitKind};
use crate::domain::refusal::Reason;
use fenlei_wire::limits::MAX_CARD_BYTES;
use fenlei_wire::vocabulary::{DeviceKind, EventType, Stream, Verdict};
use utoipa::openapi::schema::{Array, ArrayBuilder, Object, ObjectBuilder, SchemaType, Type};

fn one_of<T: Copy>(all: &[T], name: impl Fn(T) -> &'static str) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(all.iter().map(|one| name(*one)))).build()
}

pub(super) fn device_kind() -> Object {
    one_of(DeviceKind::ALL, DeviceKind::as_str)
}

pub(super) fn event_type() -> Object {
    one_of(EventType::ALL, EventType::as_str)
}

pub(super) fn stream() -> Object {
    one_of(Stream::ALL, Stream::as_str)
}

pub(super) fn verdict() -> Object {
    one_of(Verdict::ALL, Verdict::as_str)
}

pub(super) fn visit_kind() -> Object {
    one_of(VisitKind::ALL, VisitKind::as_str)
}

pub(super) fn outcome() -> Object {
    one_of(Outcome::ALL, Outcome::as_str)
}

/// An id, or `null` as if there were none.
pub(super) fn id_or_null() -> Object {
    let mut id = id();
    id.schema_type = SchemaType::from_iter([Type::String, Type::Null]);
    id
}

pub(super) fn streams() -> Array {
    ArrayBuilder::new().items(stream()).build()
}

pub(super) fn some_streams() -> Array {
    ArrayBuilder::new().items(stream()).min_items(Some(1)).build()
}

pub(super) fn refusal() -> Object {
    one_of(&Reason::ALL, Reason::as_str)
}

pub(super) fn cards() -> Array {
    ArrayBuilder::new().items(card()).build()
}

/// Opaque, at most 64 bytes.
pub(super) fn card() -> Object {
    text().min_length(Some(1)).max_length(Some(MAX_CARD_BYTES)).build()
}

/// Of a community, site, device, organization, project or household.
pub(super) fn id() -> Object {
    text().pattern(Some("^[a-z0-9][a-z0-9_-]{0,47}$")).build()
}

/// A name or a reason as people write it: at most 200 bytes, and not blank.
pub(super) fn words() -> Object {
    text().pattern(Some(r"\S")).min_length(Some(1)).max_length(Some(200)).build()
}

/// The `next` of the page before.
pub(super) fn cursor() -> Object {
    text().pattern(Some("^[A-Za-z0-9_-]*$")).build()
}

/// Whole seconds, as a header has them.
pub(super) fn seconds() -> Object {
    text().pattern(Some("^[0-9]+$")).build()
}

pub(super) fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}
