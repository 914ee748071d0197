// The form page: keys, branching, lists to search, and what the server says while somebody types.

import { holds } from "./branching.js";
import { searchable } from "./combobox.js";
import { Live } from "./drafts.js";

const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").trim().toLowerCase();

class EntryForm {
  constructor(form) {
    this.form = form;
    this.touched = new Set();
    this.spelled = {}; // what the server read a text as, as long as the text stays the same
    this.logic = JSON.parse(form.dataset.branching);
    this.rows = new Map([...form.querySelectorAll("[data-field]")].map((row) => [row.dataset.field, row]));
    for (const select of form.querySelectorAll("select[data-searchable]")) searchable(select, plain);
    for (const group of form.querySelectorAll(".choices")) this.prepareChoices(group);
    for (const aside of form.querySelectorAll(".row-missing, .row-beside a")) aside.tabIndex = -1;
    this.live = new Live(form, this.touched, (told) => this.show(told));
    this.showWhatIsAsked();
    this.showWhy(!form.querySelector("#why")?.hasAttribute("data-not-asked"));
    form.addEventListener("input", (event) => this.typed(event.target));
    form.addEventListener("change", (event) => this.chosen(event.target));
    form.addEventListener("focusout", (event) => this.left(event));
    form.addEventListener("keydown", (event) => this.key(event));
    form.addEventListener("submit", () => this.live.stop());
    if (document.querySelector(".restored")) this.live.ask();
  }

  // Nothing is sent for a group without an answer, and the first choice takes the focus instead of "no answer".
  prepareChoices(group) {
    const none = group.querySelector('input[value=""]');
    if (none?.checked) none.checked = false;
    const boxes = group.querySelectorAll("input[type=checkbox]");
    boxes.forEach((box, at) => (box.tabIndex = at ? -1 : 0));
  }

  rowOf(element) {
    return element.closest("[data-field]");
  }

  typed(element) {
    const row = this.rowOf(element);
    const missing = row?.querySelector(".row-missing");
    if (missing && element !== missing && missing.value && !element.name?.startsWith("explain-")) missing.value = "";
    row?.classList.toggle("is-missing", Boolean(missing?.value));
    this.showWhatIsAsked();
    this.live.soon();
  }

  chosen(element) {
    const row = this.rowOf(element);
    if (row) this.touched.add(row.dataset.field);
    this.showWhatIsAsked();
    if (!element.matches("input:not([type=radio], [type=checkbox]), textarea")) this.live.ask();
  }

  left(event) {
    const row = this.rowOf(event.target);
    if (!row || row.contains(event.relatedTarget)) return;
    const fresh = !this.touched.has(row.dataset.field);
    this.touched.add(row.dataset.field);
    if (fresh || this.live.isDirty) this.live.ask();
  }

  // Texts as the branching logic reads them.
  texts() {
    const texts = {};
    for (const [name, row] of this.rows) texts[name] = this.textOf(name, row);
    return texts;
  }

  textOf(name, row) {
    if (row.dataset.widget === "checkboxes") {
      return [...row.querySelectorAll("input[type=checkbox]:checked")].map((box) => box.value);
    }
    if (row.dataset.widget === "radio") return row.querySelector("input:checked")?.value ?? "";
    const text = row.querySelector(`[name="${CSS.escape(name)}"]`)?.value.trim() ?? "";
    return this.spelled[name]?.typed === text ? this.spelled[name].text : text;
  }

  showWhatIsAsked() {
    const texts = this.texts();
    for (const [name, node] of Object.entries(this.logic)) {
      const row = this.rows.get(name);
      if (!row) continue;
      const filledIn = texts[name].length > 0 || Boolean(row.querySelector(".row-missing")?.value);
      row.hidden = !holds(node, texts) && !filledIn;
      row.removeAttribute("data-not-asked");
    }
  }

  showWhy(needed) {
    const why = this.form.querySelector("#why");
    if (!why) return;
    why.hidden = !needed;
    why.removeAttribute("data-not-asked");
  }

  show(told) {
    for (const [name, row] of this.rows) {
      const text = row.querySelector(`[name="${CSS.escape(name)}"]`)?.value?.trim() ?? "";
      this.spelled[name] = { typed: text, text: told.texts[name] ?? text };
      this.showError(row, told.errors[name] ?? "");
      const understood = row.querySelector(".understood");
      const said = told.understood[name];
      if (understood) understood.textContent = said ? `${this.live.words.understood} ${said}` : "";
      this.fillList(row.querySelector(".derived"), told.derived[name] ?? []);
      this.showWarnings(row, told.warnings.filter((warning) => warning.field === name));
    }
    this.showWhatIsAsked();
    if (told.reason_needed) this.showWhy(true);
  }

  showError(row, message) {
    const said = row.querySelector(".error");
    if (!said || said.textContent === message) return;
    said.textContent = message;
    row.classList.toggle("wrong", Boolean(message));
    for (const input of row.querySelectorAll("[aria-describedby]")) {
      if (message) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
    }
  }

  fillList(list, lines) {
    if (!list || [...list.children].map((item) => item.textContent).join("\n") === lines.join("\n")) return;
    list.replaceChildren(...lines.map((line) => Object.assign(document.createElement("li"), { textContent: line })));
  }

