// The one connection that the page is about: made, kept, closed, and made again with back-off.
"use strict";

const Connection = (() => {
  /** Wait before the first new try, in milliseconds; each one after it waits twice as long. */
  const FIRST_WAIT = 500;

  /** Longest wait before a new try. */
  const LONGEST_WAIT = 30000;

  let socket = null;
  let target = null;
  let tries = 0;
  let timer = 0;
  let waiting = false;
  let told = {};

  /** Who is told of what happens: state(name, words), open, message, error, close. */
  function listen(listeners) {
    told = listeners;
  }

  /** Connects; a connection that there is goes without a farewell. */
  function connect(url, protocols, again) {
    stopWaiting();
    tries = 0;
    target = { url, protocols, again };
    if (socket) {
      forget(socket);
      socket.close(1000);
      socket = null;
    }
    attempt();
  }

  /** Has nobody hear of a socket any more. */
  function forget(old) {
    old.onopen = old.onmessage = old.onerror = old.onclose = null;
  }

  function attempt() {
    const { url, protocols } = target;
    try {
      socket = new WebSocket(url, protocols);
    } catch (error) {
      socket = null;
      told.state("closed", "Not connected");
      told.refused(error.message);
      return;
    }
    socket.binaryType = "arraybuffer";
    told.state("connecting", `Connecting to ${url} …`);
    socket.onopen = () => {
      tries = 0;
      told.state("open", `Connected to ${url}`);
      told.open(url, socket.protocol, socket.extensions);
    };
    socket.onmessage = (event) => told.message(event.data, performance.now());
    socket.onerror = () => told.error();
    socket.onclose = (event) => {
      socket = null;
      told.close(event.code, event.reason);
      if (target.again) {
        wait();
      } else {
        told.state("closed", "Not connected");
      }
    };
  }

  /** Tries again after a while. The wait varies, so that many clients do not come back in one moment. */
  function wait() {
    const longest = Math.min(FIRST_WAIT * 2 ** tries, LONGEST_WAIT);
    const pause = longest * (0.75 + Math.random() / 4);
    tries += 1;
    told.state("waiting", `Not connected; try ${tries} in ${Format.milliseconds(pause)}`);
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

  /** Closes, and does not come back. Throws when the browser does not allow the code or the reason. */
  function disconnect(code, reason) {
    if (!socket) {
      stopWaiting();
      told.state("closed", "Not connected");
    } else if (socket.readyState === WebSocket.CONNECTING) {
      socket.close();
    } else {
      socket.close(code, reason);
      told.state("closing", "Closing …");
    }
    // Not before the browser has agreed.
    target.again = false;
  }

  /** Reconnects from now on, or no longer. */
  function setAgain(again) {
    if (target) {
      target.again = again;
    }
    if (!again && !socket) {
      stopWaiting();
      told.state("closed", "Not connected");
    }
  }

  const isOpen = () => socket !== null && socket.readyState === WebSocket.OPEN;

  /** Whether there is a connection or one is on its way. */
  const isWanted = () => socket !== null || waiting;

  /** Bytes that the browser has not got rid of. */
  const buffered = () => (socket ? socket.bufferedAmount : 0);

  const send = (data) => socket.send(data);

  return { listen, connect, disconnect, setAgain, isOpen, isWanted, buffered, send };
})();
