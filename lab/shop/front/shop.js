// The shop's page. Every click that asks the shop for something begins a trace here.

import { KIND, Span, send } from "./trace.js";

/** @typedef {{ product_id: number, name: string, price_cents: number, description: string }} Product */
/** @typedef {{ status: number, body: any, traceId: string }} Answer */

const OTLP_URL =
  document.querySelector('meta[name="otlp"]')?.getAttribute("content") ?? "";
const RESOURCE = { "service.name": "storefront", "telemetry.sdk.language": "webjs" };

/** @template {Element} T */
function one(/** @type {string} */ selector, /** @type {new () => T} */ kind) {
  const found = document.querySelector(selector);
  if (!(found instanceof kind)) throw new Error(`the page lacks ${selector}`);
  return found;
}

const who = one("#who", HTMLElement);
const signIn = one("#sign-in", HTMLFormElement);
const shop = one("#shop", HTMLElement);
const shelf = one("#shelf", HTMLElement);
const lines = one("#lines", HTMLElement);
const total = one("#total", HTMLElement);
const checkout = one("#checkout", HTMLFormElement);
const pay = one("#checkout button", HTMLButtonElement);
const outcome = one("#outcome", HTMLElement);

/** Who is asking: the token goes to the shop alone, the tenant into the trace. */
const customer = { token: "", tenant: "" };
/** @type {Map<number, { product: Product, quantity: number }>} */
const basket = new Map();

/** @param {string} tag @param {string} text @param {Partial<HTMLElement>} more */
function element(tag, text = "", more = {}) {
  return Object.assign(document.createElement(tag), { textContent: text }, more);
}

function money(/** @type {number} */ cents) {
  return (cents / 100).toLocaleString("en", { style: "currency", currency: "EUR" });
}

/** What the browser knows of how this page came to be, in milliseconds since it began. */
function pageTimings() {
  const [load] = performance.getEntriesByType("navigation");
  if (!(load instanceof PerformanceNavigationTiming)) return {};
  return {
    "page.response_end_ms": load.responseEnd,
    "page.dom_interactive_ms": load.domInteractive,
    "page.load_ms": load.loadEventEnd || load.domContentLoadedEventEnd,
  };
}

/** Resolves when what was just put on the page has been painted; at once where nobody looks. */
function painted() {
  if (document.hidden) return Promise.resolve();
  return new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
}

/**
 * Ask the shop for something because of a click, and show what it said.
 *
 * The root span lasts from the click until the answer is painted; the call below it is
 * what the shop itself goes on with.
 *
 * @param {Event} click
 * @param {string} name
 * @param {{ method: string, path: string, template?: string, body?: object }} call
 * @param {(answer: Answer) => void} show
 */
async function ask(click, name, call, show) {
  const root = new Span(name, KIND.internal, click.timeStamp);
  const handled = performance.now();
  root.attributes = {
    ...pageTimings(),
    "page.age_ms": click.timeStamp,
    "click.delay_ms": handled - click.timeStamp,
    ...(customer.tenant ? { tenant_id: customer.tenant } : {}),
  };
  root.event("click", click.timeStamp);
  root.event("handler", handled);
  const { span, answer } = await exchange(root, call);
  root.failed = span.failed;
  root.event("answer read");
  show(answer);
  await painted();
  root.event("painted");
  root.end();
  await send(OTLP_URL, [root, span], RESOURCE);
}

/**
 * @param {Span} root
 * @param {{ method: string, path: string, template?: string, body?: object }} call
 * @returns {Promise<{ span: Span, answer: Answer }>}
 */
async function exchange(root, call) {
  const template = call.template ?? call.path;
  const span = new Span(`${call.method} ${template}`, KIND.client, performance.now(), root);
  span.attributes = {
    "http.request.method": call.method,
    "url.full": new URL(call.path, location.href).href,
    "url.template": template,
    "server.address": location.hostname,
    "server.port": Number(location.port || 80),
    "service.peer.name": "gateway",
    ...(customer.tenant ? { tenant_id: customer.tenant } : {}),
  };
  const answer = { status: 0, body: /** @type {any} */ (null), traceId: root.traceId };
  try {
    const response = await fetch(call.path, {
      method: call.method,
      headers: {
        ...span.headers({ tenant_id: customer.tenant }),
        ...(customer.token ? { Authorization: `Bearer ${customer.token}` } : {}),
        ...(call.body ? { "Content-Type": "application/json" } : {}),
      },
      body: call.body ? JSON.stringify(call.body) : null,
    });
    span.event("headers");
    answer.status = response.status;
    answer.body = await response.json();
    span.attributes["http.response.status_code"] = response.status;
    if (!response.ok) span.attributes["error.type"] = String(response.status);
    span.failed = !response.ok;
  } catch (problem) {
    span.attributes["error.type"] = problem instanceof Error ? problem.name : "_OTHER";
    span.failed = true;
  }
  span.end();
  return { span, answer };
}

