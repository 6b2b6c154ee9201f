// What is typed, as what is sent: text, checked JSON, bytes in hex, or a file.
"use strict";

const Payload = (() => {
  const kind = element("kind");
  const message = element("message");
  const file = element("file");
  const problem = element("message-problem");

  /** What stands in the form, ready to be sent. Throws with a sentence when it is not what it should be. */
  async function read() {
    switch (kind.value) {
      case "json":
        JSON.parse(message.value);
        return message.value;
      case "hex":
        return fromHex(message.value);
      case "file":
        if (file.files.length === 0) {
          throw new Error("Choose a file first");
        }
        return file.files[0].arrayBuffer();
      default:
        return message.value;
    }
  }

  /** Bytes from pairs of hexadecimal digits, with or without 0x, spaces or commas. */
  function fromHex(text) {
    const digits = text.replace(/0x/gi, "").replace(/[\s,:]/g, "");
    if (!/^([0-9a-f]{2})*$/i.test(digits)) {
      throw new Error("Bytes in hex are pairs of the digits 0 to 9 and a to f, for example 00 ff 7f");
    }
    return Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16)).buffer;
  }

  /** Shows what is wrong with the form; nothing when all is well. */
  function showError(sentence) {
    problem.textContent = sentence;
    message.setAttribute("aria-invalid", String(Boolean(sentence)));
  }

  /** Shows the fields that the kind has, and checks what can be checked while it is typed. */
  function showKind() {
    const isFile = kind.value === "file";
    element("file-field").hidden = !isFile;
    element("tidy").hidden = kind.value !== "json";
    message.disabled = isFile;
    check();
  }

  function check() {
    showError("");
    if (kind.value === "json" || kind.value === "hex") {
      read().catch((error) => showError(error.message));
    }
  }

  /** Makes the field as high as its text, within reason. */
  function fit() {
    message.rows = Math.min(10, message.value.split("\n").length);
  }

  element("tidy").addEventListener("click", () => {
    try {
      message.value = JSON.stringify(JSON.parse(message.value), null, 2);
      message.dispatchEvent(new Event("input"));
    } catch (error) {
      showError(error.message);
    }
  });
  kind.addEventListener("change", showKind);
  message.addEventListener("input", () => {
    check();
    fit();
  });

  /** Puts a message into the form. */
  function set(newKind, text) {
    kind.value = newKind;
    if (kind.selectedIndex < 0) {
      kind.value = "text";
    }
    message.value = text;
    showKind();
    fit();
  }

  return { read, showError, set };
})();
