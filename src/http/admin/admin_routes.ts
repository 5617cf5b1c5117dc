import { Hono } from "hono";
import type { AuditLog } from "@ark/node/audit";
import { formatNodeId, formatPublicKey, type Identity } from "@ark/node/identity";
import type { LocalBackend } from "@ark/node/inference";
import type { BlobShelf, ModelCatalogue, ModelStore } from "@ark/node/models";
import { toArkError } from "@ark/node/protocol";
import type { Router, Upstream } from "@ark/node/routing";
import type { Events } from "@ark/node/telemetry";
import type { PeerAddress } from "@ark/node/transport";
import { formatAddress } from "@ark/node/transport";
import { arkErrorResponse } from "../ark_error.ts";
import { adminGuard } from "./admin_guard.ts";
import { auditRoutes, type AuditRoutesOptions } from "./audit_routes.ts";
import { carryRoutes } from "./carry_routes.ts";
import { keyRoutes, type KeyRoutesOptions } from "../keys/key_routes.ts";
import { doctorRoute, type DoctorRouteOptions, exposures } from "./doctor_route.ts";
import { copiesRoutes, type CopiesRoutesOptions } from "./copies_routes.ts";
import { modelRoutes } from "./model_routes.ts";
import { pauseRoutes } from "./pause_routes.ts";
import { inviteRoutes, type InviteRoutesOptions } from "./invite_routes.ts";
import { pairRoutes } from "./pair_routes.ts";
import { peerRoutes, type PeerRoutesOptions } from "./peer_routes.ts";
import { reputationRoutes, type ReputationRoutesOptions } from "./reputation_routes.ts";
import { rotationRoutes, type RotationRoutesOptions } from "./rotation_routes.ts";
import { settingsRoutes, type SettingsRoutesOptions } from "./settings_routes.ts";
import { sharingRoutes, type SharingRoutesOptions } from "./sharing_routes.ts";
import type { ViewRoutesOptions } from "./view_routes.ts";
import { wakeRoutes, type WakeRoutesOptions } from "./wake_routes.ts";
import { whyRoutes, type WhyRoutesOptions } from "./why_routes.ts";

/** What the admin API needs. */
export interface AdminOptions
  extends
    PeerRoutesOptions,
    AuditRoutesOptions,
    RotationRoutesOptions,
    InviteRoutesOptions,
    KeyRoutesOptions,
    DoctorRouteOptions,
    CopiesRoutesOptions,
    SettingsRoutesOptions,
    SharingRoutesOptions,
    WakeRoutesOptions,
    Pick<ViewRoutesOptions, "ledger" | "hardware" | "history" | "energy" | "sessions">,
    Pick<WhyRoutesOptions, "gate" | "accepting"> {
  /** The audit log. */
  audit: AuditLog;
  /** The admin token. */
  token: string;
  /** This node. */
  identity: Identity;
  /** Its label. */
  name: string;
  /** Version of the program. */
  version: string;
  /** Its roles. */
  roles: readonly string[];
  /** Where its API listens. */
  api: PeerAddress;
  /** Where peers connect. */
  mesh: PeerAddress;
  /** What happens, as it happens. */
  events: Events;
  /** Servers that the owner named, or none. */
  upstreams?: readonly Pick<Upstream, "status" | "name" | "inFlight" | "models">[];
  /** Everything within reach. */
  router: Pick<Router, "models" | "explain"> & Partial<Pick<Router, "asleepWith">> & ReputationRoutesOptions["router"];
  /** This node's own models, or null. */
  engine: {
    /** Runs them. */
    backend: Pick<LocalBackend, "loaded" | "loading" | "queued" | "failure" | "fault">;
    /** Knows which there are, and what cannot be used. */
    catalogue: Pick<ModelCatalogue, "list" | "faults" | "find">;
    /** Fetches and removes them. */
    models?: Pick<ModelStore, "pull" | "remove" | "copy" | "waiting" | "diskUse" | "obtain" | "approve" | "limits">;
    /** What it can give of their files. */
    shelf?: Pick<BlobShelf, "find" | "manifest">;
  } | null;
}

const STARTED = performance.now();

