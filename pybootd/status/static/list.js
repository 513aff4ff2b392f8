// The list: which rows there are, which are shown, and in which order.

import { STAGES, mark, show, write } from "./text.js";
import { Row } from "./row.js";

const PER_FRAME = 150;
const MOST = 2000;
const ORDER = { stopped: 0, booting: 1, quiet: 2, running: 3 };

const KEYS = {
  state: (data) => ORDER[data.state],
  name: (data) => data.name || data.mac || data.address,
  address: (data) => data.address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0),
  kind: (data) => `${data.architecture} ${data.firmware}`,
  stage: (data) => STAGES.indexOf(data.stage),
  seen: (data) => -data.last_seen,
  first: (data) => data.first_seen,
};

export class List {
  constructor(section, announce) {
    this.rows = new Map();
    this.waiting = new Map();
    this.section = section;
    this.body = section.querySelector("tbody");
    this.empty = section.querySelector("#empty");
    this.announce = announce;
    this.search = "";
    this.only = "";
    this.sort = "first";
    this.down = true;
    this.now = () => Date.now() / 1000;
    this.sorting = 0;
    this.begun = this.now();
    for (const button of section.querySelectorAll("[data-sort]")) {
      button.addEventListener("click", () => this.sortBy(button.dataset.sort));
    }
    section.addEventListener("keydown", (event) => this.key(event));
    setInterval(() => this.tick(), 1000);
  }

  // Rows of the server; they are drawn so many a frame, the latest of each.
  take(machines) {
    for (const data of machines) this.waiting.set(data.id, data);
    if (!this.frame) this.frame = requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.frame = 0;
    let count = 0;
    for (const [id, data] of this.waiting) {
      if (count++ >= PER_FRAME) break;
      this.waiting.delete(id);
      this.put(id, data);
    }
    this.arrange();
    this.count();
    if (this.waiting.size) this.frame = requestAnimationFrame(() => this.draw());
  }

  put(id, data) {
    const row = this.rows.get(id);
    if (!row) {
      const made = new Row(data);
      made.age(this.now());
      this.rows.set(id, made);
      this.body.append(made.node);
      this.filter(made);
      if (this.rows.size > MOST) this.forget();
      this.unsorted = true;
      if (data.state === "stopped" && data.first_seen >= this.begun) this.announce(data);
      return;
    }
    const before = row.data;
    row.update(data);
    row.age(this.now());
    this.filter(row);
    if (KEYS[this.sort](before) !== KEYS[this.sort](data)) this.unsorted = true;
    if (data.state === "stopped" && before.state !== "stopped") this.announce(data);
  }

  forget() {
    let oldest;
    for (const row of this.rows.values()) {
      if (!oldest || row.data.last_seen < oldest.data.last_seen) oldest = row;
    }
    this.rows.delete(oldest.data.id);
    oldest.node.remove();
  }

  filter(row) {
    const found = row.text.includes(this.search) && (!this.only || row.data.state === this.only);
    show(row.node, found);
  }

  filterAll() {
    for (const row of this.rows.values()) this.filter(row);
  }

  sortBy(key) {
    this.down = key === this.sort ? !this.down : false;
    this.sort = key;
    for (const button of this.section.querySelectorAll("[data-sort]")) {
      const mine = button.dataset.sort === key;
      mark(button.closest("th"), "aria-sort", mine ? (this.down ? "descending" : "ascending") : "none");
    }
    this.unsorted = true;
    this.sorting = 0;
    this.arrange();
  }

  // Moves only rows that are out of place, and not more often than a person can follow.
  arrange() {
    const moment = performance.now();
    if (!this.unsorted || moment - this.sorting < 500) return;
    this.sorting = moment;
    this.unsorted = false;
    const key = KEYS[this.sort];
    const sign = this.down ? -1 : 1;
    const rows = [...this.rows.values()].sort((one, other) => {
      const [a, b] = [key(one.data), key(other.data)];
      if (a !== b) return a < b ? -sign : sign;
      return one.data.id < other.data.id ? -1 : 1;
    });
    let place = this.body.firstElementChild;
    for (const row of rows) {
      if (row.node === place) place = place.nextElementSibling;
      else this.body.insertBefore(row.node, place);
    }
  }

  count() {
    const counts = {};
    for (const row of this.rows.values()) counts[row.data.state] = (counts[row.data.state] ?? 0) + 1;
    for (const button of document.querySelectorAll("#states [data-state]")) {
      write(button.firstElementChild, String(counts[button.dataset.state] ?? 0));
    }
    show(this.empty, this.rows.size === 0);
  }

  tick() {
    const now = this.now();
    for (const row of this.rows.values()) if (!row.node.hidden) row.age(now);
    this.arrange();
  }

  key(event) {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    const links = [...this.body.querySelectorAll("tr:not([hidden]) a")];
    const at = links.indexOf(document.activeElement);
    const next = event.key === "ArrowDown" ? at + 1 : Math.max(at - 1, 0);
    if (links[next]) {
      links[next].focus();
      event.preventDefault();
    }
  }

  first() {
    this.body.querySelector("tr:not([hidden]) a")?.focus();
  }
}
