// Shows a button for each endpoint in the table of the server.
"use strict";

const Endpoints = (() => {
  const list = element("endpoints");
  let onChoose = () => {};

  /** Requests the table from the server and shows it. `listener` is called with the target of a button that is pressed. */
  async function show(listener) {
    onChoose = listener;
    const url = new URL("/endpoints", Settings.pageServer());
    url.protocol = url.protocol.replace("ws", "http");
    try {
      const response = await fetch(url);
      const table = await response.json();
      list.replaceChildren(...table.map(entry));
    } catch {
      list.replaceChildren(make("li", "hint", `The table is at ${url}, which does not answer.`));
    }
  }

  /** Returns the list item of an endpoint: a button with its target, its summary, and a field for each parameter. */
  function entry({ path, summary, parameters, example }) {
    const item = make("li");
    const form = make("form");
    const button = make("button");
    const description = make("p", "", summary);
    description.id = `about-${path}`;
    button.dataset.path = path;
    button.setAttribute("aria-describedby", description.id);
    form.append(button, description);
    const [examplePath, exampleQuery = ""] = example.split("?");
    const exampleValues = new URLSearchParams(exampleQuery);
    const fields = make("div", "fields");
    if (path.endsWith("CODE")) {
      const code = { name: "CODE", default: "503", accepts: "a number", meaning: "status" };
      fields.append(field(code, examplePath.slice(path.length - 4)));
    }
    for (const parameter of parameters) {
      fields.append(field(parameter, exampleValues.get(parameter.name) ?? ""));
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
      onChoose(target(path, fields));
    });
    item.append(form);
    return item;
  }

  /** Splits a target after ? and &, so that a line can break there. */
  function breakable(text) {
    return text.split(/(?<=[?&])/).flatMap((part) => [part, make("wbr")]);
  }

  /** Returns a field for a parameter. If it is empty, the target does not have the parameter. */
  function field({ name, default: defaultValue, accepts, meaning }, value) {
    const label = make("label", "", name);
    const input = make("input");
    input.name = name;
    input.value = value;
    input.placeholder = defaultValue;
    input.title = `${meaning}: ${accepts}`;
    input.autocomplete = "off";
    input.autocapitalize = "off";
    input.spellcheck = false;
    label.append(input, make("span", "hint", meaning));
    return label;
  }

  /** Returns the path and the query from the values of the fields. */
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
    // A slash may be in a query as it is, and is easier to read.
    const text = [...query].map(([name, value]) => `${name}=${encodeURIComponent(value).replaceAll("%2F", "/")}`);
    return text.length > 0 ? `${full}?${text.join("&")}` : full;
  }

  return { show };
})();
