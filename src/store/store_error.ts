/** The database, or a backup of it, cannot be used. The message is a sentence for the owner; the file is as it was. */
export class StoreError extends Error {
  /** Always `"StoreError"`. */
  override readonly name = "StoreError";
}
