// The pages of people, tokens and health: copies what is shown once, sends a form once, says when the server is silent.

for (const button of document.querySelectorAll("button[data-copy]")) {
  if (!navigator.clipboard) continue; // only where the page came by https or from this machine
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.classList.add("copied");
  });
}

// The answer to a second click would take the place of the first one, which shows the secret.
for (const form of document.querySelectorAll("form")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  });
}
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

const silent = document.getElementById("no-answer");
if (silent) {
  document.addEventListener("htmx:afterRequest", (event) => {
    silent.hidden = event.detail.successful;
  });
}
