// The endpoints of the page's server, in groups, from the table that it serves.
import { element, make, makeButton, setText } from "../base/dom.js";
import { httpUrl, isPageServer, pageServer } from "../net/target.js";
import { makeField } from "./endpoint-fields.js";

const GROUPS = ["Echo", "Timing", "Closing", "Faults", "Throughput", "Information"];

/** The endpoint whose clients get each other's messages: one connects to it twice to see that. */
const SHARED = "/broadcast";

/** Times at which loading is tried again, in milliseconds: a busy server refuses connections for a while. */
const RETRIES = [500, 2000, 5000, 10000];

export class Endpoints {
  /** `choose(target, twice)` is called with the path and the query of the endpoint that is chosen. */
  constructor(choose) {
    this.choose = choose;
    this.items = new Map();
    this.used = null;
  }

  /** Loads the table and shows it. Returns the response header fields that name the server, or `null`. */
  async load() {
    const url = httpUrl(new URL("/endpoints", pageServer()).href);
    for (const wait of [...RETRIES, null]) {
      try {
        const response = await fetch(url, { cache: "no-store" });
        if (!response.ok) {
          throw new Error(`${response.status} ${response.statusText}`);
        }
        this.show(await response.json());
        return response.headers;
      } catch (error) {
        if (wait === null) {
          this.showFailure(url, error);
          return null;
        }
        setText(element("endpoints-state"), "The table did not load; trying again …");
        await new Promise((resolve) => setTimeout(resolve, wait));
      }
    }
  }

  showFailure(url, error) {
    const again = make("button", "", "Try again");
    again.type = "button";
    again.addEventListener("click", () => this.load());
    element("endpoints-state").replaceChildren(`The table at ${url} could not be loaded (${error.message}). `, again);
  }

  show(table) {
    setText(element("endpoints-state"), "Each path of this server answers differently.");
    const names = [...new Set([...GROUPS, ...table.map(({ group }) => group ?? "Other")])];
    const sections = names.map((name) => {
      const list = make("ul", "endpoint-list");
      list.append(...table.filter(({ group }) => (group ?? "Other") === name).map((endpoint) => this.entry(endpoint)));
      const section = make("section");
      section.append(make("h3", "", name), list);
      return list.childElementCount > 0 ? [section] : [];
    });
    element("endpoint-groups").replaceChildren(...sections.flat());
    this.mark();
  }

  /** Returns the list item of an endpoint. */
  entry({ path, name, summary, parameters, example }) {
    const [examplePath, exampleQuery = ""] = example.split("?");
    const values = new URLSearchParams(exampleQuery);
    const fields = parameters.map((parameter) => makeField(parameter, values.get(parameter.name) ?? ""));
    if (path.endsWith("CODE")) {
      const code = { name: "CODE", type: "count", default: "503", range: [200, 599], accepts: "a status", meaning: "status" };
      fields.unshift(makeField(code, examplePath.slice(path.length - 4)));
    }
    const item = make("li", "endpoint");
    const form = make("form");
    const target = make("code", "target");
    const showTarget = () => target.replaceChildren(...breakable(targetOf(path, fields)));
    const head = make("div", "endpoint-head");
    const button = make("button", "quiet", "Connect");
    button.setAttribute("aria-label", `Connect to ${path}: ${name ?? path}`);
    head.append(make("h4", "", name ?? path), make("span", "in-use"), button);
    form.append(head, target, make("p", "", summary));
    if (fields.length > 0) {
      const details = make("details");
      const grid = make("div", "fields");
      grid.append(...fields.map(({ label }) => label));
      details.append(make("summary", "", "Parameters"), grid);
      form.append(details);
    }
    if (path === SHARED) {
      form.append(makeButton("Connect twice", () => this.choose(targetOf(path, fields), true), "quiet twice"));
    }
    form.addEventListener("input", showTarget);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.choose(targetOf(path, fields));
    });
    showTarget();
    item.dataset.path = path;
    item.append(form);
    this.items.set(path, item);
    return item;
  }

  /** Marks the endpoint of a URL as the one in use; `null` marks none. */
  markUsed(url) {
    const used = url && isPageServer(url) ? new URL(url).pathname.replace(/^\/status\/.*/, "/status/CODE") : null;
    if (used !== this.used) {
      this.used = used;
      this.mark();
    }
  }

  mark() {
    for (const [path, item] of this.items) {
      const isUsed = path === this.used;
      item.toggleAttribute("aria-current", isUsed);
      if (isUsed) {
        item.setAttribute("aria-current", "true");
      }
      setText(item.querySelector(".in-use"), isUsed ? "in use" : "");
    }
  }
}

/** Splits a target after ? and &, so that a line can break there. */
const breakable = (text) => text.split(/(?<=[?&])/).flatMap((part) => [part, make("wbr")]);

/** Returns the path and the query from the values of the fields. */
function targetOf(path, fields) {
  let full = path;
  const parts = [];
  for (const { name, read } of fields) {
    const value = read();
    if (name === "CODE") {
      full = full.replace("CODE", encodeURIComponent(value));
    } else if (value !== "") {
      // A slash may be in a query as it is, and is easier to read.
      parts.push(`${name}=${encodeURIComponent(value).replaceAll("%2F", "/")}`);
    }
  }
  return parts.length > 0 ? `${full}?${parts.join("&")}` : full;
}
