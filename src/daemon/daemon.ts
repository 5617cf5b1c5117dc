import { gpuLayer, reasonOf } from "@ark/node/protocol";
import { isIP } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { AuditLog } from "@ark/node/audit";
import { join } from "node:path";
import { type Config, CONFIG_FILE_NAMES, type OwnSettings } from "@ark/node/config";
import { ContentPeers, Library, PackShelf } from "@ark/node/content";
import {
  ApiKeyBook,
  ContentRecord,
  Denials,
  type Finding,
  introductions,
  loadAdminToken,
  localApp,
  meetingRoutes,
  type MeshApp,
  meshApp,
  OwnerSessions,
  ResponseShelf,
  ROTATE_PATH,
  rotateRoute,
  toldAddress,
} from "@ark/node/http";
import { type NodeId, prepareRotation, unsafeEnvironment } from "@ark/node/identity";
import type { WorkerProgram } from "@ark/node/inference";
import { RegistryClient } from "@ark/node/discovery";
import { SeedingPolicy } from "@ark/node/models";
import type { PeerBook } from "@ark/node/peers";
import { RemoteBackend, Router, Upstream, withUpstreams } from "@ark/node/routing";
import { openStore } from "@ark/node/store";
import { Events, Logger, Metrics } from "@ark/node/telemetry";
import { formatAddress, listenMesh, type PeerAddress } from "@ark/node/transport";
import { backedUp, refuseUnfinishedRestore } from "./backups.ts";
import { ConfigWatch } from "./config_watch.ts";
import { openCopies } from "./copies.ts";
import { lockDataDirectory } from "./data_lock.ts";
import { Doctor } from "./doctor/doctor.ts";
import { Journeys } from "./journeys.ts";
import { LocalListeners } from "./local_listeners.ts";
import { meteredEvents } from "./metered_events.ts";
import { RegistryMember } from "./registry_member.ts";
import { RegistryServer } from "./registry_server.ts";
import { observedAnswers } from "./observed_answers.ts";
import { nodeGauges } from "./node_gauges.ts";
import { OfferChanges } from "./offer_changes.ts";
import { openNeighbours } from "./neighbours.ts";
import { identityOf, refuseBrokenPin } from "./own_identity.ts";
import { OwnHardware } from "./own_hardware.ts";
import { PowerMeter } from "./energy/power_meter.ts";
import { ownModels } from "./own_models.ts";
import { refusedApps } from "./refused_apps.ts";
import type { OwnEngine, Role } from "./role.ts";
import { type Service, supervise } from "./service.ts";
import { openSharing } from "./sharing/open_sharing.ts";
import type { YieldTimes } from "./sharing/steady_use.ts";
import { OwnNodes } from "./wake/own_nodes.ts";
import { ownWakeFacts } from "./wake/own_wake_facts.ts";
import { attempt, StartError } from "./start_error.ts";
import { swarmPeers } from "./swarm_peers.ts";
import { tracesOf } from "./traces_of.ts";
import { Uploads } from "./uploads.ts";
import { openWarmth } from "./warmth.ts";
import { workerProgram } from "./worker_command.ts";

/** Options of {@linkcode startDaemon} beside the configuration. */
export interface DaemonOptions {
  /** What this node is. */
  roles: readonly Role[];
  /** Version of the program. */
  version: string;
  /** Takes log lines; the default is standard error. */
  logger?: Logger;
  /** Command of a worker process; the default is this very program. */
  workerCommand?: readonly string[] | WorkerProgram;
  /** Reads the configuration anew, so that changes of its file can be followed; without it nobody looks. */
  reload?(): Promise<Config>;
  /** What the node is set to, for its owner to see and to change; without it nobody can. */
  settings?: OwnSettings;
  /** How long a use of the machine must last before it counts; the default is for people. */
  yieldTimes?: Partial<YieldTimes> & { everyMs?: number };
  /** Reads the environment; the default is the process's. */
  env?: (name: string) => string | undefined;
}

