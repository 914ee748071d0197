// Photographs with a preview and the progress of the upload. Without this every link and form works as a page.

import { sessionEnded } from "../registry/page.js";

const signInPath = "/sign-in/";
const previewSide = 400;

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-photograph-form] input[type=file]")) preview(event.target);
});

document.addEventListener("click", (event) => {
  const change = event.target.closest("a[data-photograph-change]");
  if (!change || event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  openDialog(change);
});

document.addEventListener("submit", (event) => {
  if (!event.target.matches("[data-photograph-form]")) return;
  event.preventDefault();
  send(event.target, event.submitter);
});

// Drawn, not loaded from an address: the policy of the page lets no other picture in than the server's.
async function preview(input) {
  const canvas = input.form.querySelector(".photograph-preview");
  canvas.hidden = true;
  const [file] = input.files;
  if (!file) return;
  try {
    const picture = await createImageBitmap(file);
    const scale = Math.min(1, previewSide / Math.max(picture.width, picture.height));
    canvas.width = Math.max(1, Math.round(picture.width * scale));
    canvas.height = Math.max(1, Math.round(picture.height * scale));
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    picture.close();
    canvas.hidden = false;
  } catch {
    // The browser cannot draw it; whether it is a photograph says the server.
  }
}

// Beside a form with unsaved values the photograph is changed in a dialog, so that nothing typed is left.
async function openDialog(change) {
  const answer = await fetch(change.href, { headers: { "HX-Request": "true" } }).catch(() => null);
  if (!answer || !answer.ok) {
    location.assign(change.href);
    return;
  }
  if (isSignIn(answer.url)) {
    sessionEnded();
    return;
  }
  const dialog = document.createElement("dialog");
  dialog.className = "photograph-dialog";
  dialog.setAttribute("aria-label", change.textContent);
  dialog.shown = change.closest("[data-photograph]");
  fill(dialog, await answer.text());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

function fill(dialog, html) {
  dialog.replaceChildren(...parsed(html));
  const close = dialog.querySelector("[data-photograph-close]");
  if (!close) return;
  close.hidden = false;
  close.addEventListener("click", () => dialog.close());
}

function parsed(html) {
  return new DOMParser().parseFromString(html, "text/html").body.children;
}

function send(form, submitter) {
  const dialog = form.closest("dialog");
  const progress = form.querySelector("progress");
  const body = new FormData(form);
  body.append(submitter.name, submitter.value);
  const request = new XMLHttpRequest();
  submitter.disabled = true;
  if (progress) {
    progress.hidden = false;
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) progress.value = (100 * event.loaded) / event.total;
    });
  }
  request.addEventListener("load", () => {
    if (isSignIn(request.responseURL)) failed(form, submitter, sessionEnded);
    else if (dialog) answeredInDialog(dialog, request);
    else answeredOnPage(request);
  });
  request.addEventListener("error", () => failed(form, submitter, () => sayNoAnswer(form)));
  request.open("POST", form.action);
  if (dialog) request.setRequestHeader("HX-Request", "true");
  request.send(body);
}

function failed(form, submitter, then) {
  submitter.disabled = false;
  const progress = form.querySelector("progress");
  if (progress) progress.hidden = true;
  then();
}

function sayNoAnswer(form) {
  const said = form.querySelector("[data-no-answer]");
  said.textContent = said.dataset.noAnswer;
}

function answeredOnPage(request) {
  if (request.status < 400) {
    location.assign(request.responseURL);
    return;
  }
  const answered = new DOMParser().parseFromString(request.responseText, "text/html");
  document.getElementById("main").replaceWith(answered.getElementById("main") ?? answered.body);
  document.querySelector("[aria-invalid]")?.focus();
}

function answeredInDialog(dialog, request) {
  const [answered] = parsed(request.responseText);
  if (request.status >= 400) {
    fill(dialog, request.responseText);
    dialog.querySelector("[aria-invalid]")?.focus();
    return;
  }
  const outer = dialog.shown.closest("form");
  dialog.shown.replaceWith(answered);
  dialog.close();
  answered.querySelector("a[data-photograph-change]")?.focus();
  tellVersion(outer, request.getResponseHeader("ETag")?.replaceAll('"', ""));
}

// The entry has another version now: whoever saves the form around it goes on from that one.
function tellVersion(form, version) {
  if (!form || !version) return;
  const field = form.querySelector("input[name=version]");
  if (field) field.value = version;
  if (form.dataset.version) form.dataset.version = version;
  form.dispatchEvent(new CustomEvent("photograph:changed", { bubbles: true, detail: { version } }));
}

function isSignIn(address) {
  return new URL(address, location.href).pathname === signInPath;
}

// Arrows go on, on the side that has the focus.
document.addEventListener("keydown", (event) => {
  const side = event.target.closest?.("[data-side]");
  const step = { ArrowLeft: "before", ArrowRight: "after" }[event.key];
  if (side && step) side.querySelector(`a[data-step=${step}]`)?.click();
});
