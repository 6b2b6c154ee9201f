// The connection of the page: opens it, closes it, and reconnects with back-off.
"use strict";

const Connection = (() => {
  /** Delay before the first reconnect attempt, in milliseconds. Each later one doubles it. */
  const FIRST_DELAY = 500;

  /** Longest delay before a reconnect attempt, in milliseconds. */
  const MAX_DELAY = 30000;

  let socket = null;
  let target = null;
  let attempts = 0;
  let timer = 0;
  let waiting = false;
  let handlers = {};

  /** Sets the handlers: state(name, text), open, message, error, close, refused. */
  function listen(newHandlers) {
    handlers = newHandlers;
  }

  /** Connects. Closes an existing connection first, without calling its handlers. */
  function connect(url, protocols, autoReconnect) {
    cancelReconnect();
    attempts = 0;
    target = { url, protocols, autoReconnect };
    if (socket) {
      removeHandlers(socket);
      socket.close(1000);
      socket = null;
    }
    attempt();
  }

  /** Removes the handlers of a socket. */
  function removeHandlers(old) {
    old.onopen = old.onmessage = old.onerror = old.onclose = null;
  }

  /** Opens a socket to the target. */
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
      attempts = 0;
      handlers.state("open", `Connected to ${url}`);
      handlers.open(url, socket.protocol, socket.extensions);
    };
    socket.onmessage = (event) => handlers.message(event.data, performance.now());
    socket.onerror = () => handlers.error();
    socket.onclose = (event) => {
      socket = null;
      handlers.close(event.code, event.reason);
      if (target.autoReconnect) {
        scheduleReconnect();
      } else {
        handlers.state("closed", "Not connected");
      }
    };
  }

  /** Reconnects after a delay. Up to a quarter of it is random, so that many clients do not reconnect at once. */
  function scheduleReconnect() {
    const longestDelay = Math.min(FIRST_DELAY * 2 ** attempts, MAX_DELAY);
    const delay = longestDelay * (0.75 + Math.random() / 4);
    attempts += 1;
    handlers.state("waiting", `Not connected; try ${attempts} in ${Format.milliseconds(delay)}`);
    waiting = true;
    timer = setTimeout(() => {
      waiting = false;
      attempt();
    }, delay);
  }

  /** Cancels a scheduled reconnect attempt. */
  function cancelReconnect() {
    waiting = false;
    clearTimeout(timer);
  }

  /** Closes the connection and does not reconnect. Throws if the browser does not allow the code or the reason. */
  function disconnect(code, reason) {
    if (!socket) {
      cancelReconnect();
      handlers.state("closed", "Not connected");
    } else if (socket.readyState === WebSocket.CONNECTING) {
      socket.close();
    } else {
      socket.close(code, reason);
      handlers.state("closing", "Closing …");
    }
    // Not reached if close() throws.
    target.autoReconnect = false;
  }

  /** Sets whether to reconnect when the connection is lost. */
  function setAutoReconnect(autoReconnect) {
    if (target) {
      target.autoReconnect = autoReconnect;
    }
    if (!autoReconnect && !socket) {
      cancelReconnect();
      handlers.state("closed", "Not connected");
    }
  }

  const isOpen = () => socket !== null && socket.readyState === WebSocket.OPEN;

  /** Returns whether a connection exists or a reconnect attempt is scheduled. */
  const isWanted = () => socket !== null || waiting;

  /** Returns the number of bytes that the browser has not sent yet. */
  const buffered = () => (socket ? socket.bufferedAmount : 0);

  const send = (data) => socket.send(data);

  return { listen, connect, disconnect, setAutoReconnect, isOpen, isWanted, buffered, send };
})();
