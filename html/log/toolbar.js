// The controls of the log: filter, pause, copy, export, clear, second connection.
import { copyText, saveFile } from "../base/clipboard.js";
import { closeOnLeave, element, make, setText } from "../base/dom.js";
import { formatCount, formatNumberOf } from "../base/format.js";
import { toCsv, toJsonLines, toText } from "./export.js";
import { CHOICES, filterOf } from "./filter.js";
import { toHar } from "./har.js";

/** File name and media type of each format of the export. */
const FORMATS = {
  "export-jsonl": ["websocket-events.jsonl", "application/x-ndjson", toJsonLines],
  "export-csv": ["websocket-events.csv", "text/csv", toCsv],
  "export-har": ["websocket-events.har", "application/json", toHar],
};

export class LogToolbar {
  /** `panes()` returns the panes. */
  constructor(panes, version) {
    this.panes = panes;
    this.text = element("filter");
    this.choice = element("filter-kind");
    this.paused = false;
    this.soon = 0;
    this.choice.append(
      ...Object.entries(CHOICES).map(([value, name]) => {
        const option = make("option", "", name);
        option.value = value;
        return option;
      }),
    );
    this.text.addEventListener("input", () => this.apply());
    this.choice.addEventListener("change", () => this.apply());
    element("pause").addEventListener("click", (event) => this.togglePause(event.currentTarget));
    element("clear").addEventListener("click", () => {
      for (const pane of this.panes()) {
        pane.clear();
      }
    });
    element("copy").addEventListener("click", (event) => copyText(toText(this.items()), event.currentTarget));
    const menu = element("export");
    closeOnLeave(menu);
    for (const [id, [file, type, format]] of Object.entries(FORMATS)) {
      element(id).addEventListener("click", () => {
        menu.open = false;
        saveFile(file, type, format(this.items(), version));
      });
    }
  }

  /** Returns the entries of all panes that match the filter, in the order of time. */
  items() {
    const matches = this.filter();
    const items = this.panes().flatMap(({ slot, store }) =>
      store.entries.filter(matches).map((entry) => ({ slot, entry })),
    );
    return items.sort((a, b) => a.entry.at - b.entry.at);
  }

  filter() {
    return filterOf(this.text.value, this.choice.value);
  }

  /** Applies the filter to all panes. */
  apply() {
    const isFiltered = this.text.value !== "" || this.choice.value !== "";
    for (const pane of this.panes()) {
      pane.setFilter(this.filter(), isFiltered);
    }
  }

  /** Removes the filter. */
  showAll() {
    this.text.value = "";
    this.choice.value = "";
    this.apply();
  }

  togglePause(button) {
    this.paused = !this.paused;
    button.setAttribute("aria-pressed", String(this.paused));
    for (const pane of this.panes()) {
      pane.view.setPaused(this.paused);
    }
    this.showCounts();
  }

  /** Shows the figures a moment later. While paused, nothing else shows them. */
  showCountsSoon() {
    this.soon ||= setTimeout(() => {
      this.soon = 0;
      this.showCounts();
    }, 100);
  }

  /** Shows the figures of the messages of all panes. */
  showCounts() {
    const sum = (name) => this.panes().reduce((total, { store }) => total + store.counts[name], 0);
    const parts = [`${formatCount(sum("sent"))} sent`, `${formatCount(sum("received"))} received`];
    for (const [name, text] of [
      ["identical", "identical"],
      ["prefix", "echoed with prefix"],
      ["differs", "differ"],
      ["unanswered", "without reply"],
    ]) {
      if (sum(name) > 0) {
        parts.push(`${formatCount(sum(name))} ${text}`);
      }
    }
    if (sum("dropped") > 0) {
      parts.push(`the oldest ${formatNumberOf(sum("dropped"), "message")} no longer kept`);
    }
    if (this.paused) {
      parts.push("paused");
    }
    const total = sum("sent") + sum("received");
    setText(element("log-count"), total > 0 || this.paused ? parts.join(" · ") : "");
  }
}