/** A running node. Disposing it stops it at once; {@linkcode drain} lets running answers end before. */
export interface Daemon extends AsyncDisposable {
  /** Who it is. */
  readonly id: NodeId;
  /** Where its API listens. */
  readonly api: PeerAddress;
  /** Where clients of Ollama find it, or null. */
  readonly ollama: PeerAddress | null;
  /** Where peers connect. */
  readonly mesh: PeerAddress;
  /** Where it listens as a registry, or null. */
  readonly registry: PeerAddress | null;
  /** Its engine's models, or null where it has no engine. */
  readonly engine: OwnEngine | null;
  /** Approved peers. */
  readonly book: PeerBook;
  /** Who can reach it, and what is wrong with that. */
  exposure(): Finding[];
  /** Takes no new work, and waits until running answers have ended or the time is over. */
  drain(ms: number): Promise<void>;
}

/** Room that is kept on the disk to record the end of what runs when it is full. */
const AUDIT_RESERVE_BYTES = 64 << 20;

/** Groups of entries that are durable and not yet in the file for reading. */
const AUDIT_JOURNAL_BYTES = 32 << 20;

/** How long a start waits for the first look at the models, in milliseconds. */
const SCAN_MS = 1_000;

/**
 * Starts a node: data directory, key, database, audit log, both listeners, then everything that works in the background.
 * When this returns, the node answers. What was opened is closed again where a later step fails.
 *
 * @throws {StartError} with one sentence for the owner.
 */
