// A list to search in the place of a long <select>, which stays below it and is what is sent (ARIA's combobox pattern).

export function searchable(select, plain) {
  const input = document.createElement("input");
  const list = document.createElement("ul");
  const options = [...select.options].filter((option) => option.value);
  const listId = `${select.id}-list`;
  let active = -1;
  let shown = [];

  Object.assign(input, { id: select.id, type: "text", autocomplete: "off", spellcheck: false, className: "combobox" });
  for (const name of ["aria-describedby", "aria-invalid"]) {
    if (select.hasAttribute(name)) input.setAttribute(name, select.getAttribute(name));
  }
  for (const [name, value] of Object.entries({
    role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": listId,
  })) input.setAttribute(name, value);
  Object.assign(list, { id: listId, className: "listbox", hidden: true });
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", document.querySelector(`label[for="${select.id}"]`)?.textContent.trim() ?? "");
  select.removeAttribute("id");
  select.removeAttribute("aria-describedby");
  select.hidden = true;
  const box = document.createElement("div");
  box.className = "search";
  select.before(box);
  box.append(input, list, select);
  input.value = select.selectedOptions[0]?.textContent.trim() ?? "";

  const labelOf = (option) => option.textContent.trim();
  const found = (text) => {
    const sought = plain(text);
    const first = options.filter((option) => plain(labelOf(option)).startsWith(sought));
    const later = options.filter((option) => !first.includes(option) && plain(labelOf(option)).includes(sought));
    return [...first, ...later];
  };

  function open(matches) {
    shown = matches;
    list.replaceChildren(...matches.map((option, at) => {
      const item = document.createElement("li");
      Object.assign(item, { id: `${listId}-${at}`, textContent: labelOf(option) });
      item.setAttribute("role", "option");
      return item;
    }));
    list.hidden = !matches.length;
    input.setAttribute("aria-expanded", String(Boolean(matches.length)));
    activate(-1);
  }

  function close() {
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    activate(-1);
  }

  function activate(at) {
    active = at;
    [...list.children].forEach((item, index) => item.setAttribute("aria-selected", String(index === at)));
    if (at < 0) return input.removeAttribute("aria-activedescendant");
    input.setAttribute("aria-activedescendant", list.children[at].id);
    list.children[at].scrollIntoView({ block: "nearest" });
  }

  function take(option) {
    input.value = option ? labelOf(option) : "";
    setValue(option?.value ?? "");
    close();
  }

  function setValue(value) {
    if (select.value === value) return;
    // What is no choice goes to the server as it is typed, which says what the choices are.
    if (![...select.options].some((option) => option.value === value)) select.add(new Option(value, value));
    select.value = value;
    select.dispatchEvent(new Event("change", { bubbles: true }));
  }

  function settle() {
    const text = input.value.trim();
    const matches = text ? found(text) : [];
    const same = matches.find((option) => plain(labelOf(option)) === plain(text));
    if (!text) take(null);
    else if (same) take(same);
    else if (active >= 0) take(shown[active]);
    else if (matches.length === 1) take(matches[0]);
    else {
      setValue(text);
      close();
    }
  }

  input.addEventListener("focus", () => input.select());
  input.addEventListener("input", () => {
    open(input.value.trim() ? found(input.value) : options);
    if (input.value.trim() && shown.length) activate(0);
  });
  input.addEventListener("click", () => (list.hidden ? open(options) : close()));
  input.addEventListener("blur", () => list.hidden ? settle() : (settle(), close()));
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (list.hidden) {
        open(options);
        return activate(Math.max(options.indexOf(select.selectedOptions[0]), 0));
      }
      const step = event.key === "ArrowDown" ? 1 : -1;
      activate((active + step + shown.length) % shown.length);
    } else if (event.key === "Enter" && !list.hidden && active >= 0) {
      take(shown[active]); // and the form goes on to the next field
    } else if (event.key === "Escape" && !list.hidden) {
      event.preventDefault();
      input.value = select.selectedOptions[0]?.textContent.trim() ?? "";
      close();
    }
  });
  list.addEventListener("mousedown", (event) => {
    event.preventDefault();
    const at = [...list.children].indexOf(event.target.closest("li"));
    if (at >= 0) take(shown[at]);
  });
}
