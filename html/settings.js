// The set-up in the address of the page, behind the #, so that a link shares it.
"use strict";

const Settings = (() => {
  /** What an address can carry, and what stands for nothing in it. */
  const DEFAULTS = { url: "/", protocols: "", kind: "text", message: "Hello, world!", reconnect: "", watch: "" };

  /** Longest message that goes into the address. */
  const LONGEST = 2000;

  /** Where the page connects when it was opened as a file and not from a server. */
  const FILE_SERVER = "ws://127.0.0.1:1234/";

  /** What the address says now. */
  function read() {
    const given = new URLSearchParams(location.hash.slice(1));
    const settings = { ...DEFAULTS };
    for (const name of Object.keys(DEFAULTS)) {
      settings[name] = given.get(name) ?? DEFAULTS[name];
    }
    return settings;
  }

  /** Has the address say this. */
  function write(settings) {
    const given = new URLSearchParams();
    for (const [name, value] of Object.entries(settings)) {
      if (value !== DEFAULTS[name] && value.length <= LONGEST) {
        given.set(name, value);
      }
    }
    // Slashes and the like may stand in a fragment as they are.
    const text = given.toString().replaceAll("%2F", "/").replaceAll("%3A", ":").replaceAll("%3F", "?");
    history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
  }

  /** The server that the page came from; wss when the page came by https. */
  function home() {
    if (location.protocol === "http:" || location.protocol === "https:") {
      return `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}/`;
    }
    return FILE_SERVER;
  }

  /** The whole URL of what was typed: a URL or a path. Throws when it is neither. */
  function resolve(typed) {
    const url = new URL(typed.trim() || "/", home());
    url.hash = "";
    url.protocol = url.protocol.replace("http", "ws");
    if (url.protocol !== "ws:" && url.protocol !== "wss:") {
      throw new Error("The URL has to begin with ws: or wss:, or be a path");
    }
    return url.href;
  }

  return { read, write, home, resolve };
})();
