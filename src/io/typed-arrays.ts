/**
 * A `Uint8Array`. These are typed arrays over memory that no other thread shares, as browsers want
 * them to sign, hash or send. Since 5.7 TypeScript writes `Uint8Array<ArrayBuffer>` for that, and
 * before knows no such parameter; taken from what makes them, public declarations are right in
 * both.
 */
export type NonSharedUint8Array = ReturnType<Uint8ArrayConstructor["of"]>;
/** An `Int32Array`, as {@link NonSharedUint8Array}. */
export type NonSharedInt32Array = ReturnType<Int32ArrayConstructor["of"]>;
/** A `Uint32Array`, as {@link NonSharedUint8Array}. */
export type NonSharedUint32Array = ReturnType<Uint32ArrayConstructor["of"]>;
/** A `Float32Array`, as {@link NonSharedUint8Array}. */
export type NonSharedFloat32Array = ReturnType<Float32ArrayConstructor["of"]>;
