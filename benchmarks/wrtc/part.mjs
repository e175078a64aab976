/**
 * One process of libwebrtc participants, as `python -m benchmarks.light_part` is of light clients. A line of JSON on
 * standard input says who they are; "joined" is answered; the next line is the Unix time of the start; "played" is answered
 * at the end, and one line of JSON with the results follows.
 */
import { createInterface } from "node:readline";
import { Participant } from "./participant.mjs";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const line = async () => (await lines.next()).value;

const { url, people, script } = JSON.parse(await line());
const participants = people.map((person) => new Participant(url, person, script));
for (const participant of participants) await participant.join();
console.log("joined");
const beganMs = Number(await line()) * 1000;
const results = await Promise.all(participants.map((participant) => participant.play(beganMs)));
console.log("played");
for (const participant of participants) participant.leave();
process.stdout.write(JSON.stringify(results) + "\n");
await line(); // whoever started us still reads what we cost
process.exit(0);
