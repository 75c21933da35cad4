export * from "./conv";
export * from "./init";
export * from "./layers";
export * from "./linear";
export * from "./module";
export * from "./norm";
