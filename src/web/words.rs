//! The word lists of the wire as OpenAPI schemas, so that the document lists the very words that are read.

use crate::domain::awareness::{Outcome, VisitKind};
use fenlei_wire::vocabulary::{DeviceKind, EventType, Stream, Verdict};
use utoipa::openapi::schema::{ArrayBuilder, Object, ObjectBuilder, Type};

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

pub(super) fn streams() -> utoipa::openapi::schema::Array {
    ArrayBuilder::new().items(stream()).build()
}
