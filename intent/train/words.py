"""The words of the lexicon, and how a text is split into them.

The program splits texts in the same way (../meaning.go).
"""
import glob
import math
import os
import re
from collections import Counter

import jieba
import numpy as np
import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
SCOWL = "/usr/share/dict/scowl/"
HAN, LATIN = r"[\u4e00-\u9fff]+", r"[a-z][a-z']*"
CONTRACTIONS = {w.replace("'", ""): w for w in (
    "don't can't didn't doesn't isn't wasn't won't haven't hasn't i'm i've i'd i'll you're what's where's how's it's "
    "that's couldn't wouldn't shouldn't aren't there's let's").split()}
# What a word may end in, what its stem may have instead, and whether the stem's last letter may be doubled.
ENDINGS = (("ies", ("y", "ie"), False), ("ied", ("y", "ie"), False), ("s", ("",), False), ("es", ("",), False),
           ("d", ("",), False), ("ed", ("", "e"), True), ("ing", ("", "e"), True), ("ly", ("", "le"), False),
           ("er", ("", "e"), True))
SELDOM = -14.5  # logarithm of how often a word is used of which nothing is known
UNKNOWN = -18   # and of a character that is no word


def simplify(text, table={}):
    """Traditional characters to simplified ones."""
    if not table:
        source = open(os.path.join(HERE, "..", "traditional.go"), encoding="utf8").read()
        pairs = "".join(re.findall(r"`([^`]*)`", source))
        table.update({pairs[i]: pairs[i + 1] for i in range(0, len(pairs), 2)})
    return "".join(table.get(c, c) for c in text)


def pack_questions():
    """Every example question of the built-in packs; their test lines are left alone."""
    out = set()
    for name in glob.glob(os.path.join(HERE, "..", "packs", "*", "*.yaml")):
        for intent in yaml.safe_load(open(name, encoding="utf8")).get("intents") or []:
            ask = intent.get("ask") or {}
            for lines in ask.values() if isinstance(ask, dict) else [ask]:
                out.update(str(line) for line in lines)
    return sorted(out)


def groups():
    """The groups of sentences that say the same, neighbours being near in topic."""
    out = []
    for name in sorted(glob.glob(os.path.join(HERE, "groups", "*.txt"))):
        for block in open(name, encoding="utf8").read().split("\n\n"):
            lines = [line.strip() for line in block.split("\n") if line.strip() and not line.startswith("#")]
            if lines:
                out.append(lines)
    return out


def chinese(texts, pieces):
    count, total = Counter(), 0
    for line in open(os.path.join(os.path.dirname(jieba.__file__), "dict.txt"), encoding="utf8"):
        word, n, *_ = line.split()
        total += int(n)
        if re.fullmatch(r"[\u4e00-\u9fff]{1,4}", simplify(word)):
            count[simplify(word)] += int(n)
    ranked = sorted(count, key=lambda w: -count[w])
    words = dict.fromkeys([w for w in ranked if len(w) > 1][:17000] + [w for w in ranked if len(w) == 1][:4500])
    for text in texts:
        for run in re.findall(HAN, text):
            words.update(dict.fromkeys(w for w in jieba.cut(run, HMM=False) if len(w) <= 5))
    for piece in pieces:
        piece = simplify(piece.replace("\u2581", ""))
        if re.fullmatch(r"[\u4e00-\u9fff]{2,4}", piece) and piece in count:
            words[piece] = None
    return [(w, round(math.log(max(count.get(w, 3), 1) / total), 2)) for w in words]


def scowl(most, *kinds):
    """Words of the lists up to a size."""
    out = {}
    for kind in kinds:
        for name in sorted(glob.glob(SCOWL + kind + ".*")):
            if int(name.rsplit(".", 1)[1]) <= most:
                for word in open(name, encoding="latin1"):
                    if re.fullmatch(r"[A-Za-z]{3,16}", word.strip()):
                        out[word.strip().lower()] = None
    return out


def stems(word):
    for suffix, instead, doubles in ENDINGS:
        stem = word.removesuffix(suffix)
        if stem != word and len(stem) >= 2:
            yield from (stem + put for put in instead if len(stem) + len(put) > 2)
            if doubles and len(stem) > 2 and stem[-1] == stem[-2]:
                yield stem[:-1]


def english(texts, pieces, scores):
    lists = ("english-words", "american-words", "british-words")
    names = scowl(50, "english-upper", "english-proper-names")
    known = {**scowl(60, *lists), **names}
    words = {}
    for piece, score in zip(pieces, scores):
        if re.fullmatch("\u2581" + LATIN, piece):
            word = piece[1:].replace("'", "")
            if word in known or any(stem in known for stem in stems(word)) or word in CONTRACTIONS:
                words.setdefault(word, score)
    used = Counter(w.replace("'", "") for text in texts for w in re.findall(LATIN, text))
    for word in used:
        if 2 <= len(word) <= 20:
            words.setdefault(word, SELDOM)
    # Inflections that the program finds by itself need no row of their own.
    more = [w for w in {**scowl(35, *lists), **names} if w not in words]
    base = set(words) | set(more)
    for word in more:
        if not any(stem in base for stem in stems(word)):
            words[word] = SELDOM
    return [(w, round(float(s), 2)) for w, s in words.items()]


class Splitter:
    """Splits texts into rows of the lexicon."""

    def __init__(self, words):
        self.logp = dict(words)
        self.row = {w: i for i, (w, _) in enumerate(words)}

    def rows(self, text):
        out = []
        for run in re.findall(HAN + r"|[a-z0-9']+", simplify(text).lower().replace("\u2019", "'")):
            if re.match(HAN, run):
                out += [self.row[w] for w in self.han(run) if w in self.row]
                continue
            word = run.replace("'", "")
            found = next((w for w in (word, *stems(word)) if w in self.row), None)
            if found:
                out.append(self.row[found])
        return out

    def han(self, run):
        """The most likely words of a run of Chinese characters."""
        best, back = [0.0] + [-1e9] * len(run), [0] * (len(run) + 1)
        for i in range(len(run)):
            for k in range(1, min(5, len(run) - i) + 1):
                p = self.logp.get(run[i:i + k], UNKNOWN if k == 1 else -1e9)
                if best[i] + p > best[i + k]:
                    best[i + k], back[i + k] = best[i] + p, i
        out, i = [], len(run)
        while i:
            out.append(run[back[i]:i])
            i = back[i]
        return out[::-1]

    def count(self, texts):
        out = np.zeros(len(self.row))
        for text in texts:
            for row in self.rows(text):
                out[row] += 1
        return out
