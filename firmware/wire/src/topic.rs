//! Topic names. The only place that knows how they are built, in either direction; what does not parse here is no topic
//! of Fenlei's.

use core::fmt;

use crate::limits::is_id;
use crate::vocabulary::{Channel, DeviceKind};

/// The topic of one channel of one device: `fenlei/v1/{site}/{kind}/{device}/{channel}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Topic<'a> {
    /// Id of the site.
    pub site: &'a str,
    /// What the device is.
    pub kind: DeviceKind,
    /// Id of the device.
    pub device: &'a str,
    /// Which of its channels.
    pub channel: Channel,
}

impl<'a> Topic<'a> {
    /// Reads a topic name; `None` unless it is exactly one that [`Display`](fmt::Display) writes.
    #[must_use]
    pub fn parse(topic: &'a str) -> Option<Topic<'a>> {
        let mut segments = topic.strip_prefix("fenlei/v1/")?.split('/');
        let site = segments.next().filter(|id| is_id(id))?;
        let kind = DeviceKind::parse(segments.next()?)?;
        let device = segments.next().filter(|id| is_id(id))?;
        let channel = Channel::parse(segments.next()?)?;
        segments.next().is_none().then_some(Topic { site, kind, device, channel })
    }
}

impl fmt::Display for Topic<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fenlei/v1/{}/{}/{}/{}", self.site, self.kind.as_str(), self.device, self.channel.as_str())
    }
}
