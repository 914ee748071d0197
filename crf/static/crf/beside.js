// Opens what stands beside a field in a dialog at the side. Without this script the same links lead to pages.

const opener = "a[data-beside]";
let openedBy = null;

function panelDialog() {
  let dialog = document.getElementById("beside");
  if (dialog) return dialog;
  dialog = document.createElement("dialog");
  dialog.id = "beside";
  dialog.className = "beside-dialog";
  dialog.setAttribute("aria-labelledby", "beside-title");
  // A click beside the panel closes it, as Escape does by itself.
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  // The link may have been replaced meanwhile by one with other marks: it is found again by its id.
  dialog.addEventListener("close", () => {
    dialog.replaceChildren();
    const link = (openedBy?.id && document.getElementById(openedBy.id)) || openedBy;
    link?.focus();
    openedBy = null;
  });
  document.body.append(dialog);
  return dialog;
}

async function open(link) {
  const dialog = panelDialog();
  if (!dialog.contains(link)) openedBy = link;
  await window.htmx.ajax("GET", link.href, { target: dialog, swap: "innerHTML" });
  if (dialog.childElementCount === 0) return; // signed out, or refused: the page says so
  if (!dialog.open) dialog.showModal();
  (dialog.querySelector("details[open] input:not([type=hidden]), details[open] textarea") ?? dialog.querySelector("#beside-title"))?.focus();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.(opener);
  if (!link || !window.htmx || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  open(link);
});

// A refused form comes back with what was typed: it belongs into the panel as any other answer.
document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr, elt } = event.detail;
  const ours = elt?.closest?.("[data-panel], .query, dialog.beside-dialog");
  if (ours && [409, 422, 429].includes(xhr.status) && xhr.getResponseHeader("HX-Reswap")) {
    event.detail.shouldSwap = true;
    event.detail.isError = false;
  }
});

// What was acted on is gone from the page: the reader is taken to what stands there now.
document.addEventListener("htmx:afterSettle", (event) => {
  const { requestConfig } = event.detail;
  if (requestConfig?.verb !== "post") return;
  const within = document.getElementById("beside")?.open ? document.getElementById("beside") : document;
  const wrong = within.querySelector("[aria-invalid=true]");
  const settled = event.detail.elt?.isConnected ? event.detail.elt : null;
  (wrong ?? settled?.closest?.(".query") ?? within.querySelector("#beside-title"))?.focus();
});

// A panel that opens has its field ready for the very next key. Of a click the browser tells ("toggle") only a moment later, and
// what is typed until then would go to the button and be lost; of a panel that comes open from the server it tells nothing else.
const opened = new WeakSet();

function showField(panel) {
  panel.querySelector("textarea, input:not([type=hidden]):not([type=radio])")?.focus();
}

document.addEventListener("click", (event) => {
  const panel = event.target.closest?.("details.deed > summary")?.parentElement;
  if (!panel) return;
  event.preventDefault();
  panel.open = !panel.open;
  opened.delete(panel);
  if (!panel.open) return;
  opened.add(panel);
  showField(panel);
});

document.addEventListener("toggle", (event) => {
  const panel = event.target;
  if (panel.matches("details.deed") && panel.open && !opened.delete(panel)) showField(panel);
}, true);

for (const button of document.querySelectorAll("[data-choose-all]")) {
  button.hidden = document.querySelector("input[name=query][form=bulk-close]") === null;
  button.addEventListener("click", () => {
    for (const box of document.querySelectorAll("input[name=query][form=bulk-close]")) box.checked = true;
  });
}
