// SPDX-License-Identifier: MPL-2.0

// The page of a daemon. It reads the HTTP API beside it by relative addresses, and follows
// the stream of events. Whatever comes from the API is words of strangers: it is only ever
// put into text nodes and attributes, and the page's policy allows nothing else.
"use strict";

(() => {

const maxEvents = 500;        // that are remembered
const shownEvents = 60;       // of them on the screen
const maxResult = 1 << 20;    // characters of a result that are read
const niceResult = 64 << 10;  // characters of one that is laid out in lines
const pollHistory = 5_000;    // ms
const pollPlugin = 2_000;     // of the plugin that is open, for what no event tells
const pollAll = 30_000;
const fewEndpoints = 8;       // that are shown before somebody asks for all
const slice = 10;             // ms of work before the browser may do something else
const calm = 100;             // ms between two looks at what has changed, at the least
const longest = 800;          // and at the most

// ---- Elements --------------------------------------------------------------------------

const byId = id => document.getElementById(id);

// el makes an element. Attributes that are undefined, null or false are left out.
function el(tag, attributes, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name.startsWith("on")) e.addEventListener(name.slice(2), value);
    else if (value === true) e.setAttribute(name, "");
    else if (value !== undefined && value !== null && value !== false) e.setAttribute(name, value);
  }
  e.append(...children.filter(c => c !== undefined && c !== null));
  return e;
}

function svg(tag, attributes, ...children) {
  const e = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
  e.append(...children);
  return e;
}

// say puts a text into an element, unless it is there already.
function say(e, text) {
  if (e.textContent !== text) e.textContent = text;
}

// set gives an attribute a value, or takes it away.
function set(e, name, value) {
  if (value === null || value === false) e.removeAttribute(name);
  else if (e.getAttribute(name) !== String(value)) e.setAttribute(name, value);
}

// keep makes the children of parent those of wanted, in that order, and moves no more than
// it must. The focus stays where it was.
function keep(parent, wanted) {
  const focused = parent.contains(document.activeElement) ? document.activeElement : null;
  const now = new Set(wanted);
  for (const child of [...parent.children]) if (!now.has(child)) child.remove();
  let at = parent.firstElementChild;
  for (const child of wanted) {
    if (child === at) at = at.nextElementSibling;
    else parent.insertBefore(child, at);
  }
  if (focused && focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
}

// rove makes the links or buttons within a list one stop of the Tab key, between which the
// arrow keys go.
class Rover {
  constructor(list, selector) {
    Object.assign(this, { list, selector, at: null });
    list.addEventListener("focusin", e => { if (e.target.matches(selector)) this.stop(e.target); });
    list.addEventListener("keydown", e => {
      const steps = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity }[e.key];
      if (!steps || e.ctrlKey || e.metaKey || e.altKey || !e.target.matches(selector)) return;
      e.preventDefault();
      this.step(steps);
    });
  }
  stop(e) {
    if (this.at && this.at !== e) this.at.tabIndex = -1;
    this.at = e ?? null;
    if (e) e.tabIndex = 0;
  }
  // settle finds a stop when there is none any more.
  settle(wish) {
    if (!this.at || !this.list.contains(this.at)) this.stop(wish && this.list.contains(wish) ? wish : this.list.querySelector(this.selector));
  }
  step(by) {
    const all = [...this.list.querySelectorAll(this.selector)];
    const at = all.indexOf(document.activeElement);
    all[at < 0 ? 0 : Math.max(0, Math.min(all.length - 1, at + by))]?.focus();
  }
}

// ---- Words -----------------------------------------------------------------------------

// looks has the word and the shape of each state of an endpoint.
const looks = {
  READY: ["ready", "good"], CONNECTING: ["connecting", "busy"], IDLE: ["idle", "none"],
  TRANSIENT_FAILURE: ["failing", "bad"], SHUTDOWN: ["leaving", "gone"],
};

// departures are those of a plugin that has said that it leaves: nobody has to do anything.
const departures = { leaving: ["leaving", "gone"], left: ["left", "gone"] };

// lookOf gives the word and the shape for an endpoint.
function lookOf(e) {
  if (e.state === "READY" && e.ejected) return ["held back", "warn"];
  if (e.state === "READY" && e.draining) return ["draining", "warn"];
  if (e.state === "READY" && e.unreadyKinds?.length) return ["partly", "warn"];
  if (departures[e.departure] && e.state !== "READY" && e.state !== "SHUTDOWN") return departures[e.departure];
  if (e.state === "TRANSIENT_FAILURE" && e.permanent) return ["refused", "bad"];
  if (e.state === "CONNECTING" && (e.failures > 0 || e.lastError)) return looks.TRANSIENT_FAILURE; // it tries again
  return looks[e.state] ?? [String(e.state).toLowerCase(), "none"];
}

const takesCalls = e => e.state === "READY" && !e.ejected && !e.draining;

// causeOf gives an endpoint's last error without its address, which is shown beside it.
const causeOf = e => e?.lastError?.replace(`attach to plugin at ${e.address}: `, "");

// fareOf sums a plugin up: how it looks, in a word, how bad it is (0 is well), and why.
function fareOf(p) {
  const all = p.endpoints.length, ready = p.endpoints.filter(takesCalls).length;
  const worst = p.endpoints.find(e => lookOf(e)[1] === "bad") ?? p.endpoints.find(e => lookOf(e)[1] === "warn") ??
    p.endpoints.find(e => e.departure);
  const why = worst?.state === "READY" ? worst.warning || causeOf(worst) : causeOf(worst) || worst?.warning;
  const cause = [why, ...p.problems].find(Boolean) ?? "";
  if (all === 0) return { word: "no endpoint", look: p.required || p.waiting ? "bad" : "none", rank: p.required || p.waiting ? 3 : 1, ready, why: cause };
  if (!p.ready || ready === 0) {
    if (all > 0 && !p.required && !p.waiting && p.endpoints.every(e => lookOf(e)[1] === "gone")) return { word: lookOf(p.endpoints[0])[0], look: "gone", rank: 2, ready, why: cause };
    const looksOf = p.endpoints.map(e => lookOf(e)[1]);
    const starting = !looksOf.some(l => l === "bad" || l === "warn") && looksOf.some(l => l === "busy" || l === "none");
    return { word: starting ? "connecting" : "none ready", look: starting ? "busy" : "bad", rank: starting ? 2 : 4, ready, why: cause };
  }
  if (ready < all || worst || p.problems.length) {
    return { word: ready < all ? `${ready} of ${all} ready` : "ready, with a warning", look: "warn", rank: 2, ready, why: cause };
  }
  return { word: "ready", look: "good", rank: 0, ready, why: "" };
}

// sinceOf gives since when a plugin fares as it does, as far as that is known.
function sinceOf(p, fare) {
  if (!p.ready || fare.ready === p.endpoints.length) return p.since;
  const times = p.endpoints.filter(e => !takesCalls(e)).map(e => e.ejected ? e.lastErrorTime : e.unreadySince);
  return times.filter(Boolean).sort((a, b) => Date.parse(a) - Date.parse(b))[0];
}

const wholes = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const count = n => wholes.format(n);

function rate(perSecond) {
  if (!perSecond) return "0/s";
  if (perSecond < .095) return `${count(Math.max(1, Math.round(perSecond * 60)))}/min`;
  return `${perSecond < 9.95 ? perSecond.toFixed(1) : count(Math.round(perSecond))}/s`;
}

function millis(ms) {
  if (!ms) return "–";
  if (ms < .9995) return `${ms < .0995 ? ms.toFixed(3) : ms.toFixed(2)} ms`;
  if (ms < 999.5) return `${ms < 9.95 ? ms.toFixed(1) : Math.round(ms)} ms`;
  return `${(ms / 1000).toFixed(ms < 9950 ? 1 : 0)} s`;
}

function share(part, whole) {
  if (!part || !whole) return "0";
  const percent = 100 * part / whole;
  return percent < .095 ? "<0.1%" : `${percent < 9.95 ? percent.toFixed(1) : Math.round(percent)}%`;
}