export async function startDaemon(config: Config, options: DaemonOptions): Promise<Daemon> {
  const { roles, version, env = (name) => Deno.env.get(name) } = options;
  const logger = options.logger ?? new Logger({ level: config.logLevel, format: config.logFormat });
  refuseUnsafeEnvironment(env);
  await using opened = new AsyncDisposableStack();

  const lock = opened.use(await lockDataDirectory(config.paths));
  await refuseUnfinishedRestore(config.paths);
  const { identity, chain } = await identityOf(config.paths.key, logger);
  const pinned = refuseBrokenPin(identity, logger);
  const token = await attempt("read the admin token", () => loadAdminToken(config.paths.adminToken));
  const store = opened.use(
    await attempt("open the database", () => openStore(config.paths.database, backedUp(logger))),
  );
  const metrics = new Metrics();
  const events = new Events();
  const metered = meteredEvents(events, metrics);
  const traces = tracesOf(config, { identity, version, metrics, logger });
  const journeys = new Journeys({ events, metrics, tracer: traces?.tracer ?? null });
  const audit = opened.use(
    await attempt(
      "open the audit log",
      () =>
        AuditLog.open({
          store,
          mirror: config.paths.audit,
          logger,
          events,
          identity,
          reserveBytes: AUDIT_RESERVE_BYTES,
          journalBytes: AUDIT_JOURNAL_BYTES,
        }),
    ),
  );

  const keys = opened.use(await attempt("read the API keys", () => ApiKeyBook.open({ store })));

  const engine = engineOf(roles, {
    config,
    identity,
    store,
    logger,
    events,
    workerCommand: options.workerCommand ?? workerProgram(config.paths.root),
  });
  const scanned = engine?.catalogue.refresh().catch(() => {});
  if (engine !== null) opened.use(engine.backend);
  if (engine !== null) opened.use(engine.shelf);
  const neighbours = opened.use(await openNeighbours({ config, identity, chain, store, audit, events, logger }));
  const { book, client, gate, neighbourhood, rotations, table, witness } = neighbours;
  let ownerAtWork = () => false;
  const warmth = engine === null ? null : opened.use(
    await openWarmth({
      config,
      self: identity.id,
      engine,
      store,
      book,
      table,
      metrics,
      logger,
      free: () => !ownerAtWork(),
    }),
  );
  const ownNodes = opened.use(await OwnNodes.open({ config, book, table, client, logger }));
  const upstreams = config.upstreams.map((one) => new Upstream({ ...one, logger }));
  const router = new Router({
    name: config.name,
    local: engine,
    upstreams,
    table,
    reputation: neighbours.reputation,
    remote: (id) => {
      const peer = book.get(id);
      return peer === undefined ? null : new RemoteBackend({ peer, table, client, audit, logger });
    },
    hedge: config.hedge,
    stall: config.stall,
    move: config.move,
    sleepers: ownNodes,
    logger,
  });

  const packs = opened.use(new PackShelf({ directories: config.contentDirectories, logger }));
  const library = new Library({
    shelf: packs,
    peers: new ContentPeers({ approved: () => book.list(), addresses: (id) => table.addresses(id), client }),
  });
  const shelved = packs.refresh().catch(() => {});

  const copies = engine === null
    ? null
    : await openCopies({ config, self: identity.id, engine, book, table, client, logger });

  const hardware = new OwnHardware({ engine: engine?.backend ?? null, gpu: config.gpu, show: config.showHardware });
  const power = new PowerMeter({
    history: journeys.energy,
    usesGpu: () => (engine?.backend.loaded() ?? []).some(({ gpu }) => gpuLayer(gpu) !== null),
  });
  const peerMetrics = new Metrics();
  const offerChanges = new OfferChanges(metrics, table);
  nodeGauges({ metrics, peerMetrics }, { table, router, engine });
  let accepting = true;
  let doctor: Doctor | null = null;
  let peersChange = (_: { yields: boolean }) => {};
  const sharing = await openSharing({
    config,
    engine: engine?.backend ?? null,
    changed: (how) => peersChange(how),
    events,
    logger,
    ...options.yieldTimes === undefined ? {} : { times: options.yieldTimes },
  });
  const closing = new AbortController();
  const counter = metrics.counter("ark_denials_total", "Requests of peers that were turned away.", ["code"]);
  const denials = new Denials({ audit, counter, logger });
  engine?.models.join(swarmPeers(neighbours));
  const seeding = new SeedingPolicy(config.seeding);
  const uploads = opened.use(
    new Uploads({
      files: engine?.shelf ?? null,
      modelOf: (ref) => engine?.catalogue.find(ref)?.id,
      peers: book,
      gate: {
        permits: (peer, act, model) => gate.permits(peer, act, model) && seeding.mayServe(model) === true,
      },
      accepting: () => accepting,
      limit: config.uploadLimit,
      working: () => (engine?.backend.busy ?? 0) > 0 || table.list().some(({ inFlight }) => inFlight > 0),
      audit,
      denials,
      events,
      logger,
      metrics,
      peerMetrics,
    }),
  );
  const peersApp: MeshApp = meshApp({
    blobs: uploads.routes,
    identity,
    name: config.name,
    peers: book,
    gate,
    audit,
    denials,
    witness,
    content: { shelf: packs, gate: neighbours.contentGate, record: new ContentRecord({ audit }) },
    ...copies === null ? {} : { copies: copies.keeper },
    engine: config.shareUpstreams ? withUpstreams(engine, upstreams) : engine,
    contextSize: config.contextSize,
    accepting: () => accepting,
    sharing,
    wake: ownWakeFacts,
    asked(id, address) {
      neighbourhood.asked(id, address);
      table.heard(id);
      doctor?.noteAsked(id);
    },
    logger,
    events: metered,
    hardware: () => hardware.shown,
    serving: (backend, asked) => journeys.serving(backend, asked),
  });
  ownerAtWork = () => sharing.ownerAtWork;
  peersChange = ({ yields }) => {
    if (yields) peersApp.makeWay();
    peersApp.changed();
  };
  opened.defer(() => peersApp.settled());
  const mesh = opened.use(
    await bound("mesh-listen", config.meshListen, () =>
      listenMesh({
        ...config.meshListen,
        identity,
        standing: (id) => book.standing(id),
        handler: (request, caller) => peersApp.fetch(request, caller),
        introductions: introductions({
          [ROTATE_PATH]: rotateRoute({ rotations, asked: (id, address) => neighbourhood.asked(id, address) }),
          ...meetingRoutes({ ...neighbours, self: identity.id, name: config.name, audit, events, denials, logger }),
        }),
        knock: (caller, url) => {
          const listed = neighbourhood.asked(caller.nodeId, toldAddress(url, caller.remote));
          if (listed) events.emit({ type: "peer", change: "knocked", peer: caller.nodeId });
        },
        refused: (refusal) => denials.note(refusal),
      })),
  );
  neighbours.listening(mesh, {
    changed: () => {
      peersApp.changed();
      uploads.recheck();
    },
  });
  const meshAddress = { hostname: mesh.hostname, port: mesh.port };

  const refused = refusedApps({ metrics, logger });
  const shelf = new ResponseShelf();
  const sessions = new OwnerSessions();
  const allowOrigins = new Set(config.allowOrigins);
  const local = opened.use(
    await bound("listen", config.listen, () =>
      LocalListeners.listen(config.listen, (api) => {
        const doctorHere = doctor ??= new Doctor({
          config,
          env,
          local: api,
          mesh: meshAddress,
          keys,
          book,
          audit,
          client,
          self: identity.id,
          reload: options.reload,
          table,
          neighbourhood,
          rotations,
          engine,
        });
        return localApp({
          admin: {
            ...neighbours,
            token,
            identity,
            name: config.name,
            version,
            roles: roles.map(({ name }) => name),
            api,
            mesh: meshAddress,
            accepting: () => accepting,
            sharing,
            ...options.settings === undefined ? {} : { settings: options.settings },
            wake: ownNodes,
            rotate: () => prepareRotation(config.paths.key),
            audit,
            events,
            sessions,
            ledger: journeys.ledger,
            history: journeys.history,
            energy: journeys.energy,
            hardware: () => hardware.look(),
            router,
            upstreams,
            engine,
            closing: closing.signal,
            keys,
            keysRequired: config.requireKeys,
            doctor: doctorHere,
            copies,
          },
          api: roles.some(({ api }) => api)
            ? { answers: observedAnswers(router, { events: metered, journeys, logger }), logger }
            : null,
          shelf,
          keeper: engine === null ? null : ownModels(engine),
          content: library,
          metrics,
          peerMetrics,
          allowHosts: [...config.allowHosts, ...namesOf(config.listen)],
          allowOrigins,
          proxied: () => doctorHere.noteProxied(),
          refused,
        });
      }, { ollamaPort: config.ollamaPort })),
  );
  // A node that is ready knows its models, unless their disk is slow: then it learns of them a little later.
  await within(SCAN_MS, Promise.all([scanned, shelved]));
  const [shadowed] = engine?.catalogue.shadowed() ?? [];
  if (shadowed !== undefined) throw new StartError(`Cannot use --alias: ${shadowed}`);
  await pinned;
  await lock.announce({ pid: Deno.pid, api: `http://${formatAddress(local.own)}` });

  if (engine !== null && engine.catalogue.list().length > 0) engine.backend.warmUp();
  const registry = roles.some(({ name }) => name === "registry")
    ? opened.use(await bound("registry-listen", config.registry.listen, () => RegistryServer.start(config)))
    : null;
  const member = config.registry.url === null || config.registry.endpoints.length === 0 ? null : new RegistryMember({
    client: new RegistryClient(config.registry.url),
    identity,
    settings: config.registry,
    models: () => engine?.catalogue.list().map(({ id }) => id) ?? [],
    logger,
  });
  const { reload } = options;
  const watch = reload === undefined ? null : new ConfigWatch({
    config,
    // One that is written while the node runs counts as well.
    file: config.file ?? join(config.paths.root, CONFIG_FILE_NAMES[0]),
    load: reload,
    apply(next) {
      logger.setLevel(next.logLevel);
      allowOrigins.clear();
      for (const origin of next.allowOrigins) allowOrigins.add(origin);
      sharing.configure(next);
    },
    logger,
  });
  const services: Service[] = [
    ...(registry === null ? [] : [{ name: "registry", run: (signal: AbortSignal) => registry.run(signal) }]),
    ...(member === null ? [] : [{ name: "listing", run: (signal: AbortSignal) => member.run(signal) }]),
    ...(watch === null ? [] : [{ name: "configuration", run: (signal: AbortSignal) => watch.run(signal) }]),
    ...neighbours.services(),
    ...upstreams.map((one) => ({ name: `upstream ${one.name}`, run: (signal: AbortSignal) => one.run(signal) })),
    { name: "offer changes", run: (signal) => offerChanges.run(signal) },
    { name: "sharing", run: (signal) => sharing.run(signal) },
    { name: "own nodes", run: (signal) => ownNodes.run(signal) },
    { name: "hardware", run: (signal) => hardware.run(signal) },
    { name: "power", run: (signal) => power.run(signal) },
    ...copies === null ? [] : [{ name: "copies", run: (signal: AbortSignal) => copies.keeper.run(signal) }],
    { name: "content", run: (signal) => packs.run(signal) },
    { name: "keys", run: (signal) => keys.run(signal) },
    ...(traces === null ? [] : [{ name: "traces", run: (signal: AbortSignal) => traces.exporter.run(signal) }]),
    { name: "denials", run: (signal) => denials.run(signal) },
    { name: "checkpoints", run: (signal) => audit.checkpoints.run(signal) },
    { name: "reserve", run: (signal) => audit.keepReserve(signal) },
    ...warmth?.services() ?? [],
    ...(engine === null ? [] : [{ name: "models", run: (signal: AbortSignal) => engine.catalogue.run(signal) }]),
    ...(engine === null ? [] : [{ name: "parts", run: (signal: AbortSignal) => engine.models.run(signal) }]),
    ...(engine === null ? [] : [{ name: "engine", run: (signal: AbortSignal) => engine.backend.run(signal) }]),
  ];
  const stop = new AbortController();
  const running = supervise(services, { signal: stop.signal, logger });
  opened.defer(async () => {
    stop.abort();
    await running;
  });

  const resources = opened.move();
  return {
    id: identity.id,
    api: local.address,
    ollama: local.ollama,
    mesh: meshAddress,
    registry: registry?.address ?? null,
    engine,
    book,
    exposure: () => doctor?.exposure() ?? [],
    async drain(ms) {
      accepting = false;
      peersApp.changed();
      closing.abort();
      await within(ms, Promise.all([local.drain(), peersApp.settled()]));
    },
    async [Symbol.asyncDispose]() {
      accepting = false;
      closing.abort();
      await resources.disposeAsync();
    },
  };
}

