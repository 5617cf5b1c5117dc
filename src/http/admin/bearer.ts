/** What a request shows in its header `Authorization: Bearer …`; empty where it shows nothing so. */
export function bearerOf(headers: Headers): string {
  return /^Bearer\s+(\S+)\s*$/i.exec(headers.get("authorization") ?? "")?.[1] ?? "";
}
