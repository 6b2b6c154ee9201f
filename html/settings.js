// Settings in the fragment of the URL of the page (after the #), so that a link includes them.
"use strict";

const Settings = (() => {
  /** Names of the settings and their defaults. The fragment has only settings that differ. */
  const DEFAULTS = { url: "/", protocols: "", kind: "text", message: "Hello, world!", reconnect: "", watch: "" };

  /** Maximum length of a value in the fragment. */
  const MAX_LENGTH = 2000;

  /** URL of the server if the page was opened from a file. */
  const DEFAULT_SERVER = "ws://127.0.0.1:1234/";

  /** Returns the settings in the fragment. */
  function read() {
    const parameters = new URLSearchParams(location.hash.slice(1));
    const settings = { ...DEFAULTS };
    for (const name of Object.keys(DEFAULTS)) {
      settings[name] = parameters.get(name) ?? DEFAULTS[name];
    }
    return settings;
  }

  /** Writes settings into the fragment. */
  function write(settings) {
    const parameters = new URLSearchParams();
    for (const [name, value] of Object.entries(settings)) {
      if (value !== DEFAULTS[name] && value.length <= MAX_LENGTH) {
        parameters.set(name, value);
      }
    }
    // These characters need no escape in a fragment.
    const text = parameters.toString().replaceAll("%2F", "/").replaceAll("%3A", ":").replaceAll("%3F", "?");
    history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
  }

  /** Returns the WebSocket URL of the server of the page: wss if the page was loaded over https. */
  function pageServer() {
    if (location.protocol === "http:" || location.protocol === "https:") {
      return `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}/`;
    }
    return DEFAULT_SERVER;
  }

  /** Returns the complete URL for a URL or a path. Throws if the text is neither. */
  function resolve(text) {
    const url = new URL(text.trim() || "/", pageServer());
    url.hash = "";
    url.protocol = url.protocol.replace("http", "ws");
    if (url.protocol !== "ws:" && url.protocol !== "wss:") {
      throw new Error("The URL has to begin with ws: or wss:, or be a path");
    }
    return url.href;
  }

  return { read, write, pageServer, resolve };
})();
