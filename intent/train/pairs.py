#!/usr/bin/env python3
"""Checks sentence encoders, and what was distilled from them, against the known pairs of pairs.txt.

    pairs.py --work FOLDER

For each language, and across the two, prints how often a pair that says the same is liker than one that does not (area
under the curve; 0.5 is chance): against pairs of other subjects, and against neighbors, which share their words and say
something else or the opposite. Then how often the likest sentence of the other language is one that says the same.
`encoder.py` refuses a teacher that fails.
"""
import argparse
import os

import numpy as np

import student
import teachers
import words

HERE = os.path.dirname(os.path.abspath(__file__))
# What a teacher has to reach: pairs of other subjects within a language and across them, and the likest sentence. Whether
# it tells neighbors apart is told and not required: that is left to the n-grams and the questions of the packs.
LEAST = {"zh": .9, "en": .9, "across": .9, "likest": .8}


def known():
    """The blocks of pairs.txt, each a list of two Chinese and two English sentences."""
    text = open(os.path.join(HERE, "pairs.txt"), encoding="utf8").read()
    blocks = [[line for line in block.split("\n") if line and not line.startswith("#")] for block in text.split("\n\n")]
    return [b for b in blocks if b]


def area(same, different):
    """The share of pairs (one that says the same, one that does not) in which the first is liker; a draw counts half."""
    same, different = np.array(same)[:, None], np.array(different)[None]
    return float(((same > different) + .5 * (same == different)).mean())


def check(encode):
    """Figures of an encoder: a function from texts to rows."""
    blocks = known()
    texts = [t for b in blocks for t in b]
    v = teachers.unit(np.asarray(encode(texts), "f4"))
    v = teachers.unit(v - v.mean(0))  # as the teachers are used: centered
    like = v @ v.T
    same, others, near = {}, {}, {}
    for i in range(len(texts)):
        for j in range(i + 1, len(texts)):
            a, b = i // 4, j // 4
            kind = "zh en"[3 * (i % 4 // 2):][:2] if i % 4 // 2 == j % 4 // 2 else "across"
            if a == b:
                same.setdefault(kind, []).append(like[i, j])
            else:
                (near if a // 2 == b // 2 else others).setdefault(kind, []).append(like[i, j])
    kinds = ("zh", "en", "across")
    out = {kind: area(same[kind], others[kind]) for kind in kinds}
    out.update({kind + ", neighbors": area(same[kind], near[kind]) for kind in kinds})
    english = np.array([i % 4 // 2 == 1 for i in range(len(texts))])
    right = 0
    for i in range(len(texts)):
        other = np.flatnonzero(english != english[i])
        right += other[np.argmax(like[i, other])] // 4 == i // 4
    out["likest"] = float(right / len(texts))
    return out


def refuse_strangers(name, encode):
    """Ends the program if an encoder does not know the known pairs."""
    figures = check(encode)
    print(name, {k: round(v, 3) for k, v in figures.items()})
    failed = [k for k, least in LEAST.items() if figures[k] < least]
    if failed:
        raise SystemExit("%s does not know the known pairs (pairs.txt): too little for %s; wanted are %s" % (name, ", ".join(failed), LEAST))


def lexicon():
    """The words of ../lexicon with how often they are used, and their vectors."""
    folder = os.path.join(HERE, "..", "lexicon")
    listed = [line.rstrip("\n").split("\t") for line in open(os.path.join(folder, "words.txt"), encoding="utf8")]
    raw = open(os.path.join(folder, "vectors.bin"), "rb").read()
    dim = len(raw) // len(listed) - 4  # a byte each, and four for the row's scale
    rows = np.frombuffer(raw, "i1", len(listed) * dim).reshape(-1, dim).astype("f4")
    return [(w, float(p)) for w, p in listed], rows * np.frombuffer(raw, "<f4", len(listed), len(listed) * dim)[:, None]


def stored(texts):
    """The vectors of texts by what ships: the sum of their words' rows in ../lexicon."""
    listed, rows = lexicon()
    return np.asarray(student.bags(words.Splitter(listed), texts) @ rows)


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--work", required=True)
    options = options.parse_args()
    os.makedirs(options.work, exist_ok=True)
    both = [teachers.Teacher("use", options.work), teachers.Teacher("e5", options.work)]
    print(len(known()), "blocks of four")
    for name, encode in (("use", both[0]), ("e5", both[1]), ("both, as joined", teachers.Both([(both[0], .6), (both[1], .8)])), ("lexicon", stored)):
        print(name, {k: round(v, 3) for k, v in check(encode).items()})


if __name__ == "__main__":
    main()
