//! Messages to systemd, or to another service manager with the protocol of `sd_notify(3)`.

use std::env;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use log::{debug, warn};
use sd_notify::NotifyState;

/// Messages that wait for the service manager. Further ones are dropped.
const QUEUE_LENGTH: usize = 16;

/// Shortest interval of the watchdog messages.
const MIN_WATCHDOG_INTERVAL: Duration = Duration::from_millis(10);

/// Sends messages to the service manager. A thread of its own sends them, so that no method blocks. Clones
/// use the same thread.
#[derive(Clone, Debug)]
pub struct ServiceManager {
    messages: Sender<Message>,
    watchdog_interval: Option<Duration>,
}

#[derive(Debug)]
enum Message {
    Ready,
    Reloading,
    Stopping,
    Status(String),
    Watchdog,
}

impl ServiceManager {
    /// Starts the thread if the variable `NOTIFY_SOCKET` is set. Returns `None` if it is not, or if the
    /// thread cannot be started, which is logged.
    #[must_use]
    pub fn from_environment() -> Option<Self> {
        env::var_os("NOTIFY_SOCKET")?;
        let (messages, receiver) = bounded(QUEUE_LENGTH);
        if let Err(error) = thread::Builder::new().name("notify".into()).spawn(move || send_all(&receiver)) {
            warn!("cannot start the thread that notifies the service manager: {error}");
            return None;
        }
        // Half of the time after which the service manager acts (sd_watchdog_enabled(3)).
        let watchdog_interval = sd_notify::watchdog_enabled()
            .filter(|time| !time.is_zero())
            .map(|time| (time / 2).max(MIN_WATCHDOG_INTERVAL));
        Some(Self { messages, watchdog_interval })
    }

    /// Returns the interval at which [`feed_watchdog`](Self::feed_watchdog) is to be called, or `None` if the
    /// service manager has no watchdog for this process.
    pub(crate) fn watchdog_interval(&self) -> Option<Duration> {
        self.watchdog_interval
    }

    /// Tells that the server serves, at its start and after [`reloading`](Self::reloading).
    pub(crate) fn ready(&self) {
        self.send(Message::Ready);
    }

    /// Tells that the server reads its certificate again.
    pub(crate) fn reloading(&self) {
        self.send(Message::Reloading);
    }

    /// Tells that the server stops.
    pub(crate) fn stopping(&self) {
        self.send(Message::Stopping);
    }

    /// Sets the line that `systemctl status` shows.
    pub(crate) fn status(&self, status: String) {
        self.send(Message::Status(status));
    }

    /// Tells that the calling thread runs.
    pub(crate) fn feed_watchdog(&self) {
        self.send(Message::Watchdog);
    }

    fn send(&self, message: Message) {
        if let Err(error) = self.messages.try_send(message) {
            debug!("the service manager does not read: {:?} was dropped", error.into_inner());
        }
    }
}

/// Sends messages until all senders are dropped. A send blocks while the socket of the service manager is
/// full.
fn send_all(messages: &Receiver<Message>) {
    for message in messages {
        let sent = match &message {
            Message::Ready => sd_notify::notify(&[NotifyState::Ready]),
            Message::Reloading => NotifyState::monotonic_usec_now()
                .and_then(|now| sd_notify::notify(&[NotifyState::Reloading, now])),
            Message::Stopping => sd_notify::notify(&[NotifyState::Stopping]),
            Message::Status(status) => sd_notify::notify(&[NotifyState::Status(status)]),
            Message::Watchdog => sd_notify::notify(&[NotifyState::Watchdog]),
        };
        if let Err(error) = sent {
            debug!("cannot notify the service manager: {error}");
        }
    }
}