function span(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86400)} d`;
}

const clockFormat = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const dateFormat = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "long" });
const clock = ms => Number.isNaN(ms) ? "" : clockFormat.format(ms);
const dayFormat = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
// moment is a time of day, with its date if that is not today's.
const moment = ms => dayFormat.format(ms) === dayFormat.format(now()) ? clock(ms) : `${dayFormat.format(ms)} ${clock(ms)}`;

// The host's clock, as far as its answers tell it, so that ages are right on a machine
// whose own clock is not.
let ahead = 0;
const now = () => Date.now() + ahead;

// Ages count on while they can be seen.
const ages = new Map(); // element -> time in ms
const seen = new Set();
const watcher = new IntersectionObserver(entries => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting) seen.add(target);
    else seen.delete(target);
    if (isIntersecting && ages.has(target)) showAge(target);
    if (isIntersecting && drawings.has(target)) drawings.get(target)();
  }
});
const drawings = new Map(); // element -> what draws it; it is drawn while it can be seen

function watch(e, draw) {
  if (draw) drawings.set(e, draw);
  watcher.observe(e);
}

// forget lets go of what is watched within an element that is gone.
function forget(e) {
  for (const inner of [e, ...e.querySelectorAll("[data-watched]")]) {
    watcher.unobserve(inner);
    ages.delete(inner);
    drawings.delete(inner);
    seen.delete(inner);
  }
}

function ageElement() {
  return el("time", { "data-watched": true });
}

function setAge(e, iso) {
  const at = iso ? Date.parse(iso) : NaN;
  if (Number.isNaN(at)) {
    ages.delete(e);
    say(e, "");
    return;
  }
  if (ages.get(e) === at) return;
  ages.set(e, at);
  e.dateTime = iso;
  e.title = dateFormat.format(at);
  watcher.observe(e);
  showAge(e);
}

function showAge(e) { say(e, span((now() - ages.get(e)) / 1000)); }

setInterval(() => {
  if (document.hidden) return;
  for (const e of seen) if (ages.has(e)) showAge(e);
}, 1000);

// ---- What is known ---------------------------------------------------------------------

const plugins = new Map();  // by name, as the API gives them
let problems = [];          // of discovery, of no plugin or of any
let missing = null;         // what keeps the host from being ready; null before it is known
let host = { program: "", build: "", calls: "open", probes: "off" };
let kinds = [];
const events = [];          // the newest first
let open = null;            // the name of the plugin that is open

// get asks the API. It gives null for 404.
async function get(path) {
  const answer = await fetch(path, { headers: { Accept: "application/json" }, cache: "no-store" });
  if (answer.status === 404) return null;
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

const pathOf = name => `api/v1/plugins/${encodeURIComponent(name)}`;

// quietly runs what may fail while the host is away: the stream says so, and all is asked
// anew when it is back.
const quietly = work => work().catch(() => {});

function took(found) {
  const names = new Set();
  for (const p of found.plugins) {
    names.add(p.name);
    plugins.set(p.name, p);
    changed.add(p.name);
  }
  for (const name of plugins.keys()) if (!names.has(name)) remove(name);
  problems = found.problems;
  draw();
}

function remove(name) {
  plugins.delete(name);
  changed.add(name);
}

// An event says that a plugin has changed, and some of what. It is shown at once; the rest
// is asked for, plugin by plugin or, if there are many, all together.
const stale = new Set();
const few = 8; // that are asked for one by one
let asking = false;

function happened(e) {
  note(e);
  const p = plugins.get(e.plugin);
  const endpoint = p?.endpoints.find(x => x.id === e.endpoint);
  // Another attempt that fails as those before tells no more than that.
  const again = endpoint && e.type === "state" && ["CONNECTING", "TRANSIENT_FAILURE"].includes(e.to) && [looks.TRANSIENT_FAILURE, departures.left].includes(lookOf(endpoint));
  if (endpoint && e.type === "state") {
    Object.assign(endpoint, { state: e.to, since: e.time, ejected: false, permanent: false });
    if (e.to !== "CONNECTING") endpoint.departure = e.departure;
    if (e.to === "READY") Object.assign(endpoint, { failures: 0, unreadySince: undefined });
    else endpoint.unreadySince ??= e.time;
    if (e.to === "TRANSIENT_FAILURE") endpoint.failures = (endpoint.failures ?? 0) + 1;
    if (e.cause) Object.assign(endpoint, { lastError: e.cause, lastErrorTime: e.time });
  } else if (endpoint && (e.type === "ejected" || e.type === "returned")) {
    Object.assign(endpoint, { ejected: e.type === "ejected" }, e.cause && { lastError: e.cause, lastErrorTime: e.time });
  } else if (endpoint && e.type === "withdrawn") {
    p.endpoints = p.endpoints.filter(x => x !== endpoint);
  } else if (p && (e.type === "plugin-ready" || e.type === "plugin-unready")) {
    Object.assign(p, { ready: e.type === "plugin-ready", since: e.time });
    tell(`${e.plugin}: ${wordsOf(e)}${e.cause ? `: ${e.cause}` : ""}`);
  }
  changed.add(e.plugin);
  draw();
  if (again) return;
  stale.add(e.plugin);
  if (!asking) refresh();
}

// note keeps an event for the list of events. Attempts that fail for the same cause, one
// after the other, are one entry, and their beginnings none.
function note(e) {
  if (e.type === "state" && (e.to === "CONNECTING" || e.to === "IDLE")) return;
  newEvents = true;
  const last = e.endpoint && events.find(x => x.endpoint === e.endpoint);
  if (last && e.type === "state" && last.type === "state" && e.to === "TRANSIENT_FAILURE" && last.to === e.to && last.cause === e.cause) {
    last.times++;
    last.until = e.time;
    return;
  }
  events.unshift({ ...e, times: 1 });
  if (events.length > maxEvents) events.length = maxEvents;
}

// recall takes what the host has kept of what happened. What is older than that is still
// what this page has seen.
function recall(earlier) {
  const list = earlier.map(e => ({ times: 1, ...e })).reverse();
  const first = list.length ? Date.parse(list.at(-1).time) : Infinity;
  events.splice(0, events.length, ...list, ...events.filter(e => Date.parse(e.time) < first));
  events.length = Math.min(events.length, maxEvents);
  newEvents = true;
}

async function refresh() {
  asking = true;
  try {
    while (stale.size > 0) {
      await pause(stale.size > few ? 1000 : 60);
      const names = [...stale];
      stale.clear();
      if (names.length > few) {
        took(await get("api/v1/plugins"));
      } else {
        for (const p of await Promise.all(names.map(async name => [name, await get(pathOf(name))]))) settle(...p);
      }
      await look();
    }
  } catch { /* the stream tells of a host that is away */ } finally {
    asking = false;
  }
}

function settle(name, p) {
  if (p === null) remove(name);
  else plugins.set(name, p);
  changed.add(name);
  draw();
}

// look asks what the host is, and what keeps it from being ready.
async function look() {
  const about = await get("api/v1/host");
  if (!about) return;
  host = about;
  missing = about.missing;
  ahead = Date.parse(about.time) - Date.now();
  if (Math.abs(ahead) < 2000) ahead = 0; // it is the way of the answer
  say(byId("program"), host.program || "Plugins");
  say(byId("build"), host.build);
  draw();
}

const pause = ms => new Promise(done => setTimeout(done, ms));

let told = 0;
// tell has a screen reader say a text, but no more than one in two seconds.
function tell(text) {
  if (Date.now() - told < 2000) return;
  told = Date.now();
  say(byId("announce"), text);
}

// ---- The last hour ---------------------------------------------------------------------

const slots = 121; // an hour, and the slot in progress at the end

// Track has what is known of some calls, by slot.
class Track {
  calls = new Float64Array(slots);
  plugin = new Float64Array(slots);
  network = new Float64Array(slots);
  host = new Float64Array(slots);
  caller = new Float64Array(slots);
  p50 = new Float64Array(slots);
  p99 = new Float64Array(slots);

  // merge takes the slots that an answer has: the last n.
  merge(series, gained, n) {
    const { calls, failed, p50, p99 } = series;
    const parts = [[this.calls, calls], [this.plugin, failed.plugin], [this.network, failed.network], [this.host, failed.host],
      [this.caller, failed.caller], [this.p50, p50], [this.p99, p99]];
    for (const [into, list] of parts) {
      into.copyWithin(0, gained);
      into.fill(0, slots - n);
      const fit = list.slice(-n);
      into.set(fit, slots - fit.length);
    }
  }
  failed(i) { return this.plugin[i] + this.network[i] + this.host[i] + this.caller[i]; }
}

const noCalls = new Track();

// History follows one answer of the API: all plugins, or the methods of one.
class History {
  constructor(path, list, keyOf) {
    Object.assign(this, { path, list, keyOf });
    this.clear();
  }
  clear() {
    this.slot = -1;
    this.all = new Track();
    this.tracks = new Map();
  }
  async ask() {
    let answer = await get(this.path + (this.slot < 0 ? "" : `?since=${this.slot}`));
    if (answer && answer.slot < this.slot) { // the host has started anew
      this.clear();
      answer = await get(this.path);
    }
    if (!answer) return;
    const gained = this.slot < 0 ? 0 : Math.min(answer.slot - this.slot, slots);
    const n = this.slot < 0 ? slots : Math.min(gained + 1, slots);
    this.slot = answer.slot;
    this.step = answer.stepSeconds;
    this.elapsed = answer.elapsedSeconds;
    this.at = Date.now();
    this.all.merge(answer.all, gained, n);
    const known = new Set();
    for (const series of answer[this.list]) {
      const key = this.keyOf(series);
      known.add(key);
      if (!this.tracks.has(key)) this.tracks.set(key, new Track());
      this.tracks.get(key).merge(series, gained, n);
    }
    for (const key of this.tracks.keys()) if (!known.has(key)) this.tracks.delete(key);
  }
  of(key) { return this.tracks.get(key) ?? noCalls; }

  // seconds gives how long a slot has lasted.
  seconds(i) { return i === slots - 1 ? Math.max(this.elapsed, 1) : this.step; }

  // rate gives calls in a second: in slot i, or lately, which is the slot in progress
  // and the one before it.
  rate(values, i) {
    if (this.slot < 0) return 0;
    if (i !== undefined) return values[i] / this.seconds(i);
    const last = slots - 1, before = this.slot > 0 ? 1 : 0;
    return (values[last] + before * values[last - 1]) / (this.elapsed + before * this.step || 1);
  }
  // level gives the last value of lately that is not zero.
  level(values) { return values[slots - 1] || values[slots - 2]; }

  // time gives when slot i began, in ms.
  time(i) { return this.at + ahead - 1000 * (this.elapsed + (slots - 1 - i) * this.step); }
}

const overall = new History("api/v1/history", "plugins", s => s.name);

const failedLately = (h, t) => h.rate(t.plugin) + h.rate(t.network) + h.rate(t.host) + h.rate(t.caller);

// pathOfValues draws values over 0…120 in a box of 100: a line, or with close an area.
function pathOfValues(values, highest, close) {
  let d = "", drawing = false, gap = true;
  for (let i = 0; i < slots; i++) {
    const v = values(i);
    if (v === null) { drawing = false; continue; }
    d += `${drawing ? "L" : "M"}${i} ${(100 - 96 * Math.min(v / highest, 1)).toFixed(1)}`;
    drawing = true;
    gap = false;
  }
  if (close && !gap) d += `L${slots - 1} 100L0 100Z`;
  return d;
}

// bars draws values upon others.
function bars(values, below, highest) {
  let d = "";
  for (let i = 0; i < slots; i++) {
    if (!values[i]) continue;
    const foot = 100 - 96 * below[i] / highest, head = Math.min(foot - 96 * values[i] / highest, foot - 3);
    d += `M${i - .5} ${foot.toFixed(1)}V${head.toFixed(1)}h1V${foot.toFixed(1)}Z`;
    below[i] += values[i];
  }
  return d;
}

function canvas(label) {
  const attributes = { viewBox: "0 0 120 100", preserveAspectRatio: "none" };
  return svg("svg", label ? { ...attributes, role: "img", "aria-label": label } : { ...attributes, "aria-hidden": "true" });
}

function setPath(path, d) { set(path, "d", d || "M0 0"); }

// Figure is one plot with its words: what it shows, now or at the time that is pointed to.
class Figure {
  constructor(name, ...paths) {
    this.name = name;
    this.svg = canvas(name);
    this.paths = paths.map(cls => svg("path", { class: cls }));
    this.cursor = svg("path", { class: "cursor" });
    this.svg.append(...this.paths, this.cursor);
    this.value = el("span");
    this.note = el("span", { class: "sources" });
    this.element = el("div", { class: "figure", role: "cell" }, el("p", null, this.value, this.note), this.svg);
  }
  // What has sources is told apart by the marks of the legend: there is no room for words.
  show(value, note, at, sources) {
    say(this.value, value);
    if (!sources) say(this.note, note);
    else if (this.shown !== note) this.note.replaceChildren(...sources.map(([cls, text]) => el("span", { class: cls }, text)));
    this.shown = note;
    set(this.note, "title", note || null);
    set(this.svg, "aria-label", `${this.name}: ${value}${note ? `, ${note}` : ""}`);
    setPath(this.cursor, at === null ? "" : `M${at} 0V100`);
  }
}

// Row of figures for one method, or for all together.
class Figures {
  constructor(label) {
    this.rate = new Figure("Calls", "area", "stroke");
    this.failed = new Figure("Failed", "fail-plugin", "fail-network", "fail-host", "fail-caller");
    this.took = new Figure("Time", "dashed", "stroke");
    this.element = el("div", { class: "row", role: "row" },
      label, this.rate.element, this.failed.element, this.took.element);
  }
  // draw shows what is known; at is the slot that is pointed to, or null.
  draw(history, track, at) {
    if (history.slot < 0) return;
    const rates = i => track.calls[i] / history.seconds(i);
    let most = 0, worst = 0, longest = 0;
    for (let i = 0; i < slots; i++) {
      most = Math.max(most, rates(i));
      worst = Math.max(worst, track.failed(i));
      longest = Math.max(longest, track.p99[i]);
    }
    setPath(this.rate.paths[0], most ? pathOfValues(rates, most, true) : "");
    setPath(this.rate.paths[1], most ? pathOfValues(rates, most) : "");
    const below = new Float64Array(slots);
    [track.plugin, track.network, track.host, track.caller].forEach((values, i) =>
      setPath(this.failed.paths[i], worst ? bars(values, below, worst) : ""));
    setPath(this.took.paths[0], longest ? pathOfValues(i => track.p50[i] || null, longest) : "");
    setPath(this.took.paths[1], longest ? pathOfValues(i => track.p99[i] || null, longest) : "");

    this.rate.show(rate(history.rate(track.calls, at ?? undefined)), most ? `max ${rate(most)}` : "", at);
    const of = source => at === null ? track[source].reduce((a, b) => a + b, 0) : track[source][at];
    const sources = ["plugin", "network", "host", "caller"].filter(of).sort((a, b) => of(b) - of(a));
    const calls = at === null ? track.calls.reduce((a, b) => a + b, 0) : track.calls[at];
    const failed = of("plugin") + of("network") + of("host") + of("caller");
    this.failed.show(failed ? share(failed, calls) : "none", sources.map(s => `${s} ${count(of(s))}`).join(" · "), at,
      sources.map(s => [s, sources.length > 1 ? count(of(s)) : `${s} ${count(of(s))}`]));
    const p50 = at === null ? history.level(track.p50) : track.p50[at], p99 = at === null ? history.level(track.p99) : track.p99[at];
    this.took.show(p50 || p99 ? `${millis(p50)} / ${millis(p99)}`.replace(/ (ms|s)( \/ [^ ]+ \1)$/, "$2") : "–", longest ? `max ${millis(longest)}` : "", at);
  }
}

// Hour is a block of figures over the same hour. Pointing at one, or the arrow keys, read
// all of them at one time.
class Hour {
  constructor(title, total) {
    this.at = null;
    this.rows = new Map();
    this.body = el("div", { class: "body", role: "rowgroup" });
    const head = [["Calls"], ["Failed in the hour"], ["Time ", el("span", { class: "p50" }, "p50"), " / ", el("span", { class: "p99" }, "p99")]]
      .map(t => el("span", { role: "columnheader" }, ...t));
    if (!total) head.unshift(el("span", { role: "columnheader" }, "Method"));
    this.table = el("div", { class: total ? "table methods total" : "table methods", role: "table", "aria-label": title, tabindex: 0 },
      el("div", { role: "rowgroup" }, el("div", { class: "row head", role: "row" }, ...head)), this.body);
    this.when = el("span", null, "60 min ago");
    this.element = el("div", { class: "block" }, el("h3", null, title), this.table,
      el("p", { class: "span" }, this.when, el("span", { class: "legend" }, el("span", { class: "plugin" }, "plugin"),
        el("span", { class: "network" }, "network"), el("span", { class: "host" }, "host"),
        el("span", { class: "caller" }, "caller")), el("span", null, "now")));
    this.table.addEventListener("pointermove", e => {
      const box = e.target.closest?.(".figure")?.getBoundingClientRect();
      this.point(box ? Math.round((e.clientX - box.left) / box.width * (slots - 1)) : null);
    });
    this.table.addEventListener("pointerleave", () => this.point(null));
    this.table.addEventListener("keydown", e => {
      const steps = { ArrowLeft: -1, ArrowRight: 1, Home: -slots, End: slots }[e.key];
      if (steps) this.point((this.at ?? slots - 1) + steps);
      else if (e.key === "Escape" && this.at !== null) this.point(null);
      else return;
      e.preventDefault();
      e.stopPropagation();
      if (this.at !== null) say(byId("announce"), this.read());
    });
    this.table.addEventListener("blur", () => this.point(null));
  }
  point(at) {
    at = at === null ? null : Math.max(0, Math.min(slots - 1, at));
    if (at === this.at) return;
    this.at = at;
    this.redraw();
  }
  read() {
    const track = this.track, h = this.history;
    return `${clock(h.time(this.at))}: ${rate(h.rate(track.calls, this.at))}, ${count(track.failed(this.at))} failed, ` +
      `half within ${millis(track.p50[this.at])}, 99 of 100 within ${millis(track.p99[this.at])}`;
  }
  redraw() {
    say(this.when, this.at === null || !this.history?.at ? "60 min ago" : `at ${clock(this.history.time(this.at))}`);
    for (const [key, figures] of this.rows) figures.draw(this.history, this.trackOf(key), this.at);
  }
  // show draws some tracks; without labels there is one, of all calls.
  show(history, keys, trackOf, labelOf) {
    Object.assign(this, { history, trackOf, track: history.all });
    for (const key of keys) if (!this.rows.has(key)) this.rows.set(key, new Figures(labelOf?.(key)));
    for (const key of this.rows.keys()) if (!keys.includes(key)) this.rows.delete(key);
    keep(this.body, keys.map(key => this.rows.get(key).element));
    this.redraw();
  }
}

// ---- The list --------------------------------------------------------------------------

const columns = [
  { key: "state", label: "", title: "State", cls: "" },
  { key: "name", label: "Plugin", cls: "" },
  { key: "endpoints", label: "Endpoints", cls: "number" },
  { key: "reached", label: "Reached by", cls: "wide placed" },
  { key: "rate", label: "Calls", cls: "number" },
  { key: "failed", label: "Failed", cls: "number wide" },
  { key: "p99", label: "p99", cls: "number wide" },
];
let order = { key: "state", down: true };

const table = byId("plugins");
const body = el("div", { class: "body", role: "rowgroup" });
const rows = new Map(); // by name
const rover = new Rover(body, ".name");

for (const c of columns) {
  c.cell = el("span", { role: "columnheader", class: c.cls },
    el("button", { type: "button", title: `Order by ${(c.title ?? c.label).toLowerCase()}`, "aria-label": c.title, onclick: () => orderBy(c.key) }, c.label));
}
table.append(el("div", { role: "rowgroup" }, el("div", { class: "row head", role: "row" }, ...columns.map(c => c.cell))), body);

function orderBy(key) {
  order = { key, down: order.key === key ? !order.down : !["name", "reached"].includes(key) };
  arrange();
}

// Row is one plugin in the list.
class Row {
  constructor(name) {
    this.name = name;
    this.mark = el("span", { role: "cell", class: "mark" }, el("span", { class: "hidden" }));
    this.link = el("a", { class: "name", href: `#/plugins/${encodeURIComponent(name)}`, tabindex: -1 }, name);
    this.word = el("span", { "aria-hidden": "true" }); // the mark says it
    this.since = ageElement();
    this.lasts = el("span", null, " for ", this.since);
    this.cause = el("span");
    this.why = el("span", { class: "why muted" }, this.word, this.lasts, this.cause);
    this.endpoints = el("span", { role: "cell", class: "number" });
    this.reached = el("span", { role: "cell", class: "wide placed muted" });
    this.rate = el("span", { class: "number" });
    this.failed = el("span", { role: "cell", class: "number wide" });
    this.p99 = el("span", { role: "cell", class: "number wide" });
    this.svg = canvas();
    this.area = svg("path", { class: "area" });
    this.line = svg("path", { class: "stroke" });
    this.ticks = svg("path", { class: "fail-plugin" });
    this.svg.append(this.area, this.line, this.ticks);
    this.element = el("div", { class: "row", role: "row", "data-watched": true }, this.mark,
      el("div", { role: "cell", class: "who" }, this.link, this.why), this.endpoints, this.reached,
      el("span", { role: "cell" }, el("span", { class: "spark" }, this.svg, this.rate)), this.failed, this.p99);
    watch(this.element, () => this.plot());
  }
  // update shows the plugin as it is now. It reports whether its place may have changed.
  update(p) {
    const fare = fareOf(p), before = this.fare;
    this.fare = fare;
    this.search = `${p.name} ${fare.word} ${fare.why} ${p.endpoints.map(e => `${e.address} ${e.placement} ${e.zone ?? ""} ${e.node ?? ""} ${e.instance ?? ""}`).join(" ")}`.toLowerCase();
    set(this.mark, "data-look", fare.look);
    set(this.mark, "title", fare.word);
    say(this.mark.firstChild, fare.word);
    say(this.endpoints, `${fare.ready}/${p.endpoints.length}`);
    set(this.endpoints, "title", `${fare.ready} of ${p.endpoints.length} endpoints take calls`);
    this.endpoints.className = fare.look === "bad" ? "number bad" : fare.look === "warn" ? "number warn" : "number";
    this.how = reachedBy(p);
    say(this.reached, this.how);
    this.why.hidden = fare.look === "good";
    say(this.word, fare.word);
    this.word.className = fare.look;
    const since = fare.look === "good" ? undefined : sinceOf(p, fare);
    setAge(this.since, since);
    this.lasts.hidden = !since;
    say(this.cause, fare.why && `: ${fare.why}`);
    set(this.why, "title", fare.why || null);
    return !before || before.rank !== fare.rank || before.ready !== fare.ready;
  }
  // count takes what is known of the plugin's calls.
  count() {
    const t = overall.of(this.name);
    this.perSecond = overall.rate(t.calls);
    this.failing = failedLately(overall, t);
    this.slow = overall.level(t.p99);
    if (seen.has(this.element)) this.plot();
  }
  plot() {
    const t = overall.of(this.name);
    say(this.rate, rate(this.perSecond));
    say(this.failed, this.failing ? share(this.failing, this.perSecond) : "–");
    this.failed.className = this.failing ? "number wide bad" : "number wide muted";
    say(this.p99, millis(this.slow));
    if (overall.slot < 0) return;
    const rates = i => t.calls[i] / overall.seconds(i);
    let most = 0, ticks = "";
    for (let i = 0; i < slots; i++) {
      most = Math.max(most, rates(i));
      if (t.failed(i)) ticks += `M${i - .7} 100v-26h1.4v26Z`;
    }
    setPath(this.area, most ? pathOfValues(rates, most, true) : "");
    setPath(this.line, most ? pathOfValues(rates, most) : "");
    setPath(this.ticks, ticks);
  }
}

