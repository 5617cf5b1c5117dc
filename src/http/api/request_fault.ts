import { ArkError } from "@ark/node/protocol";

/**
 * What is wrong with a field: its value can never be right, this node cannot do yet what it asks for, or it names an answer
 * that is not kept here.
 */
export type FaultCode = "invalid_value" | "unsupported_value" | "previous_response_not_found";

/** A request that is refused for one of its fields. */
export class RequestFault extends ArkError {
  /** The field, such as `messages[2].content`. */
  readonly param: string;
  /** Shown as the error's `code`. */
  readonly fault: FaultCode;

  /** Makes an error about one field. */
  constructor(fault: FaultCode, { param, message }: { param: string; message: string }) {
    super("bad_request", message);
    this.param = param;
    this.fault = fault;
  }
}

/** A value that can never be right; `rule` goes on after "Field x". */
export function invalid(param: string, rule: string): RequestFault {
  return new RequestFault("invalid_value", { param, message: `Field ${param} ${rule}` });
}

/** A value that asks for what this node cannot do yet; `rule` goes on after "Field x". */
export function unsupported(param: string, rule: string): RequestFault {
  return new RequestFault("unsupported_value", { param, message: `Field ${param} ${rule}` });
}
