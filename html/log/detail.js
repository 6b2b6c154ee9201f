// The details of an entry: facts, views of the message, and what can be done with it.
import { bytesOf, toBase64 } from "../base/bytes.js";
import { copyText } from "../base/clipboard.js";
import { make, makeButton } from "../base/dom.js";
import { formatMilliseconds, formatNumberOf, formatTimeOfDay } from "../base/format.js";
import { byteDiff } from "./diff.js";
import { hexDump } from "./hex-dump.js";
import { jsonTree } from "./json-tree.js";
import { noteText, VERDICTS, verdictOf } from "./row.js";

/** Number of characters of a text that are shown at first. */
const MAX_TEXT = 20000;

/** Returns the details of an entry. `actions` has `sendAgain(entry)`, `edit(entry)` and `save(entry)`. */
export function makeDetail(entry, actions) {
  const detail = make("div", "detail");
  detail.append(make("p", "facts", factsOf(entry)));
  if (entry.kind === "note") {
    detail.append(make("pre", "text", noteText(entry)));
    detail.append(buttonRow([["Copy", (event) => copyText(noteText(entry), event.currentTarget)]]));
    return detail;
  }
  const views = viewsOf(entry);
  const names = Object.keys(views);
  const content = make("div", "content");
  const bar = make("div", "views");
  bar.setAttribute("role", "group");
  bar.setAttribute("aria-label", "View");
  const select = (name) => {
    for (const button of bar.children) {
      button.setAttribute("aria-pressed", String(button.textContent === name));
    }
    content.replaceChildren(views[name]());
  };
  bar.append(...names.map((name) => makeButton(name, () => select(name), "quiet")));
  detail.append(bar, content, actionsOf(entry, actions));
  select(names[0]);
  return detail;
}

/** Returns the facts of an entry in one line. */
function factsOf(entry) {
  const facts = [formatTimeOfDay(entry.at)];
  if (entry.kind === "note") {
    return [...facts, entry.code === null ? "" : `code ${entry.code}`, entry.url].filter(Boolean).join(" · ");
  }
  facts.push(`${entry.kind} ${typeof entry.data === "string" ? "text" : "binary"}`, formatNumberOf(entry.size, "byte"));
  if (typeof entry.rtt === "number") {
    facts.push(`round trip ${formatMilliseconds(entry.rtt)}`);
  }
  const verdict = verdictOf(entry);
  if (verdict) {
    facts.push(VERDICTS[verdict][1]);
  }
  return [...facts, entry.url].join(" · ");
}

/** Returns the views of a message by name, the most useful first. A view is made when it is shown. */
function viewsOf({ data, verdict, expected, prefix }) {
  const isText = typeof data === "string";
  const views = {};
  if (verdict === "differs" && expected !== null) {
    views.Diff = () => byteDiff(expected, data);
  }
  const json = isText && verdict === "prefix" ? data.slice(prefix.length) : data;
  if (isText && jsonTree(json)) {
    views.JSON = () => jsonTree(json);
  }
  if (isText) {
    views.Text = () => textView(data, "Text");
  }
  views.Hex = () => hexDump(bytesOf(data));
  views.Base64 = () => textView(toBase64(bytesOf(data)), "Base64");
  return views;
}

function textView(text, name) {
  const view = make("div");
  const frame = make("pre", "text", text.slice(0, MAX_TEXT));
  frame.tabIndex = 0;
  frame.setAttribute("aria-label", name);
  view.append(frame);
  if (text.length > MAX_TEXT) {
    const more = makeButton(`Show all ${formatNumberOf(text.length, "character")}`, () => {
      frame.textContent = text;
      more.remove();
    }, "quiet");
    view.append(more);
  }
  return view;
}

function actionsOf(entry, actions) {
  const { data } = entry;
  const text = () => (typeof data === "string" ? data : toBase64(bytesOf(data)));
  return buttonRow([
    [typeof data === "string" ? "Copy" : "Copy base64", (event) => copyText(text(), event.currentTarget)],
    ["Send again", () => actions.sendAgain(entry)],
    ["Edit", () => actions.edit(entry)],
    ["Save message", () => actions.save(entry)],
  ]);
}

function buttonRow(buttons) {
  const row = make("div", "actions");
  row.append(...buttons.map(([name, onClick]) => makeButton(name, onClick, "quiet")));
  return row;
}