/** Say in a customer's words what went wrong, with the code that leads to its trace. */
function failure(/** @type {Answer} */ answer) {
  const panel = element("div", "", { className: "failure" });
  const title = answer.body?.title ?? "No answer";
  panel.append(element("h3", answer.status ? `${title} (${answer.status})` : title));
  if (answer.body?.reason) panel.append(element("p", `The bank says: ${answer.body.reason.replaceAll("_", " ")}.`));
  panel.append(element("p", "We are sorry. If you call us, please give us this support code:"));
  const code = element("p");
  code.append(element("code", answer.body?.support_code ?? answer.traceId));
  panel.append(code);
  return panel;
}

function ok(/** @type {Answer} */ answer) {
  return answer.status >= 200 && answer.status < 300 && answer.body !== null;
}

function showShelf(/** @type {Answer} */ answer) {
  if (!ok(answer)) {
    shelf.replaceChildren(failure(answer));
    return;
  }
  shelf.replaceChildren(
    ...answer.body.items.map((/** @type {Product} */ product) => {
      const item = element("li");
      const foot = element("div", "", { className: "foot" });
      const add = element("button", "Add", { ariaLabel: `Add ${product.name}` });
      add.addEventListener("click", () => put(product));
      foot.append(element("b", money(product.price_cents)), add);
      item.append(element("strong", product.name), element("p", product.description), foot);
      return item;
    }),
  );
}

function put(/** @type {Product} */ product) {
  const line = basket.get(product.product_id) ?? { product, quantity: 0 };
  line.quantity += 1;
  basket.set(product.product_id, line);
  outcome.replaceChildren();
  showBasket();
}

function showBasket() {
  const held = [...basket.values()];
  lines.replaceChildren(
    ...held.map(({ product, quantity }) => {
      const item = element("li");
      item.append(
        element("span", `${quantity} × ${product.name}`),
        element("span", money(quantity * product.price_cents)),
      );
      return item;
    }),
  );
  const cents = held.reduce((sum, each) => sum + each.quantity * each.product.price_cents, 0);
  total.textContent = held.length ? `Together ${money(cents)}` : "Nothing is in it yet.";
  pay.disabled = held.length === 0;
}

signIn.addEventListener("submit", (event) => {
  event.preventDefault();
  const given = new FormData(signIn);
  const body = { email: given.get("email"), password: given.get("password") };
  void ask(event, "click Sign in", { method: "POST", path: "/login", body }, (answer) => {
    signIn.querySelector(".failure")?.remove();
    if (!ok(answer)) {
      signIn.append(failure(answer));
      return;
    }
    customer.token = answer.body.token;
    customer.tenant = answer.body.tenant_id;
    who.textContent = `${body.email}, of ${customer.tenant}`;
    signIn.hidden = true;
    shop.hidden = false;
    void ask(event, "open the shelf", { method: "GET", path: "/products?page=1", template: "/products" }, showShelf);
  });
});

checkout.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!basket.size) return;
  pay.disabled = true;
  outcome.replaceChildren(element("p", "One moment …"));
  const items = [...basket.values()].map(({ product, quantity }) => ({
    product_id: product.product_id,
    quantity,
  }));
  const card = { number: new FormData(checkout).get("card") };
  void ask(event, "click Checkout", { method: "POST", path: "/checkout", body: { items, card } }, (answer) => {
    if (!ok(answer)) {
      outcome.replaceChildren(failure(answer));
      pay.disabled = false;
      return;
    }
    const receipt = element("div", "", { className: "receipt" });
    receipt.append(
      element("h3", "Thank you, it is on its way"),
      element("p", `Order ${answer.body.order_id}, ${money(answer.body.total_cents)}`),
    );
    basket.clear();
    showBasket();
    outcome.replaceChildren(receipt);
  });
});
