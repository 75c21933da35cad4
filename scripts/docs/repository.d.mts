export const REPOSITORY: string | undefined;
export function sourceAddress(path: string): string | undefined;
