// The connection of the page: opens it, closes it, and reconnects with back-off.
"use strict";

const Connection = (() => {
  /** Delay before the first reconnect attempt, in milliseconds. Each later one doubles it. */
  const FIRST_WAIT = 500;

  /** Longest delay before a reconnect attempt, in milliseconds. */
  const LONGEST_WAIT = 30000;

  let socket = null;
  let target = null;
  let tries = 0;
  let timer = 0;
  let waiting = false;
  let handlers = {};

  /** Sets the handlers: state(name, text), open, message, error, close, refused. */
  function listen(newHandlers) {
    handlers = newHandlers;
  }

  /** Connects. Closes an existing connection first, without calling its handlers. */
  function connect(url, protocols, autoReconnect) {
    stopWaiting();
    tries = 0;
    target = { url, protocols, autoReconnect };
    if (socket) {
      forget(socket);
      socket.close(1000);
      socket = null;
    }
    attempt();
  }

  /** Removes the handlers of a socket. */
  function forget(old) {
    old.onopen = old.onmessage = old.onerror = old.onclose = null;
  }

  function attempt() {
    const { url, protocols } = target;
    try {
      socket = new WebSocket(url, protocols);
    } catch (error) {
      socket = null;
      handlers.state("closed", "Not connected");
      handlers.refused(error.message);
      return;
    }
    socket.binaryType = "arraybuffer";
    handlers.state("connecting", `Connecting to ${url} …`);
    socket.onopen = () => {
      tries = 0;
      handlers.state("open", `Connected to ${url}`);
      handlers.open(url, socket.protocol, socket.extensions);
    };
    socket.onmessage = (event) => handlers.message(event.data, performance.now());
    socket.onerror = () => handlers.error();
    socket.onclose = (event) => {
      socket = null;
      handlers.close(event.code, event.reason);
      if (target.autoReconnect) {
        wait();
      } else {
        handlers.state("closed", "Not connected");
      }
    };
  }

  /** Reconnects after a delay. The delay is random within a quarter, so that many clients do not reconnect at once. */
  function wait() {
    const longest = Math.min(FIRST_WAIT * 2 ** tries, LONGEST_WAIT);
    const pause = longest * (0.75 + Math.random() / 4);
    tries += 1;
    handlers.state("waiting", `Not connected; try ${tries} in ${Format.milliseconds(pause)}`);
    waiting = true;
    timer = setTimeout(() => {
      waiting = false;
      attempt();
    }, pause);
  }

  function stopWaiting() {
    waiting = false;
    clearTimeout(timer);
  }

  /** Closes the connection and does not reconnect. Throws if the browser does not allow the code or the reason. */
  function disconnect(code, reason) {
    if (!socket) {
      stopWaiting();
      handlers.state("closed", "Not connected");
    } else if (socket.readyState === WebSocket.CONNECTING) {
      socket.close();
    } else {
      socket.close(code, reason);
      handlers.state("closing", "Closing …");
    }
    // Only if close() did not throw.
    target.autoReconnect = false;
  }

  /** Sets whether to reconnect when the connection is lost. */
  function setAutoReconnect(autoReconnect) {
    if (target) {
      target.autoReconnect = autoReconnect;
    }
    if (!autoReconnect && !socket) {
      stopWaiting();
      handlers.state("closed", "Not connected");
    }
  }

  const isOpen = () => socket !== null && socket.readyState === WebSocket.OPEN;

  /** Whether a connection exists or a reconnect attempt is scheduled. */
  const isWanted = () => socket !== null || waiting;

  /** Bytes that the browser has not sent yet. */
  const buffered = () => (socket ? socket.bufferedAmount : 0);

  const send = (data) => socket.send(data);

  return { listen, connect, disconnect, setAutoReconnect, isOpen, isWanted, buffered, send };
})();
