#!/usr/bin/env python3
"""What a small network, or vectors of parts of words, would add to a linear machine. ../README.md has the figures.

    pip install scikit-learn
    beside.py --data FOLDER

FOLDER holds the public sets. The linear machine is much like the program's and not the same: tf-idf of words, pairs and
characters, and the lexicon's sums. Nothing is measured on test lines.
"""
import argparse
import csv
import glob
import json
import os
import random
import re
import zlib

import numpy as np
import scipy.sparse as sp
import yaml
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.neural_network import MLPClassifier
from sklearn.svm import LinearSVC

import pairs
import teachers
import words

ROWS, NETWORKS = 1 << 16, 3
HERE = os.path.dirname(os.path.abspath(__file__))


def grams(text):
    latin = re.findall(r"[a-z0-9']+", text.lower())
    out = 2 * latin + list(zip(latin, latin[1:])) + [(a, None, b) for a, b in zip(latin, latin[2:])]
    for runs, lengths in (latin, (2, 3, 4, 5)), (re.findall(words.HAN, text), (1, 2, 3, 4)):
        for run in runs:
            out += [("<" + run + ">")[i:i + n] for n in lengths for i in range(len(run) + 3 - n)]
    return [str(g) for g in out]


def sums(texts):
    return teachers.unit(pairs.stored(texts))


class Parts:
    """Vectors of words from those of their characters 3 to 5, by least squares over the lexicon's English words."""

    def __init__(self):
        listed, self.vectors = pairs.lexicon()
        self.splitter = words.Splitter(listed)
        latin = [i for i, (w, _) in enumerate(listed) if re.fullmatch(words.LATIN, w)]
        self.rows = self.solve(self.matrix([listed[i][0] for i in latin]), self.vectors[latin])
        self.seen = self.without = 0

    def matrix(self, texts):
        found = [sorted({zlib.crc32(w[i:i + n].encode()) % ROWS for n in (3, 4, 5) for i in range(len(w) + 1 - n)})
                 for w in ("<%s>" % t for t in texts)]
        values = np.concatenate([np.full(len(f), 1 / max(len(f), 1), "f4") for f in found])
        ends = np.cumsum([0] + [len(f) for f in found])
        return sp.csr_matrix((values, np.concatenate(found).astype("i4"), ends), (len(texts), ROWS))

    @staticmethod
    def solve(a, y, ridge=1e-2, steps=40):
        """Conjugate gradients, each column by itself."""
        x = np.zeros((ROWS, y.shape[1]), "f4")
        rest = a.T @ y
        way, left = rest.copy(), (rest * rest).sum(0)
        for _ in range(steps):
            image = a.T @ (a @ way) + ridge * way
            step = left / ((way * image).sum(0) + 1e-12)
            x += step * way
            rest = rest - step * image
            now = (rest * rest).sum(0)
            way, left = rest + now / (left + 1e-12) * way, now
        return x

    def __call__(self, texts):
        out = pairs.stored(texts)
        for k, text in enumerate(texts):
            for word in re.findall(words.LATIN, words.simplify(text).lower()):
                word = word.replace("'", "")
                self.seen += 1
                if len(word) > 2 and not any(w in self.splitter.row for w in (word, *words.stems(word))):
                    self.without += 1
                    out[k] += (self.matrix([word]) @ self.rows)[0]
        return teachers.unit(out)


def compare(name, parts, x, y, other, want):
    tfidf = TfidfVectorizer(analyzer=grams, sublinear_tf=True)
    sparse = tfidf.fit_transform(x), tfidf.transform(other)
    dense = sums(x), sums(other)

    def linear(dense):
        machine = LinearSVC(C=.5).fit(sp.hstack([sparse[0], dense[0]]).tocsr(), y)
        return machine.classes_, machine.decision_function(sp.hstack([sparse[1], dense[1]]).tocsr())

    classes, margins = linear(dense)
    want = np.searchsorted(classes, want)
    odds = np.exp(4 * (margins - margins.max(1, keepdims=True)))
    odds /= odds.sum(1, keepdims=True)
    networks = [MLPClassifier((128,), max_iter=40, learning_rate_init=2e-3, random_state=i).fit(dense[0], y) for i in range(NETWORKS)]
    mean = sum(n.predict_proba(dense[1]) for n in networks) / NETWORKS
    share = lambda p: round(100 * (p.argmax(1) == want).mean(), 2)
    figures = {"linear": share(margins), "networks": share(mean)}
    figures.update({"average %.2f" % w: share((1 - w) * odds + w * mean) for w in (.2, .35, .5)})
    parts.seen = parts.without = 0
    figures["linear, parts of words"] = share(linear((parts(x), parts(other)))[1])
    print(name, len(x), "questions", figures, "%d of %d words have no row" % (parts.without, parts.seen), flush=True)


def held_out(lines, share=.2):
    random.Random(1).shuffle(lines)
    cut = int(len(lines) * share)
    return *map(list, zip(*lines[cut:])), *map(list, zip(*lines[:cut]))


def pack(name):
    for path in sorted(glob.glob(os.path.join(HERE, "..", "packs", "common", "*.yaml")) + glob.glob(os.path.join(HERE, "..", "packs", name, "*.yaml"))):
        for intent in yaml.safe_load(open(path, encoding="utf8")).get("intents") or []:
            for lines in (intent.get("ask") or {}).values():
                yield from ((str(line), intent["id"]) for line in lines)


def ten_each(data, name):
    read = lambda kind: open(os.path.join(data, "fewshot_intent", name + "__train_10__" + kind), encoding="utf8").read().rstrip("\n").split("\n")
    return read("seq.in"), read("label")


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--data", required=True)
    data, parts = options.parse_args().data, Parts()
    banking = [tuple(r) for r in csv.reader(open(os.path.join(data, "banking77", "train.csv"), encoding="utf8"))][1:]
    x, y = ten_each(data, "BANKING77")
    others = [line for line in banking if line[0] not in set(x)][::3]
    compare("BANKING77, ten each, on other training questions", parts, x, y, *map(list, zip(*others)))
    clinc = json.load(open(os.path.join(data, "clinc150", "data_full.json"), encoding="utf8"))
    compare("CLINC150, ten each, on validation lines", parts, *ten_each(data, "CLINC150"), *map(list, zip(*clinc["val"])))
    compare("BANKING77, a fifth held out", parts, *held_out(banking))
    for name in ("ecommerce", "education"):
        compare(name + ", a fifth held out", parts, *held_out(list(pack(name))))


if __name__ == "__main__":
    main()
