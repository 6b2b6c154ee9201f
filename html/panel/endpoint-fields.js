// A field for each parameter of an endpoint, of the type that the table gives.
import { make } from "../base/dom.js";

const UNITS = { ms: 1, s: 1000, m: 60000, min: 60000, h: 3600000 };

/** Returns a time of the table, such as `250ms` or `1s`, in milliseconds. */
function toMilliseconds(text) {
  const [, number, unit] = /^(\d+)([a-z]*)$/.exec(text) ?? [null, text, "ms"];
  return String(Number(number) * (UNITS[unit || "ms"] ?? 1));
}

/**
 * Returns a field for a parameter: its label with the control, and `read()`, which returns the value for the query, or ""
 * for the default. `example` is the value at first.
 */
export function makeField(parameter, example) {
  const { name, type, range, meaning, accepts } = parameter;
  const control = CONTROLS[type] ?? textControl;
  const { input, read } = control(parameter, example);
  input.name = name;
  input.title = `${name} takes ${accepts}`;
  const label = make("label", type === "flag" ? "check" : "");
  const caption = make("span", "caption", `${name}${type === "time" ? " (ms)" : ""}`);
  // The table writes what a flag means as "1: …" or "0: …".
  const text = type === "flag" ? meaning.replace(/^1: /, "").replace(/^0: /, "off: ") : meaning;
  const hint = make("span", "hint", text);
  if (type === "flag") {
    label.append(input, caption, hint);
  } else {
    label.append(caption, input, hint);
  }
  if (range && input.type === "number") {
    input.min = range[0];
    input.max = range[1];
  }
  return { label, name, input, read };
}

const CONTROLS = {
  time: (parameter, example) =>
    numberControl(toMilliseconds(parameter.default), example === "" ? "" : toMilliseconds(example)),
  count: (parameter, example) => numberControl(parameter.default, example),
  flag(parameter, example) {
    const input = make("input");
    input.type = "checkbox";
    input.checked = (example || parameter.default) === "1";
    return { input, read: () => valueOrDefault(input.checked ? "1" : "0", parameter) };
  },
  choice(parameter, example) {
    const input = make("select");
    input.append(...parameter.choices.map((word) => make("option", "", word)));
    input.value = example || parameter.default;
    return { input, read: () => valueOrDefault(input.value, parameter) };
  },
};

const valueOrDefault = (value, parameter) => (value === parameter.default ? "" : value);

function numberControl(placeholder, value) {
  const input = make("input");
  input.type = "number";
  input.inputMode = "numeric";
  input.placeholder = placeholder || "none";
  input.value = value;
  return { input, read: () => input.value };
}

function textControl(parameter, value) {
  const input = make("input");
  input.placeholder = parameter.default || "none";
  input.value = value;
  input.autocomplete = "off";
  input.autocapitalize = "off";
  input.spellcheck = false;
  if (parameter.type === "text") {
    input.maxLength = parameter.range[1];
  } else {
    input.pattern = "\\d+(\\.\\d+)? *([KMG]i?)?B?";
  }
  return { input, read: () => input.value };
}
