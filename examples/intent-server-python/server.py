#!/usr/bin/env python3
"""An intent backend for Colloquy in the standard library of Python.

It learns from a file of questions, one JSON object a line with "intent" and
"text", or from a pack as `colloquy intent export --format json` writes it, and answers POST /v1/classify as docs/intent-plugin.md describes:

    python3 server.py --questions questions.jsonl --pack ecommerce --port 8090

The classifier is the nearest centroid over weighted character n-grams, which
needs no word segmentation and so treats Chinese and English alike. What it
states as confidence is learned too: each question is asked without itself, and
a logistic curve is fitted to when that was answered rightly. Put your own model
in the place of the class Model; everything below it can stay.
"""

import argparse
import hashlib
import hmac
import json
import math
import os
import re
import sys
import threading
from collections import Counter, defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MAX_BODY = 4 << 20
MAX_BATCH = 64
MAX_TEXT = 16 << 10
READ_CHARACTERS = 2000  # what a text is about stands before that
TOP = 5
LEARN_FROM = 400  # questions that the confidence is learned from, spread over all


def grams(text):
    """The character n-grams of a text, counted."""
    text = " " + re.sub(r"\W+", " ", text[:READ_CHARACTERS].lower()).strip() + " "
    if not text.strip():
        return Counter()
    return Counter(text[i : i + n] for n in (1, 2, 3, 4) for i in range(len(text) - n + 1) if text[i : i + n].strip())


class Model:
    """Model says which intents a text may mean, best first, with confidences."""

    def __init__(self, questions):
        counted = [(intent, grams(text)) for intent, text in questions]
        self.seen = Counter(g for _, c in counted for g in c)
        self.weight = {g: math.log(len(counted) / n) + 1 for g, n in self.seen.items()}
        rows = [(intent, c, self.vector(c)) for intent, c in counted]
        self.sums = defaultdict(Counter)
        for intent, _, v in rows:
            self.sums[intent].update(v)
        self.squares = {intent: sum(x * x for x in total.values()) for intent, total in self.sums.items()}
        self.curve = self.learn_confidence(rows)
        text = json.dumps(sorted(questions), ensure_ascii=False)
        self.version = hashlib.sha256(text.encode()).hexdigest()[:12]

    def vector(self, counts):
        v = {g: (1 + math.log(n)) * self.weight[g] for g, n in counts.items() if g in self.weight}
        length = math.sqrt(sum(x * x for x in v.values())) or 1.0
        return {g: x / length for g, x in v.items()}

    def known(self, counts, at_least=1):
        """The share of a text's n-grams that stand in the questions too."""
        return sum(self.seen[g] >= at_least for g in counts) / max(1, len(counts))

    def similarities(self, v, without=None):
        """Cosines to the centroids, best first; without is the intent that v is to be left out of."""
        own = sum(x * x for x in v.values())
        out = []
        for intent, total in self.sums.items():
            near, square = sum(x * total[g] for g, x in v.items()), self.squares[intent]
            if intent == without:
                near, square = near - own, square - 2 * near + own
            out.append((near / math.sqrt(square) if square > 1e-9 else 0.0, intent))
        return sorted(out, key=lambda pair: (-pair[0], pair[1]))

    @staticmethod
    def evidence(ranked, known):
        best, second = ranked[0][0], ranked[1][0] if len(ranked) > 1 else 0.0
        return 1.0, best, best - second, known

    def learn_confidence(self, rows):
        """Asks each question without itself, and once more as if its whole intent
        were not known: then every answer is wrong, as it is for what no pack covers."""
        samples = []
        for intent, counts, v in rows[:: 1 + len(rows) // LEARN_FROM]:
            known = self.known(counts, at_least=2)
            ranked = self.similarities(v, without=intent)
            samples.append((self.evidence(ranked, known), float(ranked[0][1] == intent)))
            others = [pair for pair in ranked if pair[1] != intent]
            samples.append((self.evidence(others, known), 0.0))
        w = [0.0] * 4
        for _ in range(800):
            step = [0.0] * 4
            for x, y in samples:
                error = y - self.logistic(w, x)
                for i in range(4):
                    step[i] += error * x[i]
            w = [a + 4.0 * (s / len(samples) - 0.0005 * a) for a, s in zip(w, step)]
        return w

    @staticmethod
    def logistic(w, x):
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, sum(a * b for a, b in zip(w, x))))))

    def classify(self, text):
        counts = grams(text)
        v = self.vector(counts)
        if not v:
            return []
        ranked = self.similarities(v)[:TOP]
        best = self.logistic(self.curve, self.evidence(ranked, self.known(counts)))
        top = ranked[0][0] or 1.0
        out, last = [], best
        for i, (similarity, intent) in enumerate(ranked):
            # The others share what is left, in proportion, and none is above the best.
            last = best if i == 0 else min(last, (1 - best) * max(0.0, similarity) / top / TOP)
            out.append({"intent": intent, "confidence": round(last, 6)})
        return out


