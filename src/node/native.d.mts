export function makeResident(path: string, symbol: string): boolean;
export function nativeEnvironment(): NodeJS.ProcessEnv;
