// Polls the sandbox and shows one phone. Builds every node by hand: nothing a patient or the bot writes becomes markup.
"use strict";
const POLL_MS = 700;
const TICKS = { accepted: "○", scheduled: "◷", queued: "○", sending: "○", sent: "✓", delivered: "✓✓", received: "✓✓",
  undelivered: "✗", failed: "✗", canceled: "✗" };
const LINK = /https?:\/\/[^\s<>"]+[^\s<>".,;:!?)]/g;

const at = (id) => document.getElementById(id);
const screen = { phone: "p1", language: "en", spoken: 0, call: null, shownCall: "", bubbles: new Map(), phones: "" };
const word = (name) => WORDS[screen.language][name] ?? name;

function node(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

async function post(path, body) {
  const answer = await fetch(`/phone/api/${path}`, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Phone": "1" },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${answer.status}`);
  return answer.json();
}

const pretty = (number) => number.replace(/^\+1(\d{3})(\d{3})(\d{4})$/, "+1 $1 $2 $3");

// --- language -----------------------------------------------------------------------------------------------------

function speakLanguage(language) {
  screen.language = language;
  document.documentElement.lang = language;
  for (const each of document.querySelectorAll("[data-word]")) each.textContent = word(each.dataset.word);
  for (const each of document.querySelectorAll("[data-label]")) each.setAttribute("aria-label", word(each.dataset.label));
  for (const each of document.querySelectorAll("[data-hint]")) each.placeholder = word(each.dataset.hint);
  for (const each of document.querySelectorAll("[data-language]")) {
    each.setAttribute("aria-pressed", String(each.dataset.language === language));
  }
  document.title = word("title");
  clearLog();
  refresh();
}

// --- texts --------------------------------------------------------------------------------------------------------

function clearLog() {
  at("log").replaceChildren();
  screen.bubbles.clear();
  screen.day = "";
}

function withLinks(text) {
  const body = node("p", undefined, "words");
  let done = 0;
  for (const found of text.matchAll(LINK)) {
    body.append(text.slice(done, found.index));
    const link = node("a", found[0]);
    link.href = found[0];
    link.target = "_blank";
    link.rel = "noopener noreferrer";
    body.append(link);
    done = found.index + found[0].length;
  }
  body.append(text.slice(done));
  return body;
}

function clockText(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString(screen.language, { hour: "numeric", minute: "2-digit" });
}

function dayText(seconds) {
  return new Date(seconds * 1000).toLocaleDateString(screen.language, { weekday: "long", month: "long", day: "numeric" });
}

function footText(message) {
  const pieces = `${message.segments} ${word(message.segments === 1 ? "segment" : "segments")}`;
  const kind = message.encoding === "UCS-2" ? " · UCS-2" : "";
  const status = word(message.status === "sending" ? "sending_status" : message.status);
  const error = message.error ? ` (${message.error})` : "";
  return `${clockText(message.time)} · ${pieces}${kind} · ${TICKS[message.status] ?? ""} ${status}${error}`;
}

function showMessages(messages) {
  at("empty").hidden = messages.length > 0;
  const log = at("log");
  for (const message of messages) {
    let bubble = screen.bubbles.get(message.id);
    if (!bubble) {
      const day = dayText(message.time);
      if (day !== screen.day) log.append(node("li", day, "day"));
      screen.day = day;
      bubble = node("li", undefined, message.mine ? "bubble mine" : "bubble");
      bubble.append(node("span", word(message.mine ? "from_you" : "from_clinic"), "hidden"));
      bubble.append(withLinks(message.text || (message.media ? word("picture") : "")));
      const foot = node("p", "", "foot");
      foot.setAttribute("aria-live", "off");
      bubble.append(foot);
      screen.bubbles.set(message.id, bubble);
      log.append(bubble);
      log.scrollTop = log.scrollHeight;
    }
    bubble.classList.toggle("bad", message.status === "failed" || message.status === "undelivered");
    const foot = footText(message);
    if (bubble.lastChild.textContent !== foot) bubble.lastChild.textContent = foot;
  }
}

async function sendText(event) {
  event.preventDefault();
  const box = at("words");
  const text = box.value;
  if (!text.trim()) return;
  box.value = "";
  grow();
  at("size").textContent = "";
  at("typing").hidden = false;
  const sent = attempt(() => post("text", { phone: screen.phone, text }));
  refresh();
  await sent;
  at("typing").hidden = true;
  refresh();
}

let sizing = 0;
function grow() {
  const box = at("words");
  box.rows = Math.min(6, Math.max(1, box.value.split("\n").length + Math.floor(box.value.length / 40)));
  clearTimeout(sizing);
  sizing = setTimeout(measure, 120);
}

async function measure() {
  const text = at("words").value;
  if (!text) {
    at("size").textContent = "";
    return;
  }
  const size = await attempt(() => post("size", { text }));
  if (!size || at("words").value !== text) return;
  const why = size.guilty.length ? ` · ${word("expensive")} ${size.guilty.slice(0, 5).join(" ")}` : "";
  at("size").textContent = `${size.count} ${word(size.count === 1 ? "segment" : "segments")} · ${size.encoding}${why}`;
}

// --- calls --------------------------------------------------------------------------------------------------------

function lineState(call) {
  if (!call) return word("idle");
  if (!call.active) return `${word("ended")} (${call.status})`;
  if (call.waiting === "dial") return `${word("dialing")} ${pretty(call.dialing)}`;
  return word(call.waiting || "talking") + (call.digits ? ` ${call.digits}` : "");
}

function showCall(call) {
  screen.call = call;
  const ringing = Boolean(call && call.active && call.waiting === "ring");
  at("ringing").hidden = !ringing;
  const active = Boolean(call && call.active && !ringing);
  const state = lineState(call);
  if (at("line").textContent !== state) at("line").textContent = state;
  at("dialling").hidden = !(active && call.waiting === "dial");
  at("recording").hidden = !(active && call.waiting === "record");
  at("ring").disabled = Boolean(call && call.active);
  for (const each of document.querySelectorAll("#keys button, #speak *, #call [data-act]")) each.disabled = !active;
  showLines(call);
}

function showLines(call) {
  const heard = at("heard");
  if ((call ? call.id : "") !== screen.shownCall) {
    screen.shownCall = call ? call.id : "";
    screen.spoken = 0;
    heard.replaceChildren();
  }
  const lines = call ? call.lines : [];
  for (const line of lines.slice(screen.spoken)) {
    const text = line.kind === "pause" ? `(${word("pause")} ${line.text} s)` : line.text;
    const item = node("li", undefined, line.kind === "you" ? "bubble mine" : "bubble");
    item.append(node("span", word(line.kind === "you" ? "from_you" : "from_clinic"), "hidden"));
    const words = node("p", text, "words");
    words.lang = line.kind === "you" ? "" : line.language;
    item.append(words);
    heard.append(item);
    if (line.kind === "say" || line.kind === "line") aloud(text, line.language);
    if (line.kind === "you") hush();
  }
  if (lines.length > screen.spoken) heard.scrollTop = heard.scrollHeight;
  screen.spoken = lines.length;
}

function aloud(text, language) {
  if (!at("sound").checked || !("speechSynthesis" in window)) return;
  const voice = new SpeechSynthesisUtterance(text);
  voice.lang = language;
  speechSynthesis.speak(voice);
}

function hush() {
  if ("speechSynthesis" in window) speechSynthesis.cancel();
}

async function act(kind, value = "") {
  if (!screen.call) return;
  hush();
  await attempt(() => post("input", { call: screen.call.id, kind, value }));
  refresh();
}

async function ring() {
  at("ring").disabled = true;
  await attempt(() => post("call", { phone: screen.phone }));
  refresh();
}

// --- the page -----------------------------------------------------------------------------------------------------

async function attempt(work) {
  try {
    const done = await work();
    at("trouble").hidden = true;
    return done;
  } catch (wrong) {
    at("trouble").textContent = `${word("gone")} (${wrong.message})`;
    at("trouble").hidden = false;
    return null;
  }
}

function showPhones(phones) {
  const key = JSON.stringify(phones);
  if (key === screen.phones) return;
  screen.phones = key;
  at("phones").replaceChildren(...phones.map((phone) => {
    const option = node("option", pretty(phone.number));
    option.value = phone.id;
    return option;
  }));
  at("phones").value = screen.phone;
}

function showAlerts(alerts) {
  at("alert-count").textContent = String(alerts.length);
  at("alerts").replaceChildren(...alerts.map((alert) => node("li", `${alert.code || "–"} ${alert.text}`)));
}

let asking = 0;
async function refresh() {
  const turn = ++asking;
  const hurry = at("hurry").checked ? "1" : "0";
  const state = await attempt(async () => {
    const answer = await fetch(`/phone/api/state?phone=${screen.phone}&hurry=${hurry}`);
    if (!answer.ok) throw new Error(`${answer.status}`);
    return answer.json();
  });
  // Answers may overtake one another; only the newest question's answer is shown.
  if (!state || turn !== asking) return;
  for (const each of document.querySelectorAll(".clinic")) each.textContent = state.clinic;
  at("ours").textContent = ` ${pretty(state.ours)}`;
  at("own").textContent = pretty(state.phones.find((phone) => phone.id === screen.phone)?.number ?? "");
  at("clock").textContent = `${clockText(state.now)} · ${dayText(state.now)}`;
  showPhones(state.phones);
  showMessages(state.messages);
  showCall(state.call);
  showAlerts(state.alerts);
}

function choosePhone(id) {
  screen.phone = id;
  clearLog();
  hush();
  refresh();
}

function chooseTab(name) {
  for (const each of ["texts", "call"]) {
    const chosen = each === name;
    at(each).hidden = !chosen;
    at(`tab-${each}`).setAttribute("aria-selected", String(chosen));
    at(`tab-${each}`).tabIndex = chosen ? 0 : -1;
  }
  at("log").scrollTop = at("log").scrollHeight;
}

function keypad() {
  for (const key of "123456789*0#") {
    const button = node("button", key);
    button.type = "button";
    button.addEventListener("click", () => act("press", key));
    at("keys").append(button);
  }
}

function keyboard(event) {
  const typing = ["INPUT", "TEXTAREA", "SELECT"].includes(event.target.tagName);
  if (typing || at("call").hidden || event.ctrlKey || event.metaKey || event.altKey) return;
  if (/^[0-9*#]$/.test(event.key) && screen.call?.active) act("press", event.key);
}

function wire() {
  keypad();
  at("compose").addEventListener("submit", sendText);
  at("words").addEventListener("input", grow);
  at("words").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) sendText(event);
  });
  at("speak").addEventListener("submit", (event) => {
    event.preventDefault();
    const said = at("speech").value;
    at("speech").value = "";
    if (said.trim()) act("say", said);
  });
  at("ring").addEventListener("click", ring);
  at("phones").addEventListener("change", (event) => choosePhone(event.target.value));
  at("another").addEventListener("click", async () => {
    const made = await attempt(() => post("phones", {}));
    if (made) choosePhone(made.id);
  });
  document.addEventListener("keydown", keyboard);
  const each = (selector, work) => document.querySelectorAll(selector).forEach((b) => b.addEventListener("click", () => work(b)));
  each("[data-later]", async (button) => {
    await attempt(() => post("later", { seconds: Number(button.dataset.later) }));
    refresh();
  });
  each("[data-language]", (button) => speakLanguage(button.dataset.language));
  each("[data-act]", (button) => act(button.dataset.act, button.dataset.value));
  each("[data-ring]", async (button) => {
    await act(button.dataset.ring, button.dataset.value);
    if (button.dataset.ring === "answer") chooseTab("call");
  });
  each("[role=tab]", (tab) => chooseTab(tab.getAttribute("aria-controls")));
  document.querySelector("[role=tablist]").addEventListener("keydown", (event) => {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    const other = at("texts").hidden ? "texts" : "call";
    chooseTab(other);
    at(`tab-${other}`).focus();
  });
}

wire();
chooseTab(location.hash === "#call" ? "call" : "texts");
speakLanguage(navigator.language.startsWith("es") ? "es" : "en");
setInterval(refresh, POLL_MS);
