//! Who may say what: the topic's truth about its device, and what a device of its kind sends.

use fenlei_wire::vocabulary::DeviceKind;

use super::{FIRST_INCARNATION, Intake};
use crate::domain::event::{Body, Event};
use crate::domain::inbound::Sender;
use crate::domain::refusal::{Reason, Refusal};
use crate::domain::registry::{Community, Device, Site};

/// A device with its place, as the registry has it.
#[derive(Clone, Copy)]
pub(in crate::store) struct Placed<'a> {
    pub(in crate::store) device: &'a Device,
    pub(in crate::store) site: &'a Site,
    pub(in crate::store) community: &'a Community,
}

impl<'a> Intake<'a> {
    /// Whether the topic tells the truth about its device.
    pub(super) fn admit(&mut self, from: &Sender) -> Result<Placed<'a>, Refusal> {
        let placed = match self.places.get(from.device.as_str()) {
            Some(placed) => *placed,
            None => {
                let Some((device, site, community)) = self.registry.place(&from.device) else {
                    return Err(Refusal::new(Reason::UnknownDevice, "no device of this id is registered"));
                };
                let placed = Placed { device, site, community };
                self.places.insert(&device.id, placed);
                placed
            }
        };
        let device = placed.device;
        if device.site != from.site || device.kind != from.kind {
            let detail = format!("the device is registered as a {} of site {}", device.kind, device.site);
            return Err(Refusal::new(Reason::TopicMismatch, detail));
        }
        Ok(placed)
    }

    pub(super) fn incarnation(&self, device: &str) -> u32 {
        self.registry.devices.get(device).map_or(FIRST_INCARNATION, |device| device.incarnation)
    }

    /// Whether this device may say this.
    pub(super) fn accept(&self, placed: Placed<'_>, event: &Event) -> Result<(), Refusal> {
        let event_type = event.body.event_type();
        if !event_type.allowed_from(placed.device.kind) {
            let detail = format!("a {} sends no {event_type}", placed.device.kind);
            return Err(Refusal::new(Reason::WrongKind, detail));
        }
        if let Body::Judgement(judgement) = &event.body {
            let bin = self.registry.devices.get(judgement.judged.device());
            if bin.is_none_or(|bin| bin.kind != DeviceKind::Bin || bin.site != placed.device.site) {
                return Err(Refusal::new(Reason::UnknownTarget, "what is judged is no bin of the camera's site"));
            }
        }
        Ok(())
    }
}
