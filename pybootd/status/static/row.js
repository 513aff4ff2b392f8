// One machine in the list: its elements are made once, and afterwards only what differs is written.

import { LABELS, STAGES, bar, current, element, mark, progress, show, span, write } from "./text.js";

const MADE_OF = ["state", "machine", "address", "kind", "boot", "seen"];

export class Row {
  constructor(data) {
    this.cells = {};
    this.node = element("tr", { role: "row" });
    for (const name of MADE_OF) {
      this.cells[name] = element("td", { role: "cell", class: name });
      this.node.append(this.cells[name]);
    }
    this.state = element("span", { class: "badge" });
    this.cells.state.append(this.state);
    this.link = element("a", { href: `#/machine/${encodeURIComponent(data.id)}` });
    this.about = element("span", { class: "about" });
    this.cells.machine.append(this.link, this.about);
    this.steps = STAGES.map((stage) => element("li", {}, LABELS[stage] ?? stage));
    this.list = element("ol", { class: "steps" }, ...this.steps);
    this.progress = element("progress");
    this.words = element("span", { class: "words" });
    this.transfer = element("div", { class: "transfer" }, this.progress, this.words);
    this.sentence = element("p", { class: "sentence" });
    this.setting = element("code", { class: "setting" });
    this.cells.boot.append(this.list, this.transfer, this.sentence, this.setting);
    this.update(data);
  }

  update(data) {
    this.data = data;
    mark(this.node, "data-state", data.state);
    write(this.state, data.state);
    write(this.link, data.name || data.mac || data.address);
    write(this.about, [data.name ? data.mac : "", data.vendor].filter(Boolean).join(" · "));
    write(this.cells.address, data.address);
    write(this.cells.kind, [data.architecture, data.firmware].filter(Boolean).join(" · "));
    this.stages(data);
    const one = current(data.transfers);
    show(this.transfer, one !== undefined);
    if (one) {
      bar(this.progress, one);
      write(this.words, progress(one));
    }
    const found = data.diagnosis;
    show(this.sentence, found !== null);
    show(this.setting, Boolean(found?.setting));
    write(this.sentence, found?.sentence ?? "");
    write(this.setting, found?.setting ?? "");
    this.text = [data.name, data.mac, data.mac.replaceAll(":", "-"), data.address, data.vendor, data.architecture,
      data.firmware, data.state, found?.sentence].join(" ").toLowerCase();
  }

  stages(data) {
    const reached = STAGES.indexOf(data.stage);
    const last = LABELS[data.stage] ?? data.stage;
    mark(this.list, "aria-label", `Boot, so far: ${last || "nothing"}`);
    STAGES.forEach((stage, index) => {
      const done = stage in data.stages;
      let kind = done ? "done" : "";
      if (index === reached + 1 && data.state === "stopped") kind = "failed";
      else if (index === reached + 1 && data.state === "booting") kind = "next";
      if (this.steps[index].className !== kind) this.steps[index].className = kind;
    });
  }

  age(now) {
    write(this.cells.seen, span(now - this.data.last_seen));
  }
}
