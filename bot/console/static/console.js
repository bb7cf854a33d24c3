// What a page can do without being asked for again: keys, news for screen readers, a warning before the session ends.
// Every page works without this file. Keeps no word of a patient anywhere.
"use strict";

const find = (selector, within = document) => within.querySelector(selector);
const keysAreOn = () => localStorage.getItem("single-keys") !== "off";

// -- keys --

function rows() {
  return [...document.querySelectorAll(".row")].filter((row) => find("a, button", row));
}

function here() {
  return document.activeElement.closest(".row") || rows()[0];
}

function move(by) {
  const all = rows(), now = all.indexOf(document.activeElement.closest(".row"));
  const next = all[Math.min(Math.max(now + by, 0), all.length - 1)];
  if (next) find("a, button", next).focus();
}

function pressed(key) {
  if (key === "?") return find("#keys").showModal();
  if (key === "j") return move(1);
  if (key === "k") return move(-1);
  const row = here();
  if (key === "o" && row) return find("a", row)?.click();
  const inRow = row && find(`[data-key="${key}"]`, row);
  const target = inRow || find(`[data-key="${key}"]:not(.row *)`);
  if (!target) return undefined;
  return target.matches("textarea, input, select") ? target.focus() : target.click();
}

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || find("dialog[open]")) return;
  if (!find("#keys") || !(keysAreOn() || event.key === "?") || event.key.length !== 1) return;
  if (event.repeat && !"jk".includes(event.key)) return;
  event.preventDefault();
  pressed(event.key);
});

// Ctrl and Enter send what is typed: a reply to the patient, a note to colleagues.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.repeat || find("dialog[open]")) return;
  const button = find({ reply: "#send", note: "#keep-note" }[event.target.name] || "#none");
  if (button) button.click();
});

find("#show-keys")?.addEventListener("click", (event) => {
  event.preventDefault();
  find("#keys").showModal();
});

const onOff = find("#keys-on");
if (onOff) {
  onOff.checked = keysAreOn();
  onOff.addEventListener("change", () => localStorage.setItem("single-keys", onOff.checked ? "on" : "off"));
}

// -- news: read out only when it changed --

const told = new Map();

function tell() {
  for (const part of document.querySelectorAll("[data-news]")) {
    const text = part.dataset.news;
    if (told.has(part.id) && told.get(part.id) !== text) find("#news").textContent = text;
    told.set(part.id, text);
  }
}

tell();
document.addEventListener("htmx:afterSettle", tell);

// -- a conversation is read from its end: what came last is in sight, unless somebody scrolled up to read --

const scrolls = () => find(".scrolls");
let held = null; // where somebody stands who scrolled up

function toTheEnd() {
  const part = scrolls();
  if (part) part.scrollTop = held === null ? part.scrollHeight : held;
}

toTheEnd();
document.addEventListener("scroll", ({ target }) => {
  if (target !== scrolls()) return;
  held = target.scrollHeight - target.scrollTop - target.clientHeight > 40 ? target.scrollTop : null;
}, true);
document.addEventListener("htmx:afterSettle", toTheEnd);
window.addEventListener("resize", toTheEnd);

// -- a page that cannot renew itself says so; when the session has ended, what was typed goes along to the sign-in --

const changed = (field) =>
  field.matches("textarea") ? field.value : field.matches("input:not([type=hidden])") && field.value !== field.defaultValue;

function old(says) {
  const news = find("#old");
  if (news.textContent !== says) news.textContent = says;
  news.hidden = !says;
}

function unanswered({ detail }) {
  const status = detail.xhr.status, here = detail.pathInfo.requestPath;
  const typed = [...document.querySelectorAll("main form")].filter((form) => [...form.elements].some(changed));
  if (status < 400 || status > 499) return old(find("#old").dataset.says);
  // A form of an ended session is never done: its words come back after the sign-in, to be sent by a press.
  if (status === 401 && typed.length === 1) return typed[0].submit();
  if (typed.length) return old(find("#old").dataset[status === 401 ? "out" : "says"]);
  return location.assign(status === 401 ? `/sign-in?back=${encodeURIComponent(here)}` : here);
}

for (const name of ["responseError", "sendError", "timeout"]) document.addEventListener(`htmx:${name}`, unanswered);
document.addEventListener("htmx:afterOnLoad", ({ detail }) => detail.successful && old(""));

// -- what a reply costs, while it is typed; the program counts again when it sends --

const GSM = /^[@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !"#¤%&'()*+,\-./0-9:;<=>?¡A-ZÄÖÑÜ§¿a-zäöñüà^{}\\[~\]|€]*$/;

// As bot/wording.py folds and counts; *plain*: what a typographic mark becomes, from there.
function folded(text, plain) {
  const one = (mark) => {
    if (GSM.test(mark)) return mark;
    if (mark in plain) return plain[mark];
    const bare = mark.normalize("NFKD").replace(/\p{M}/gu, "");
    return GSM.test(bare) ? bare : mark;
  };
  return [...text.normalize("NFC")].map(one).join("");
}

function segmentsOf(text) {
  if (!text) return 0;
  const plain = GSM.test(text);
  const costs = [...text].map((mark) => (plain ? (/[\^{}\\[~\]|€]/.test(mark) ? 2 : 1) : mark.length));
  const [alone, joined] = plain ? [160, 153] : [70, 67];
  if (costs.reduce((all, cost) => all + cost, 0) <= alone) return 1;
  let count = 1, used = 0;
  for (const cost of costs) {
    if (used + cost > joined) [count, used] = [count + 1, 0];
    used += cost;
  }
  return count;
}

document.addEventListener("input", (event) => {
  const count = find("#count");
  if (!count || event.target.name !== "reply") return;
  const number = segmentsOf(folded(event.target.value, JSON.parse(count.dataset.plain)).trim());
  const cost = (number * Number(count.dataset.price)).toFixed(3);
  count.textContent = number ? count.dataset.says.replace("#", number).replace("@", cost) : "";
});

// -- a file that is too large is said before it is sent for nothing --

function tooLarge(form) {
  const input = find("input[type=file]", form), news = find("#file-news");
  const large = input && [...input.files].some((file) => file.size > Number(input.dataset.most));
  if (news) {
    news.hidden = !large;
    news.textContent = large ? form.dataset.tooLarge : "";
  }
  return large;
}

document.addEventListener("change", (event) => event.target.type === "file" && tooLarge(event.target.form));

// -- a form is sent once; a second press waits for the first --

document.addEventListener("submit", (event) => {
  if (event.target.dataset.tooLarge && tooLarge(event.target)) return event.preventDefault();
  if (event.target.method === "dialog" || event.target.id === "stay") return;
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "yes";
});
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("[data-sent]")) delete form.dataset.sent;
});

// -- the session ends when nobody acts: warn two minutes before --

const ending = find("#ending");
if (ending) {
  const seconds = Number(ending.dataset.after);
  let timer = 0;
  const wait = () => {
    clearTimeout(timer);
    timer = setTimeout(() => ending.open || ending.showModal(), (seconds - 120) * 1000);
  };
  wait();
  find("#stay").addEventListener("submit", async (event) => {
    event.preventDefault();
    ending.close();
    const answer = await fetch("/stay", { method: "POST", body: new URLSearchParams(new FormData(event.target)) });
    if (answer.ok) wait();
  });
}