const protocolOf = e => ({ grpc: "gRPC", netrpc: "net/rpc" })[e.protocol] ?? e.protocol;

// reachedBy says where a plugin's endpoints are and what they speak.
function reachedBy(p) {
  const places = new Set(), speaks = new Set();
  for (const e of p.endpoints) {
    places.add(e.placement);
    if (e.protocol) speaks.add(`${protocolOf(e)} v${e.version}`);
  }
  const some = (set, many) => set.size > 2 ? `${set.size} ${many}` : [...set].join(", ");
  return [some(places, "placements"), some(speaks, "versions")].filter(Boolean).join(" ");
}

const changed = new Set(); // names whose rows are not as the plugins are
let drawing = false;
let newEvents = false;
let newOrder = false;

let drawn = 0;   // when the screen followed last
let pace = calm; // and how long it waits until it does so again

// draw has the screen follow at the next frame, but not more often than a reader can, nor
// for more than a fourth of the time: the rest is the user's.
function draw() {
  if (drawing) return;
  drawing = true;
  // No frame comes while the page is hidden, and then nobody looks.
  const wait = drawn + pace - performance.now();
  if (wait > 0) setTimeout(() => requestAnimationFrame(frame), wait);
  else requestAnimationFrame(frame);
}

function frame() {
  drawing = false;
  const began = performance.now();
  for (const name of changed) {
    if (performance.now() - began > slice) { // the rest with the next frame
      drawing = true;
      requestAnimationFrame(frame);
      break;
    }
    changed.delete(name);
    const p = plugins.get(name), row = rows.get(name);
    if (!p && row) {
      forget(row.element);
      rows.delete(name);
      newOrder = true;
    } else if (p) {
      if (!row) rows.set(name, new Row(name));
      if (rows.get(name).update(p)) newOrder = true;
      if (!row) rows.get(name).count();
    }
    if (name === open) detail.update();
  }
  if (changed.size > 0 && performance.now() - drawn < longest) return;
  drawn = performance.now();
  // What comes after this frame's layout comes after all that the frame has cost.
  setTimeout(() => { pace = Math.min(longest, Math.max(calm, 4 * (performance.now() - began))); });
  if (newOrder) arrange();
  newOrder = false;
  drawTotals();
  detail.overview?.update();
  if (newEvents) detail.showEvents();
  newEvents = false;
}

