import type { Command } from "../command.ts";
import { ASK } from "./ask.ts";
import { AUDIT_EXPORT, AUDIT_TAIL, AUDIT_VERIFY } from "./audit.ts";
import { ID } from "./id.ts";
import { ID_ROTATE } from "./id_rotate.ts";
import { MODELS_LIST } from "./models.ts";
import { PEERS_ACCEPT_ROTATION } from "./peers_accept_rotation.ts";
import { PEERS_APPROVE } from "./peers_approve.ts";
import { PEERS_DISCOVERED, PEERS_LIST } from "./peers_list.ts";
import { PEERS_PAUSE, PEERS_RESUME } from "./peers_pause.ts";
import { PEERS_REVOKE } from "./peers_revoke.ts";
import { PEERS_WHY } from "./peers_why.ts";
import { SERVE } from "./serve.ts";
import { STATUS } from "./status.ts";
import { WORKER } from "./worker.ts";

/** All commands, in the order of the help. */
export const COMMANDS: readonly Command[] = [
  SERVE,
  STATUS,
  ID,
  ID_ROTATE,
  PEERS_LIST,
  PEERS_DISCOVERED,
  PEERS_APPROVE,
  PEERS_PAUSE,
  PEERS_RESUME,
  PEERS_REVOKE,
  PEERS_ACCEPT_ROTATION,
  PEERS_WHY,
  MODELS_LIST,
  ASK,
  AUDIT_TAIL,
  AUDIT_EXPORT,
  AUDIT_VERIFY,
  WORKER,
];
