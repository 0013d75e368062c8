// What was recorded and has not arrived: kept in the browser, sealed, until the hub says that it has it.
//
// Slices of a second are kept at once; some seconds of them become a part, which from then on never changes, so that it
// can be sent again. The key comes from the hub with the page and is kept nowhere here.

const NAME = "osler-recordings";

export class Keep {
  #db;
  #key;

  constructor(db, key) {
    this.#db = db;
    this.#key = key;
  }

  /** Open what is kept; `seal` is the key, base64. */
  static async open(seal) {
    const bytes = Uint8Array.from(atob(seal), (letter) => letter.charCodeAt(0));
    const key = await crypto.subtle.importKey("raw", bytes, "AES-GCM", false, ["encrypt", "decrypt"]);
    return new Keep(await database(), key);
  }

  /** Keep a slice of a take; durable when this returns. */
  async slice(encounter, take, order, content, seconds, type) {
    const iv = crypto.getRandomValues(new Uint8Array(12));
    const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv }, this.#key, await content.arrayBuffer());
    await this.#write(["slices"], ([slices]) => slices.put({ encounter, take, order, iv, sealed, seconds, type }));
  }

  /** Make the next part of a take of its slices; false when there are none. */
  async part(encounter, take) {
    let made = false;
    await this.#write(["slices", "parts", "counts"], ([slices, parts, counts]) => {
      const range = IDBKeyRange.bound([encounter, take, 0], [encounter, take, Infinity]);
      slices.getAll(range).onsuccess = ({ target: { result: found } }) => {
        if (!found.length) return;
        made = true;
        counts.get([encounter, take]).onsuccess = ({ target: { result: held } }) => {
          const number = held?.count ?? 0;
          const seconds = found.reduce((sum, slice) => sum + slice.seconds, 0);
          const sealed = found.map(({ iv, sealed }) => ({ iv, sealed }));
          parts.put({ encounter, take, number, type: found[0].type, seconds, slices: sealed });
          counts.put({ encounter, take, count: number + 1, seconds: (held?.seconds ?? 0) + seconds });
          slices.delete(range);
        };
      };
    });
    return made;
  }

  /** Make parts of what was left when a page was closed. */
  async gather(encounter) {
    const slices = await this.#all("slices", encounter);
    for (const take of new Set(slices.map((slice) => slice.take))) await this.part(encounter, take);
  }

  /** Return the parts that wait, the earliest first, without their content. */
  async waiting(encounter) {
    const parts = await this.#all("parts", encounter);
    return parts.map(({ take, number, seconds }) => ({ take, number, seconds }));
  }

  /** Return a part as a Blob. */
  async content(encounter, take, number) {
    const held = await this.#read("parts", (store) => store.get([encounter, take, number]));
    const open = ({ iv, sealed }) => crypto.subtle.decrypt({ name: "AES-GCM", iv }, this.#key, sealed);
    return new Blob(await Promise.all(held.slices.map(open)), { type: held.type });
  }

  /** Forget a part that has arrived. */
  arrived(encounter, take, number) {
    return this.#write(["parts"], ([parts]) => parts.delete([encounter, take, number]));
  }

  /** Return the takes of this browser: how many parts each has, and how many seconds. */
  takes(encounter) {
    return this.#all("counts", encounter);
  }

  /** Give a take another number: somewhere else the same encounter is being recorded too. */
  move(encounter, from, to) {
    const stores = ["slices", "parts", "counts"];
    return this.#write(stores, (opened) => {
      for (const store of opened) {
        store.openCursor(within(encounter, from)).onsuccess = ({ target: { result: cursor } }) => {
          if (!cursor) return;
          store.put({ ...cursor.value, take: to });
          cursor.delete();
          cursor.continue();
        };
      }
    });
  }

  /** Forget all of an encounter. */
  forget(encounter) {
    return this.#write(["slices", "parts", "counts"], (stores) => stores.forEach((one) => one.delete(within(encounter))));
  }

  #all(store, encounter) {
    return this.#read(store, (opened) => opened.getAll(within(encounter)));
  }

  #read(store, look) {
    return new Promise((resolve, reject) => {
      const request = look(this.#db.transaction(store).objectStore(store));
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  }

  #write(names, change) {
    return new Promise((resolve, reject) => {
      const transaction = this.#db.transaction(names, "readwrite", { durability: "strict" });
      transaction.oncomplete = () => resolve();
      transaction.onerror = () => reject(transaction.error);
      transaction.onabort = () => reject(transaction.error);
      change(names.map((name) => transaction.objectStore(name)));
    });
  }
}

/** Return the encounters of which something waits in this browser, with its seconds. No key is needed to count. */
export async function leftBehind() {
  const db = await database();
  const found = new Map();
  const count = (store) =>
    new Promise((resolve, reject) => {
      const request = db.transaction(store).objectStore(store).openCursor();
      request.onerror = () => reject(request.error);
      request.onsuccess = ({ target: { result: cursor } }) => {
        if (!cursor) return resolve();
        const { encounter, seconds } = cursor.value;
        found.set(encounter, (found.get(encounter) ?? 0) + seconds);
        cursor.continue();
      };
    });
  await count("slices");
  await count("parts");
  db.close();
  return found;
}

const within = (encounter, take) =>
  take === undefined
    ? IDBKeyRange.bound([encounter], [encounter, []])
    : IDBKeyRange.bound([encounter, take], [encounter, take, []]);

function database() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("slices", { keyPath: ["encounter", "take", "order"] });
      request.result.createObjectStore("parts", { keyPath: ["encounter", "take", "number"] });
      request.result.createObjectStore("counts", { keyPath: ["encounter", "take"] });
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