const compare = {
  state: (a, b) => a.fare.rank - b.fare.rank,
  name: (a, b) => b.name.localeCompare(a.name, "en", { numeric: true }),
  endpoints: (a, b) => a.fare.ready - b.fare.ready,
  reached: (a, b) => b.how.localeCompare(a.how),
  rate: (a, b) => a.perSecond - b.perSecond,
  failed: (a, b) => a.failing - b.failing,
  p99: (a, b) => a.slow - b.slow,
};
const nameOrder = new Intl.Collator("en", { numeric: true }).compare;

// arrange shows the rows that match, in their order.
function arrange() {
  const wanted = byId("filter").value.trim().toLowerCase().split(/\s+/);
  const troubled = document.querySelector("[name=which]:checked").value === "trouble";
  const by = compare[order.key], sign = order.down ? -1 : 1;
  const all = [...rows.values()];
  const list = all.filter(r => (!troubled || r.fare.rank > 0) && wanted.every(w => r.search.includes(w)))
    .sort((a, b) => sign * by(a, b) || nameOrder(a.name, b.name));
  keep(body, list.map(r => r.element));
  for (const c of columns) set(c.cell, "aria-sort", c.key === order.key ? (order.down ? "descending" : "ascending") : null);
  say(byId("count-all"), count(all.length));
  say(byId("count-trouble"), count(all.filter(r => r.fare.rank > 0).length));
  const empty = byId("list-empty");
  empty.hidden = list.length > 0;
  say(empty, all.length === 0 ? (live ? "No plugin is known." : "") : troubled && !byId("filter").value ? "No plugin is in trouble." : "No plugin matches.");
  rover.settle(rows.get(open)?.link);
}