/**
 * The owner's own calls, each with the admin token:
 *
 * | call | answer |
 * |---|---|
 * | `GET /status` | who this node is, where it listens, how it stands |
 * | `GET /peers/discovered`, `GET /peers/status`, `POST /peers/approve`, `POST /peers/revoke` | see {@linkcode peerRoutes} |
 * | `GET /keys`, `POST /keys`, `POST /keys/revoke` | see {@linkcode keyRoutes} |
 * | `GET /doctor` | what is exposed or wrong, see {@linkcode doctorRoute} |
 * | `POST /peers/pause`, `POST /peers/resume`, `GET /peers/why?peer=…&model=…` | see {@linkcode pauseRoutes}, {@linkcode whyRoutes} |
 * | `POST /peers/wake` | see {@linkcode wakeRoutes} |
 * | `GET /peers/reputation`, `POST /peers/reputation/reset` | see {@linkcode reputationRoutes} |
 * | `GET /peers/rotations`, `POST /peers/rotations/accept`, `POST /identity/rotate` | see {@linkcode rotationRoutes} |
 * | `/peers/pair…`, `/peers/pending`, `/peers/ignore`, `/peers/unignore` | see {@linkcode pairRoutes} |
 * | `/invites…` | see {@linkcode inviteRoutes} |
 * | `GET /sharing`, `POST /sharing/pause`, `POST /sharing/resume` | see {@linkcode sharingRoutes} |
 * | `GET /settings`, `POST /settings` | see {@linkcode settingsRoutes} |
 * | `GET /models`, `GET /models/show`, `POST /models/pull`, `POST /models/remove`, `POST /models/copy` | see {@linkcode modelRoutes} |
 * | `GET /models/copies`, `POST /models/copies` | see {@linkcode copiesRoutes} |
 * | `POST /models/export`, `POST /models/import`, `POST /models/approve` | see {@linkcode carryRoutes} |
 * | `GET /audit?count=N`, `GET /audit/…`, `POST /audit/prune` | see {@linkcode auditRoutes} |
 */
export function adminRoutes(options: AdminOptions): Hono {
  const app = new Hono();
  const guard = adminGuard(options);
  for (const path of ["/status", "/doctor", "/identity/*"]) app.use(path, guard);
  for (const path of ["/keys", "/models", "/peers", "/invites", "/audit", "/settings", "/sharing"]) {
    app.use(path, guard).use(`${path}/*`, guard);
  }
  app.get("/status", ({ json }) => json(status(options)));
  app.route("/keys", keyRoutes(options));
  app.route("/doctor", doctorRoute(options));
  app.route("/models/copies", copiesRoutes(options));
  app.route("/models", modelRoutes(options));
  app.route("/models", carryRoutes(options));
  app.route("/peers", peerRoutes(options));
  app.route("/peers", pauseRoutes(options));
  app.route("/peers", wakeRoutes(options));
  app.route("/peers", whyRoutes(options));
  app.route("/peers", reputationRoutes(options));
  app.route("/", rotationRoutes(options));
  app.route("/peers", pairRoutes(options));
  app.route("/invites", inviteRoutes(options));
  app.route("/audit", auditRoutes(options));
  app.route("/settings", settingsRoutes(options));
  app.route("/sharing", sharingRoutes(options));
  app.onError((error) => arkErrorResponse(toArkError(error)));
  return app;
}

function status(options: AdminOptions) {
  const { identity, name, version, roles, engine, router, table, neighbourhood, book, audit, api, mesh } = options;
  const peers = table.list();
  const upstreams = (options.upstreams ?? []).map((one) => one.status());
  const faults = [
    audit.fault,
    engine?.backend.fault ?? null,
    ...options.witnesses?.faults() ?? [],
    ...options.witness?.faults() ?? [],
    book.fault,
    ...exposures(options),
    ...upstreams.filter(({ ready }) => !ready).map(({ reason }) => reason),
    ...(engine?.catalogue.faults() ?? []).map(({ path, reason }) => `${path}: ${reason}`),
  ];
  return {
    node_id: formatNodeId(identity.id),
    public_key: formatPublicKey(identity.publicKey),
    name,
    version,
    roles,
    pid: Deno.pid,
    uptime_s: Math.round((performance.now() - STARTED) / 1_000),
    api: `http://${formatAddress(api)}`,
    mesh: formatAddress(mesh),
    models: {
      here: engine?.catalogue.list().length ?? 0,
      within_reach: new Set(router.models().flatMap(({ id, asleep }) => asleep ? [] : id)).size,
      loaded: engine?.backend.loaded() ?? [],
      loading: engine?.backend.loading() ?? [],
      queued: engine?.backend.queued ?? 0,
    },
    peers: {
      approved: peers.length,
      ready: peers.filter(({ state }) => state === "ready").length,
      pending: neighbourhood.list().filter(({ id }) => book.standing(id) === "unknown").length,
    },
    sharing: options.sharing?.details() ?? null,
    upstreams,
    faults: faults.filter((fault) => fault !== null),
  };
}
