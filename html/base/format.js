// Formats numbers, sizes and times for people.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];
const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** Formats a count with commas between groups of three digits. */
export const formatCount = (n) => grouped.format(n);

/** Formats a size in bytes. */
export function formatSize(bytes) {
  let unit = 0;
  let value = bytes;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit > 0 && value < 10 ? value.toFixed(1) : Math.round(value)} ${UNITS[unit]}`;
}

/** Formats a time in milliseconds. The clock of a browser has a resolution of about 0.1 ms. */
export function formatMilliseconds(ms) {
  if (ms >= 10000) {
    return `${(ms / 1000).toFixed(1)} s`;
  }
  return `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;
}

/** Formats a time in seconds in its two largest units. */
export function formatSeconds(seconds) {
  const units = [
    ["d", 86400],
    ["h", 3600],
    ["min", 60],
    ["s", 1],
  ];
  const first = Math.max(0, units.findIndex(([, length]) => seconds >= length));
  const parts = units.slice(seconds >= 1 ? first : 3, (seconds >= 1 ? first : 3) + 2).map(([name, length], index) => {
    const rest = index === 0 ? seconds : seconds % units[first][1];
    return `${Math.floor(rest / length)} ${name}`;
  });
  return parts.filter((part, index) => index === 0 || !part.startsWith("0 ")).join(" ");
}

/** Formats a time in milliseconds since 1970 as a time of day with milliseconds. */
export function formatTimeOfDay(at) {
  const time = new Date(at);
  const padded = (n, digits) => String(n).padStart(digits, "0");
  const seconds = [time.getHours(), time.getMinutes(), time.getSeconds()].map((n) => padded(n, 2)).join(":");
  return `${seconds}.${padded(time.getMilliseconds(), 3)}`;
}

/** Formats a number of things: `1 message`, `2 messages`. */
export const formatNumberOf = (n, thing) => `${formatCount(n)} ${thing}${n === 1 ? "" : "s"}`;