function drawTotals() {
  let endpoints = 0, ready = 0;
  for (const p of plugins.values()) {
    endpoints += p.endpoints.length;
    ready += p.endpoints.filter(takesCalls).length;
  }
  const troubled = [...rows.values()].filter(r => r.fare?.rank > 0).length;
  say(byId("total-plugins"), count(plugins.size));
  say(byId("total-endpoints"), ready === endpoints ? count(endpoints) : `${count(ready)} of ${count(endpoints)} ready`);
  byId("total-endpoints").className = ready === endpoints ? "" : "warn";
  const state = byId("host-state");
  set(state, "data-look", missing === null ? "busy" : missing.length ? "bad" : "good");
  say(state, missing === null ? "…" : missing.length ? "not ready" : "ready");
  const program = host.program || "Plugins";
  document.title = `${live ? "" : "(away) "}${missing?.length ? "not ready · " : troubled ? `${troubled} in trouble · ` : ""}${program}`;
}

function drawCalls() {
  const t = overall.all, perSecond = overall.rate(t.calls), failing = failedLately(overall, t);
  say(byId("total-rate"), rate(perSecond));
  say(byId("total-failed"), failing ? share(failing, perSecond) : "none");
  byId("total-failed").className = failing ? "bad" : "";
  say(byId("total-p50"), millis(overall.level(t.p50)));
  say(byId("total-p99"), millis(overall.level(t.p99)));
  for (const row of rows.values()) row.count();
  if (["rate", "failed", "p99"].includes(order.key) && !body.matches(":hover, :focus-within")) arrange();
}

// ---- Events ----------------------------------------------------------------------------

const eventWords = {
  "plugin-ready": ["takes calls", "good"], "plugin-unready": ["has no ready endpoint", "bad"],
  found: ["found", "none"], withdrawn: ["withdrawn", "gone"],
  ejected: ["held back", "warn"], returned: ["takes calls again", "good"],
  replaced: ["replaced by a new instance", "good"], "replacement-failed": ["the new instance is not ready", "warn"],
};

function lookOfEvent(e) {
  return departures[e.departure] ?? (e.type === "state" ? looks[e.to] ?? [e.to, "none"] : eventWords[e.type] ?? [e.type, "none"]);
}
const wordsOf = e => lookOfEvent(e)[0];

function eventRow(e, named) {
  const at = Date.parse(e.time), [word, look] = lookOfEvent(e);
  const again = e.times > 1 && e.departure !== "left" ? ` ${count(e.times)} times, until ${moment(Date.parse(e.until))}` : "";
  const subject = [];
  if (named) subject.push(el("a", { href: `#/plugins/${encodeURIComponent(e.plugin)}` }, el("b", null, e.plugin)), " ");
  if (e.endpoint) subject.push(el("span", { class: "mono muted" }, e.endpoint), " ");
  return el("div", { class: "row", role: "row" },
    el("time", { role: "cell", class: "muted", datetime: e.time, title: dateFormat.format(at) }, moment(at)),
    el("div", { role: "cell" }, ...subject, el("span", { class: "said", "data-look": look }, word), again,
      e.cause ? el("p", { class: "facts" }, e.cause.replace(/^attach to plugin at [^ ]+: /, "")) : null));
}

// Events is a block of what has happened, of one plugin or of all.
class Events {
  constructor(plugin) {
    this.plugin = plugin;
    this.body = el("div", { class: "body", role: "rowgroup" });
    this.none = el("p", { class: "muted" }, "No event is known yet.");
    this.made = new Map();
    this.table = el("div", { class: "table events", role: "table", "aria-label": "Events" }, this.body);
    this.element = el("div", { class: "block" }, el("h3", null, "Events"), this.none, this.table);
    this.update();
  }
  update() {
    const list = [];
    for (const e of events) {
      if (this.plugin !== null && e.plugin !== this.plugin) continue;
      if (list.push(e) === shownEvents) break;
    }
    const made = new Map();
    for (const e of list) {
      const before = this.made.get(e);
      made.set(e, before?.times === e.times ? before : { times: e.times, row: eventRow(e, this.plugin === null) });
    }
    this.made = made;
    keep(this.body, [...made.values()].map(m => m.row));
    this.none.hidden = list.length > 0;
    this.table.hidden = list.length === 0;
  }
}

// ---- Details ---------------------------------------------------------------------------

// Overview is what is beside the list while no plugin is open.
class Overview {
  constructor() {
    this.notes = el("div", { class: "block" });
    this.hour = new Hour("All calls of the last hour", true);
    this.events = new Events(null);
    this.element = el("div", null, this.notes, this.hour.element, this.events.element);
    this.update();
    this.count();
  }
  update() {
    const texts = (missing ?? []).map(m => ["The host is not ready. ", m, "bad"]);
    for (const p of problems) texts.push([p.plugin ? `${p.plugin}: ` : "", [p.subject, p.reason].filter(Boolean).join(": "), ""]);
    const key = JSON.stringify(texts);
    if (key === this.key) return;
    this.key = key;
    this.notes.hidden = texts.length === 0;
    this.notes.replaceChildren(...texts.slice(0, 50).map(([lead, text, cls]) => el("p", { class: `note ${cls}` }, el("b", null, lead), text)));
  }
  count() { this.hour.show(overall, ["all"], () => overall.all); }
}

