// Converts the input of the form to a message: text, checked JSON, bytes in hex, or a file.
"use strict";

const Payload = (() => {
  const kind = element("kind");
  const message = element("message");
  const file = element("file");
  const problem = element("message-problem");

  /** Returns the message of the form. Throws an error with a text for the user if the input is invalid. */
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

  /** Returns the bytes of pairs of hexadecimal digits. 0x, spaces, commas and colons are ignored. */
  function fromHex(text) {
    const digits = text.replace(/0x/gi, "").replace(/[\s,:]/g, "");
    if (!/^([0-9a-f]{2})*$/i.test(digits)) {
      throw new Error("Bytes in hex are pairs of the digits 0 to 9 and a to f, for example 00 ff 7f");
    }
    return Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16)).buffer;
  }

  /** Shows an error of the form, or no error if the text is empty. */
  function showError(text) {
    problem.textContent = text;
    message.setAttribute("aria-invalid", String(Boolean(text)));
  }

  /** Shows the fields for the selected kind, and checks the input. */
  function showKind() {
    const isFile = kind.value === "file";
    element("file-field").hidden = !isFile;
    element("tidy").hidden = kind.value !== "json";
    message.disabled = isFile;
    check();
  }

  /** Shows whether the input is valid JSON or valid hex. */
  function check() {
    showError("");
    if (kind.value === "json" || kind.value === "hex") {
      read().catch((error) => showError(error.message));
    }
  }

  /** Sets the height of the field to the lines of its text, at most 10. */
  function fitHeight() {
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
    fitHeight();
  });

  /** Fills the form with a message. */
  function set(newKind, text) {
    kind.value = newKind;
    if (kind.selectedIndex < 0) {
      kind.value = "text";
    }
    message.value = text;
    showKind();
    fitHeight();
  }

  return { read, showError, set };
})();
