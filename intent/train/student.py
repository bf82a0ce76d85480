"""The student: a vector per word, of which a sentence's is the sum. It learns which sentences the teachers find alike,
and that the sentences of a group say the same while those of neighboring groups do not."""
import numpy as np
import scipy.sparse as sp

import teachers

HEAT = .1      # how softly likenesses are compared
BATCH = 1024
DROPPED = .1   # of the words of a sentence, so that no word carries it alone
GROUPS = 64    # of each batch, in runs of 8 neighbors
RUN = 8
EACH = 4       # sentences of a group


def bags(splitter, texts):
    """Sentences × words: how often each word occurs."""
    rows = [splitter.rows(t) for t in texts]
    start = np.cumsum([0] + [len(r) for r in rows])
    index = np.concatenate([np.array(r, int) for r in rows])
    return sp.csr_matrix((np.ones(len(index), "f4"), index, start), shape=(len(texts), len(splitter.row)))


def softmax(x):
    x = np.exp(x - x.max(1, keepdims=True))
    return x / x.sum(1, keepdims=True)


def likeness(v):
    s = v @ v.T
    np.fill_diagonal(s, -9)
    return s


def apart(student, teacher):
    """How far the student's likenesses within a batch are from the teachers': Kullback-Leibler divergence, and its
    slope by the student's likenesses."""
    p, q = softmax(likeness(teacher) / HEAT), softmax(likeness(student) / HEAT)
    return float((p * np.log((p + 1e-9) / (q + 1e-9))).sum(1).mean()), (q - p) / HEAT / len(p)


def contrast(vectors, group):
    """InfoNCE: each sentence shall be likest to those of its group."""
    q = softmax(likeness(vectors) / HEAT)
    p = (group[:, None] == group[None, :]).astype("f4")
    np.fill_diagonal(p, 0)
    p /= p.sum(1, keepdims=True) + 1e-9
    return (q - p) / HEAT / len(p)


class Adam:
    """Adam (Kingma, Ba 2015) on the rows that a batch touches."""

    def __init__(self, values):
        self.values, self.m, self.v, self.t = values, np.zeros_like(values), np.zeros_like(values), 0

    def step(self, rows, slope, rate):
        self.t += 1
        m = self.m[rows] = .9 * self.m[rows] + .1 * slope
        v = self.v[rows] = .99 * self.v[rows] + .01 * slope * slope
        self.values[rows] -= rate * (m / (1 - .9 ** self.t)) / (np.sqrt(v / (1 - .99 ** self.t)) + 1e-8)


def train(vectors, x, taught, grouped, epochs=2, rate=.002, share=.1, seed=1):
    """Trains a copy of the words' vectors. x and taught are sentences as bags and as the teachers' vectors; grouped are
    the bags of each group."""
    vectors, rng = vectors.copy(), np.random.default_rng(seed)
    adam, steps, k = Adam(vectors), epochs * (x.shape[0] // BATCH), 0
    for epoch in range(epochs):
        order, total = rng.permutation(x.shape[0]), 0
        for i in range(0, x.shape[0] - BATCH + 1, BATCH):
            some = order[i:i + BATCH]
            picked = sorted({(s + j) % len(grouped) for s in rng.integers(0, len(grouped), GROUPS // RUN) for j in range(RUN)})
            lines = [grouped[g][rng.permutation(grouped[g].shape[0])[:EACH]] for g in picked]
            group = np.repeat(picked, [line.shape[0] for line in lines])
            bag = sp.vstack([x[some]] + lines).tocsr()
            bag.data = bag.data * (rng.random(len(bag.data)) > DROPPED) / np.float32(1 - DROPPED)
            rows = np.unique(bag.indices)
            bag = bag[:, rows]
            out = bag @ vectors[rows]
            length = np.linalg.norm(out, axis=1, keepdims=True) + 1e-6
            v = out / length
            loss, slope = apart(v[:BATCH], taught[some])
            total += loss
            dv = np.zeros_like(v)
            dv[:BATCH] = (slope + slope.T) @ v[:BATCH]
            slope = contrast(v[BATCH:], group) * share
            dv[BATCH:] = (slope + slope.T) @ v[BATCH:]
            adam.step(rows, np.asarray(bag.T @ ((dv - v * (v * dv).sum(1, keepdims=True)) / length)), rate * (1 - k / steps))
            k += 1
        print("epoch %d: %.4f" % (epoch + 1, total / (x.shape[0] // BATCH)), flush=True)
    return vectors


def measure(vectors, x, taught):
    """Held-out figures: divergence, correlation of likenesses, and how often the student's likest sentence is among the
    teachers' ten likest."""
    v = teachers.unit(x @ vectors)
    loss = np.mean([apart(v[i:i + BATCH], taught[i:i + BATCH])[0] for i in range(0, len(v) - BATCH + 1, BATCH)])
    s, t = likeness(v), likeness(taught)
    off = ~np.eye(len(v), dtype=bool)
    ten = np.argpartition(-t, 10, axis=1)[:, :10]
    return {"divergence": loss, "correlation": np.corrcoef(s[off], t[off])[0, 1],
            "likest among ten": np.mean([s[i].argmax() in ten[i] for i in range(len(v))])}
