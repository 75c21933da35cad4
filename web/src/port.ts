/** A worker's side of the messages: TypeScript's DOM library has no name for it beside a page's. */
export interface Port<In, Out> {
  postMessage(message: Out, transfer?: Transferable[]): void;
  onmessage: ((event: MessageEvent<In>) => void) | null;
}

export const port = <In, Out>(): Port<In, Out> => self as unknown as Port<In, Out>;
