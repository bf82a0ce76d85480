import type { Attachment, Trouble } from "../sdk/frames.ts";
import { Refused } from "../sdk/session.ts";

/** Limits say which files the server takes. */
export interface FileLimits {
  max_bytes: number;
}

/** Upload is a file on its way. */
export interface Upload {
  done: Promise<Attachment>;
  cancel(): void;
}

/**
 * upload sends a file to a path of the server. It is the old request object that
 * does it, because fetch tells nobody how far it has come.
 */
export function upload(path: string, file: File, headers: Record<string, string>, onProgress: (part: number) => void): Upload {
  const request = new XMLHttpRequest();
  const done = new Promise<Attachment>((resolve, reject) => {
    request.open("POST", `${path}?${new URLSearchParams({ name: file.name })}`);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.setRequestHeader("content-type", file.type === "" ? "application/octet-stream" : file.type);
    request.upload.onprogress = (event) => {
      if (event.lengthComputable && event.total > 0) onProgress(event.loaded / event.total);
    };
    request.onload = () => {
      const answer = parse(request.responseText);
      if (request.status === 201) resolve(answer as Attachment);
      else reject(new Refused(request.status, answer as Trouble));
    };
    request.onerror = request.onabort = request.ontimeout = () => reject(new Refused(0, {}));
    request.send(file);
  });
  return { done, cancel: () => request.abort() };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}
