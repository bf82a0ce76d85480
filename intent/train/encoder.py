#!/usr/bin/env python3
"""Makes ../lexicon/words.txt and vectors.bin. README.md tells how; `make train-encoder` does it.

    encoder.py --work FOLDER [--data FOLDER]

FOLDER of --work keeps the teachers' vectors, so that a second run is quick. --data holds the public sets; without it
only the project's own sentences are used.
"""
import argparse
import hashlib
import os

import numpy as np

import pairs
import sentences
import student
import teachers
import words

HERE = os.path.dirname(os.path.abspath(__file__))
LEXICON = os.path.join(HERE, "..", "lexicon")
DIM, SMOOTH, EVERYDAY, LENGTH, HELD_OUT = 128, 1e-3, .2, .05, 2048


def alone(teacher, listed, texts):
    """The words' vectors before any sentence: each word alone through the teachers, projected on the directions that
    vary most among the words in use, frequent ones weighed down (a / (a + p), Arora et al. 2017)."""
    vectors = teacher([words.CONTRACTIONS.get(w, w) for w, _ in listed])
    p = np.exp([s for _, s in listed])
    weight = SMOOTH / (SMOOTH + p)
    share = words.Splitter(listed).count(texts) * weight ** 2
    share = share / share.sum() + EVERYDAY / len(listed)
    centered = vectors - (vectors * share[:, None]).sum(0) / share.sum()
    _, axes = np.linalg.eigh((centered * share[:, None]).T @ centered)
    rows = centered @ axes[:, ::-1][:, :DIM] * weight[:, None]
    return (rows * LENGTH / np.abs(rows).mean()).astype("f4")


def write(listed, rows):
    scale = np.abs(rows).max(1) / 127 + 1e-12
    whole = np.round(rows / scale[:, None]).astype(np.int8)
    with open(os.path.join(LEXICON, "words.txt"), "w", encoding="utf8") as f:
        f.writelines("%s\t%g\n" % line for line in listed)
    with open(os.path.join(LEXICON, "vectors.bin"), "wb") as f:
        f.write(whole.tobytes())
        f.write(scale.astype("<f4").tobytes())
    return whole * scale[:, None].astype("f4")


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--work", required=True)
    options.add_argument("--data", default="")
    options = options.parse_args()
    os.makedirs(options.work, exist_ok=True)

    texts = [words.simplify(t).lower() for t in words.pack_questions() + [t for g in words.groups() for t in g]]
    tokenizer = teachers.use()._tokenizer
    pieces, scores = tokenizer._pieces, tokenizer._scores
    listed = words.chinese(texts, pieces) + words.english(texts, pieces, scores)
    print(len(listed), "words")
    use, e5 = teachers.Teacher("use", options.work), teachers.Teacher("e5", options.work)
    for teacher in (use, e5):
        pairs.refuse_strangers(teacher.name, teacher)
    start = alone(teachers.Both([(use, 1), (e5, 1)]), listed, texts)

    lines, test = sentences.gather(options.data, listed, teachers.unit(start), HELD_OUT)
    print(len(lines), "sentences")
    both = teachers.Both([(use, .6), (e5, .8)])
    taught, held = both(lines), both(test)
    splitter = words.Splitter(listed)
    x, test = student.bags(splitter, lines), student.bags(splitter, test)
    keep = np.diff(x.indptr) > 0
    grouped = [student.bags(splitter, g) for g in words.groups()]
    trained = student.train(start, x[keep], taught[keep], grouped)
    # The mean of both keeps what the words say alone, which sentences of few kinds would wash out.
    mean = (start + trained) / 2
    stored = write(listed, mean)

    for name, rows in (("words alone", start), ("after the sentences", trained), ("their mean", mean), ("as stored", stored)):
        print(name, {k: round(float(v), 4) for k, v in student.measure(rows, test, held).items()})
    before, after = np.asarray(test @ mean), np.asarray(test @ stored)
    known = np.linalg.norm(before, axis=1) > 0
    cosine = (teachers.unit(before) * teachers.unit(after)).sum(1)[known]
    print("cosine of sentences before and after storing as bytes: %.5f, least %.5f" % (cosine.mean(), cosine.min()))
    for name in ("words.txt", "vectors.bin"):
        print(name, hashlib.sha256(open(os.path.join(LEXICON, name), "rb").read()).hexdigest())


if __name__ == "__main__":
    main()
