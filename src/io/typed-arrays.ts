/**
 * Typed arrays over memory that no other thread shares, as browsers want them to sign, hash or
 * send. Since 5.7 TypeScript writes `Uint8Array<ArrayBuffer>` for that, and before knows no such
 * parameter; taken from what makes them, public declarations are right in both.
 */
export type NonSharedUint8Array = ReturnType<Uint8ArrayConstructor["of"]>;
export type NonSharedInt32Array = ReturnType<Int32ArrayConstructor["of"]>;
export type NonSharedUint32Array = ReturnType<Uint32ArrayConstructor["of"]>;
export type NonSharedFloat32Array = ReturnType<Float32ArrayConstructor["of"]>;
