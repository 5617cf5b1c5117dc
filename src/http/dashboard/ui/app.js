// deno-lint-ignore-file no-boolean-literal-for-arguments -- that is how setters of hooks are called
/** The frame around all pages: who is logged in, where one is, what the node says meanwhile. */
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { isLoggedIn, logIn, logOut, watchSession } from "./api.js";
import { useConnected } from "./live.js";
import { Act, Field, html, Notes } from "./parts.js";
import { Home } from "./home.js";
import { Neighbours } from "./neighbours.js";
import { Models } from "./models.js";
import { Chat } from "./chat.js";
import { Activity } from "./activity.js";
import { Grid } from "./grid.js";
import { Settings } from "./settings.js";

const PAGES = [
  { path: "home", name: "Home", page: Home, icon: "M3 11l9-7 9 7M5 10v10h5v-6h4v6h5V10" },
  {
    path: "neighbours",
    name: "Neighbours",
    page: Neighbours,
    icon: "M12 5a3 3 0 1 1 0 .1M5 16a3 3 0 1 1 0 .1M19 16a3 3 0 1 1 0 .1M10.500 8l-4 6M13.500 8l4 6M8 18h8",
  },
  {
    path: "models",
    name: "Models",
    page: Models,
    icon: "M12 3l8 4.500v9L12 21l-8-4.500v-9zM12 12l8-4.500M12 12v9M12 12L4 7.500",
  },
  { path: "chat", name: "Chat", page: Chat, icon: "M4 5h16v11H9l-5 4z" },
  { path: "activity", name: "Activity", page: Activity, icon: "M3 12h4l3-8 4 16 3-8h4" },
  { path: "grid", name: "Grid", page: Grid, icon: "M4 20V10M10 20V4M16 20v-7M22 20H2" },
  { path: "settings", name: "Settings", page: Settings, icon: "M4 7h10M18 7h2M4 17h2M10 17h10M14 4v6M6 14v6" },
];

function where() {
  const [path = "home", ...rest] = location.hash.replace(/^#\/?/, "").split("/");
  return { path: path === "" ? "home" : path, rest: rest.map(decodeURIComponent) };
}

function Shell() {
  const [at, setAt] = useState(where);
  const connected = useConnected();
  const [wasConnected, setWasConnected] = useState(false);
  useEffect(() => {
    const move = () => {
      setAt(where());
      document.querySelector("main")?.focus({ preventScroll: true });
      scrollTo(0, 0);
    };
    addEventListener("hashchange", move);
    return () => removeEventListener("hashchange", move);
  }, []);
  useEffect(() => connected && setWasConnected(true), [connected]);
  const { page: Page, name } = PAGES.find(({ path }) => path === at.path) ?? PAGES[0];
  useEffect(() => void (document.title = `${name} · ark-node`), [name]);
  return html`
    <div class="shell">
      <a class="skip" href="#main" onClick=${(event) => {
        event.preventDefault();
        document.querySelector("main").focus();
      }}>Skip to the content</a>
      <nav aria-label="Pages">
        <a class="mark" href="#/home"
          aria-label="ark-node, home"><img src="/ui/mark.svg" alt="" width="28" height="28"/><span>ark-node</span></a>
        <ul>${PAGES.map(({ path, name, icon }) =>
          html`<li key=${path}>
        <a href=${`#/${path}`} aria-current=${at.path === path ? "page" : undefined}>
          <svg viewBox="0 0 24 24" aria-hidden="true"><path d=${icon}/></svg><span>${name}</span></a></li>`
        )}</ul>
        <button type="button" class="leave" onClick=${logOut}>Log out</button>
      </nav>
      <main id="main" tabindex="-1">
          <h1>${name}</h1>
          ${wasConnected && !connected
            ? html`<p class="fault" role="alert">The node does not answer. This page goes on by itself as soon as it does.</p>`
            : null}
          <${Page} rest=${at.rest}/>
        </main>
        <${Notes}/>
      </div>
  `;
}

function Login({ reason }) {
  const [token, setToken] = useState("");
  return html`
    <main class="login">
      <div class="card">
        <img src="/ui/mark.svg" alt="" width="48" height="48"/>
        <h1>ark-node</h1>
        ${reason === null ? null : html`<p class="fault" role="alert">${reason}</p>`}
        <p>This page is for the owner of the node. On its machine, type</p>
        <pre>ark-node ui</pre>
        <p>and open the link that it prints. Or paste the text of <code>admin.token</code> from the data directory:</p>
        <form onSubmit=${(event) => event.preventDefault()}>
          <${Field} label="Admin token"><input type="password" autocomplete="off" value=${token}
            onInput=${(event) => setToken(event.currentTarget.value)}/></${Field}>
          <div class="row end"><${Act} kind="primary" disabled=${token.trim() === ""} act=${() =>
            logIn({ token: token.trim() })}>Log in</${Act}></div>
        </form>
      </div><${Notes}/></main>
  `;
}

function App() {
  const [inside, setInside] = useState(isLoggedIn());
  const [reason, setReason] = useState(null);
  const [opening, setOpening] = useState(/^#code=/.test(location.hash));
  useEffect(() => watchSession(() => setInside(isLoggedIn())), []);
  useEffect(() => {
    const code = /^#code=([\w-]+)$/.exec(location.hash)?.[1];
    if (code === undefined) return;
    // A code counts once: it must not stay in the history.
    history.replaceState(null, "", "/ui/#/home");
    logIn({ code }).catch((error) => setReason(error.message)).finally(() => setOpening(false));
  }, []);
  if (opening) return html`<main class="login" aria-busy="true"></main>`;
  return inside
    ? html`
      <${Shell} />
    `
    : html`<${Login} reason=${reason}/>`;
}

const root = document.getElementById("app");
root.replaceChildren();
render(html`<${App} />`, root);
