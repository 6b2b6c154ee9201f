// A list of rows of which only the visible ones are in the document. Rows do not move while one reads back.
import { make } from "../base/dom.js";
import { makeDetail } from "./detail.js";
import { makeRow, markOpen, updateRow } from "./row.js";

/** Rows above and below the visible part that are in the document. */
const MARGIN = 6;

/** More new rows than this in one drawing are a flood, which is drawn less often. */
const FLOOD_ROWS = 40;

/** Shortest time between two drawings in a flood, in milliseconds. */
const FLOOD_INTERVAL = 100;

export class LogView {
  /** `scroller` gets the rows. `actions` are those of the details. `onCount` is called after each drawing. */
  constructor(scroller, store, actions, onCount) {
    this.scroller = scroller;
    this.store = store;
    this.actions = actions;
    this.onCount = onCount;
    this.list = make("ol", "rows");
    this.list.setAttribute("aria-label", scroller.getAttribute("aria-label"));
    scroller.append(this.list);
    this.matches = () => true;
    this.shown = [];
    this.consumed = 0;
    this.generation = store.generation;
    this.items = new Map();
    this.heights = new Map();
    this.follows = true;
    // A row was opened: new rows do not move it away.
    this.holds = false;
    this.paused = false;
    this.activeNumber = 0;
    this.unread = 0;
    this.rowHeight = 28;
    this.drawing = false;
    this.sizes = new ResizeObserver((changes) => this.onResize(changes));
    this.sizes.observe(scroller);
    scroller.addEventListener("scroll", () => this.onScroll(), { passive: true });
    this.list.addEventListener("click", (event) => this.onClick(event));
    this.list.addEventListener("keydown", (event) => this.onKey(event));
    this.list.addEventListener("focusin", (event) => this.onFocus(event));
  }

  /** Draws new entries before the next frame; in a flood, at most ten times a second. */
  schedule() {
    if (this.drawing || this.paused) {
      return;
    }
    this.drawing = true;
    const isFlood = this.store.entries.length - this.consumed > FLOOD_ROWS;
    setTimeout(() => requestAnimationFrame(() => this.draw()), isFlood ? FLOOD_INTERVAL : 0);
  }

  draw() {
    this.drawing = false;
    this.takeNew();
    this.setHeight();
    if (this.follows) {
      this.scroller.scrollTop = this.topOf(this.shown.length);
      this.unread = 0;
    }
    this.render();
    this.onCount(this);
  }

  /** Sets the filter and shows the newest rows. */
  setFilter(matches) {
    this.matches = matches;
    this.generation = -1;
    this.holds = false;
    this.follows = true;
    this.forgetRows();
    this.redraw();
  }

  setPaused(paused) {
    this.paused = paused;
    this.redraw();
  }

  redraw() {
    requestAnimationFrame(() => this.draw());
  }

  /** Adds the new entries that match. Starts anew after entries were removed, and keeps the visible rows in place. */
  takeNew() {
    if (this.paused && this.generation >= 0) {
      return;
    }
    const { store } = this;
    if (this.generation !== store.generation) {
      const anchor = this.shown[this.indexAt(this.scroller.scrollTop)];
      const offset = anchor ? this.scroller.scrollTop - this.topOf(this.indexOf(anchor.number)) : 0;
      this.generation = store.generation;
      this.shown = store.entries.filter(this.matches);
      this.forgetRemoved();
      if (anchor && !this.follows) {
        this.setHeight();
        this.scroller.scrollTop = this.topOf(this.indexOf(anchor.number)) + offset;
      }
    } else {
      const added = store.entries.slice(this.consumed).filter(this.matches);
      this.unread += this.follows ? 0 : added.length;
      for (const entry of added) {
        this.shown.push(entry);
      }
    }
    this.consumed = store.entries.length;
  }

  /** Forgets the rows of entries that are no longer shown. */
  forgetRemoved() {
    for (const [number, item] of this.items) {
      if (this.shown[this.indexOf(number)]?.number !== number) {
        this.forget(number, item);
      }
    }
  }

  forgetRows() {
    for (const [number, item] of this.items) {
      this.forget(number, item);
    }
  }

  forget(number, item) {
    this.items.delete(number);
    this.heights.delete(number);
    item.remove();
  }

  /** Returns the index of the first shown entry with this number or a later one. */
  indexOf(number) {
    let low = 0;
    let high = this.shown.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.shown[middle].number < number) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  /** Returns the distance of a row from the top, in pixels. */
  topOf(index) {
    let top = index * this.rowHeight;
    for (const [number, height] of this.heights) {
      if (this.indexOf(number) < index) {
        top += height;
      }
    }
    return top;
  }

  /** Returns the index of the row at a distance from the top. */
  indexAt(y) {
    let low = 0;
    let high = this.shown.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.topOf(middle + 1) <= y) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  setHeight() {
    this.list.style.height = `${this.topOf(this.shown.length)}px`;
  }

