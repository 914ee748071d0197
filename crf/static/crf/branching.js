// Branching logic in the browser: asks exactly what crf/logic.py asks, of the tree that crf/pages/branching.py writes.
// Texts are looked up by variable; those of a checkbox are an array of codes; what is blank is absent or "".

const NUMBER = /^[+-]?\d{1,30}(?:\.\d{1,30})?$/;

export function holds(node, texts) {
  if (node.any) return node.any.some((term) => holds(term, texts));
  if (node.all) return node.all.every((term) => holds(term, texts));
  return COMPARISONS[node.sign](operand(node.left, texts), operand(node.right, texts));
}

export function variablesOf(node) {
  if (node.variable) return [node.variable];
  const parts = node.any ?? node.all ?? [node.left, node.right];
  return parts.flatMap((part) => ("text" in part ? [] : variablesOf(part)));
}

function operand(node, texts) {
  if ("text" in node) return node.text;
  const value = texts[node.variable] ?? "";
  if (node.code) return value.includes(node.code) ? "1" : "0";
  return typeof value === "string" ? value : value.join(",");
}

// Numbers have up to 30 digits on either side of the point, more than a JavaScript number holds.
function scaled(text) {
  const [whole, decimals = ""] = text.replace(/^[+-]/, "").split(".");
  const digits = BigInt(whole + decimals.padEnd(30, "0"));
  return text.startsWith("-") ? -digits : digits;
}

function order(left, right) {
  if (NUMBER.test(left) && NUMBER.test(right)) {
    const [a, b] = [scaled(left), scaled(right)];
    return Number(a > b) - Number(a < b);
  }
  return left && right ? textOrder(left, right) : null; // a blank side is in no order
}

// By code point, as Python does; JavaScript would order by halves of a surrogate pair.
function textOrder(left, right) {
  const [a, b] = [[...left], [...right]];
  for (let at = 0; at < Math.min(a.length, b.length); at++) {
    const difference = a[at].codePointAt(0) - b[at].codePointAt(0);
    if (difference) return Math.sign(difference);
  }
  return Math.sign(a.length - b.length);
}

function equal(left, right) {
  return left === right || (NUMBER.test(left) && NUMBER.test(right) && scaled(left) === scaled(right));
}

function ordered(decide) {
  return (left, right) => {
    const sign = order(left, right);
    return sign !== null && decide(sign);
  };
}

const COMPARISONS = {
  "=": equal,
  "<>": (left, right) => !equal(left, right),
  "!=": (left, right) => !equal(left, right),
  "<": ordered((sign) => sign < 0),
  "<=": ordered((sign) => sign <= 0),
  ">": ordered((sign) => sign > 0),
  ">=": ordered((sign) => sign >= 0),
};
