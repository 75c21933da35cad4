export function target(from: string, link: string): { path: string; heading: string } | null;
export function linksOf(text: string): string[];
export function headingsOf(text: string): string[];
export function faultOf(root: string, from: string, link: string): string | null;
