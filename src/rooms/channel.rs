//! Names of channels in Redis.

/// Beginning of the channel of a room; the name of the room follows.
const ROOM: &str = "ws-echo:room:";

/// Beginning of the channel over which the publisher of a process wakes its subscriber.
const CONTROL: &str = "ws-echo:control:";

/// Returns the channel of a room.
pub(super) fn room_channel(room: &str) -> String {
    format!("{ROOM}{room}")
}

/// Returns the room of a channel, or `None` if it is the channel of no room.
pub(super) fn room_of_channel(channel: &str) -> Option<&str> {
    channel.strip_prefix(ROOM)
}

/// Returns the channel of the process with this random number.
pub(super) fn control_channel(id: u64) -> String {
    format!("{CONTROL}{id:016x}")
}