/** The name by which the owner told where to listen, where it is one. */
function namesOf({ hostname }: PeerAddress): string[] {
  return isIP(hostname) === 0 ? [hostname] : [];
}

function refuseUnsafeEnvironment(env: (name: string) => string | undefined): void {
  const sentence = unsafeEnvironment(env);
  if (sentence !== null) throw new StartError(sentence, { exitCode: 78 });
}

function engineOf(roles: readonly Role[], context: Parameters<NonNullable<Role["engine"]>>[0]): OwnEngine | null {
  return roles.find((role) => role.engine !== undefined)?.engine?.(context) ?? null;
}

async function bound<T>(flag: string, { hostname, port }: PeerAddress, listen: () => Promise<T>): Promise<T> {
  try {
    return await listen();
  } catch (error) {
    if (error instanceof StartError) throw error;
    const where = formatAddress({ hostname, port });
    const code = (error as { code?: unknown }).code;
    if (error instanceof Deno.errors.AddrInUse || code === "EADDRINUSE") {
      throw new StartError(
        `Another program already listens on ${where}: stop it, or choose another address with --${flag}`,
      );
    }
    throw new StartError(`Cannot listen on ${where} (--${flag}): ${reasonOf(error)}`, { cause: error });
  }
}

/** Waits for something, but no longer than some time. */
async function within(ms: number, work: Promise<unknown> | undefined): Promise<void> {
  const enough = new AbortController();
  const late = pause(ms, undefined, { signal: enough.signal }).catch(() => {});
  await Promise.race([work, late]);
  enough.abort();
}
