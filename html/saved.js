// Messages that the user saves in this browser.
"use strict";

(() => {
  /** Key in the local storage of the browser. */
  const KEY = "websocket-echo-test-messages";

  /** Maximum number of messages. The oldest is removed. */
  const MAX_MESSAGES = 100;

  const list = element("saved");
  let messages = load();

  /** Returns the saved messages, or an empty list if the browser has no local storage. */
  function load() {
    try {
      const saved = JSON.parse(localStorage.getItem(KEY) ?? "[]");
      return Array.isArray(saved) ? saved.filter(({ kind, text }) => kind && typeof text === "string") : [];
    } catch {
      return [];
    }
  }

  /** Saves the messages. */
  function store() {
    try {
      localStorage.setItem(KEY, JSON.stringify(messages));
    } catch {
      Payload.showError("This browser keeps nothing for this page; the list lasts until you leave it");
    }
  }

  /** Shows the messages in the list. `selected` is an index, or "" for none. */
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
    messages = messages.filter((other) => other.kind !== kind || other.text !== text).slice(1 - MAX_MESSAGES);
    messages.push({ kind, text });
    store();
    show(String(messages.length - 1));
  });
  element("forget").addEventListener("click", () => {
    if (list.value !== "") {
      messages.splice(Number(list.value), 1);
      store();
      show("");
    }
  });
  list.addEventListener("change", () => {
    const selected = messages[Number(list.value)];
    if (list.value !== "" && selected) {
      Payload.set(selected.kind, selected.text);
      element("message").dispatchEvent(new Event("input"));
    }
  });
  show("");
})();
