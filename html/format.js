// Numbers, sizes, times and bytes as people read them, and short ways to the document.
"use strict";

/** The element with that id. */
const element = (id) => document.getElementById(id);

/** A new element with a class and a text. */
function make(tag, className = "", text = "") {
  const made = document.createElement(tag);
  if (className) {
    made.className = className;
  }
  made.textContent = text;
  return made;
}

const Format = (() => {
  const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];
  const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

  /** A count with its thousands apart. */
  const count = (n) => grouped.format(n);

  /** A size in bytes. */
  function size(bytes) {
    let unit = 0;
    let value = bytes;
    while (value >= 1024 && unit < UNITS.length - 1) {
      value /= 1024;
      unit += 1;
    }
    return `${unit > 0 && value < 10 ? value.toFixed(1) : Math.round(value)} ${UNITS[unit]}`;
  }

  /** Milliseconds, with as many digits as a browser's clock is good for. */
  function milliseconds(ms) {
    if (ms >= 10000) {
      return `${(ms / 1000).toFixed(1)} s`;
    }
    return `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;
  }

  /** A moment, given in milliseconds since the page was opened, as a time of day. */
  function timeOfDay(at) {
    const time = new Date(performance.timeOrigin + at);
    const two = (n) => String(n).padStart(2, "0");
    const thousandths = String(time.getMilliseconds()).padStart(3, "0");
    return `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}.${thousandths}`;
  }

  /** Bytes in hexadecimal, at most `most` of them. */
  function hex(bytes, most) {
    const shown = Array.from(bytes.subarray(0, most), (byte) => byte.toString(16).padStart(2, "0"));
    return shown.join(" ") + (bytes.length > most ? " …" : "");
  }

  /** How many bytes a text has in UTF-8, without making them. */
  function utf8Length(text) {
    let length = text.length;
    for (let i = 0; i < text.length; i += 1) {
      const unit = text.charCodeAt(i);
      // A surrogate is one of two that make four bytes.
      length += unit < 0x80 ? 0 : unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 1 : 2;
    }
    return length;
  }

  return { count, size, milliseconds, timeOfDay, hex, utf8Length };
})();

/** Fills a list of figures: pairs of a name and a value. */
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

/** Puts a text on the clipboard, also where the page came over plain HTTP, and says so on the button. */
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