class Refused(Exception):
    """Refused is a request that gets an error: its status, a code, a sentence."""

    def __init__(self, status, code, message):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def check(body):
    """check gives the utterances of a request, or says what is wrong with it."""
    try:
        request = json.loads(body)
    except (ValueError, RecursionError) as err:
        raise Refused(400, "bad_request", "the body is not JSON: %s" % type(err).__name__) from None
    utterances = request.get("utterances") if isinstance(request, dict) else None
    if not isinstance(utterances, list) or not utterances:
        raise Refused(400, "bad_request", "utterances has to be a list with at least one")
    if len(utterances) > MAX_BATCH:
        raise Refused(413, "too_large", "%d utterances, the limit is %d" % (len(utterances), MAX_BATCH))
    for i, u in enumerate(utterances):
        if not isinstance(u, dict) or not isinstance(u.get("text"), str):
            raise Refused(400, "bad_request", "utterance %d has no text" % i)
        if len(u["text"].encode("utf-8", "replace")) > MAX_TEXT:
            raise Refused(413, "too_large", "the text of utterance %d is over %d bytes" % (i, MAX_TEXT))
        packs = u.get("packs")
        if not isinstance(packs, list) or not all(isinstance(p, str) for p in packs):
            raise Refused(400, "bad_request", "packs of utterance %d has to be a list of names" % i)
    return utterances


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept
    disable_nagle_algorithm = True
    wbufsize = 1 << 16  # head and body leave together
    timeout = 60

    def do_POST(self):
        try:
            body = self.read()
            if self.path != "/v1/classify":
                raise Refused(404, "not_found", "POST /v1/classify is all there is")
            if self.server.token and not hmac.compare_digest(
                self.headers.get("Authorization", "").encode(), b"Bearer " + self.server.token.encode()
            ):
                raise Refused(401, "unauthenticated", "the bearer token is missing or wrong")
            results = [self.result(u) for u in check(body)]
            self.answer(200, {"model": "centroid-python", "version": self.server.model.version, "results": results})
        except Refused as r:
            self.answer(r.status, {"error": {"code": r.code, "message": r.message}})

    def do_GET(self):
        known = self.path == "/v1/classify"
        self.answer(405 if known else 404, {"error": {"code": "bad_request", "message": "POST /v1/classify is all there is"}})

    do_PUT = do_DELETE = do_GET

    def read(self):
        size = self.headers.get("Content-Length", "")
        if not size.isdigit():
            self.close_connection = True
            raise Refused(411, "bad_request", "Content-Length is needed")
        if int(size) > MAX_BODY:
            self.close_connection = True
            raise Refused(413, "too_large", "the body is over %d bytes" % MAX_BODY)
        return self.rfile.read(int(size))

    def result(self, u):
        unknown = [p for p in u["packs"] if p not in self.server.packs]
        if unknown or not u["packs"]:
            return {"error": {"code": "unknown_pack", "message": "this server has learned %s only" % ", ".join(self.server.packs)}}
        return {"candidates": self.server.model.classify(u["text"])}

    def answer(self, status, value):
        body = json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if self.headers.get("X-Request-Id"):
            self.send_header("X-Request-Id", re.sub(r"[^\w.-]", "", self.headers["X-Request-Id"])[:64])
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *_):
        pass  # what visitors write is not for logs


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # connections that wait to be taken

    def handle_error(self, request, client_address):
        # A client that has given up is no error of ours.
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


def read_pack(path):
    """The questions of a pack that `colloquy intent export --format json` has written."""
    with open(path, encoding="utf-8") as f:
        intents = json.load(f)["intents"]
    asks = [(i["id"], i.get("ask", [])) for i in intents if not i.get("background")]
    return [(id, q) for id, ask in asks for some in (ask.values() if isinstance(ask, dict) else [ask]) for q in some]


def read_questions(path):
    out = read_pack(path) if path.endswith(".json") else read_lines(path)
    if len({intent for intent, _ in out}) < 2:
        sys.exit("%s: questions for two intents at least are needed" % path)
    return out


def read_lines(path):
    out = []
    with open(path, encoding="utf-8") as f:
        for n, line in enumerate(f, 1):
            if not line.strip():
                continue
            try:
                q = json.loads(line)
                out.append((q["intent"], q["text"]))
            except (ValueError, KeyError, TypeError):
                sys.exit('%s:%d: a line is a JSON object with "intent" and "text"' % (path, n))
    return out


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--questions", required=True, help="JSON lines with intent and text, or a pack in JSON")
    p.add_argument("--pack", required=True, action="append", help="pack whose intents these are; may be repeated")
    p.add_argument("--host", default="127.0.0.1")
    p.add_argument("--port", type=int, default=8090, help="0 takes a free one")
    o = p.parse_args()
    server = Server((o.host, o.port), Handler)
    server.packs = o.pack
    server.token = os.environ.get("INTENT_TOKEN", "")
    questions = read_questions(o.questions)
    server.model = Model(questions)
    print("%d questions, serving on http://%s:%d" % (len(questions), *server.server_address[:2]), flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        threading.Thread(target=server.shutdown).start()


if __name__ == "__main__":
    main()
