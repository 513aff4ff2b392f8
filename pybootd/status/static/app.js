// The page: the live stream in, the list or one machine out.

import { List } from "./list.js";
import { MachinePage } from "./machine.js";
import { show, write } from "./text.js";

const find = (query) => document.querySelector(query);
const said = find("#said");
const search = find("#search");
const list = new List(find("#list"), announce);
const page = new MachinePage(find("#machine"));
let offset = 0;
list.now = () => Date.now() / 1000 + offset;

// the live stream

let stream;
let silence;

function listen() {
  stream?.close();
  stream = new EventSource("/api/events?view=machines");
  stream.addEventListener("open", () => connection("live"));
  stream.addEventListener("error", () => {
    connection("connection lost, trying again");
    if (stream.readyState === EventSource.CLOSED) setTimeout(check, 2000);
  });
  stream.addEventListener("machines", (event) => {
    const data = JSON.parse(event.data);
    offset = data.time - Date.now() / 1000;
    list.take(data.machines);
    if (page.id && data.machines.some((one) => one.id === page.id)) refresh();
  });
}

// The stream was refused for good: the token may have changed.
async function check() {
  try {
    const answer = await fetch("/api/machines?limit=1");
    if (answer.status === 401) location.assign("/login");
    else listen();
  } catch {
    setTimeout(check, 2000);
  }
}

function connection(text) {
  write(find("#connection"), text);
  find("#connection").className = text === "live" ? "live" : "lost";
}

function refresh() {
  if (silence) return;
  silence = setTimeout(() => {
    silence = 0;
    if (page.id) page.show(page.id);
  }, 500);
}

// what a screen reader says

let stopped = [];

function announce(data) {
  if (!stopped.length) setTimeout(() => {
    const [one] = stopped;
    const text = `${one.name || one.mac || one.address} stopped: ${one.diagnosis.sentence}`;
    write(said, stopped.length === 1 ? text : `${stopped.length} machines stopped`);
    stopped = [];
  }, 1000);
  stopped.push(data);
}

// the list or one machine

function route() {
  const found = location.hash.match(/^#\/machine\/(.+)$/);
  show(find("#list"), !found);
  show(find("#machine"), Boolean(found));
  if (found) page.show(decodeURIComponent(found[1]));
  else page.hide();
  document.title = found ? `${decodeURIComponent(found[1])} - pybootd` : "pybootd";
  scrollTo(0, 0);
}

addEventListener("hashchange", route);

// searching

search.addEventListener("input", () => {
  list.search = search.value.trim().toLowerCase();
  list.filterAll();
});

for (const button of document.querySelectorAll("#states [data-state]")) {
  button.addEventListener("click", () => {
    list.only = list.only === button.dataset.state ? "" : button.dataset.state;
    for (const one of document.querySelectorAll("#states [data-state]")) {
      one.setAttribute("aria-pressed", String(one.dataset.state === list.only));
    }
    list.filterAll();
  });
}

// the keyboard

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") {
    if (location.hash.length > 1) location.hash = "";
    else if (search.value) {
      search.value = "";
      search.dispatchEvent(new Event("input"));
    }
  } else if (event.key === "/" && document.activeElement !== search) {
    event.preventDefault();
    if (location.hash.length > 1) location.hash = "";
    search.focus();
  } else if (event.key === "ArrowDown" && (document.activeElement === search || document.activeElement === document.body)) {
    event.preventDefault();
    list.first();
  }
});

// light and dark

const themes = ["", "light", "dark"];

function theme(name) {
  document.documentElement.dataset.theme = name;
  write(find("#theme"), name ? `Theme: ${name}` : "Theme: system");
  try {
    localStorage.setItem("theme", name);
  } catch {
    // it is remembered where the browser allows it
  }
}

find("#theme").addEventListener("click", () => {
  theme(themes[(themes.indexOf(document.documentElement.dataset.theme) + 1) % themes.length]);
});

function remembered() {
  try {
    return localStorage.getItem("theme") ?? "";
  } catch {
    return "";
  }
}

theme(themes.includes(remembered()) ? remembered() : "");
route();
listen();