// EndpointRow is one endpoint of the plugin that is open.
class EndpointRow {
  constructor(plugin) {
    this.probe = new Probe(plugin);
    this.state = el("span", { role: "cell", class: "said" });
    this.address = el("span", { class: "mono address" });
    this.facts = el("p", { class: "facts" });
    this.why = el("p", { class: "facts" });
    this.since = ageElement();
    this.element = el("div", { class: "row", role: "row" }, this.state,
      el("div", { role: "cell", class: "what" }, this.address, el("div", { class: "more" }, this.facts, this.why, this.probe.hops)),
      el("span", { role: "cell", class: "number" }, this.since), el("span", { role: "cell", class: "number" }, this.probe.button));
  }
  update(e) {
    const [word, look] = lookOf(e);
    set(this.state, "data-look", look);
    say(this.state, word);
    say(this.address, e.address || e.id);
    say(this.facts, [
      e.placement, e.protocol && `${protocolOf(e)} v${e.version}`, e.tls, e.source !== e.placement && e.source,
      e.zone && `zone ${e.zone}`, e.node && `node ${e.node}`, e.instance && `instance ${e.instance.slice(0, 8)}`, e.build,
      e.inFlight > 0 && `${count(e.inFlight)} in flight`, e.restarts > 0 && `attached ${count(e.restarts + 1)} times`,
    ].filter(Boolean).join(" · "));
    set(this.facts, "title", e.instance ? `instance ${e.instance}` : null);
    const well = e.state === "READY" && !e.ejected;
    const cause = e.state !== "SHUTDOWN" && causeOf(e); // what went wrong before is over
    const last = cause && (well ? `Until ${clock(Date.parse(e.since))}: ${cause}.` : `${cause}.`);
    const again = !well && (e.failures > 1 || e.permanent && e.nextAttempt) && `Attempt ${count(e.failures + 1)} ${e.nextAttempt ? `at ${clock(Date.parse(e.nextAttempt))}` : "is under way"}.`;
    say(this.why, [last, again, e.warning, e.unreadyKinds?.length && `Takes no calls of ${e.unreadyKinds.join(", ")}.`,
      e.replacement && `New instance: ${e.replacement}`].filter(Boolean).join(" "));
    this.why.className = look === "bad" ? "facts bad" : look === "warn" ? "facts warn" : "facts";
    setAge(this.since, e.unreadySince ?? e.since);
    this.probe.update(e);
  }
}

// Probe is a button that has the host walk to an endpoint, and what came of each hop.
class Probe {
  constructor(plugin) {
    this.plugin = plugin;
    this.button = el("button", { type: "button", class: "probe", tabindex: -1, onclick: () => quietly(() => this.walk()) }, "Probe");
    this.hops = el("ol", { class: "hops", "aria-live": "polite", hidden: true });
  }
  update(e) {
    this.id = e.id;
    this.button.hidden = e.placement !== "network" || host.probes === "off";
    set(this.button, "aria-label", `Probe ${e.address}`);
  }
  async walk() {
    if (this.walking) return;
    this.walking = true;
    this.hops.hidden = false;
    this.hops.replaceChildren(hopRow("busy", "walking", ""));
    try {
      const answer = await fetch(`${pathOf(this.plugin)}/probe?endpoint=${encodeURIComponent(this.id)}`, { method: "POST", headers: authorization(host.probes), cache: "no-store" });
      const said = await answer.json();
      if (!answer.ok) {
        this.hops.replaceChildren(hopRow("bad", answer.status === 401 ? "token" : "refused", answer.status === 401 ? "Give the host's token in the form below." : said.detail));
        return;
      }
      this.hops.replaceChildren(...said.steps.map(s => hopRow({ ok: "good", warning: "warn", failed: "bad" }[s.outcome] ?? "none", s.hop, s.seen, s)));
    } catch (e) {
      this.hops.replaceChildren(hopRow("bad", "no answer", `The host did not answer: ${e.message}`));
    } finally {
      this.walking = false;
    }
  }
}

function hopRow(look, hop, seen, step) {
  const f = step?.finding;
  return el("li", null, el("span", { class: "said", "data-look": look }, hop),
    el("span", null, f ? el("b", null, `${f.code} `) : null, seen, f ? el("span", { class: "do" }, `${f.do} `, documentation(f.page)) : null),
    el("span", { class: "number muted" }, step ? millis(step.took / 1e6) : ""));
}

// documentation links to a page, if that is one.
function documentation(page) {
  return /^https:\/\//.test(page ?? "") ? el("a", { class: "page", href: page, rel: "noreferrer noopener", target: "_blank" }, "More") : null;
}

const needsToken = () => host.calls === "token" || host.probes === "token";
const authorization = calls => calls === "token" ? { Authorization: `Bearer ${token.trim()}` } : {};

// PluginDetail is one plugin.
class PluginDetail {
  constructor(name) {
    this.name = name;
    this.history = new History(`${pathOf(name)}/history`, "methods", s => `${s.kind}.${s.method}`);
    this.state = el("span", { class: "said" });
    this.since = ageElement();
    this.lasts = el("span", { class: "muted" }, "for ", this.since);
    this.tags = el("span", { class: "muted" });
    this.notes = el("div");
    this.hint = el("p", { class: "facts" }, "Probe walks to an endpoint as the host does: it names the hop that fails, and what to do.");
    this.rows = new Map();
    this.body = el("div", { class: "body", role: "rowgroup" });
    this.rover = new Rover(this.body, ".probe:not([hidden])");
    const head = [["State", ""], ["Endpoint", "what"], ["For", "number"], ["", ""]];
    this.all = el("button", { type: "button", hidden: true, onclick: () => { this.whole = true; this.show(this.endpoints); } });
    this.hour = new Hour("Calls of the last hour", false);
    this.nothing = el("p", { class: "muted" }, "No method was called.");
    this.hour.element.append(this.nothing);
    this.events = new Events(name);
    this.form = new CallForm(name);
    this.element = el("div", null,
      el("div", { class: "title" }, el("a", { class: "back", href: "#/" }, "← All plugins"), el("h2", null, name), this.state,
        this.lasts, this.tags),
      this.notes,
      el("div", { class: "block" }, el("h3", null, "Endpoints"), this.hint,
        el("div", { class: "table endpoints", role: "table", "aria-label": "Endpoints" },
          el("div", { role: "rowgroup" }, el("div", { class: "row head", role: "row" }, ...head.map(([t, cls]) => el("span", { role: "columnheader", class: cls }, t)))),
          this.body), this.all),
      this.hour.element, this.form.element, this.events.element);
    this.update();
  }
  update() {
    const p = plugins.get(this.name);
    if (!p) {
      set(this.state, "data-look", "gone");
      say(this.state, "not known to this host");
      this.last(null);
      this.notes.replaceChildren();
      this.hint.hidden = true;
      this.show([]);
      return;
    }
    const fare = fareOf(p);
    set(this.state, "data-look", fare.look);
    say(this.state, fare.word);
    this.last(sinceOf(p, fare));
    say(this.tags, [p.required && "required", p.kinds.length && `serves ${p.kinds.join(", ")}`, p.waiting && `${count(p.waiting)} calls wait`].filter(Boolean).join(" · "));
    const key = JSON.stringify(p.problems);
    if (key !== this.key) this.notes.replaceChildren(...p.problems.map(text => el("p", { class: "note" }, text)));
    this.key = key;
    this.hint.hidden = host.probes === "off" || !p.endpoints.some(e => e.placement === "network" && lookOf(e)[1] === "bad");
    this.show(p.endpoints);
    this.form.update(p);
  }
  // last shows since when that is so, if it is known.
  last(since) {
    setAge(this.since, since);
    this.lasts.hidden = !since;
  }
  // show makes the rows of endpoints, the worst first: a few, until somebody wants them all.
  show(endpoints) {
    const rank = { bad: 0, warn: 1, busy: 2, none: 3, gone: 4, good: 5 };
    this.endpoints = endpoints;
    this.wanted = endpoints.toSorted((a, b) => rank[lookOf(a)[1]] - rank[lookOf(b)[1]]);
    this.all.hidden = this.whole || endpoints.length <= fewEndpoints;
    say(this.all, `Show all ${count(endpoints.length)} endpoints`);
    if (!this.all.hidden) this.wanted.length = fewEndpoints;
    const ids = new Set(this.wanted.map(e => e.id));
    for (const [id, row] of this.rows) {
      if (ids.has(id)) continue;
      forget(row.since);
      this.rows.delete(id);
    }
    this.fill(0);
  }
  fill(from) {
    const wanted = this.wanted, began = performance.now();
    let until = from;
    for (; until < wanted.length && performance.now() - began < slice; until++) {
      const e = wanted[until];
      if (!this.rows.has(e.id)) this.rows.set(e.id, new EndpointRow(this.name));
      this.rows.get(e.id).update(e);
    }
    if (until === wanted.length) {
      keep(this.body, wanted.map(e => this.rows.get(e.id).element));
      this.rover.settle();
    } else requestAnimationFrame(() => { if (wanted === this.wanted) this.fill(until); });
    if (from === 0 && until < wanted.length && !this.body.firstChild) keep(this.body, wanted.slice(0, until).map(e => this.rows.get(e.id).element));
  }
  async ask() {
    await this.history.ask();
    this.count();
  }
  count() {
    const keys = [...this.history.tracks.keys()];
    this.nothing.hidden = keys.length > 0;
    this.hour.table.hidden = keys.length === 0;
    this.hour.element.querySelector(".span").hidden = keys.length === 0;
    this.hour.show(this.history, keys, key => this.history.of(key), key => el("b", { role: "cell", class: "mono" }, key));
  }
}

