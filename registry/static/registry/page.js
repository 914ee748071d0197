// What every page does: says so when the session has ended behind it, and closes menus as people expect.

const signInPath = "/sign-in/";

export function sessionEnded() {
  document.getElementById("session-ended")?.removeAttribute("hidden");
}

// An answer to a part of the page that is the sign-in page instead must not be put into it: nothing typed is lost.
document.addEventListener("htmx:beforeSwap", (event) => {
  const answered = new URL(event.detail.xhr.responseURL || location.href).pathname;
  if (answered === signInPath) {
    event.detail.shouldSwap = false;
    sessionEnded();
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const menu = document.activeElement?.closest("details.menu[open]");
  if (menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});
