// Elements and words.  Whatever a machine said of itself becomes text, never markup.

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") made.className = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function mark(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

export function show(node, shown) {
  if (node.hidden === shown) node.hidden = !shown;
}

export function size(bytes) {
  if (bytes < 1000) return `${Math.round(bytes)} B`;
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(0)} kB`;
  if (bytes < 1e9) return `${(bytes / 1e6).toFixed(1)} MB`;
  return `${(bytes / 1e9).toFixed(2)} GB`;
}

export function span(seconds) {
  if (seconds < 1) return "now";
  if (seconds < 100) return `${Math.round(seconds)} s`;
  if (seconds < 6000) return `${Math.round(seconds / 60)} min`;
  if (seconds < 360000) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

export function clock(time) {
  return new Date(time * 1000).toLocaleTimeString();
}

export const STAGES = ["asked", "offered", "leased", "loader", "kernel", "initrd", "running"];
export const LABELS = { running: "system up" };

// The transfer to show of a machine: the one under way, else the last that failed.
export function current(transfers) {
  const last = transfers[transfers.length - 1];
  return transfers.findLast((one) => one.state === "running") ?? (last?.state === "failed" ? last : undefined);
}

export function progress(one) {
  const words = [one.name];
  if (one.state === "running") {
    if (one.size) words.push(`${Math.floor((100 * one.sent) / one.size)} %`);
    else words.push(size(one.sent));
    if (one.rate) words.push(`${size(one.rate)}/s`);
    if (one.left !== null) words.push(`${span(Math.max(1, one.left))} left`);
  } else if (one.state === "done") {
    words.push(size(one.sent));
    if (one.rate) words.push(`${size(one.rate)}/s`);
  } else {
    words.push(size(one.sent), one.reason);
  }
  return words.join(" · ");
}

export function bar(node, one) {
  const most = one.size || Math.max(one.sent, 1);
  if (node.max !== most) node.max = most;
  const sent = one.state === "done" ? most : Math.min(one.sent, most);
  if (node.value !== sent) node.value = sent;
  node.classList.toggle("failed", one.state === "failed");
  mark(node, "aria-label", one.name);
}
