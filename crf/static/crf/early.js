// Before the page is drawn: fields that are not asked for stay hidden until entry.js decides, so that nothing jumps.
// Should entry.js not come, all of them are shown once the page is there, as without JavaScript.
document.documentElement.classList.add("early");
addEventListener("load", () => document.documentElement.classList.remove("early"));
