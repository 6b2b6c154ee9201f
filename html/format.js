// Formats numbers, sizes, times and bytes, and has helpers for elements of the page.
"use strict";

/** Returns the element with an id. */
const element = (id) => document.getElementById(id);

/** Returns a new element with a class and a text. */
function make(tag, className = "", text = "") {
  const created = document.createElement(tag);
  if (className) {
    created.className = className;
  }
  created.textContent = text;
  return created;
}

const Format = (() => {
  const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];
  const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

  /** Formats a count with commas between groups of three digits. */
  const count = (n) => grouped.format(n);

  /** Formats a size in bytes. */
  function size(bytes) {
    let unit = 0;
    let value = bytes;
    while (value >= 1024 && unit < UNITS.length - 1) {
      value /= 1024;
      unit += 1;
    }
    return `${unit > 0 && value < 10 ? value.toFixed(1) : Math.round(value)} ${UNITS[unit]}`;
  }

  /** Formats a time in milliseconds. The clock of a browser has a resolution of about 0.1 ms. */
  function milliseconds(ms) {
    if (ms >= 10000) {
      return `${(ms / 1000).toFixed(1)} s`;
    }
    return `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;
  }

  /** Formats a time in milliseconds since the page was opened as a time of day. */
  function timeOfDay(at) {
    const time = new Date(performance.timeOrigin + at);
    const twoDigits = (n) => String(n).padStart(2, "0");
    const thousandths = String(time.getMilliseconds()).padStart(3, "0");
    return `${twoDigits(time.getHours())}:${twoDigits(time.getMinutes())}:${twoDigits(time.getSeconds())}.${thousandths}`;
  }

  /** Formats at most `limit` bytes in hexadecimal. */
  function hex(bytes, limit) {
    const shown = Array.from(bytes.subarray(0, limit), (byte) => byte.toString(16).padStart(2, "0"));
    return shown.join(" ") + (bytes.length > limit ? " …" : "");
  }

  /** Returns the length of a text in UTF-8, without encoding it. */
  function utf8Length(text) {
    let length = text.length;
    for (let i = 0; i < text.length; i += 1) {
      const unit = text.charCodeAt(i);
      // A pair of surrogates is four bytes in UTF-8, two for each.
      length += unit < 0x80 ? 0 : unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 1 : 2;
    }
    return length;
  }

  return { count, size, milliseconds, timeOfDay, hex, utf8Length };
})();

/** Shows figures in a list: pairs of a name and a value. */
function showFigures(list, pairs) {
  while (list.childElementCount > pairs.length) {
    list.lastElementChild.remove();
  }
  pairs.forEach(([name, value], index) => {
    let pair = list.children[index];
    if (!pair) {
      pair = make("div");
      pair.append(make("dt"), make("dd"));
      list.append(pair);
    }
    pair.firstElementChild.textContent = name;
    pair.lastElementChild.textContent = value;
  });
}

/** Copies a text to the clipboard and shows the result on the button. Works over plain HTTP too. */
async function copyText(text, button) {
  let copied = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = make("textarea", "unseen");
    area.value = text;
    document.body.append(area);
    area.select();
    copied = document.execCommand("copy");
    area.remove();
    button.focus();
  }
  const name = button.dataset.name || button.textContent;
  button.dataset.name = name;
  button.textContent = copied ? "Copied" : "Not allowed";
  setTimeout(() => {
    button.textContent = name;
  }, 1500);
}
