// What a host of grammY loads to have sessions in files: grammY, whose session plugin it is, and the storage.

export { FileAdapter } from "@grammyjs/storage-file";
export * from "grammy";
