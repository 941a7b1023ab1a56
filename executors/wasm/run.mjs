// Runs the program given as the argument. It ends with 0 only if all scenarios came to their end.
import { readFile } from "node:fs/promises";

process.exitCode = 1;
const text = (address, length) =>
  new TextDecoder().decode(new Uint8Array(program.exports.memory.buffer, address, length));
const timers = new Set();
const host = {
  start_timer(id, milliseconds) {
    const timer = setTimeout(() => {
      timers.delete(timer);
      program.exports.fired(id);
    }, milliseconds);
    timers.add(timer);
  },
  done() {
    // A grace that was not needed keeps its timer.
    timers.forEach(clearTimeout);
    process.exitCode = 0;
    console.log("wasm32 in node", process.version + ": ok");
  },
  complain(address, length) {
    console.error(text(address, length));
  },
};
const module = await WebAssembly.compile(await readFile(process.argv[2]));
const program = await WebAssembly.instantiate(module, { host });
program.exports.start();
