// Sends the form as it stands: the server keeps it as a draft and says what it thinks of it. One request at a time,
// the last state wins. What is sent at the same time as the form itself is saved or refused is sorted out by the server.

const TYPING_MS = 1000;

export class Live {
  constructor(form, touched, show) {
    this.form = form;
    this.touched = touched;
    this.show = show;
    this.state = document.getElementById("draft-state");
    this.words = this.state?.dataset ?? {};
    this.isDirty = false;
    this.isStopped = false;
    this.timer = null;
    this.running = null;
    this.whenHidden = () => document.visibilityState === "hidden" && this.leave();
    this.whenLeft = () => this.leave();
    document.addEventListener("visibilitychange", this.whenHidden);
    addEventListener("pagehide", this.whenLeft);
  }

  soon() {
    this.isDirty = true;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), TYPING_MS);
  }

  async ask() {
    clearTimeout(this.timer);
    if (this.isStopped) return;
    this.isDirty = true;
    if (this.running) return; // the one that runs asks again
    while (this.isDirty && !this.isStopped) {
      this.isDirty = false;
      this.running = this.send();
      const told = await this.running;
      this.running = null;
      if (this.isStopped || !this.form.isConnected) return;
      if (told === null) return this.say(this.words.lost, true);
      if (!this.isDirty) this.show(told);
      this.say(told.draft ? `${this.words.kept} ${clock(told.draft)}` : "", false);
    }
  }

  async send(options = {}) {
    try {
      const answer = await fetch(this.form.dataset.live, { method: "POST", body: this.body(), ...options });
      if (answer.redirected) {
        document.getElementById("session-ended")?.removeAttribute("hidden");
        return null;
      }
      return answer.ok ? await answer.json() : null;
    } catch {
      return null; // no network: what was typed stays where it is, and the next change tries again
    }
  }

  body() {
    const body = new FormData(this.form);
    // After signing in again in another tab the old token is of no use.
    const token = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1];
    if (token) this.form.elements.csrfmiddlewaretoken.value = token;
    body.set("csrfmiddlewaretoken", this.form.elements.csrfmiddlewaretoken.value);
    body.set("touched", [...this.touched].join(" "));
    return new URLSearchParams(body);
  }

  leave() {
    if (!this.isDirty || this.isStopped || !this.form.isConnected) return;
    clearTimeout(this.timer);
    this.isDirty = false;
    this.send({ keepalive: true });
  }

  stop() {
    this.isStopped = true;
    clearTimeout(this.timer);
    document.removeEventListener("visibilitychange", this.whenHidden);
    removeEventListener("pagehide", this.whenLeft);
  }

  say(text, isLost) {
    if (!this.state) return;
    this.state.textContent = text;
    this.state.classList.toggle("lost", isLost);
  }
}

function clock(moment) {
  return new Date(moment).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
}
