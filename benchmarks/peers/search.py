"""The search of other libraries, driven by benchmarks/search.

Usage: python search.py METHOD FOLDER COLUMNS NEIGHBORS, where METHOD is faiss-flat,
faiss-hnsw, hnswlib or usearch, and FOLDER has the vectors and the queries as float32 in
vectors.f32 and queries.f32. It builds the index, or reads the one that an earlier run left
in the folder, writes a line about it, and then answers requests, a line each:

    ef N             search graphs with that breadth
    one FIRST LAST   search the queries one after the other: the times in microseconds
    together         search all queries in one call: the mean time of a query in microseconds
    rows             the rows that are found, of all queries

Distances are Euclidean. Graphs have 16 links and a breadth of 100 when they are built.
"""

import json
import os
import sys
import time

import numpy as np

LINKS, BUILD_BREADTH, THREADS = 16, 100, len(os.sched_getaffinity(0))


def private_bytes():
    """The memory of this process that is not in files."""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("RssAnon:"):
                return 1024 * int(line.split()[1])
    return 0


class Faiss:
    def __init__(self, columns, flat):
        import faiss

        faiss.omp_set_num_threads(THREADS)
        self.faiss, self.version = faiss, "faiss " + faiss.__version__
        self.flat = flat
        if flat:
            self.index = faiss.IndexFlatL2(columns)
        else:
            self.index = faiss.IndexHNSWFlat(columns, LINKS)
            self.index.hnsw.efConstruction = BUILD_BREADTH

    def build(self, vectors):
        self.index.add(np.asarray(vectors))

    def save(self, path):
        self.faiss.write_index(self.index, path)

    def load(self, path):
        self.index = self.faiss.read_index(path)

    def breadth(self, ef):
        if not self.flat:
            self.index.hnsw.efSearch = ef

    def search(self, queries, k, threads):
        self.faiss.omp_set_num_threads(threads)
        return self.index.search(queries, k)[1]


class Hnswlib:
    def __init__(self, columns):
        import importlib.metadata

        import hnswlib

        self.version = "hnswlib " + importlib.metadata.version("hnswlib")
        self.index = hnswlib.Index(space="l2", dim=columns)

    def build(self, vectors):
        self.index.init_index(max_elements=len(vectors), M=LINKS, ef_construction=BUILD_BREADTH, random_seed=1)
        self.index.add_items(vectors, num_threads=THREADS)

    def save(self, path):
        self.index.save_index(path)

    def load(self, path):
        self.index.load_index(path)

    def breadth(self, ef):
        self.index.set_ef(ef)

    def search(self, queries, k, threads):
        return self.index.knn_query(queries, k=k, num_threads=threads)[0]


class Usearch:
    def __init__(self, columns):
        import usearch
        from usearch.index import Index

        self.version = "usearch " + usearch.__version__
        self.index = Index(ndim=columns, metric="l2sq", dtype="f32", connectivity=LINKS, expansion_add=BUILD_BREADTH)

    def build(self, vectors):
        self.index.add(np.arange(len(vectors)), vectors, threads=THREADS)

    def save(self, path):
        self.index.save(path)

    def load(self, path):
        self.index.load(path)

    def breadth(self, ef):
        self.index.expansion_search = ef

    def search(self, queries, k, threads):
        return self.index.search(queries, k, threads=threads).keys


def main():
    method, folder, columns, neighbors = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    flat = method == "faiss-flat"
    engine = Faiss(columns, flat) if method.startswith("faiss") else {"hnswlib": Hnswlib, "usearch": Usearch}[method](columns)
    vectors = np.memmap(os.path.join(folder, "vectors.f32"), np.float32, "r").reshape(-1, columns)
    queries = np.fromfile(os.path.join(folder, "queries.f32"), np.float32).reshape(-1, columns)
    path, about = os.path.join(folder, method + ".index"), os.path.join(folder, method + ".json")
    # Loading the pages of the file is not part of the time.
    touched = float(vectors[:: max(1, len(vectors) // 100000)].sum())
    before = private_bytes()
    if os.path.exists(about):
        engine.load(path)
        with open(about) as file:
            described = json.load(file)
    else:
        start = time.perf_counter()
        engine.build(vectors)
        described = {"build": time.perf_counter() - start, "bytes": private_bytes() - before, "version": engine.version}
        if not flat:
            engine.save(path)
            with open(about, "w") as file:
                json.dump(described, file)
    assert np.isfinite(touched)
    print(json.dumps(described), flush=True)
    threads = THREADS if flat else 1  # one query of a graph is searched on one thread
    for line in sys.stdin:
        request = line.split()
        if request[0] == "ef":
            engine.breadth(int(request[1]))
            answer = True
        elif request[0] == "one":
            answer = []
            for i in range(int(request[1]), int(request[2])):
                query = queries[i : i + 1]
                start = time.perf_counter()
                engine.search(query, neighbors, threads)
                answer.append(1e6 * (time.perf_counter() - start))
        elif request[0] == "together":
            start = time.perf_counter()
            engine.search(queries, neighbors, THREADS)
            answer = 1e6 * (time.perf_counter() - start) / len(queries)
        else:
            answer = np.asarray(engine.search(queries, neighbors, THREADS)).astype(int).tolist()
        print(json.dumps(answer), flush=True)


main()
