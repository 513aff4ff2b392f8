// The page of one machine: its boot with times, its files, what happened, each decision and packet.

import { LABELS, STAGES, bar, clock, element, progress } from "./text.js";

export class MachinePage {
  constructor(section) {
    this.section = section;
    this.id = "";
    this.open = new Set();
  }

  async show(id) {
    if (id !== this.id) this.open.clear();
    this.id = id;
    const answer = await fetch(`/api/machines/${encodeURIComponent(id)}`);
    if (this.id !== id) return;
    if (!answer.ok) {
      this.section.replaceChildren(back(), element("p", { class: "note" }, `Nothing is known of ${id}.`));
      return;
    }
    this.draw(await answer.json());
  }

  hide() {
    this.id = "";
    this.section.replaceChildren();
  }

  draw(data) {
    const focused = document.activeElement?.dataset?.keep;
    this.section.replaceChildren(
      back(),
      element("h2", {}, data.name || data.mac || data.address, " ",
        element("span", { class: "badge", "data-state": data.state }, data.state)),
      matter(data.diagnosis),
      facts(data),
      timeline(data),
      files(data.transfers),
      this.exchanges(data.exchanges),
      log(data.log),
    );
    if (focused) this.section.querySelector(`[data-keep="${CSS.escape(focused)}"]`)?.focus();
  }

  exchanges(exchanges) {
    const made = exchanges.map((one) => {
      const key = `${one.time} ${one.message}`;
      const details = element("details", {},
        element("summary", { "data-keep": key }, `${clock(one.time)} ${one.message}, ${answered(one)}`),
        trace(one.trace), packets(one));
      details.open = this.open.has(key);
      details.addEventListener("toggle", () => (details.open ? this.open.add(key) : this.open.delete(key)));
      return details;
    });
    return element("section", { class: "exchanges" }, element("h3", {}, "Questions and decisions"),
      ...(made.length ? made : [element("p", { class: "note" }, "None are kept.")]));
  }
}

function back() {
  return element("p", {}, element("a", { href: "#", "data-keep": "back" }, "← all machines"));
}

function matter(found) {
  if (!found) return "";
  const made = element("div", { class: `matter ${found.severity}`, role: "note" },
    element("p", { class: "sentence" }, found.sentence));
  if (found.setting) made.append(element("p", {}, "Look at ", element("code", {}, found.setting)));
  return made;
}

function facts(data) {
  const list = element("dl", { class: "facts" });
  const all = {
    "hardware address": data.mac, vendor: data.vendor, address: data.address, architecture: data.architecture,
    firmware: data.firmware, UUID: data.uuid, interface: data.interface, "boot file": data.boot_file,
    boots: String(data.boots), "first heard of": new Date(data.first_seen * 1000).toLocaleString(),
  };
  for (const [name, value] of Object.entries(all)) {
    if (value) list.append(element("div", {}, element("dt", {}, name), element("dd", {}, value)));
  }
  return list;
}

function timeline(data) {
  const times = Object.values(data.stages);
  const begun = Math.min(...times);
  const steps = STAGES.map((stage) => {
    const at = data.stages[stage];
    const item = element("li", { class: at === undefined ? "" : "done" }, element("b", {}, LABELS[stage] ?? stage));
    if (at !== undefined) {
      item.append(element("time", { datetime: new Date(at * 1000).toISOString() },
        at === begun ? clock(at) : `+${(at - begun).toFixed(1)} s`));
    }
    return item;
  });
  return element("section", {}, element("h3", {}, "Boot"), element("ol", { class: "steps large" }, ...steps));
}

function files(transfers) {
  const rows = transfers.toReversed().map((one) => {
    const line = element("progress");
    bar(line, one);
    return element("tr", {}, element("td", {}, clock(one.begun)), element("td", {}, one.protocol.toUpperCase()),
      element("td", {}, line, element("span", { class: "words" }, progress(one))),
      element("td", {}, [one.detail, one.retransmitted ? `${one.retransmitted} blocks again` : ""].filter(Boolean).join(", ")));
  });
  return section("Files", ["time", "by", "file", "agreed"], rows);
}

function log(lines) {
  const rows = lines.toReversed().map((one) => element("tr", {}, element("td", {}, clock(one.time)),
    element("td", {}, one.text)));
  return section("What happened", ["time", "what"], rows);
}

function trace(steps) {
  const rows = steps.map((step) => element("tr", {}, element("td", {}, step.rule), element("td", {}, step.outcome),
    element("td", {}, element("code", {}, step.setting))));
  return table(["rule", "outcome", "line"], rows);
}

function packets(one) {
  return element("div", { class: "packets" }, ...[one.request, ...one.replies].map((lines) =>
    element("pre", { tabindex: "0" }, lines.join("\n"))));
}

function answered(one) {
  if (!one.replies.length) return "no answer";
  return one.replies.length === 1 ? "answered" : `${one.replies.length} answers`;
}

function section(title, names, rows) {
  return element("section", {}, element("h3", {}, title),
    rows.length ? table(names, rows) : element("p", { class: "note" }, "Nothing."));
}

function table(names, rows) {
  const head = element("tr", {}, ...names.map((name) => element("th", { scope: "col" }, name)));
  return element("div", { class: "wide" }, element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows)));
}
