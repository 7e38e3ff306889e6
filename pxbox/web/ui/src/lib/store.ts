/** What this browser keeps between visits: in IndexedDB, for what is typed may be large. */

const NAME = 'pxbox'
const STORE = 'kept'

let opened: IDBDatabase | null = null
const opening: Promise<IDBDatabase | null> = new Promise((resolve) => {
  const asked = indexedDB.open(NAME, 1)
  asked.onupgradeneeded = () => void asked.result.createObjectStore(STORE)
  asked.onsuccess = () => resolve(opened = asked.result)
  // Full or forbidden: the broker still keeps drafts.
  asked.onerror = () => resolve(null)
})

async function run<T>(mode: IDBTransactionMode, act: (store: IDBObjectStore) => IDBRequest<T>): Promise<T | undefined> {
  // Not waiting for what is there already lets a page that is being left still begin to write.
  const database = opened ?? await opening
  if (!database) return undefined
  return new Promise((resolve) => {
    const change = database.transaction(STORE, mode)
    const asked = act(change.objectStore(STORE))
    // Or else the page, gone by then, would have to say that nothing more follows.
    change.commit()
    change.oncomplete = () => resolve(asked.result)
    change.onabort = () => resolve(undefined)
  })
}

export function get<T>(key: string): Promise<T | undefined> {
  return run<T>('readonly', (store) => store.get(key) as IDBRequest<T>)
}

export async function put(key: string, value: unknown): Promise<void> {
  await run('readwrite', (store) => store.put(value, key))
}

export async function remove(key: string): Promise<void> {
  await run('readwrite', (store) => store.delete(key))
}
