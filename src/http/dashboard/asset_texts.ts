// Libraries as they come from npm: the page loads them from this node, and nothing from anywhere else.
import htm from "../../../node_modules/htm/dist/htm.mjs" with { type: "text" };
import hooks from "../../../node_modules/preact/hooks/dist/hooks.mjs" with { type: "text" };
import preact from "../../../node_modules/preact/dist/preact.mjs" with { type: "text" };
import uplot from "../../../node_modules/uplot/dist/uPlot.iife.min.js" with { type: "text" };
import uplotStyle from "../../../node_modules/uplot/dist/uPlot.min.css" with { type: "text" };
import activity from "./ui/activity.js" with { type: "text" };
import api from "./ui/api.js" with { type: "text" };
import app from "./ui/app.js" with { type: "text" };
import chat from "./ui/chat.js" with { type: "text" };
import choice from "./ui/choice.js" with { type: "text" };
import format from "./ui/format.js" with { type: "text" };
import grid from "./ui/grid.js" with { type: "text" };
import home from "./ui/home.js" with { type: "text" };
import invite from "./ui/invite.js" with { type: "text" };
import live from "./ui/live.js" with { type: "text" };
import map from "./ui/map.js" with { type: "text" };
import mark from "./ui/mark.svg" with { type: "text" };
import models from "./ui/models.js" with { type: "text" };
import neighbours from "./ui/neighbours.js" with { type: "text" };
import page from "./ui/index.html" with { type: "text" };
import pairing from "./ui/pairing.js" with { type: "text" };
import parts from "./ui/parts.js" with { type: "text" };
import permissions from "./ui/permissions.js" with { type: "text" };
import plot from "./ui/plot.js" with { type: "text" };
import rows from "./ui/rows.js" with { type: "text" };
import settings from "./ui/settings.js" with { type: "text" };
import setup from "./ui/setup.js" with { type: "text" };
import sharing from "./ui/sharing.js" with { type: "text" };
import style from "./ui/style.css" with { type: "text" };

/** The page. */
export const PAGE_TEXT: string = page;

/** What the page loads, by the name under which it asks for it. */
export const ASSET_TEXTS: Readonly<Record<string, string>> = {
  "preact.js": preact,
  "hooks.js": hooks,
  "htm.js": htm,
  // Its module is not made small for browsers; what is made small is no module.
  "uplot.js": `${uplot}\nexport default uPlot;\n`,
  "uplot.css": uplotStyle,
  "activity.js": activity,
  "api.js": api,
  "app.js": app,
  "chat.js": chat,
  "choice.js": choice,
  "format.js": format,
  "grid.js": grid,
  "home.js": home,
  "invite.js": invite,
  "live.js": live,
  "map.js": map,
  "mark.svg": mark,
  "models.js": models,
  "neighbours.js": neighbours,
  "pairing.js": pairing,
  "parts.js": parts,
  "permissions.js": permissions,
  "plot.js": plot,
  "rows.js": rows,
  "settings.js": settings,
  "setup.js": setup,
  "sharing.js": sharing,
  "style.css": style,
};