const detail = {
  place: byId("detail"),
  overview: null,
  plugin: null,

  // show puts a plugin there, or the overview for null.
  show(name) {
    const had = this.plugin?.name ?? null;
    if (had === name && (this.plugin || this.overview)) return;
    open = name;
    document.body.classList.toggle("one", name !== null);
    this.overview = name === null ? new Overview() : null;
    if (this.plugin) for (const e of [this.plugin.since, ...[...this.plugin.rows.values()].map(r => r.since)]) forget(e);
    this.plugin = name === null ? null : new PluginDetail(name);
    this.place.replaceChildren((this.overview ?? this.plugin).element);
    set(this.place, "aria-label", name === null ? "Overview" : `Plugin ${name}`);
    this.place.scrollTop = 0;
    if (this.plugin) quietly(() => this.plugin.ask());
    for (const row of rows.values()) {
      row.element.classList.toggle("open", row.name === name);
      set(row.link, "aria-current", row.name === name ? "true" : null);
    }
  },
  update() { this.plugin?.update(); },
  showEvents() { (this.overview ?? this.plugin).events.update(); },
};

// ---- A call ----------------------------------------------------------------------------

let token = ""; // kept by this page alone, until it is closed

const integer = /^u?int(8|16|32|64)?$/, float = /^float(32|64)$/;
let fields = 0; // that were made, for their ids

// Argument is the field of one parameter. json gives what it holds, or throws.
class Argument {
  constructor(param, i) {
    this.type = param.type;
    const id = `argument-${++fields}`;
    const name = param.name || `argument ${i + 1}`;
    this.label = el("label", { for: id }, name);
    const hint = el("span", { class: "hint", id: `${id}-hint` }, this.meaning());
    const common = { id, "aria-describedby": `${id}-hint`, autocomplete: "off", spellcheck: "false" };
    if (this.type === "bool") this.input = el("select", common, el("option", null, "false"), el("option", null, "true"));
    else if (this.type === "string" || this.type === "[]uint8") this.input = el("input", { ...common, type: "text" });
    else if (integer.test(this.type) || float.test(this.type)) this.input = el("input", { ...common, type: "text", inputmode: integer.test(this.type) ? "numeric" : "decimal", value: "0" });
    else this.input = el("textarea", { ...common, rows: 2 });
    this.hint = hint;
    this.box = el("div", null, this.input, hint);
    this.input.addEventListener("input", () => this.complain(""));
  }
  meaning() {
    if (this.type === "[]uint8") return "[]byte, in base64";
    return /^(string|bool|u?int\d*|float\d+)$/.test(this.type) ? this.type : `${this.type}, as JSON`;
  }
  complain(text) {
    set(this.input, "aria-invalid", text ? "true" : null);
    say(this.hint, text || this.meaning());
    this.hint.className = text ? "hint bad" : "hint";
  }
  // json gives the JSON text. Numbers are passed on as they were written: JavaScript's own
  // would lose digits.
  json() {
    const value = this.input.value;
    if (this.type === "string" || this.type === "[]uint8") return JSON.stringify(value);
    if (this.type === "bool") return value;
    const text = value.trim();
    if (integer.test(this.type) && !/^-?\d+$/.test(text)) throw new Error(`Want an integer, such as 42.`);
    try {
      JSON.parse(text);
    } catch (e) {
      throw new Error(text === "" ? `Want a value as JSON.` : `This is no JSON: ${e.message}`);
    }
    return text;
  }
}

// inLines lays JSON out, with each number as it was written.
function inLines(json) {
  let out = "", depth = 0;
  const line = () => `\n${"  ".repeat(depth)}`;
  const tokens = json.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g) ?? [];
  tokens.forEach((t, i) => {
    const empty = /^[}\]]$/.test(tokens[i + 1] ?? "");
    if (t === "{" || t === "[") {
      depth++;
      out += t + (empty ? "" : line());
    } else if (t === "}" || t === "]") {
      depth--;
      out += (/^[{[]$/.test(tokens[i - 1] ?? "") ? "" : line()) + t;
    } else out += t === "," ? t + line() : t === ":" ? ": " : t;
  });
  return out;
}

// readSome reads the text of an answer, of which there may be more than a page can hold.
async function readSome(answer) {
  const reader = answer.body.getReader(), decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return { text: text + decoder.decode(), whole: true };
    text += decoder.decode(value, { stream: true });
    if (text.length > maxResult) {
      await reader.cancel();
      return { text: text.slice(0, maxResult), whole: false };
    }
  }
}