  // Warnings stay as they are while they hold, so that an explanation being typed does.
  showWarnings(row, warnings) {
    const list = row.querySelector(".warnings");
    const codes = new Set(warnings.map((warning) => warning.code));
    for (const item of [...list.children]) if (!codes.has(item.dataset.code)) item.remove();
    for (const { field: name, code, message } of warnings) {
      let item = [...list.children].find((one) => one.dataset.code === code);
      if (!item) {
        item = document.getElementById("warning-template").content.firstElementChild.cloneNode(true);
        item.dataset.code = code;
        const input = item.querySelector("input");
        if (input) input.name = `explain-${name}:${code}`;
        list.append(item);
      }
      item.querySelector("span").textContent = message;
    }
  }

  key(event) {
    const { target, key } = event;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    // On a closed list too: it would open there, and what is typed next would choose in it. Space and arrows open it.
    if (key === "Enter" && target.matches("input, select") && !event.defaultPrevented) {
      event.preventDefault();
      this.focusAfter(target);
    } else if (target.closest(".choices")) {
      this.keyOnChoices(event);
    }
  }

  keyOnChoices(event) {
    const group = event.target.closest(".choices");
    const inputs = [...group.querySelectorAll("input")];
    const boxes = event.target.type === "checkbox";
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (boxes && step) {
      this.focusBox(inputs, inputs[(inputs.indexOf(event.target) + step + inputs.length) % inputs.length]);
    } else if (event.key === "Delete" || event.key === "Backspace") {
      if (boxes) this.choose(event.target, false);
      else this.choose(group.querySelector('input[value=""]'), true);
    } else if (event.key.length === 1 && event.key !== " ") {
      const found = this.choiceOf(inputs, plain(event.key), event.target);
      if (!found) return;
      if (boxes) this.focusBox(inputs, found);
      else found.focus();
      this.choose(found, boxes ? !found.checked : true);
    } else {
      return;
    }
    event.preventDefault();
  }

  choose(input, checked) {
    if (!input || input.checked === checked) return;
    input.checked = checked;
    input.dispatchEvent(new Event("input", { bubbles: true }));
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }

  // By its key, else by its first letter; the same letter again goes on to the next that begins with it.
  choiceOf(inputs, key, from) {
    const byKey = inputs.find((input) => input.dataset.key === key);
    if (byKey) return byKey;
    const named = inputs.filter((input) => input.value && plain(input.parentElement.lastElementChild.textContent)[0] === key);
    const at = from.checked || from.type === "checkbox" ? named.indexOf(from) : -1;
    return named[(at + 1) % named.length];
  }

  focusBox(inputs, box) {
    for (const one of inputs) one.tabIndex = one === box ? 0 : -1;
    box.focus();
  }

  focusAfter(element) {
    const group = element.type === "radio" ? element.closest(".choices") : null;
    const all = [...this.form.querySelectorAll("input, select, textarea, button, summary")];
    const next = all
      .slice(all.indexOf(element) + 1)
      .find((one) => one.tabIndex >= 0 && one.type !== "hidden" && one.offsetParent && !group?.contains(one));
    next?.focus();
    if (next?.select && next.matches("input")) next.select();
  }

  focusFirst() {
    const first = this.form.querySelector(
      ".row:not([hidden]) :is(input:not([type=hidden]), select:not([hidden]), textarea)",
    );
    first?.focus({ preventScroll: false });
  }
}

let entry = null;

function start() {
  const root = document.documentElement;
  root.classList.add("scripted");
  for (const time of document.querySelectorAll("time[data-local]")) showLocally(time);
  const form = document.querySelector("form.entry[data-live]");
  if (form && entry?.form !== form) {
    entry = new EntryForm(form);
    const wrong = document.querySelector("[data-focus]");
    if (wrong) wrong.focus();
    else if (form.dataset.version === "0") entry.focusFirst();
  } else {
    document.querySelector("[data-focus]")?.focus();
  }
  root.classList.remove("early");
}

function showLocally(time) {
  const moment = new Date(time.dateTime);
  const today = moment.toDateString() === new Date().toDateString();
  const hour = moment.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  time.textContent = today ? hour : `${moment.toLocaleDateString("sv")} ${hour}`;
}

function press(id) {
  const button = document.getElementById(id);
  button?.form?.requestSubmit(button);
  return Boolean(button);
}

document.addEventListener("keydown", (event) => {
  const row = document.activeElement?.closest("[data-field]");
  const letter = event.key.toLowerCase();
  let done = false;
  if ((event.ctrlKey || event.metaKey) && !event.altKey && letter === "s") done = press("save");
  else if (event.altKey && !event.ctrlKey && event.code === "KeyN") {
    done = press("save-next");
    if (!done) document.getElementById("add")?.click();
  } else if (event.altKey && !event.ctrlKey && event.code === "KeyM") {
    row?.querySelector(".row-missing")?.focus();
    done = Boolean(row);
  } else if (event.altKey && !event.ctrlKey && event.code === "KeyB") {
    row?.querySelector(".row-beside a")?.click();
    done = Boolean(row);
  } else if (event.key === "?" && !document.activeElement?.matches("input:not([type=radio], [type=checkbox]), textarea")) {
    const list = document.getElementById("shortcuts");
    if (list) list.open = !list.open;
    done = Boolean(list);
  }
  if (done) event.preventDefault();
});

// A link in the summary of errors leads to the field itself, also to one that is a group or a list to search.
document.addEventListener("click", (event) => {
  const link = event.target.closest('.problems a[href^="#"]');
  const target = link && document.getElementById(link.hash.slice(1));
  if (!target) return;
  event.preventDefault();
  target.closest(".row")?.scrollIntoView({ block: "center" });
  target.focus();
});

document.addEventListener("htmx:afterSettle", start);
start();
