"""The sentences that the student learns from: the project's own, and public ones whose licenses allow to ship what
was learned from them. Sets that docs/intent.md reports on are left out, test lines of the packs as well."""
import csv
import glob
import json
import os
import random
import re
import zipfile

import numpy as np

import words

csv.field_size_limit(10 ** 9)


def nlupp(folder):
    for name in sorted(glob.glob(folder + "/nlupp/*fold*.json")):
        yield from (line["text"] for line in json.load(open(name, encoding="utf8")))


def rasa(folder):
    for name in sorted(glob.glob(folder + "/rasa_nlu/*.yml")):
        for line in open(name, encoding="utf8"):
            m = re.match(r"\s+- (?!intent:|lookup|regex|synonym)(.+)", line)
            if m:
                yield re.sub(r"\[([^\]]+)\](\([^)]*\)|\{[^}]*\})", r"\1", m[1])


def crosswoz(folder):
    for name in ("val", "test"):
        with zipfile.ZipFile(folder + "/crosswoz/%s.json.zip" % name) as z:
            for dialogue in json.loads(z.read(z.namelist()[0])).values():
                for message in dialogue["messages"]:
                    if message["role"] == "usr":
                        yield from re.split("(?<=[。？！])", message["content"])


def multidogo(folder):
    for name in sorted(glob.glob(folder + "/multidogo/*train.tsv")):
        for row in csv.DictReader(open(name, encoding="utf8"), delimiter="\t", quoting=csv.QUOTE_NONE):
            text = row["utterance"] or ""
            if len(text) >= 8 and not re.search(r"\d{5}|@", text):
                yield text


def cold(folder):
    for row in csv.DictReader(open(folder + "/cold/train.csv", encoding="utf-8-sig")):
        if row["label"] == "0" and 6 <= len(row["TEXT"]) <= 50:
            yield row["TEXT"]


def goemotions(folder):
    for line in open(folder + "/goemotions/original_train.tsv", encoding="utf8"):
        text = line.split("\t")[0]
        if 15 <= len(text) <= 120 and "[" not in text:
            yield text


PUBLIC = ((nlupp, 10 ** 6), (rasa, 10 ** 6), (crosswoz, 3000), (multidogo, 8000), (cold, 2000), (goemotions, 3000))


VARIED = 20000  # sentences made of others
LONGEST = 70    # characters; what takes the teachers longer says more than one thing


class Varied:
    """Makes more sentences of some: parts of them, and with a word or two exchanged. The teachers say what they mean."""

    def __init__(self, listed, vectors, seed):
        self.split, self.random, self.vectors = words.Splitter(listed), random.Random(seed), vectors
        self.numbers = np.random.default_rng(seed)
        self.listed = [w for w, _ in listed]
        han = np.array([bool(re.match(words.HAN, w)) for w in self.listed])
        self.pools = {kind: np.where(han == kind)[0] for kind in (True, False)}
        often = np.array([p for _, p in listed])
        self.often = {kind: np.exp(.35 * often[pool]) / np.exp(.35 * often[pool]).sum() for kind, pool in self.pools.items()}

    def pieces(self, text):
        out = []
        for run in re.findall(words.HAN + r"|[A-Za-z0-9']+|[^\sA-Za-z0-9'\u4e00-\u9fff]+", text):
            out += self.split.han(run) if re.match(words.HAN, run) else [run]
        return out

    def window(self, text):
        p = self.pieces(text)
        if len(p) < 4:
            return ""
        n = self.random.randint(2, min(7, len(p) - 1))
        at = self.random.randint(0, len(p) - n)
        return join(p[at:at + n]).strip(" ,，。!?")

    def swapped(self, text):
        p = self.pieces(text)
        known = [i for i, w in enumerate(p) if w.lower() in self.split.row]
        if len(known) < 2:
            return ""
        for i in self.random.sample(known, self.random.choice((1, 1, min(2, len(known) - 1)))):
            row = self.split.row[p[i].lower()]
            kind = bool(re.match(words.HAN, p[i]))
            pool = self.pools[kind]
            if self.random.random() < .6:
                some = pool[self.numbers.integers(0, len(pool), 4000)]
                near = some[np.argsort(-(self.vectors[some] @ self.vectors[row]))[:8]]
                p[i] = self.listed[int(self.random.choice(list(near)))]
            else:
                p[i] = self.listed[int(self.numbers.choice(pool, p=self.often[kind]))]
        return join(p)


def join(pieces):
    out = ""
    for piece in pieces:
        if out and re.match(r"[A-Za-z0-9']", piece) and re.match(r"[A-Za-z0-9',.!?]", out[-1]):
            out += " "
        out += piece
    return out


def gather(folder, listed, vectors, held_out, seed=5):
    """The sentences to learn from, and some that are held out: none of the groups, and none that others were made
    of. The same every time."""
    pick = random.Random(seed)
    grouped = dict.fromkeys(line for group in words.groups() for line in group)
    lines = words.pack_questions()
    if folder:
        for source, most in PUBLIC:
            found = list(dict.fromkeys(line.strip() for line in source(folder) if 4 <= len(line.strip()) < 140))
            lines += pick.sample(found, min(most, len(found)))
    lines = [line for line in dict.fromkeys(lines) if line not in grouped]
    pick.shuffle(lines)
    held, lines = lines[:held_out], list(grouped) + lines[held_out:]
    vary = Varied(listed, vectors, seed)
    known = set(held) | set(lines)
    more = [vary.swapped(t) for t in lines] + [vary.window(t) for t in lines]
    more = [t for t in dict.fromkeys(more) if t and t not in known]
    lines += pick.sample(more, min(VARIED, len(more)))
    pick.shuffle(lines)
    return [t for t in lines if len(t) <= LONGEST], [t for t in held if len(t) <= LONGEST]
