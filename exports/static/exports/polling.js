// What a page asks for by itself stops when the session has ended: the answer would be the sign-in page each time.

document.addEventListener("htmx:beforeSwap", (event) => {
  const answered = new URL(event.detail.xhr.responseURL || location.href).pathname;
  const part = event.detail.elt;
  if (answered === "/sign-in/" && part.getAttribute("hx-trigger")?.startsWith("every")) {
    part.replaceWith(part.cloneNode(true));
  }
});