class CallForm {
  constructor(plugin) {
    this.plugin = plugin;
    this.method = el("select", { id: "call-method", "aria-describedby": "call-signature", onchange: () => this.choose() });
    this.signature = el("p", { class: "hint mono", id: "call-signature" });
    this.token = el("input", { id: "call-token", type: "password", autocomplete: "off", value: token, "aria-describedby": "call-token-hint" });
    this.token.addEventListener("input", () => { token = this.token.value; });
    this.tokenHint = el("span", { class: "hint", id: "call-token-hint" }, "This host takes calls and probes with its bearer token. The page keeps it until it is closed.");
    this.button = el("button", { class: "main", type: "submit" }, "Call");
    this.cancel = el("button", { type: "button", hidden: true, onclick: () => this.abort?.abort() }, "Give up");
    this.said = el("span", { role: "status", class: "said" });
    this.result = el("div", { class: "result" });
    this.args = [];
    this.form = el("form", { novalidate: true, onsubmit: e => { e.preventDefault(); quietly(() => this.call()); } });
    this.closed = el("p", { class: "muted" });
    this.element = el("div", { class: "block" }, el("h3", null, "Call a method"), this.closed, this.form, this.result);
  }
  // update offers the methods of the kinds that the plugin serves; of all kinds while it
  // is not known which.
  update(p) {
    const served = kinds.filter(k => p.kinds.length === 0 || p.kinds.includes(k.name));
    const key = JSON.stringify([served.map(k => k.name), host.calls, host.probes]);
    if (key === this.key) return;
    this.key = key;
    this.methods = served.flatMap(k => k.methods.map(m => ({ kind: k.name, ...m })));
    const takes = host.calls !== "off" && this.methods.length > 0;
    this.closed.hidden = takes;
    this.form.hidden = !takes && !needsToken(); // a probe may need the token all the same
    say(this.closed, host.calls === "off" ? "Calls over HTTP are turned off in this host." : "This host knows none of the kinds that the plugin serves.");
    const before = this.method.value;
    this.method.replaceChildren(...served.map(k => el("optgroup", { label: k.name }, ...k.methods.map(m =>
      el("option", { value: `${k.name}.${m.name}`, disabled: Boolean(m.notCallable) }, m.notCallable ? `${k.name}.${m.name} (${m.notCallable})` : `${k.name}.${m.name}`)))));
    if (before && this.methods.some(m => `${m.kind}.${m.name}` === before)) this.method.value = before;
    if (takes) this.choose();
    else this.form.replaceChildren(...this.tokenField());
  }
  tokenField() {
    return needsToken() ? [el("label", { for: "call-token" }, "Token"), el("div", null, this.token, this.tokenHint)] : [];
  }
  choose() {
    const m = this.methods.find(x => `${x.kind}.${x.name}` === this.method.value);
    this.chosen = m;
    if (!m) return;
    say(this.signature, m.signature);
    const before = new Map(this.args.map(a => [a.label.textContent + a.type, a.input.value]));
    this.args = m.params.map((p, i) => new Argument(p, i));
    for (const a of this.args) {
      const value = before.get(a.label.textContent + a.type);
      if (value !== undefined) a.input.value = value;
    }
    const facts = [m.timeout && `within ${m.timeout}`, m.idempotent ? "repeated if it is lost" : "not repeated if it is lost"].filter(Boolean).join(", ");
    this.form.replaceChildren(el("label", { for: "call-method" }, "Method"), this.method, el("span"), this.signature,
      ...this.args.flatMap(a => [a.label, a.box]),
      ...this.tokenField(),
      el("div", { class: "buttons" }, this.button, this.cancel, this.said, el("span", { class: "hint" }, facts)));
  }
  async call() {
    if (this.abort) return;
    const list = [];
    for (const a of this.args) {
      try {
        list.push(a.json());
      } catch (e) {
        a.complain(e.message);
        a.input.focus();
        return;
      }
    }
    const headers = { "Content-Type": "application/json", ...authorization(host.calls) };
    this.abort = new AbortController();
    this.button.disabled = true;
    this.cancel.hidden = false;
    this.result.replaceChildren();
    this.tell("busy", "calling");
    const began = performance.now();
    try {
      const m = this.chosen;
      const answer = await fetch(`${pathOf(this.plugin)}/kinds/${encodeURIComponent(m.kind)}/methods/${encodeURIComponent(m.name)}`,
        { method: "POST", headers, body: `[${list.join(",")}]`, signal: this.abort.signal, cache: "no-store" });
      const { text, whole } = await readSome(answer);
      this.answered(answer, text, whole, performance.now() - began);
      quietly(ask); // it is in the history now
    } catch (e) {
      const gaveUp = e.name === "AbortError";
      this.tell("bad", gaveUp ? "given up" : "no answer");
      this.result.replaceChildren(el("p", { class: "note bad" }, gaveUp ? "The method may have run, or still run." : `The host did not answer: ${e.message}`));
    } finally {
      this.abort = null;
      this.button.disabled = false;
      this.cancel.hidden = true;
    }
  }
  tell(look, text) {
    set(this.said, "data-look", look);
    say(this.said, text);
  }
  answered(answer, text, whole, took) {
    if (answer.ok) {
      this.tell("good", `answered in ${millis(took)}`);
      // What is around the result is the host's: {"result":…}.
      const result = whole ? text.replace(/^\{"result":/, "").replace(/\}\s*$/, "") : text.replace(/^\{"result":/, "");
      this.result.replaceChildren(el("pre", { tabindex: 0, "aria-label": "Result" }, result.length <= niceResult ? inLines(result) : result),
        ...(whole ? [] : [el("p", { class: "facts" }, `The result goes on: these are its first ${count(maxResult)} characters.`)]));
      return;
    }
    let problem;
    try {
      problem = JSON.parse(text);
    } catch {
      problem = { title: `${answer.status}`, detail: text.slice(0, 1000) };
    }
    this.tell("bad", answer.status === 401 ? "the token is missing or wrong" : "failed");
    if (answer.status === 401) this.token.focus();
    const ran = problem.mayHaveRun === true ? "The method may have run." : problem.mayHaveRun === false ? "The method has surely not run." : "";
    this.result.replaceChildren(el("div", { class: "note bad" }, el("p", null, el("b", null, problem.title ?? `${answer.status}`), ` (${answer.status}) ${ran}`),
      el("p", null, problem.detail ?? ""),
      el("p", { class: "facts" }, [problem.source && `On the side of the ${problem.source}`, problem.endpoint && `at ${problem.endpoint}`, `after ${millis(took)}`].filter(Boolean).join(", "))));
  }
}

// ---- Following -------------------------------------------------------------------------

let live = false;
let lost = null; // when the stream was lost

function link(look, text) {
  const e = byId("link");
  set(e, "data-look", look);
  say(e, text);
}

let source = null;

function follow() {
  source?.close();
  source = new EventSource("api/v1/events");
  source.addEventListener("plugins", e => {
    live = true;
    lost = null;
    link("good", "live");
    const now = JSON.parse(e.data);
    recall(now.earlier ?? []);
    took(now);
    quietly(begin);
  });
  source.addEventListener("change", e => happened(JSON.parse(e.data)));
  source.addEventListener("error", () => {
    if (live || lost === null) lost = Date.now();
    live = false;
    link("bad", `no connection since ${clock(lost)}: what is shown may be old`);
    drawTotals();
    // A browser tries again by itself, but not after an answer that is no stream.
    if (source.readyState === EventSource.CLOSED) setTimeout(follow, 3000);
  });
}

// begin asks what a new connection must know; the host may be another one than before.
async function begin() {
  await look();
  kinds = (await get("api/v1/kinds"))?.kinds ?? [];
  detail.update();
  await ask();
}

async function ask() {
  await overall.ask();
  drawCalls();
  detail.overview?.count();
  if (detail.plugin) await detail.plugin.ask();
}

// every repeats something while the page can be seen.
function every(ms, work) {
  setInterval(() => { if (!document.hidden && live) quietly(work); }, ms);
}
every(pollHistory, ask);
every(pollPlugin, async () => { if (open !== null && !stale.has(open)) { const name = open; settle(name, await get(pathOf(name))); } });
every(pollAll, async () => { took(await get("api/v1/plugins")); await look(); });
document.addEventListener("visibilitychange", () => { if (!document.hidden && live) quietly(async () => { took(await get("api/v1/plugins")); await ask(); }); });

// ---- Ways through the page -------------------------------------------------------------

function route() {
  const found = /^#\/plugins\/(.+)$/.exec(location.hash);
  let name = null;
  try {
    name = found && decodeURIComponent(found[1]);
  } catch { /* an address that nobody gave out */ }
  if (location.hash && !location.hash.startsWith("#/")) return; // a place on the page
  const before = open;
  detail.show(name);
  if (before === name) return;
  if (name !== null && getComputedStyle(byId("list")).display === "none") byId("detail").focus({ preventScroll: true });
  else if (name !== null && plugins.has(name)) say(byId("announce"), `${name}: ${fareOf(plugins.get(name)).word}. Details are beside the list.`);
  if (name === null && before !== null) rows.get(before)?.link.focus();
  if (name === null) scrollTo(0, 0);
}
addEventListener("hashchange", route);

byId("filter").addEventListener("input", arrange);
for (const radio of document.querySelectorAll("[name=which]")) radio.addEventListener("change", arrange);

const typing = e => e.target.matches?.("input:not([type=radio]), select, textarea");

addEventListener("keydown", e => {
  if (e.ctrlKey || e.metaKey || e.altKey) return;
  if (e.key === "Escape") {
    if (e.target.id === "filter" && e.target.value) {
      e.target.value = "";
      arrange();
    } else if (open !== null) location.hash = "#/";
    else return;
    e.preventDefault();
    return;
  }
  if (e.target.id === "filter" && (e.key === "ArrowDown" || e.key === "Enter")) {
    e.preventDefault();
    rover.step(0);
    return;
  }
  if (typing(e)) return;
  if (e.key === "/") byId("filter").focus();
  else if (e.target === document.body && (e.key === "j" || e.key === "k")) rover.step(0);
  else return;
  e.preventDefault();
});

route();
follow();

})();
