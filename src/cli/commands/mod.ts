import type { Command } from "../command.ts";
import { ASK } from "./ask.ts";
import { AUDIT_EXPORT, AUDIT_TAIL, AUDIT_VERIFY } from "./audit.ts";
import { AUDIT_PRUNE } from "./audit_prune.ts";
import { BACKUP, BACKUP_LIST } from "./backup.ts";
import { COMPLETE } from "./complete.ts";
import { completionCommand } from "./completion.ts";
import { CONFIG_CHECK, CONFIG_SCHEMA } from "./config.ts";
import { DOCTOR } from "./doctor.ts";
import { GRID } from "./grid.ts";
import { ID } from "./id.ts";
import { ID_ROTATE } from "./id_rotate.ts";
import { INVITE, INVITES_LIST, INVITES_REVOKE } from "./invites.ts";
import { KEYS_CREATE, KEYS_LIST, KEYS_REVOKE } from "./keys.ts";
import { MODELS_LIST } from "./models.ts";
import { MODELS_APPROVE, MODELS_EXPORT, MODELS_IMPORT } from "./models_carry.ts";
import { MODELS_PULL } from "./models_pull.ts";
import { MODELS_KEEP } from "./models_keep.ts";
import { MODELS_RM } from "./models_rm.ts";
import { MODELS_SHOW } from "./models_show.ts";
import { PAUSE, RESUME } from "./pause.ts";
import { PEERS_ACCEPT } from "./peers_accept.ts";
import { PEERS_ACCEPT_ROTATION } from "./peers_accept_rotation.ts";
import { PEERS_APPROVE } from "./peers_approve.ts";
import { PEERS_DISCOVERED, PEERS_LIST } from "./peers_list.ts";
import { PEERS_PAUSE, PEERS_RESUME } from "./peers_pause.ts";
import { PEERS_PAIR } from "./peers_pair.ts";
import { PEERS_DISMISS, PEERS_IGNORE, PEERS_PENDING, PEERS_UNIGNORE } from "./peers_pending.ts";
import { PEERS_REPUTATION } from "./peers_reputation.ts";
import { PEERS_REVOKE } from "./peers_revoke.ts";
import { PEERS_WHY } from "./peers_why.ts";
import { REGISTRY_LIST } from "./registry.ts";
import { REQUESTS } from "./requests.ts";
import { RESTORE } from "./restore.ts";
import { SERVE } from "./serve.ts";
import { SERVICE_INSTALL, SERVICE_UNINSTALL } from "./service.ts";
import { STATUS } from "./status.ts";
import { TOP } from "./top.ts";
import { UI } from "./ui.ts";
import { WAKE } from "./wake.ts";
import { WG_SUGGEST } from "./wg_suggest.ts";
import { WHY } from "./why.ts";
import { WORKER } from "./worker.ts";

/** All commands, in the order of the help. */
export const COMMANDS: readonly Command[] = [
  SERVE,
  STATUS,
  TOP,
  PAUSE,
  RESUME,
  WAKE,
  UI,
  DOCTOR,
  CONFIG_CHECK,
  CONFIG_SCHEMA,
  BACKUP,
  BACKUP_LIST,
  RESTORE,
  SERVICE_INSTALL,
  SERVICE_UNINSTALL,
  WG_SUGGEST,
  REGISTRY_LIST,
  ID,
  ID_ROTATE,
  PEERS_LIST,
  PEERS_DISCOVERED,
  PEERS_PAIR,
  PEERS_PENDING,
  PEERS_APPROVE,
  PEERS_PAUSE,
  PEERS_RESUME,
  PEERS_REVOKE,
  PEERS_ACCEPT_ROTATION,
  PEERS_WHY,
  PEERS_REPUTATION,
  PEERS_IGNORE,
  PEERS_DISMISS,
  PEERS_UNIGNORE,
  INVITE,
  INVITES_LIST,
  INVITES_REVOKE,
  PEERS_ACCEPT,
  KEYS_LIST,
  KEYS_CREATE,
  KEYS_REVOKE,
  MODELS_LIST,
  MODELS_SHOW,
  MODELS_PULL,
  MODELS_RM,
  MODELS_KEEP,
  MODELS_APPROVE,
  MODELS_EXPORT,
  MODELS_IMPORT,
  ASK,
  GRID,
  REQUESTS,
  WHY,
  AUDIT_TAIL,
  AUDIT_EXPORT,
  AUDIT_VERIFY,
  AUDIT_PRUNE,
  completionCommand(() => COMMANDS),
  COMPLETE,
  WORKER,
];