  /** Puts the visible rows into the document, and removes others. Rows that are open or have the focus stay. */
  render() {
    const top = this.scroller.scrollTop;
    const first = Math.max(0, this.indexAt(top) - MARGIN);
    const last = Math.min(this.shown.length, this.indexAt(top + this.scroller.clientHeight) + MARGIN);
    const wanted = new Set();
    for (let index = first; index < last; index += 1) {
      wanted.add(this.shown[index].number);
    }
    for (const [number, item] of this.items) {
      if (!wanted.has(number) && !this.heights.has(number) && !item.contains(document.activeElement)) {
        this.forget(number, item);
      }
    }
    let before = null;
    for (let index = last - 1; index >= first; index -= 1) {
      before = this.place(this.shown[index], before);
    }
    for (const [number, item] of this.items) {
      const index = this.indexOf(number);
      item.style.transform = `translateY(${this.topOf(index)}px)`;
      item.setAttribute("aria-posinset", String(index + 1));
      item.setAttribute("aria-setsize", String(this.shown.length));
    }
    this.showActive(first, last);
  }

  /** Returns the item of an entry, in the document before another one. */
  place(entry, before) {
    let item = this.items.get(entry.number);
    if (item) {
      updateRow(item, entry);
      return item;
    }
    item = makeRow(entry);
    item.entry = entry;
    this.items.set(entry.number, item);
    this.list.insertBefore(item, before);
    return item;
  }

  /** Lets the Tab key reach one row: the one that had the focus last, or the last visible one. */
  showActive(first, last) {
    if (!this.items.has(this.activeNumber)) {
      this.activeNumber = last > first ? this.shown[last - 1].number : 0;
    }
    for (const [number, item] of this.items) {
      item.firstElementChild.tabIndex = number === this.activeNumber ? 0 : -1;
    }
  }

  onScroll() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    this.follows = !this.holds && scrollHeight - scrollTop - clientHeight < 1.5 * this.rowHeight;
    if (this.follows) {
      this.unread = 0;
    }
    this.render();
    this.onCount(this);
  }

  /** Scrolls to the newest row and stays there. */
  scrollToEnd() {
    this.follows = true;
    this.holds = false;
    this.redraw();
  }

  onClick(event) {
    const line = event.target.closest(".line");
    if (line) {
      this.toggle(line.parentElement);
    }
  }

  /** Opens or closes the details of a row. */
  toggle(item) {
    const { number } = item.entry;
    if (this.heights.has(number)) {
      this.heights.delete(number);
      this.sizes.unobserve(item.lastElementChild);
      item.lastElementChild.remove();
      markOpen(item, false);
      this.holds = this.heights.size > 0;
    } else {
      const detail = makeDetail(item.entry, this.actions);
      item.append(detail);
      markOpen(item, true);
      this.heights.set(number, detail.offsetHeight);
      this.sizes.observe(detail);
      this.holds = true;
    }
    this.setHeight();
    this.render();
    item.scrollIntoView({ block: "nearest" });
    this.onScroll();
  }

  onResize(changes) {
    for (const { target } of changes) {
      if (target === this.scroller) {
        this.measure();
      } else if (target.isConnected) {
        this.heights.set(target.parentElement.entry.number, target.offsetHeight);
      }
    }
    this.draw();
  }

  /** Reads the height of a row from the style sheet. */
  measure() {
    const probe = make("li", "entry");
    probe.append(make("span", "line", "0"));
    this.list.append(probe);
    this.rowHeight = probe.offsetHeight || this.rowHeight;
    probe.remove();
  }

  onFocus(event) {
    const item = event.target.closest(".entry");
    if (item && item.entry.number !== this.activeNumber) {
      this.activeNumber = item.entry.number;
      this.showActive(0, 0);
    }
  }

  /** Arrow keys, Page keys, Home and End move the focus from row to row. */
  onKey(event) {
    if (!event.target.classList.contains("line")) {
      return;
    }
    const page = Math.max(1, Math.floor(this.scroller.clientHeight / this.rowHeight) - 1);
    const steps = { ArrowUp: -1, ArrowDown: 1, PageUp: -page, PageDown: page, Home: -Infinity, End: Infinity };
    const step = steps[event.key];
    if (step === undefined) {
      return;
    }
    event.preventDefault();
    const from = this.indexOf(this.activeNumber);
    this.focusRow(Math.min(this.shown.length - 1, Math.max(0, from + step)));
  }

  focusRow(index) {
    const entry = this.shown[index];
    const top = this.topOf(index);
    const { scrollTop, clientHeight } = this.scroller;
    if (top < scrollTop) {
      this.scroller.scrollTop = top;
    } else if (top + this.rowHeight > scrollTop + clientHeight) {
      this.scroller.scrollTop = top + this.rowHeight - clientHeight;
    }
    this.render();
    this.activeNumber = entry.number;
    this.items.get(entry.number).firstElementChild.focus({ preventScroll: true });
    this.showActive(index, index + 1);
  }
}
