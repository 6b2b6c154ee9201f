// A button for each endpoint, made from the server's own table.
"use strict";

const Endpoints = (() => {
  const list = element("endpoints");
  let chosen = () => {};

  /** Asks the server for its table, and shows it. `choose` is told the target of a button that was pressed. */
  async function show(choose) {
    chosen = choose;
    const url = new URL("/endpoints", Settings.home());
    url.protocol = url.protocol.replace("ws", "http");
    try {
      const answer = await fetch(url);
      const table = await answer.json();
      list.replaceChildren(...table.map(entry));
    } catch {
      list.replaceChildren(make("li", "hint", `The table is at ${url}, which does not answer.`));
    }
  }

  /** An endpoint: a button with the target that it stands for, what that does, and a field for each parameter. */
  function entry({ path, summary, parameters, example }) {
    const made = make("li");
    const form = make("form");
    const button = make("button");
    const about = make("p", "", summary);
    about.id = `about-${path}`;
    button.dataset.path = path;
    button.setAttribute("aria-describedby", about.id);
    form.append(button, about);
    const [examplePath, exampleQuery = ""] = example.split("?");
    const given = new URLSearchParams(exampleQuery);
    const fields = make("div", "fields");
    if (path.endsWith("CODE")) {
      const code = { name: "CODE", default: "503", accepts: "a number", meaning: "status" };
      fields.append(field(code, examplePath.slice(path.length - 4)));
    }
    for (const parameter of parameters) {
      fields.append(field(parameter, given.get(parameter.name) ?? ""));
    }
    if (fields.childElementCount > 0) {
      const details = make("details");
      details.append(make("summary", "", "Parameters"), fields);
      form.append(details);
    }
    const show = () => button.replaceChildren(...breakable(target(path, fields)));
    show();
    form.addEventListener("input", show);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      chosen(target(path, fields));
    });
    made.append(form);
    return made;
  }

  /** A target that may go on in a new line where one of its parts ends. */
  function breakable(text) {
    return text.split(/(?<=[?&])/).flatMap((part) => [part, make("wbr")]);
  }

  /** A field for a parameter; empty, it leaves the parameter out. */
  function field({ name, default: usual, accepts, meaning }, value) {
    const label = make("label", "", name);
    const input = make("input");
    input.name = name;
    input.value = value;
    input.placeholder = usual;
    input.title = `${meaning}: ${accepts}`;
    input.autocomplete = "off";
    input.autocapitalize = "off";
    input.spellcheck = false;
    label.append(input, make("span", "hint", meaning));
    return label;
  }

  /** The path and the query that the fields stand for. */
  function target(path, fields) {
    const query = new URLSearchParams();
    let full = path;
    for (const input of fields.querySelectorAll("input")) {
      if (input.name === "CODE") {
        full = full.replace("CODE", encodeURIComponent(input.value));
      } else if (input.value) {
        query.set(input.name, input.value);
      }
    }
    // Nothing but spaces and the like has to be escaped for a person to read it.
    const text = [...query].map(([name, value]) => `${name}=${encodeURIComponent(value).replaceAll("%2F", "/")}`);
    return text.length > 0 ? `${full}?${text.join("&")}` : full;
  }

  return { show };
})();
