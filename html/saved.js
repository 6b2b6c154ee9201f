// Messages that are kept in this browser for another time.
"use strict";

(() => {
  /** Where the browser keeps them. */
  const KEY = "websocket-echo-test-messages";

  /** How many there may be. */
  const MOST = 100;

  const list = element("saved");
  let messages = load();

  /** What the browser has kept; nothing where it may not keep anything. */
  function load() {
    try {
      const kept = JSON.parse(localStorage.getItem(KEY) ?? "[]");
      return Array.isArray(kept) ? kept.filter(({ kind, text }) => kind && typeof text === "string") : [];
    } catch {
      return [];
    }
  }

  function keep() {
    try {
      localStorage.setItem(KEY, JSON.stringify(messages));
    } catch {
      Payload.showError("This browser keeps nothing for this page; the list lasts until you leave it");
    }
  }

  function show(selected) {
    const options = messages.map(({ kind, text }, i) => {
      const option = make("option", "", `${kind}: ${text.length > 40 ? `${text.slice(0, 40)} …` : text}`);
      option.value = String(i);
      return option;
    });
    const none = make("option", "", messages.length > 0 ? "choose one" : "none yet");
    none.value = "";
    list.replaceChildren(none, ...options);
    list.value = selected;
  }

  element("save").addEventListener("click", () => {
    const kind = element("kind").value;
    const text = element("message").value;
    if (kind === "file") {
      Payload.showError("A file is not kept, only what is typed");
      return;
    }
    messages = messages.filter((other) => other.kind !== kind || other.text !== text).slice(1 - MOST);
    messages.push({ kind, text });
    keep();
    show(String(messages.length - 1));
  });
  element("forget").addEventListener("click", () => {
    if (list.value !== "") {
      messages.splice(Number(list.value), 1);
      keep();
      show("");
    }
  });
  list.addEventListener("change", () => {
    const chosen = messages[Number(list.value)];
    if (list.value !== "" && chosen) {
      Payload.set(chosen.kind, chosen.text);
      element("message").dispatchEvent(new Event("input"));
    }
  });
  show("");
})();
